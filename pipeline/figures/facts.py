"""What was run, in the rows that head the study's page: trained, computed and imported apart."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Sequence

from pipeline.figures.axes import count
from pipeline.findings.data import Row, number, state

Facts = list[tuple[str, str]]


def facts(runs: Sequence[Row], markup: Callable[[str], str]) -> Facts:
    """(name, HTML) of each fact; ``markup`` turns mathtext into HTML.

    Of training it tells only where there was any, and where runs came from where they were
    imported.
    """
    states = [state(run) for run in runs]
    native = [run for run in runs if run["source"] == "native"]
    computed = [run for run in runs if run["source"] == "regression"]
    return [
        ("Runs", f"{len(runs)}: {states.count('included')} in the fits, "
                 f"{states.count('excluded')} excluded, {states.count('diverged')} diverged"),
        ("Sizes N", _span(run["params"] for run in runs)),
        ("Tokens D", _span(run["tokens"] for run in runs)),
        *(_training(native, markup) if native else []),
        *(_regression(computed) if computed else []),
        *_imports(runs),
    ]  # fmt: skip


def _training(runs: Sequence[Row], markup: Callable[[str], str]) -> Facts:
    """What training took: every trunk is counted once, however many cells share it."""
    tokens = flops = seconds = 0.0
    trunks: dict[str, tuple[float, float, float]] = {}
    for run in runs:
        whole = run["flops_exact"] / run["tokens"]
        own = run["cooldown_steps"] * run["batch_tokens"] if run["trunk"] else run["tokens"]
        stable = run["tokens"] - own
        tokens, flops, seconds = tokens + own, flops + own * whole, seconds + run["own_seconds"]
        if run["trunk"]:
            shared = (stable, stable * whole, run["seconds"] - run["own_seconds"])
            trunks[run["trunk"]] = max(trunks.get(run["trunk"], shared), shared)
    for shared in trunks.values():
        tokens, flops, seconds = tokens + shared[0], flops + shared[1], seconds + shared[2]
    return [
        ("Trained on", f"{count(tokens)} tokens in all, {markup(number(flops, 3))} FLOP"),
        ("Training time", f"{seconds:,.0f} s of wall time, summed over trainings"),
        ("Device", _distinct(runs, "device")),
        ("Precision, threads", f"{_distinct(runs, 'precision')}; {_distinct(runs, 'threads')}"),
        *_code(runs),
        ("Data", f"sha256 {_distinct(runs, 'data_sha256', 16)}"),
    ]


def _regression(runs: Sequence[Row]) -> Facts:
    """The target of a regression, and what its fits took."""
    asked = json.loads(runs[0]["provenance"])["definition"]
    told = f"exponent {asked['exponent']:g}, noise {asked['noise']:g}, {asked['seeds']} seeds"
    return [
        ("Regression", told),
        ("Time", f"{sum(run['seconds'] for run in runs):,.1f} s, summed over fits"),
        ("Device", _distinct(runs, "device")),
        *_code(runs),
    ]


def _code(runs: Sequence[Row]) -> Facts:
    dirty = any(run["git_dirty"] for run in runs)
    commit = f"{_distinct(runs, 'git_commit', 12)}{' with uncommitted changes' * dirty}"
    return [("Code", commit)]


def _imports(runs: Sequence[Row]) -> Facts:
    """Name, file, digest and runs of each imported table."""
    tables: dict[str, list[Row]] = {}
    for run in runs:
        if run["source"] not in ("native", "regression"):
            tables.setdefault(run["source"], []).append(run)
    found = []
    for name, members in tables.items():
        origin = json.loads(members[0]["provenance"])
        told = f"{origin['file']}, sha256 {origin['sha256'][:16]}: {len(members)} runs"
        found.append((f"Imported, {name}", html.escape(told)))
    return found


def _span(values: Iterable[float]) -> str:
    known = sorted(set(values))
    if not known:
        return "none"
    return f"{count(known[0])} to {count(known[-1])} ({len(known)} values)"


def _distinct(runs: Sequence[Row], column: str, length: int = 80) -> str:
    values = list(dict.fromkeys(str(run[column])[:length] for run in runs))
    return html.escape(", ".join(values))
