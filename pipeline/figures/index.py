"""The study's page: what was run, what was fitted and planned, every figure and every run."""

from __future__ import annotations

import argparse
import html
import math
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from docutils.core import publish_parts
from docutils.writers import html5_polyglot

from pipeline.contracts import ContractError
from pipeline.figures import FIGURES
from pipeline.figures.axes import count
from pipeline.figures.facts import facts
from pipeline.files import atomic
from pipeline.findings.data import Data, Row, estimate, load, number, state
from pipeline.planning.words import BYTES, TITLES
from pipeline.planning.words import number as quantity

TEMPLATE = Path(__file__).with_name("index.html.j2")
CAPTIONS = Path(__file__).parents[2] / "workflow" / "report"
TABLES = ("runs", "predictions", "ranking", "plan", "known")
SCREEN = 2.05  # CSS pixels on the page for each point of a figure's width


def markup(text: str) -> str:
    """The mathtext that figures use, as HTML: powers, subscripts and Greek letters."""
    text = html.escape(text).replace("$", "")
    text = re.sub(r"\\!\\times\\!10\^\{(-?\d+)\}", r" × 10<sup>\1</sup>", text)
    text = re.sub(r"\\mathrm\{(\w+)\}", r"\1", text)
    text = re.sub(r"\\([a-zA-Z]+)", r"&\1;", text)
    return re.sub(r"_(\w)", r"<sub>\1</sub>", text).replace("-", "−")


def caption(name: str) -> str:
    """A caption of the report as HTML; raises ContractError where it is missing."""
    path = CAPTIONS / f"{name}.rst"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ContractError(f"{path}: no caption ({error.strerror}); write one") from error
    settings = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 2}
    return publish_parts(text, writer=html5_polyglot.Writer(), settings_overrides=settings)["body"]


def exponent_rows(data: Data) -> list[dict[str, Any]]:
    """Every parameter of every law: value with interval, what is known, runs, status and why."""
    return [
        {
            "law": fit.key, "title": fit.law.title, "symbol": markup(f"${p.symbol}$"),
            "meaning": p.meaning, "value": markup(estimate(row["value"], row["low"], row["high"])),
            "exact": exact(data.truth(fit.key).get(p.name)),
            "runs": row["points"], "status": row["status"].replace("_", " "),
            "reason": row["reason"],
        }
        for fit in data.fits.values()
        for p, row in fit.estimates
    ]  # fmt: skip


def exact(row: Row | None) -> dict[str, str] | None:
    """The true value of a parameter, as HTML, and how it is known."""
    return row and {"value": markup(f"${number(row['value'], 4)}$"), "reason": row["reason"]}


def backtest_bins(ranking: Sequence[Row]) -> list[tuple[float, float]]:
    """The bins of the extrapolation factor that have predictions, the last one perhaps open."""
    known = {(row["above"], row["up_to"] or math.inf) for row in ranking if row["predictions"]}
    return sorted(known)


