"""The page over several experiments: a paper's claims and figures, and each experiment."""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2

from pipeline import contracts
from pipeline.claims import PAPERS
from pipeline.contracts import ContractError
from pipeline.figures.axes import count
from pipeline.figures.index import SCREEN, caption, link, markup
from pipeline.figures.paper import PaperFigure
from pipeline.files import atomic
from pipeline.findings.data import Row, estimate, number

TEMPLATE = Path(__file__).with_name("overview.html.j2")
TABLES = ("runs", "curves", "evaluations")
VERDICTS = {
    "reproduced": "reproduced", "differs": "differs", "out_of_reach": "out of reach",
    "not_measured": "not measured",
}  # fmt: skip


def claim_rows(comparison: Sequence[Row]) -> list[dict[str, Any]]:
    """Every claim as the page shows it: the paper's value, ours with interval, runs, verdict."""
    return [
        {
            "key": row["claim"], "statement": symbols(row["statement"]), "source": row["source"],
            "quantity": symbols(row["quantity"]), "unit": "" if row["unit"] == "1" else row["unit"],
            "paper": stated(row), "ours": ours(row), "runs": row["runs"] or "",
            "experiments": row["experiments"], "verdict": row["verdict"],
            "word": VERDICTS[row["verdict"]], "reason": symbols(row["reason"]),
            "params": between(row["params_low"], row["params_high"]),
            "tokens": between(row["tokens_low"], row["tokens_high"]),
        }
        for row in comparison
    ]  # fmt: skip


def symbols(text: str) -> str:
    """A claim's plain text as HTML: alpha_N, S_min, N^0.74 and 8.8e13 as they are printed."""
    text = html.escape(text)
    text = re.sub(r"(?<![\d.])1e\+?(-?)0*(\d+)", r"10<sup>\1\2</sup>", text)
    text = re.sub(r"(\d)e\+?(-?)0*(\d+)", r"\1 × 10<sup>\2\3</sup>", text)
    text = re.sub(r"\^(?:\(([^)]*)\)|([\w.]*\w))", r"<sup>\1\2</sup>", text)
    text = re.sub(r"\b(alpha|[A-Z])_([A-Za-z]+)", r"\1<sub>\2</sub>", text)
    return text.replace("alpha", "α").replace(" -", " −").replace("[-", "[−")


def stated(row: Row) -> str:
    """What the paper says, as HTML: its value, with bounds where it gives some, or a limit."""
    value, low, high = (
        None if row[key] is None else markup(f"${number(row[key])}$")
        for key in ("paper", "paper_low", "paper_high")
    )
    if value is None and (low is None or high is None):
        return f"≤ {high}" if low is None else f"≥ {low}"
    if low is None or high is None or low == high:
        return value or f"{low}"
    return f"{value} ({low} to {high})" if value else f"{low} to {high}"


def ours(row: Row) -> str:
    """What was measured, with its interval, as HTML; nothing where it was not."""
    if row["value"] is None:
        return ""
    return markup(estimate(row["value"], row["low"], row["high"]))


def between(low: float | None, high: float | None) -> str:
    """A range of counts in words; nothing where it is unknown."""
    if low is None or high is None:
        return ""
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def experiment_rows(study: Path, pages: Path, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each experiment: its runs and their ranges, links to its page and tables.

    Raises ContractError where a table of runs is missing or broken.
    """
    rows = []
    for name, title in titles.items():
        table = contracts.read(study / name / "runs.parquet", contracts.RUNS)
        found = table.select(["included", "params", "params_total", "tokens"]).to_pylist()
        sizes = [run["params"] or run["params_total"] for run in found]
        tokens = [run["tokens"] for run in found]
        rows.append({
            "name": name, "title": title, "runs": len(found),
            "included": sum(run["included"] for run in found),
            "params": between(min(sizes, default=None), max(sizes, default=None)),
            "tokens": between(min(tokens, default=None), max(tokens, default=None)),
            "page": f"{name}/index.html",
            "tables": {
                table: link(study / name / f"{table}.parquet", pages) for table in TABLES
                if (study / name / f"{table}.parquet").exists()
            },
        })  # fmt: skip
    return rows


def drawings(paper: str, paths: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Title, caption, links and screen width of each figure of the paper, in the order of paths."""
    registry: Mapping[str, PaperFigure] = import_module(f"pipeline.figures.{paper}").FIGURES
    shown = []
    for path in paths:
        try:
            width = re.search(r'<svg[^>]* width="([\d.]+)pt"', path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ContractError(f"{path}: no such figure ({error.strerror}); draw it") from error
        shown.append({
            "name": path.stem, "title": heading(path.stem, registry[path.stem].title),
            "caption": caption(f"{paper}/{path.stem}"), "svg": link(path, folder),
            "png": link(path.with_suffix(".png"), folder),
            "width": round(SCREEN * float(width[1])) if width else None,
        })  # fmt: skip
    return shown


def heading(name: str, title: str) -> str:
    """The title of a figure, with the paper's number where its name has one."""
    numbered = re.match(r"fig(\d+)_", name)
    return f"Figure {int(numbered[1])}: {title}" if numbered else title


def page(
    title: str, paper: str | None, comparison: Sequence[Row], figures: Sequence[dict[str, Any]],
    experiments: Sequence[dict[str, Any]], table: str,
) -> str:  # fmt: skip
    """The whole page as HTML; it needs nothing from the network."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    counts = Counter(row["verdict"] for row in comparison)
    levels = sorted({row["level"] for row in comparison if row["level"] is not None})
    return template.render(
        title=title, paper=PAPERS[paper].title if paper else None, claims=claim_rows(comparison),
        counts=[(word, verdict, counts[verdict]) for verdict, word in VERDICTS.items()],
        levels=" or ".join(f"{100 * level:g} %" for level in levels), figures=figures,
        experiments=experiments, table=table,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.figures.overview", description=__doc__
    )
    parser.add_argument("--title", required=True)
    parser.add_argument("--study", type=Path, required=True, help="folder of the experiments")
    parser.add_argument("--experiments", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--titles", nargs="+", required=True, metavar="TITLE", help="one for each")
    parser.add_argument("--paper", choices=list(PAPERS), help="the paper that is replicated")
    parser.add_argument("--comparison", type=Path, help="comparison.parquet, with --paper")
    parser.add_argument("--figures", nargs="*", type=Path, default=[], metavar="SVG")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Write the page from the command line."""
    parser = _parser()
    options = parser.parse_args(given)
    if len(options.experiments) != len(options.titles):
        parser.error(f"--titles: {len(options.titles)} for {len(options.experiments)} experiments")
    if bool(options.paper) != bool(options.comparison):
        parser.error("--paper and --comparison go together")
    folder = options.out.parent
    try:
        rows: list[Row] = []
        if options.comparison:
            rows = contracts.read(options.comparison, contracts.COMPARISON).to_pylist()
        figures = drawings(options.paper, options.figures, folder) if options.paper else []
        titles = dict(zip(options.experiments, options.titles, strict=True))
        experiments = experiment_rows(options.study, folder, titles)
        table = link(options.comparison, folder) if options.comparison else ""
        text = page(options.title, options.paper, rows, figures, experiments, table)
        with atomic(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except (ContractError, OSError) as error:
        sys.exit(f"overview: {error}")


if __name__ == "__main__":
    main()
