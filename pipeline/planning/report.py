"""Plans and outcomes as text for eyes and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.cells import short
from pipeline.planning.outcome import Outcome
from pipeline.planning.records import Plan, Quantity, known
from pipeline.planning.support import Estimate
from pipeline.planning.words import BYTES, TITLES, number

WIDTH = 88  # characters of a sentence's line


def _interval(one: Quantity) -> str:
    if not Estimate(one.value, one.low, one.high).known:
        return ""
    return f"[{number(one.name, one.low)}, {number(one.name, one.high)}]"


def plan_text(plan: Plan, why: str = "") -> str:
    """A plan as a table, with its sentences below."""
    head = f"{plan.asked}  ({plan.law}, {plan.points} runs, {plan.level:.0%} intervals)"
    if plan.refusal is not None:
        return "\n".join([head, *_wrapped([f"Refused: {plan.refusal}.", why])])
    lines = [head, ""]
    for one in plan.quantities:
        title, told = TITLES.get(one.name, one.name), _interval(one)
        note = f"  ({one.note})" if one.note else ""
        value = number(one.name, one.value)
        unit = one.unit.replace("bytes/", "per ") if one.name in BYTES else one.unit
        lines.append(f"  {title:<28}{value:>10} {told:<22} {unit}{note}".rstrip())
    lines.append("")
    run = plan.run
    limited = [] if run is None else [f"Bottleneck: {run.bottleneck}."]
    return "\n".join([*lines, *_wrapped([*limited, *plan.sentences, why])])


def outcome_text(found: Outcome, law: str, unit: str) -> str:
    """An outcome in a few lines."""
    head = f"N = {short(found.params)}, D = {short(found.tokens)} ({law})"
    if found.refusal is not None:
        return "\n".join([head, *_wrapped([f"Refused: {found.refusal}."])])
    told = f" [{found.loss.low:.4f}, {found.loss.high:.4f}]" if found.loss.known else ""
    lines = [
        f"  loss {found.loss.value:.4f}{told} {unit}",
        f"  {found.bottleneck}: {found.sentence}",
        f"  {found.extrapolation:.3g} times beyond the runs"
        if found.extrapolation > 1
        else "  within the range of the runs",
    ]
    return "\n".join([head, *lines])


def _wrapped(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in filter(None, sentences):
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")


def paragraph(sentence: str) -> str:
    """A sentence below plans, in lines of their width."""
    return "\n".join(_wrapped([sentence]))


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON values; an unknown number is null."""
    told = {
        one.name: {
            "value": known(one.value), "low": known(one.low), "high": known(one.high),
            "unit": one.unit, "extrapolation": known(one.extrapolation), "note": one.note,
        }
        for one in plan.quantities
    }  # fmt: skip
    run = plan.run
    return {
        "asked": plan.asked, "law": plan.law, "points": plan.points, "level": plan.level,
        "refusal": plan.refusal, "bottleneck": None if run is None else run.bottleneck.value,
        "extrapolation": None if run is None else run.extrapolation,
        "quantities": told, "sentences": list(plan.sentences),
    }  # fmt: skip


def outcome_json(found: Outcome, law: str, unit: str) -> dict[str, Any]:
    """An outcome as JSON values."""
    loss = {name: known(value) for name, value in found.loss._asdict().items()}
    told = asdict(found) | {"loss": loss, "law": law, "unit": unit}
    return told | {"bottleneck": found.bottleneck.value}
