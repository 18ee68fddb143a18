"""Every figure: drawn without a warning, traceable, labelled, in step with caption and registry."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import figure_data
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.figures import FIGURES, TABLES, drawable, frame, index
from pipeline.figures.axes import count
from pipeline.findings.data import Data, load, state
from pipeline.laws import LAWS, SURFACES

SHARED = {"__init__", "axes", "data", "facts", "frame", "index", "overview", "marks", "notes",
          "one_variable",
          "paper", "surface"}  # fmt: skip
UNITS = re.compile(
    r"\((nats/token|bits/byte|share of variance|FLOP|FLOP, attention and head included|%|dimensionless|tokens|steps|tokens; .*)\)$"
    r"|(parameters|training tokens|training samples) \$[ND](\^\*)?\$$"
)
# Figures of laws, not of single runs.
WITHOUT_RUNS = {
    "critical_batch",
    "batch_fronts",
    "exponents",
    "sensitivity",
    "allocation",
    "frontier",
}
DIVERGED, EXCLUDED = 9, 0


def toy_rows() -> list[dict]:
    rows = figure_data.runs()
    rows[EXCLUDED] |= {"included": False, "exclusion": "tokens"}
    rows[DIVERGED] |= {"status": "diverged", "included": False, "exclusion": "diverged",
                       "loss": None, "loss_se": None, "bits_per_byte": None}  # fmt: skip
    return rows


STUDIES = {
    "toy": (toy_rows, ()),
    # Eleven sizes up to 906M parameters: colour bars, chosen lines, three and more decades.
    "wide": (
        lambda: figure_data.runs(
            widths=(64, 128, 256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144),
            tokens=tuple(round(1e8 * 3.1**k) for k in range(7)),
        ),
        (),
    ),
    "one size": (
        lambda: figure_data.runs(widths=(32,)), ("power_params", "kaplan", "chinchilla"),
    ),
    "two runs": (
        lambda: figure_data.runs(widths=(32, 64), tokens=figure_data.TOKENS[:1]), figure_data.LAWS,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, figure_data.Paths]:
    return {
        name: figure_data.write_study(tmp_path_factory.mktemp("study"), rows(), few=few)
        for name, (rows, few) in STUDIES.items()
    }


def command(name: str, paths: figure_data.Paths, out: Path) -> list[str]:
    entry = FIGURES[name]
    given = paths.arguments(entry.tables, entry.takes_fits)
    return [*given, "--out", str(out)]


def draw_of(name: str):
    return importlib.import_module(f"pipeline.figures.{name}").draw


def loaded(name: str, paths: figure_data.Paths) -> Data:
    return frame.data(name, frame.arguments(name, command(name, paths, Path("unused.svg"))))


@pytest.fixture(scope="module")
def saved(paths, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    for name in FIGURES:
        frame.main(name, draw_of(name), command(name, paths["toy"], folder / f"{name}.svg"))
    return folder


def test_registry_captions_and_modules_are_in_step():
    modules = {path.stem for path in Path(frame.__file__).parent.glob("*.py")}
    captions = {path.stem for path in index.CAPTIONS.glob("*.rst")}
    assert modules - SHARED == set(FIGURES) == captions - {"workflow"}
    assert {table for figure in FIGURES.values() for table in figure.tables} <= set(TABLES)
    named = {
        law for figure in FIGURES.values() for law in (*figure.laws, *figure.any_laws, *figure.also)
    }
    assert named - {"*"} <= set(LAWS)


def test_documentation_lists_every_figure():
    text = (Path(frame.__file__).parents[2] / "docs" / "figures.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(FIGURES)
    for row, (name, figure) in zip(rows, FIGURES.items(), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[:4] == [f"`{name}`", figure.title, figure.category, ", ".join(figure.tables)]
        if figure.any_laws == SURFACES:
            assert cells[4] == "any of N and D"
            continue
        named = set(re.findall(r"`(\w+)`", cells[4]))
        assert named == {*figure.laws, *figure.any_laws, *figure.also} - {"*"}


def test_registry_needs_the_standard_library_only():
    code = (
        "import sys; import pipeline.figures; "
        "print({'numpy', 'pyarrow', 'matplotlib', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", FIGURES)
def test_drawing_imports_neither_solvers_nor_heavy_packages(name):
    # SciPy itself is nothing but names; its parts are loaded where they are used.
    parts = {f"scipy.{part}" for part in ("special", "optimize", "stats", "interpolate", "linalg")}
    foreign = parts | {"pandas", "torch", "matplotlib.pyplot", "pipeline.laws.estimate",
                       "pipeline.laws.surface", "pipeline.laws.resample"}  # fmt: skip
    source = Path(frame.__file__).with_name(f"{name}.py").read_text()
    assert not re.search(r"\.fit\(|minimi[sz]e|polyfit|lstsq", source)
    if name == "residuals":  # one process stands for all: they share every import
        code = f"import sys, pipeline.figures.{name}; print({foreign!r} & set(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "set()"


def test_drawable_follows_the_laws_and_evaluations_of_the_study():
    assert drawable(tuple(LAWS), evaluated=True, scanned=True, followed=True) == list(FIGURES)
    scans = set(FIGURES) - set(drawable(tuple(LAWS), evaluated=True, followed=True))
    assert scans == {"critical_batch", "batch_fronts"}
    tasks = set(FIGURES) - set(drawable(tuple(LAWS), evaluated=True, scanned=True))
    assert tasks == {"task_curves"}
    assert "transfer" not in drawable(tuple(LAWS), evaluated=False)
    alone = drawable(("kaplan",), evaluated=False)
    assert {"kaplan_surface", "residuals", "iso_loss", "allocation", "exponents"} <= set(alone)
    assert not {"chinchilla_surface", "loss_vs_params"} & set(alone)
    assert drawable((), evaluated=False) == ["learning_curves", "loss_by_position"]
    assert FIGURES["residuals"].laws_among(("power_params", "chinchilla")) == ("chinchilla",)
    assert FIGURES["residuals"].laws_among(("power_params",)) is None
    assert FIGURES["tasks"].laws_among(("kaplan", "task_sigmoid@quiz")) == ("task_sigmoid@quiz",)
    assert FIGURES["transfer"].laws_among(("kaplan", "transfer@code")) == ("transfer@code",)
    assert FIGURES["transfer"].laws_among(("kaplan",)) == ()
    assert FIGURES["learning_curves"].laws_among(("kaplan",)) == ()


@pytest.mark.parametrize("name", FIGURES)
def test_svg_and_png_are_written_and_points_are_traceable(name, saved, paths):
    png = (saved / f"{name}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    width = int.from_bytes(png[16:20], "big")
    assert width in (round(300 * frame.COLUMN), round(300 * frame.WIDE))
    root = ElementTree.parse(saved / f"{name}.svg").getroot()
    ids = Counter(element.get("id") for element in root.iter() if element.get("id"))
    assert [key for key, times in ids.items() if times > 1] == []
    if name in WITHOUT_RUNS:
        return
    shown = {key.split(".")[0] for key in ids}
    cells = {run["cell"] for run in loaded(name, paths["toy"]).runs}
    if name == "loss_by_position":  # one run for each size
        assert len(shown & cells) == len(figure_data.WIDTHS)
    elif name in ("transfer", "residuals", "tasks"):  # without the runs that have no loss or fit
        assert len(cells - shown) == {"transfer": 1, "residuals": 2, "tasks": 2}[name]
    else:
        assert cells <= shown


@pytest.mark.parametrize("name", ["learning_curves", "kaplan_surface", "iso_loss"])
def test_files_are_the_same_at_every_run(name, saved, paths, tmp_path):
    again = tmp_path / f"{name}.svg"
    run = [sys.executable, "-m", f"pipeline.figures.{name}", *command(name, paths["toy"], again)]
    subprocess.run(run, check=True, env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"})
    assert again.read_bytes() == (saved / f"{name}.svg").read_bytes()
    assert again.with_suffix(".png").read_bytes() == (saved / f"{name}.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.png", f"{name}.svg"]


def test_draw_reads_and_writes_nothing(paths, tmp_path, monkeypatch):
    copy = tmp_path / "study"
    shutil.copytree(paths["toy"].folder, copy)
    data = {name: loaded(name, figure_data.Paths(copy)) for name in FIGURES}
    shutil.rmtree(copy)
    monkeypatch.chdir(tmp_path)
    for name in FIGURES:
        assert isinstance(frame.render(draw_of(name), data[name]), Figure)
    assert list(tmp_path.iterdir()) == []


def prose(figure: Figure) -> list[Text]:
    """Every visible text that is no tick, point or contour label."""
    found = [text for text in (figure._suptitle, figure._supxlabel) if text]
    legends = [*figure.legends]
    for axes in figure.axes:
        found += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]
        found += [text for text in axes.texts if r"\dfrac" in text.get_text()]
        legends += [child for child in axes.get_children() if isinstance(child, Legend)]
    for legend in legends:
        found += [*legend.get_texts(), legend.get_title()]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_its_unit_and_no_text_is_cut_or_covered(name, study, paths):
    figure = frame.render(draw_of(name), loaded(name, paths[study]))
    figure.draw_without_rendering()
    first = {axes.get_subplotspec().colspan.start for axes in figure.axes if axes.axison
             and axes.get_subplotspec() is not None}  # fmt: skip
    for axes in figure.axes:
        if not axes.axison:
            continue
        labels = [label for label in (axes.get_xlabel(), axes.get_ylabel()) if label]
        assert labels
        assert all(UNITS.search(label) for label in labels if not label.startswith("position"))
        if axes.get_subplotspec() is not None and name not in ("exponents", "sensitivity"):
            assert axes.get_xlabel() or not axes.xaxis.get_tick_params()["labelbottom"]
            assert axes.get_ylabel() or axes.get_subplotspec().colspan.start > min(first)
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [label.get_window_extent() for label in axis.get_ticklabels()
                     if label.get_text() and label.get_visible()]  # fmt: skip
            for one, other in itertools.pairwise(boxes):
                assert not one.overlaps(other), axis.get_label_text()
    for one, other in itertools.combinations(prose(figure), 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (
            one.get_text(), other.get_text(),
        )  # fmt: skip
    page = figure.bbox.padded(1.0)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_window_extent().width > 0:
            box = text.get_window_extent()
            assert box.x0 >= page.x0, text.get_text()
            assert box.x1 <= page.x1, text.get_text()
            assert box.y0 >= page.y0, text.get_text()
            assert box.y1 <= page.y1, text.get_text()
            assert text.get_fontsize() >= 7 - 1e-9, text.get_text()


@pytest.mark.parametrize("study", ["one size", "two runs"])
def test_a_refused_fit_is_said_in_words(study, paths):
    for name in ("kaplan_surface", "iso_loss", "residuals", "exponents", "allocation"):
        figure = frame.render(draw_of(name), loaded(name, paths[study]))
        words = " ".join(text.get_text() for text in figure.findobj(Text))
        assert "2 runs cannot determine 4 parameters; add runs." in words, name


def test_excluded_and_diverged_runs_are_told_apart(paths):
    data = loaded("loss_vs_params", paths["toy"])
    figure = frame.render(draw_of("loss_vs_params"), data)
    lines = {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid()}
    looks = {state(run): lines[run["cell"]] for run in data.runs}
    assert looks["excluded"].get_markerfacecolor() == "white"
    assert looks["diverged"].get_marker() == "x"
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"excluded (1)", "diverged (1)"} <= set(words)


def test_the_line_is_the_stored_law(paths):
    data = loaded("loss_vs_params", paths["toy"])
    row = {name: r["value"] for name, r in data.fits["power_params"].parameters.items()}
    figure = frame.render(draw_of("loss_vs_params"), data)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 200]
    assert len(lines) == 1
    n = np.asarray(lines[0].get_xdata(), float)
    assert lines[0].get_ydata() == pytest.approx((row["Nc"] / n) ** row["alpha_N"], rel=1e-12)
    title = figure.axes[0].get_title(loc="left")
    assert rf"$\alpha_N$ = ${row['alpha_N']:.3f}$" in title
    assert "7 runs" in title


def test_formula_and_numbers_start_at_the_axes_left_edge(paths):
    for name in ("kaplan_surface", "chinchilla_surface", "loss_vs_params", "loss_vs_compute"):
        figure = frame.render(draw_of(name), loaded(name, paths["toy"]))
        figure.draw_without_rendering()
        axes = figure.axes[0]
        formula = next(text for text in axes.texts if r"\dfrac" in text.get_text())
        numbers = axes._left_title.get_window_extent()
        assert formula.get_window_extent().x0 == pytest.approx(axes.bbox.x0, abs=3), name
        assert numbers.x0 == pytest.approx(axes.bbox.x0, abs=3), name
        assert formula.get_window_extent().y0 > numbers.y1, name


def test_allocation_counts_6nd_whatever_the_fits_took_for_compute(paths, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(paths["toy"].folder, study)
    exact = {run["cell"]: run["flops_exact"] for run in loaded("allocation", paths["toy"]).runs}
    for folder in (study / "fits").iterdir():
        card = json.loads((folder / "card.json").read_text())
        card["convention"]["flops"] = "flops_exact"
        (folder / "card.json").write_text(json.dumps(card))
        points = contracts.read(folder / "points.parquet", contracts.POINTS).to_pylist()
        counted = [row | {"flops": exact[row["cell"]]} for row in points]
        contracts.write(folder / "points.parquet", counted, contracts.POINTS)
    data = loaded("allocation", figure_data.Paths(study))
    figure = frame.render(draw_of("allocation"), data)
    counts = [6 * run["params"] * run["tokens"] for run in data.runs if run["included"]]
    for axes in figure.axes:
        assert axes.get_xlabel() == "compute $C = 6ND$ (FLOP)"
        measured = axes.patches[0]
        ends = measured.get_x(), measured.get_x() + measured.get_width()
        assert ends == pytest.approx((min(counts), max(counts)))


def test_frontier_keeps_what_no_cheaper_evaluation_reached():
    from pipeline.figures.learning_curves import frontier

    rows = [{"flops": f, "val_loss": v} for f, v in [(4, 2.0), (1, 5.0), (2, 3.0), (3, 3.5)]]
    assert list(frontier(rows)) == [(1, 5.0), (2, 3.0), (4, 2.0)]


def test_trunks_are_drawn_once_and_branches_leave_them(paths):
    from pipeline.figures.learning_curves import _lines

    data = loaded("learning_curves", paths["toy"])
    lines = list(_lines(data, data.runs))
    trunks = [rows for kind, rows, _ in lines if kind == "trunk"]
    assert len(trunks) == len(figure_data.WIDTHS)
    for _, rows, params in lines:
        own = [r for r in data.runs if r["params"] == params]
        assert rows[-1]["step"] <= max(r["steps"] for r in own)
    for rows in trunks:  # the longest stable phase, to its end
        run = max((r for r in data.runs if r["cell"] == rows[0]["cell"]), key=lambda r: r["tokens"])
        assert run["tokens"] == max(figure_data.TOKENS)
        assert rows[-1]["step"] <= run["steps"] - run["cooldown_steps"]


def test_labels_at_line_ends_do_not_touch(paths):
    figure = frame.render(draw_of("loss_vs_params"), loaded("loss_vs_params", paths["wide"]))
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[0].texts if r"\dfrac" not in text.get_text()]
    boxes = [Text.get_window_extent(text) for text in labels]  # without their leaders
    assert len(boxes) == 8  # seven token counts and their title
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


@pytest.mark.parametrize("name", ["kaplan_surface", "chinchilla_surface"])
def test_labels_stand_within_the_axes_and_lead_to_the_ends_of_their_lines(name, paths):
    figure = frame.render(draw_of(name), loaded(name, paths["wide"]))
    figure.draw_without_rendering()
    for axes in figure.axes:
        lines = [line for line in axes.lines if len(line.get_xdata()) == 120]
        last = {line.get_color(): line.get_ydata()[-1] for line in lines}
        labels = [text for text in axes.texts if text.get_color() in last]
        assert len(labels) == len(last) >= 7
        for text in labels:
            box = Text.get_window_extent(text)
            assert axes.bbox.y0 <= box.y0, text.get_text()
            assert box.y1 <= axes.bbox.y1, text.get_text()
            end = axes.transData.transform((axes.get_xlim()[1], last[text.get_color()]))[1]
            middle = (box.y0 + box.y1) / 2
            if text.arrow_patch is None:
                assert abs(end - middle) < box.height
            else:
                starts = axes.transAxes.transform(text.xy)[1]
                assert starts == pytest.approx(end, abs=0.5)


@pytest.mark.parametrize("name", ["iso_loss", "plan"])
def test_names_of_contours_stand_within_the_axes_and_over_no_run(name, paths):
    data = loaded(name, paths["wide"])
    figure = frame.render(draw_of(name), data)
    figure.draw_without_rendering()
    for axes in figure.axes:
        names = [text for text in axes.texts if re.fullmatch(r"\d\.\d+", text.get_text())]
        assert len(names) >= 3
        points = axes.transData.transform([(r["params"], r["tokens"]) for r in data.runs])
        for text in names:
            box = text.get_window_extent()
            assert axes.bbox.x0 < box.x0 < box.x1 < axes.bbox.x1
            assert axes.bbox.y0 < box.y0 < box.y1 < axes.bbox.y1
            assert not any(box.contains(*point) for point in points)


def test_the_backtest_counts_what_it_draws_and_stands_where_the_predictions_do(paths):
    data = loaded("backtest", paths["toy"])
    figure = frame.render(draw_of("backtest"), data)
    compared = [r for r in data.ranking if r["joint"] and r["predictions"]]
    law, axis = compared[0]["law"], compared[0]["axis"]
    rows = [r for r in data.backtest if (r["law"], r["axis"]) == (law, axis) and r["compared"]]
    error, coverage = figure.axes[:2] if len(figure.axes) < 6 else figure.axes[:3:2]
    runs = len({row["cell"] for row in rows})
    told = error.get_title(loc="left")
    assert told == f"each law: {len(rows)} predictions of {runs} runs"
    bins = [r for r in compared if (r["law"], r["axis"]) == (law, axis)]
    counts = {text.get_text(): text.xy[0] for text in coverage.texts}
    for one in bins:
        inside = [r["extrapolation"] for r in rows
                  if one["above"] < r["extrapolation"] <= (one["up_to"] or np.inf)]  # fmt: skip
        assert len(inside) == one["predictions"]
        assert counts[str(len(inside))] == pytest.approx(np.exp(np.mean(np.log(inside))))


def test_transfer_draws_the_fitted_lines_and_joins_no_runs_of_other_counts(paths, tmp_path):
    data = loaded("transfer", paths["toy"])
    right = frame.render(draw_of("transfer"), data).axes[1]
    lines = [line for line in right.lines if len(line.get_xdata()) > 2]
    assert [len(line.get_xdata()) for line in lines] == [100, 100]
    for line, (gap, slope) in zip(lines, figure_data.TEXTS.values(), strict=True):
        assert line.get_ydata() == pytest.approx(gap + slope * np.asarray(line.get_xdata()))
    shutil.copytree(paths["toy"].folder, tmp_path / "study")
    for fit in (tmp_path / "study" / "fits").glob("transfer@*"):
        shutil.rmtree(fit)
    bare = frame.render(
        draw_of("transfer"), loaded("transfer", figure_data.Paths(tmp_path / "study"))
    )
    assert [line for line in bare.axes[1].lines if len(line.get_xdata()) > 2] == []


def test_fronts_are_the_stored_ones_and_diagonals_are_batch_sizes(paths):
    data = loaded("batch_fronts", paths["toy"])
    figure = frame.render(draw_of("batch_fronts"), data)
    panels = [axes for axes in figure.axes if axes.get_xlabel() == "training tokens $E$ (tokens)"]
    sizes = list(dict.fromkeys(row["params"] for row in data.critical_batches))
    assert len(panels) == len(sizes) == 3
    for axes, size in zip(panels, sizes, strict=True):
        rows = [row for row in data.critical_batches if row["params"] == size]
        lines = [line for line in axes.lines if len(line.get_xdata()) == 200]
        for line, row in zip(lines, rows, strict=True):
            tokens, steps = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            product = (steps / row["steps_min"] - 1) * (tokens / row["tokens_min"] - 1)
            assert product == pytest.approx(1, rel=1e-6)  # eq. 5.1
            assert line.get_linestyle() == ("-" if row["status"] == "converged" else ":")
        slopes = [line.get_xdata()[0] / line.get_ydata()[0] for line in axes.lines
                  if len(line.get_xdata()) == 2]  # fmt: skip
        assert slopes == pytest.approx(figure_data.SCANNED)


@pytest.mark.parametrize("bits", [False, True])
def test_the_critical_batch_stands_where_its_law_and_the_noise_scale_do(bits, paths, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(paths["toy"].folder, study)
    card_file = study / "fits" / "critical_batch" / "card.json"
    card = json.loads(card_file.read_text())
    card["convention"]["loss"] = "bits/byte" if bits else "nats/token"
    card_file.write_text(json.dumps(card))
    axes = frame.render(
        draw_of("critical_batch"), loaded("critical_batch", figure_data.Paths(study))
    ).axes[0]
    at = {marker: [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines
                   if line.get_marker() == marker] for marker in ("o", "x")}  # fmt: skip
    nats = 2.0 if bits else 1.0  # per unit of the axis
    for loss, batch in at["o"]:
        assert batch == pytest.approx(figure_data.SCAN["B"] / (nats * loss) ** 5)
    for loss, scale in at["x"]:
        assert scale == pytest.approx(figure_data.NOISE / (nats * loss) ** 5)
    assert len(at["o"]) == len(at["x"]) == 12
    assert axes.get_xlabel() == f"validation loss ({'bits/byte' if bits else 'nats/token'})"


def test_numbers_below_zero_have_a_minus_sign_not_a_hyphen(paths):
    data = loaded("tasks", paths["toy"])
    for name in ("tasks", "transfer"):
        figure = frame.render(draw_of(name), loaded(name, paths["toy"]))
        plain = [re.sub(r"\$[^$]*\$", "", text.get_text()) for text in figure.findobj(Text)]
        assert [text for text in plain if re.search(r"-\d", text)] == []
    assert data.fits["task_sigmoid@quiz"].parameters["a"]["value"] == pytest.approx(-0.7)


def test_the_curve_of_a_task_is_the_stored_law(paths):
    figure = frame.render(draw_of("tasks"), loaded("tasks", paths["toy"]))
    truth = figure_data.TASK
    s, g = truth["task_sigmoid"], truth["gadre_error"]
    curves = (
        lambda x: g["eps"] - g["k"] * np.exp(-g["gamma"] * x),
        lambda x: 1 - s["b"] - s["a"] / (1 + np.exp(-s["k"] * (x - s["L0"]))),
    )
    shown = [[line for line in axes.lines if len(line.get_xdata()) == 200] for axes in figure.axes]
    for (line,), curve in zip(shown, curves, strict=True):
        assert line.get_ydata() == pytest.approx(curve(np.asarray(line.get_xdata())))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda study: (study / "runs.parquet").unlink(), "runs.parquet: there is no such file"),
        (lambda study: (study / "fits/kaplan/points.parquet").write_bytes(b"no"), "points.parquet"),
        (lambda study: (study / "fits/kaplan/card.json").write_text("{"), "card.json"),
        (lambda study: shutil.rmtree(study / "fits/kaplan"), "needs a fit of kaplan"),
    ],
)
def test_a_broken_input_is_named(break_it, message, paths, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(paths["toy"].folder, study)
    break_it(study)
    given = command("kaplan_surface", figure_data.Paths(study), tmp_path / "out.svg")
    with pytest.raises(SystemExit, match=re.escape(message)):
        frame.main("kaplan_surface", draw_of("kaplan_surface"), given)
    assert not (tmp_path / "out.svg").exists()


def test_laws_given_by_name_leave_stale_fits_out(paths, tmp_path):
    given = [*command("exponents", paths["toy"], tmp_path / "x.svg"), "--laws", "kaplan"]
    data = frame.data("exponents", frame.arguments("exponents", given))
    assert list(data.fits) == ["kaplan"]


def test_load_refuses_a_missing_fit(paths):
    with pytest.raises(ContractError, match="parameters.parquet"):
        load({}, paths["toy"].folder / "elsewhere", ("kaplan",))


def test_names_of_batch_sizes_stand_below_the_panels_title(paths):
    figure = frame.render(draw_of("batch_fronts"), loaded("batch_fronts", paths["toy"]))
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    for axes in panels:
        above = [text.get_window_extent() for text in axes.texts]
        title = axes._left_title.get_window_extent()
        assert all(box.y1 <= title.y0 for box in above)
        others = [other.yaxis.label for other in panels if other.get_ylabel()]
        others += [label for other in panels if other is not axes
                   for label in other.yaxis.get_ticklabels()]  # fmt: skip
        for label in others:
            assert not any(box.overlaps(label.get_window_extent()) for box in above)


def test_sizes_on_either_side_of_the_law_of_batches_are_told(paths):
    from pipeline.figures.critical_batch import beside

    data = loaded("critical_batch", paths["toy"])
    fit, fronts = data.fits["critical_batch"], [
        row for row in data.critical_batches if row["status"] == "converged"
    ]  # fmt: skip
    sizes = sorted({row["params"] for row in fronts})[:2]
    moved = [row | {"critical_batch": row["critical_batch"] * (1.25 if row["params"] == sizes[0] else 0.8)}
             for row in fronts if row["params"] in sizes]  # fmt: skip
    told = [f"{count(sizes[0])}: +25 %", f"{count(sizes[1])}: −20 %"]
    assert beside(fit, moved) == f"off the law, on average: {', '.join(told)}"
    assert beside(fit, moved[:1]) == ""


def test_intervals_beyond_the_axes_of_the_critical_batch_end_in_arrows(paths):
    data = loaded("critical_batch", paths["toy"])
    rows = [dict(row) for row in data.critical_batches]
    wide = next(row for row in rows if row["status"] == "converged")
    wide |= {"critical_batch_low": wide["critical_batch"] / 1e6, "critical_batch_high": 1e12}
    figure = frame.render(draw_of("critical_batch"), replace(data, critical_batches=rows))
    bottom, top = figure.axes[0].get_ylim()
    arrows = {line.get_marker(): line.get_ydata()[0] for line in figure.axes[0].lines
              if line.get_marker() in ("^", "v")}  # fmt: skip
    assert arrows == {"^": top, "v": bottom}


def test_the_shade_of_the_plane_holds_all_runs_and_no_corner_without_any(paths):
    from pipeline.figures.iso_loss import hull

    inside = [(0.5, 0.5), (0.2, 0.7)]
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert {tuple(corner) for corner in hull([*inside, *square])} == set(square)
    assert {tuple(c) for c in hull([*square[:2], square[3], (0.4, 0.4)])} == {
        *square[:2],
        square[3],
    }
    assert len(hull([(1.0, 2.0)] * 3)) == 1
    for name in ("iso_loss", "plan"):
        data = loaded(name, paths["toy"])
        # A budget that no run has: the large sizes saw few tokens, the small ones many.
        runs = [run for run in data.runs if run["params"] * run["tokens"] < 3e10]
        figure = frame.render(draw_of(name), replace(data, runs=runs))
        (shade,) = [patch for patch in figure.axes[0].patches if patch.get_zorder() == 0]
        outline = shade.get_path().vertices
        corner = max(run["params"] for run in runs), max(run["tokens"] for run in runs)
        assert (outline[:, 0] * outline[:, 1]).max() < 3e10 < corner[0] * corner[1]


def test_other_choices_have_names_and_an_axis_of_their_changes(paths):
    figure = frame.render(draw_of("sensitivity"), loaded("sensitivity", paths["toy"]))
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "$N$ with embeddings" in words
    assert "params" not in words.replace("power_params", "")
    assert "would be" not in words
    idle = [text for text in words.split("with ") if text.startswith("least squares (under 0.1 %)")]
    assert idle  # another delta changes none of these
    marked = {line.get_gid().split(".")[-2] for axes in figure.axes for line in axes.lines
              if line.get_gid()}  # fmt: skip
    assert marked == {"dropped", "params"}
    assert figure.axes[0].get_xlim()[1] == pytest.approx(1.08 * 50)  # the largest is +30 %