def backtest_rows(ranking: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for each axis and law: its errors by bin, both its ranks, and why it is trusted."""
    rows = []
    for (axis, _, law), group in groupby(ranking, lambda r: (r["axis"], r["joint"], r["law"])):
        members = list(group)
        first = members[0]
        tested = first["predictions"] is not None
        by_bin = {(row["above"], row["up_to"] or math.inf): row for row in members if tested}
        rows.append({
            "law": law, "axis": axis, "chosen": first["chosen"], "reason": first["reason"],
            "disagrees": first["disagrees"], "tested": tested,
            "own": f"{_short(first['rmse'])} ({first['in_sample_rank']})" if tested else "",
            "larger": f"{_short(first['score'])} ({first['out_of_sample_rank']})" if tested else "",
            "bins": [_bin(by_bin.get(one)) for one in backtest_bins(ranking)],
        })  # fmt: skip
    return rows


def _short(error: float | None) -> str:
    return "none" if error is None else f"{error:.2f}"


def _bin(row: Row | None) -> str:
    return "" if row is None else f"{row['mape']:.2f} ({100 * row['coverage']:.0f} %)"


def _bin_name(above: float, up_to: float) -> str:
    if up_to == math.inf:
        return f"beyond × {above:g}"
    return f"up to × {up_to:g}" if above == 1 else f"× {above:g} to {up_to:g}"


def verdict(ranking: Sequence[Row]) -> str:
    """The law of N and D that predicts larger runs best, along the first axis tested."""
    joint = [row for row in ranking if row["joint"]]
    chosen = next((row for row in joint if row["chosen"]), None)
    if chosen is None or chosen["axis"] != joint[0]["axis"]:
        return "No law of size and tokens could be tested on larger runs."
    return f"{chosen['law']}: {chosen['reason']}"


def plan_rows(predictions: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for each law and planned budget: N*, D* and loss with intervals."""
    planned_only = [row for row in predictions if row["planned"]]
    ordered = sorted(planned_only, key=lambda row: (row["flops"], row["law"]))
    rows = []
    for (flops, law), group in groupby(ordered, key=lambda row: (row["flops"], row["law"])):
        members = list(group)
        told = {row["quantity"]: planned(row) for row in members}
        rows.append({
            "law": law, "flops": markup(number(flops, 3)), "runs": members[0]["points"],
            "extrapolation": markup(f"× {number(members[0]['extrapolation'])}"), **told,
        })  # fmt: skip
    return rows


def answer_rows(plan: Sequence[Row]) -> list[dict[str, Any]]:
    """Every quantity of every plan; the question stands on its first row."""
    rows, before = [], None
    for row in plan:
        rows.append({
            "asked": row["asked"] if row["asked"] != before else "",
            "what": TITLES.get(row["quantity"], row["quantity"]),
            "value": answer(row), "unit": _unit(row), "note": row["note"],
        })  # fmt: skip
        before = row["asked"]
    return rows


def _unit(row: Row) -> str:
    """The unit beside a quantity; bytes are written with theirs, in MB or GB."""
    unit: str = row["unit"]
    return unit.replace("bytes/", "per ") if row["quantity"] in BYTES else unit


def answer(row: Row) -> str:
    """One quantity of a plan with its interval."""
    write = partial(quantity, row["quantity"])
    ends = "" if row["low"] is None else f" [{write(row['low'])}, {write(row['high'])}]"
    return write(row["value"]) + ends


def planned(row: Row) -> str:
    """One predicted quantity with its interval, as HTML."""
    write = (lambda v: f"{v:.3f}") if row["quantity"] == "loss" else count
    ends = "" if row["low"] is None else f" [{write(row['low'])}, {write(row['high'])}]"
    return write(row["value"]) + ends


def drawings(paths: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Title, caption, links and screen width of each figure, in the order of ``paths``."""
    shown = []
    for path in paths:
        name = path.stem
        try:
            width = re.search(r'<svg[^>]* width="([\d.]+)pt"', path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ContractError(f"{path}: no such figure ({error.strerror}); draw it") from error
        shown.append({
            "name": name, "title": FIGURES[name].title, "category": FIGURES[name].category,
            "caption": caption(name), "svg": link(path, folder),
            "png": link(path.with_suffix(".png"), folder),
            "width": round(SCREEN * float(width[1])) if width else None,
        })  # fmt: skip
    return shown


def by_category(figures: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Figures under their category, categories in the registry's order."""
    names = dict.fromkeys(figure.category for figure in FIGURES.values())
    found = {name: [f for f in figures if f["category"] == name] for name in names}
    return {name: members for name, members in found.items() if members}


def link(path: Path, folder: Path) -> str:
    """A path as seen from ``folder``."""
    return Path(os.path.relpath(path, folder)).as_posix()


def page(title: str, data: Data, figures: list[dict[str, Any]], links: dict[str, str]) -> str:
    """The whole page as HTML; it needs nothing from the network."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title, front=caption("workflow"), facts=facts(data.runs, markup),
        loss=data.loss_label, known=bool(data.known),
        categories=by_category(figures), links=links, parameters=exponent_rows(data),
        verdict=verdict(data.ranking), backtests=backtest_rows(data.ranking),
        bins=[_bin_name(*ends) for ends in backtest_bins(data.ranking)],
        answers=answer_rows(data.plan), plans=plan_rows(data.predictions),
        failures=[run for run in data.runs if state(run) != "included"],
        runs=data.runs, state=state, count=count,
    )  # fmt: skip


def main(given: Sequence[str] | None = None) -> None:
    """Write the page from the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.figures.index", description=__doc__)
    parser.add_argument("--title", required=True)
    for table in (*TABLES, "fits"):
        parser.add_argument(f"--{table}", type=Path, required=True)
    parser.add_argument("--laws", nargs="*", default=[])
    parser.add_argument("--figures", nargs="*", type=Path, default=[], metavar="SVG")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(given)
    folder = options.out.parent
    tables = {name: getattr(options, name) for name in TABLES}
    links = {name: link(path, folder) for name, path in tables.items()}
    cards = {law: options.fits / law / "card.json" for law in options.laws}
    links |= {f"fit of {law}": link(card, folder) for law, card in cards.items()}
    try:
        data = load(tables, options.fits, options.laws)
        text = page(options.title, data, drawings(options.figures, folder), links)
        with atomic(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except (ContractError, OSError) as error:
        sys.exit(f"index: {error}")


if __name__ == "__main__":
    main()
