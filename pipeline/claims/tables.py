"""The tables of a replication's page in docs, made from the registries of claims and figures.

``python -m pipeline.claims.tables docs/kaplan2020.md studies/kaplan-laptop.yaml`` writes them anew
between the marks of the page, for the paper that the config replicates; with a comparison.parquet
behind these, what was measured, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pipeline import contracts
from pipeline.claims import PAPERS, modules
from pipeline.claims.claim import Claim
from pipeline.claims.rules import AtLeast, AtMost, Near, Within, said
from pipeline.figures.overview import claim_rows
from pipeline.figures.paper import PaperFigure
from pipeline.findings.data import Row

MARK = "<!-- {name}: made by `make docs` -->"
MEASURED = "<!-- measured: made by `python -m pipeline.claims.tables` from a comparison -->"


def rule(claim: Claim) -> str:
    """The rule of a claim, with what the paper says, in words."""
    low, high = claim.allowed if claim.paper is not None else (claim.low, claim.high)
    ends = " to ".join(dict.fromkeys(said(end) for end in (low, high) if end is not None))
    if isinstance(claim.rule, AtMost):
        return f"at most {ends}"
    if isinstance(claim.rule, AtLeast):
        return f"at least {ends}"
    if isinstance(claim.rule, Near):
        return f"{ends}, ± {100 * claim.rule.tolerance:g} %"
    if isinstance(claim.rule, Within):
        return f"{ends}, up to a factor of {claim.rule.factor:g}"
    raise TypeError(f"{claim.key}: the rule {claim.rule} has no words; add them here")


def claim_table(claims: Iterable[Claim]) -> list[str]:
    """One line for each claim."""
    lines = [
        "| claim | quantity | in the paper | by rule | measured in |",
        "|---|---|---|---|---|",
    ]
    for claim in claims:
        unit = "" if claim.unit == "1" else f" ({claim.unit})"
        needs = ", ".join(
            f"{name} ({', '.join(f'`{law}`' for law in laws)})" if laws else name
            for name, laws in claim.needs.items()
        )
        lines.append(
            f"| `{claim.key}` | {claim.quantity}{unit} | {claim.source} | {rule(claim)} | {needs} |"
        )
    return lines


def experiment_table(
    titles: Mapping[str, str], claims: Sequence[Claim], figures: Mapping[str, PaperFigure]
) -> list[str]:
    """One line for each experiment: its title, and the claims and figures it serves."""
    lines = ["| experiment | title | claims | figures |", "|---|---|---|---|"]
    for name, title in titles.items():
        measured = [f"`{claim.key}`" for claim in claims if name in claim.needs]
        drawn = [
            f"`{figure}`"
            for figure, one in figures.items()
            if name in one.needs or name in one.optional
        ]
        lines.append(f"| {name} | {title} | {', '.join(measured)} | {', '.join(drawn)} |")
    return lines


def made(page: str, config: Mapping[str, Any]) -> str:
    """The page with its tables made anew; raises ValueError naming a mark that it lacks."""
    paper = config["replicates"]
    claims = [claim for name in modules(paper) for claim in import_module(name).CLAIMS]
    figures = import_module(f"pipeline.figures.{paper}").FIGURES
    titles = {name: own["title"] for name, own in config["experiments"].items()}
    page = _put(page, MARK.format(name="experiments"), experiment_table(titles, claims, figures))
    return _put(page, MARK.format(name="claims"), claim_table(claims))


def measured(page: str, rows: Sequence[Row]) -> str:
    """The page with its table of what was measured made anew from a comparison."""
    return _put(page, MEASURED, measured_table(rows))


def measured_table(rows: Sequence[Row]) -> list[str]:
    """One line for each claim: the paper's value, the measured one with its interval, verdict."""
    levels = sorted({row["level"] for row in rows if row["level"] is not None})
    of = " or ".join(f"{100 * level:g} %" for level in levels)
    measured = f"measured [{of} interval]" if levels else "measured"
    lines = [
        f"| claim | quantity | in the paper | {measured} | runs | N | D | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in claim_rows(rows):
        unit = f" ({row['unit']})" if row["unit"] else ""
        lines.append(
            f"| `{row['key']}` | {row['quantity']}{unit} | {row['paper']} | {row['ours']} | "
            f"{row['runs']} | {row['params']} | {row['tokens']} | {row['word']} |"
        )
    return lines


def _put(page: str, mark: str, lines: Sequence[str]) -> str:
    """The page with what stands between two of a mark replaced."""
    parts = page.split(mark)
    if len(parts) != 3:
        raise ValueError(f"the page lacks two lines {mark}")
    return f"{parts[0]}{mark}\n\n" + "\n".join(lines) + f"\n\n{mark}{parts[2]}"


def main() -> None:
    """Write the tables of one page."""
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m pipeline.claims.tables PAGE.md CONFIG.yaml [COMPARISON.parquet]")
    page, config, *comparison = map(Path, sys.argv[1:])
    given = yaml.safe_load(config.read_text(encoding="utf-8"))
    if given.get("replicates") not in PAPERS:
        sys.exit(f"{config}: replicates: names no paper; choose from {', '.join(PAPERS)}")
    text = made(page.read_text(encoding="utf-8"), given)
    for path in comparison:
        text = measured(text, contracts.read(path, contracts.COMPARISON).to_pylist())
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
