"""Around every figure: the command line, the style, and saving as SVG and PNG."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.contracts import ContractError
from pipeline.figures import FIGURES, TABLES
from pipeline.figures.paper import PaperFigure
from pipeline.files import atomic
from pipeline.findings.data import Data, load
from pipeline.laws import LAWS, named

COLUMN, WIDE = 3.5, 7.0  # inches: one and two columns of a printed page
STYLE = Path(__file__).with_name("isoloss.mplstyle")
PNG_DPI = 300

Draw = Callable[[Figure, Data], None]
PaperDraw = Callable[[Figure, Mapping[str, Data]], None]


def arguments(name: str, given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of one figure: a path for each table it needs, the fits, and --out."""
    entry = FIGURES[name]
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline.figures.{name}", description=f"Draw: {entry.title}."
    )
    for table in TABLES:
        if table in entry.tables:
            parser.add_argument(f"--{table}", type=Path, required=True, metavar="PARQUET")
    if entry.takes_fits:
        needed = bool(entry.laws or entry.any_laws)
        parser.add_argument("--fits", type=Path, required=needed, help="folder of one fit per law")
        parser.add_argument(
            "--laws", nargs="+", help="laws of the study; all that --fits holds where not given"
        )
    parser.add_argument("--out", type=Path, required=True, help="SVG; a PNG is written beside it")
    return parser.parse_args(given)


def stored_laws(fits: Path) -> list[str]:
    """The fits that a folder holds, in the registry's order, those of one law by text or task."""
    order = list(LAWS)
    keys = [path.parent.name for path in fits.glob("*/parameters.parquet")]
    known = [key for key in keys if named(key) in LAWS]
    return sorted(known, key=lambda key: (order.index(named(key)), key))


def data(name: str, options: argparse.Namespace) -> Data:
    """What figure ``name`` is drawn from; raises ContractError naming a missing fit or table."""
    entry = FIGURES[name]
    tables = {table: getattr(options, table) for table in entry.tables}
    if not entry.takes_fits or options.fits is None:
        return load(tables, None, ())
    fitted = options.laws or stored_laws(options.fits)
    laws = entry.laws_among(fitted)
    if laws is None:
        needed = ", ".join(entry.laws or entry.any_laws)
        raise ContractError(
            f"{options.fits}: {name} needs a fit of {needed}, found {', '.join(fitted) or 'none'}; "
            "add the law to fit.laws or leave the figure out of figures"
        )
    return load(tables, options.fits, laws)


def paper_data(paper: str, name: str, study: Path) -> dict[str, Data]:
    """What figure ``name`` of a paper is drawn from, by experiment, each a folder of ``study``.

    Raises ContractError naming the experiment, table or fit that is missing.
    """
    entry: PaperFigure = import_module(f"pipeline.figures.{paper}").FIGURES[name]
    fitted = {
        folder.name: stored_laws(folder / "fits")
        for folder in sorted(study.iterdir() if study.is_dir() else ())
        if (folder / "runs.parquet").exists()
    }
    needs = entry.drawn_from(fitted)
    if needs is None:
        asked = "; ".join(f"{n} with {', '.join(x.laws) or 'runs'}" for n, x in entry.needs.items())
        raise ContractError(f"{study}: {name} needs the experiments {asked}; run the study")
    return {
        experiment: load(
            {table: study / experiment / f"{table}.parquet" for table in of.tables},
            study / experiment / "fits", of.laws_among(fitted[experiment]),
        )
        for experiment, of in needs.items()
    }  # fmt: skip


def render(draw: Callable[[Figure, Any], None], of: Any) -> Figure:
    """A figure drawn in the project's style; the caller's matplotlib settings stay as they are."""
    with matplotlib.rc_context(fname=STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, of)
    return figure


def save(figure: Figure, out: Path) -> None:
    """Write ``out`` (SVG) and the PNG beside it, each atomically and the same at every run."""
    with matplotlib.rc_context(fname=STYLE):
        # The layout is solved once, for both files.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        with atomic(out) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        with atomic(out.with_suffix(".png")) as temporary:
            figure.savefig(temporary, format="png", dpi=PNG_DPI)


def main(name: str, draw: Draw, given: Sequence[str] | None = None) -> None:
    """Run one figure from the command line."""
    options = arguments(name, given)
    try:
        save(render(draw, data(name, options)), options.out)
    except (ContractError, OSError) as error:
        sys.exit(f"{name}: {error}")


def paper_main(paper: str, name: str, draw: PaperDraw, given: Sequence[str] | None = None) -> None:
    """Run one figure of a paper from the command line."""
    title = import_module(f"pipeline.figures.{paper}").FIGURES[name].title
    program = f"python -m pipeline.figures.{paper}.{name}"
    parser = argparse.ArgumentParser(prog=program, description=f"Draw: {title}.")
    parser.add_argument("--study", type=Path, required=True, help="folder of its experiments")
    parser.add_argument("--out", type=Path, required=True, help="SVG; a PNG is written beside it")
    options = parser.parse_args(given)
    try:
        save(render(draw, paper_data(paper, name, options.study)), options.out)
    except (ContractError, OSError) as error:
        sys.exit(f"{name}: {error}")
