"""Figures 1 to 12 of Kaplan et al. 2020, drawn from known laws: what they show is right."""

from __future__ import annotations

import importlib
import itertools
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import kaplan2020_data as known
import numpy as np
import pytest
from figure_data import run as row_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline import kaplan2020
from pipeline.claims.claim import Evidence
from pipeline.claims.kaplan2020.shapes import embeddings
from pipeline.claims.kaplan2020.training import efficiency
from pipeline.claims.kaplan2020.transfer import offset
from pipeline.contracts import ContractError
from pipeline.figures import TABLES, frame
from pipeline.figures import axes as scales
from pipeline.figures.kaplan2020 import FIGURES
from pipeline.figures.kaplan2020 import fig02_sample_efficiency as fig02
from pipeline.figures.kaplan2020 import fig03_growing_budget as fig03
from pipeline.figures.kaplan2020 import fig05_shape as fig05
from pipeline.figures.kaplan2020 import fig06_embeddings as fig06
from pipeline.figures.kaplan2020 import fig07_lstm as fig07
from pipeline.figures.kaplan2020 import fig08_transfer as fig08
from pipeline.figures.kaplan2020 import fig09_overfitting as fig09
from pipeline.figures.kaplan2020 import fig11_fixed_compute as fig11
from pipeline.figures.kaplan2020 import fig12_other_sizes as fig12
from pipeline.findings.data import Data, estimate
from pipeline.findings.kaplan2020 import along, collapse
from pipeline.findings.needs import Needs
from pipeline.laws import LAWS, named

ROOT = Path(frame.__file__).parents[2]
OWN = [name for name in FIGURES if re.match(r"fig(0\d|1[0-2])_", name)]
UNITS = re.compile(
    r"\((nats/token|FLOP|parameters|tokens|steps|dimensionless|dimensions|%"
    r"|parameters\$\^.*\$/token)\)$|(parameters \$N\$|tokens processed \$D\$)$"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return known.write_study(tmp_path_factory.mktemp("replication"))


@pytest.fixture(scope="module")
def data(study) -> dict[str, dict[str, Data]]:
    return {name: frame.paper_data("kaplan2020", name, study) for name in OWN}


def drawn(name: str, data: dict[str, Data]) -> Figure:
    module = importlib.import_module(f"pipeline.figures.kaplan2020.{name}")
    figure = frame.render(module.draw, data)
    figure.draw_without_rendering()
    return figure


@pytest.fixture(scope="module")
def figures(data) -> dict[str, Figure]:
    return {name: drawn(name, data[name]) for name in OWN}


def named_fig(figures: dict[str, Any], number: int) -> Any:
    return next(found for name, found in figures.items() if name.startswith(f"fig{number:02}_"))


def panels(figures: dict[str, Figure], number: int) -> dict[str, Axes]:
    return {str(axes.get_label()): axes for axes in named_fig(figures, number).axes}


def points(axes: Axes) -> dict[str, tuple[float, float]]:
    """gid -> (x, y) of every single mark."""
    return {
        line.get_gid(): (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines if line.get_gid() and len(line.get_xdata()) == 1
    }  # fmt: skip


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_registry_captions_and_modules_are_in_step():
    assert [int(name[3:5]) for name in OWN] == list(range(1, 13))
    captions = {path.stem for path in (ROOT / "workflow/report/kaplan2020").glob("*.rst")}
    assert captions == set(FIGURES)
    folder = Path(frame.__file__).with_name("kaplan2020")
    modules = {path.stem for path in folder.glob("*.py")}
    assert set(FIGURES) == {name for name in modules if re.match(r"fig\d|recipe", name)}
    for figure in FIGURES.values():
        for needs in (*figure.needs.values(), *figure.optional.values()):
            assert set(needs.tables) <= set(TABLES)
            assert {named(law) for law in (*needs.laws, *needs.also)} <= set(LAWS)


def test_documentation_lists_every_figure_of_the_paper():
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+|–) \| `(\w+)` \| (.*?) \| (.*) \|$", text, re.M)
    assert [name for _, name, _, _ in rows] == list(FIGURES)
    for number, name, title, sources in rows:
        assert number == (str(int(name[3:5])) if name.startswith("fig") else "–")
        figure = FIGURES[name]
        assert title == figure.title
        needs = {**figure.needs, **figure.optional}
        assert [part.split()[0].strip(",") for part in sources.split("; ")] == list(needs)
        for part, need in zip(sources.split("; "), needs.values(), strict=True):
            assert all(law in part for law in (*need.laws, *need.also))


def test_needs_know_the_fits_of_one_text_by_their_law():
    needs = Needs((), ("power_params",), ("transfer",))
    fitted = ("kaplan", "transfer@code", "power_params")
    assert needs.laws_among(fitted) == ["transfer@code", "power_params"]


def test_the_registry_needs_the_standard_library_only():
    code = (
        "import sys, pipeline.figures.kaplan2020; "
        "print({'numpy', 'pyarrow', 'matplotlib', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", OWN)
def test_no_figure_fits_anything(name):
    source = Path(frame.__file__).with_name("kaplan2020").joinpath(f"{name}.py").read_text()
    assert not re.search(r"\.fit\(|minimi[sz]e\(|polyfit|lstsq|scipy", source)
    assert len(source.splitlines()) <= 200


def assert_readable(name: str, figure: Figure) -> None:
    """Axes have units, and no text is cut or covered."""
    page = figure.bbox.padded(1.0)
    assert figure.get_size_inches()[0] in (frame.COLUMN, frame.WIDE)
    for axes in figure.axes:
        assert axes.get_xlabel()
        for label in filter(None, (axes.get_xlabel(), axes.get_ylabel())):
            assert UNITS.search(label), label
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [label.get_window_extent() for label in axis.get_ticklabels()
                     if label.get_text() and label.get_visible()]  # fmt: skip
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes)), name
    titles = [axes._left_title for axes in figure.axes if axes._left_title.get_text()]
    titles += [text for axes in figure.axes for text in axes.texts]
    titles += [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)
               if label.get_text()]  # fmt: skip
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    for one, other in itertools.combinations([*titles, *legends], 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (one, other)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_window_extent().width > 0:
            box = text.get_window_extent()
            assert page.x0 <= box.x0 <= box.x1 <= page.x1, text.get_text()
            assert page.y0 <= box.y0 <= box.y1 <= page.y1, text.get_text()
            assert text.get_fontsize() >= 7 - 1e-9, text.get_text()


@pytest.mark.parametrize("name", OWN)
def test_axes_have_units_and_no_text_is_cut_or_covered(name, figures):
    assert_readable(name, figures[name])


def doubtful(data: dict[str, Data]) -> dict[str, Data]:
    """The same experiments, with a doubt about every parameter of their fits."""
    reason = "These runs leave it open: the interval reaches from 8.42e+18 to 2e+26. Add runs."
    return {
        name: replace(one, fits={
            key: replace(fit, parameters={
                p: row | {"status": "unidentifiable", "reason": f"{reason} {p}"}
                for p, row in fit.parameters.items()
            }) for key, fit in one.fits.items()
        }) for name, one in data.items()
    }  # fmt: skip


@pytest.mark.parametrize("number", [3, 4, 11, 12])
def test_doubts_leave_labels_their_room(number, data):
    name = next(name for name in OWN if name.startswith(f"fig{number:02}_"))
    figure = drawn(name, doubtful(data[name]))
    assert_readable(name, figure)
    said = figure._supxlabel
    assert said.get_text().startswith("These runs leave open")
    assert "e+" not in said.get_text()
    for axes in figure.axes:
        for other in (axes.xaxis.label, axes.yaxis.label, axes.get_legend()):
            assert not other or not other.get_window_extent().overlaps(said.get_window_extent())
        for legend in figure.legends:
            assert not legend.get_window_extent().overlaps(axes.yaxis.label.get_window_extent())


@pytest.mark.parametrize("name", OWN)
def test_points_are_traceable(name, figures, data):
    ids = Counter(
        line.get_gid() for axes in figures[name].axes for line in axes.lines if line.get_gid()
    )
    assert [key for key, times in ids.items() if times > 1] == []
    if name.startswith(("fig03", "fig10")):  # of laws, and of several runs together
        return
    cells = {run["cell"] for one in data[name].values() for run in one.runs}
    assert ids
    assert {key.partition(".")[0].partition("@")[0] for key in ids} <= cells


def test_the_three_power_laws_are_the_stored_ones_with_the_papers_exponents(figures, data):
    sizes, grid = data["fig01_three_power_laws"]["sizes"], data["fig01_three_power_laws"]["data"]
    for label, fit, paper in (
        ("compute", sizes.fits["power_compute_min"], r"\alpha_C^{\min}$ = $0.05"),
        ("data", grid.fits["power_tokens"], r"\alpha_D$ = $0.095"),
        ("params", sizes.fits["power_params"], r"\alpha_N$ = $0.076"),
    ):
        axes = panels(figures, 1)[label]
        line = next(line for line in axes.lines if len(line.get_xdata()) == 200)
        scale, exponent = fit.saved.values.values()
        x = np.asarray(line.get_xdata())
        assert line.get_ydata() == pytest.approx((scale / x) ** exponent, rel=1e-9)
        title = axes.get_title(loc="left")
        row = next(row for _, row in fit.exponents)
        assert f"= ${exponent:.3f}$ [{row['low']:.3f}, {row['high']:.3f}]" in title
        assert paper in title
    shown = points(panels(figures, 1)["data"])
    unique = {run["cell"]: run["unique_tokens"] for run in grid.runs}
    assert {gid.split(".")[0] for gid in shown} == {
        r["cell"] for r in grid.runs if r["d_model"] == 64
    }
    assert all(x == unique[gid.split(".")[0]] for gid, (x, _) in shown.items())


def test_a_frontier_point_stands_on_its_curve(figures, data):
    axes = panels(figures, 1)["compute"]
    curves = {line.get_gid().split(".")[0]: line for line in axes.lines
              if str(line.get_gid()).endswith(".curve")}  # fmt: skip
    assert len(curves) == len(known.WIDTHS)
    fronts = {gid: xy for gid, xy in points(axes).items() if "@" in gid}
    assert len(fronts) > 10
    for gid, (x, y) in fronts.items():
        line = curves[gid.partition("@")[0]]
        there = np.interp(np.log(x), np.log(line.get_xdata()), np.log(line.get_ydata()))
        assert y == pytest.approx(np.exp(there), rel=1e-6)


def test_fewer_tokens_are_what_the_law_of_steps_says(data):
    shown = fig02.longest(data["fig02_sample_efficiency"]["sizes"])
    assert [run["d_model"] for run, _ in shown] == list(known.WIDTHS)
    courses = along.of_sizes(data["fig02_sample_efficiency"]["sizes"])
    loss, _, small, best, large = along.fewer_tokens(courses)
    assert best.params == courses[-1].params
    n = 24 * known.WIDTHS[-1] ** 2
    left = loss - known.STEPS.unlimited(n)
    fewest = known.STEPS.Sc * left ** (-1 / known.STEPS.alpha_S)
    steps = fewest * (1 + known.BATCH.at(loss) / known.BATCH_TOKENS)
    assert large == pytest.approx(steps * known.BATCH_TOKENS, rel=2e-3)
    assert small == pytest.approx(known.TOKENS, rel=1e-3)


def test_fewer_tokens_are_read_off_at_the_peak_rate_as_the_claim_does(data):
    """A decay that only the smallest model's last rows have must not count."""
    sizes = data["fig02_sample_efficiency"]["sizes"]
    last = 3000
    runs = [run | {"schedule": "wsd", "cooldown_steps": run["steps"] - last, "warmup_steps": 0}
            for run in sizes.runs]  # fmt: skip
    decayed = {
        cell: [row | {"val_loss": row["val_loss"] * (0.9 if row["step"] > last else 1)} for row in rows]
        for cell, rows in sizes.curves.items()
    }  # fmt: skip
    whole = replace(sizes, runs=runs, curves=decayed)
    found = along.fewer_tokens(along.of_sizes(whole))
    assert found.small_tokens <= last * known.BATCH_TOKENS
    measured = efficiency(Evidence({"sizes": whole}, bootstraps=20))
    assert found.small_tokens / found.large_tokens == pytest.approx(measured.value)
    figure = drawn("fig02_sample_efficiency", {"sizes": whole})
    assert f"{measured.value:.2g} times fewer tokens" in words(figure)
    assert along.fewer_tokens(along.of_sizes(whole)[:1]) is None


def test_shares_of_a_budget_add_to_all_of_it(data, figures):
    one = data["fig03_growing_budget"]
    fits = one["sizes"].fits["kaplan_steps"], one["batches"].fits["critical_batch"]
    best, ends = fig03.exponents(*fits)
    assert sum(best) == pytest.approx(1)
    law = known.STEPS, known.BATCH
    exponent = 1 / (1 / law[0].alpha_S + 1 / law[1].alpha_B + 1 / law[0].alpha_N)  # eq. 1.8
    assert best.params == pytest.approx(exponent / law[0].alpha_N)
    assert ends["params"][0] < best.params < ends["params"][1]
    figure = named_fig(figures, 3)
    told = words(figure)
    assert all(f"$a$ = ${value}$" in told for value in ("0.73", "0.24", "0.03"))
    assert f"$a$ = ${best.params:.3f}$ [" in told
    for axes in figure.axes:
        top = max(path.vertices[:, 1].max() for area in axes.collections
                  for path in area.get_paths())  # fmt: skip
        assert top == pytest.approx(fig03.FACTOR, rel=1e-6)


def test_shares_that_the_runs_leave_open_are_pale_with_hatched_borders(data):
    one = data["fig03_growing_budget"]
    fits = one["sizes"].fits["kaplan_steps"], one["batches"].fits["critical_batch"]
    (low, high), between = fig03.exponents(*fits)[1]["params"], fig03.borders(*fits)
    # The area of N reaches from its lower border to the factor of compute itself.
    assert between["batch"] == pytest.approx((1 - high, 1 - low), rel=1e-6)
    for given, opacity in ((one, 1.0), (doubtful(one), fig03.OPEN)):
        left, right = drawn("fig03_growing_budget", given).axes
        areas = {axes: [x for x in axes.collections if not x.get_gid()] for axes in (left, right)}
        assert {x.get_alpha() for x in areas[left]} == {opacity}
        assert {x.get_alpha() for x in areas[right]} == {1.0}
        hatched = {x.get_gid(): x for x in left.collections if x.get_gid()}
        assert set(hatched) == {"border.steps", "border.batch"}
        heights = hatched["border.batch"].get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx(fig03.FACTOR ** (1 - low), rel=1e-6)
        assert ("left open" in left.get_title(loc="left")) == (opacity < 1)


def test_bands_of_sizes_end_with_their_curves(figures):
    axes = panels(figures, 4)["steps"]
    curves = {
        line.get_color(): np.asarray(line.get_xdata()) for line in axes.lines if line.get_gid()
    }
    solid = {line.get_color(): np.asarray(line.get_xdata()) for line in axes.lines
             if not line.get_gid() and line.get_linestyle() == "-"}  # fmt: skip
    assert set(solid) == set(curves)
    for colour, x in solid.items():
        assert curves[colour].min() <= x.min() <= x.max() <= curves[colour].max()
    bands = [path.vertices[:, 0] for band in axes.collections for path in band.get_paths()]
    for own in bands:
        assert any(x.min() <= own.min() and own.max() <= x.max() for x in curves.values())


def test_points_lie_on_both_laws_of_two_variables(figures):
    axes = panels(figures, 4)
    for gid, (x, y) in points(axes["data"]).items():
        assert gid.endswith(".data")
        lines = [line for line in axes["data"].lines if len(line.get_xdata()) == 120]
        near = [np.interp(math.log(x), np.log(line.get_xdata()), np.log(line.get_ydata()))
                for line in lines]  # fmt: skip
        assert min(abs(near - np.log(y))) < 1e-3
    lines = {line.get_color(): line for line in axes["steps"].lines if len(line.get_xdata()) == 120}
    curves = [line for line in axes["steps"].lines if line.get_gid()]
    assert len(curves) == len(lines) == len(known.WIDTHS)
    for curve in curves:
        law = lines[curve.get_color()]
        expected = np.interp(np.log(curve.get_xdata()), np.log(law.get_xdata()),
                             np.log(law.get_ydata()))  # fmt: skip
        assert np.log(curve.get_ydata()) == pytest.approx(expected, abs=1e-3)


def test_shapes_are_sorted_into_the_panels_of_what_they_vary(figures, data):
    runs = data["fig05_shape"]["shapes"].runs
    by_shape = fig05.losses(runs)
    assert fig05.baseline(by_shape) == (2, 64, 256, 4)
    shown = {label: {x for x, _ in points(axes).values()}
             for label, axes in panels(figures, 5).items()}  # fmt: skip
    assert shown["head"] == {4, 16, 64}
    assert shown["aspect"] == {4, 11.25, 32, 90}
    assert shown["ratio"] == {92 / 90, 4, 8}
    told = panels(figures, 5)["aspect"].get_title(loc="left")
    # The fourth shape lies three per cent above the first; the second has one layer.
    assert told == "up to 3.0 %; within 3 %: 4 to 32"
    told = panels(figures, 5)["head"].get_title(loc="left")
    assert told == "up to 7.0 %; within 3 %: 16 to 16"


def test_one_layer_is_drawn_hollow_and_is_not_the_best_shape(data):
    """As the claims of shapes leave it out, so that both tell one spread."""
    shapes = data["fig05_shape"]["shapes"]
    runs = [run | {"loss": 3.0} if run["n_layer"] == 1 else run for run in shapes.runs]
    given = {**data["fig05_shape"], "shapes": replace(shapes, runs=runs)}
    axes = {str(a.get_label()): a for a in drawn("fig05_shape", given).axes}["aspect"]
    assert axes.get_title(loc="left") == "up to 3.0 %; within 3 %: 4 to 32"
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert {float(line.get_xdata()[0]) for line in hollow} == {90}
    assert all(line.get_ydata()[0] < -20 for line in hollow)
    assert "one layer, not counted" in words(axes.figure)


def test_the_spread_of_seeds_is_pooled_within_shapes():
    gaps = (0.02, 0.04)
    runs = [
        row_of(64, 1000, 4.0 * (1 + sign * gap / 2), n_head=heads)
        for heads, gap in zip((1, 2), gaps, strict=True) for sign in (-1, 1)
    ]  # fmt: skip
    expected = 100 * math.sqrt(sum(gap**2 / 2 for gap in gaps) / 2)
    assert fig05.seed_spread(fig05.losses(runs)) == pytest.approx(expected)
    assert fig05.seed_spread(fig05.losses(runs[::2])) is None
    assert fig05.within({1.0: 5.0, 2.0: 1.0, 4.0: 0.0, 8.0: 2.9, 16.0: 3.1, 32.0: 0.5}) == (2, 8)


def test_what_a_per_cent_of_loss_is_worth_in_compute(figures):
    exponent = float(kaplan2020.compute_exponent(known.STEPS, known.BATCH))
    expected = 100 * (1.01 ** (1 / exponent) - 1)
    # Figure 5 of the paper tells 22 %.
    assert f"worth {expected:.2g} % more compute (paper 22 %)" in words(named_fig(figures, 5))


def test_depths_collapse_without_embeddings_only(data, figures):
    one = data["fig06_embeddings"]
    runs = fig06.compared(*(one[name].runs for name in ("depths", "sizes")))
    assert len({(run["n_layer"], run["params"]) for run in runs}) == len(runs) == 11 + 3
    deep = collapse.deep(one["depths"].runs)
    assert {run["n_layer"] for run in deep} == {2, 4}
    apart = {
        column: 100 * collapse.scatter(collapse.logs(deep, column), collapse.logs(deep, "loss"))
        for column in ("params_total", "params")
    }
    assert 5 * apart["params"] < 0.5 < apart["params_total"]
    for column, axes in panels(figures, 6).items():
        assert f"scatter by {apart[column]:.3g} %" in axes._left_title.get_text()
    told = embeddings(Evidence({"depths": one["depths"]}))
    assert told.value == pytest.approx(apart["params_total"] / apart["params"])


def test_scatter_is_that_around_a_parabola():
    """Steps of 0.02 up and down at seven points on a curve: the residuals of numpy's own fit."""
    x, steps = np.arange(7.0), 0.02 * (-1) ** np.arange(7)
    bent = 3 - 0.2 * x + 0.01 * x**2
    assert collapse.scatter(x, bent) == pytest.approx(0, abs=1e-12)
    _, (residual,), *_ = np.polyfit(x, steps, 2, full=True)
    assert collapse.scatter(x, bent + steps) == pytest.approx(math.sqrt(residual / 4))
    assert math.isnan(collapse.scatter(x[:4], bent[:4]))


def test_lstms_stand_beside_the_transformers_nearest_in_size(data, figures):
    one = data["fig07_lstm"]
    lstms, transformers = fig07.compared(one["lstm"].runs, one["sizes"].runs)
    assert (len(lstms), len(transformers)) == (6, len(known.WIDTHS))
    for run, other in fig07.pairs(transformers, lstms):
        gaps = [abs(math.log(other["params"] / t["params"])) for t in transformers]
        assert transformers[int(np.argmin(gaps))]["cell"] == run["cell"]
    lines = [line for line in panels(figures, 7)["position"].lines if line.get_gid()]
    assert {line.get_linestyle() for line in lines} == {"-", "--"}
    assert all(len(line.get_xdata()) == 6 for line in lines)
    legend = panels(figures, 7)["position"].get_legend()
    dashes = [line.get_linestyle() for line in legend.get_lines()]
    assert dashes == ["-", "--"]
    assert all(line.get_xdata()[-1] >= 3 * legend._fontsize for line in legend.get_lines())
    paired = {run["cell"] for run, _ in fig07.pairs(transformers, lstms)}
    alone = [scales.count(run["params"]) for run in transformers if run["cell"] not in paired]
    assert alone
    assert panels(figures, 7)["position"].get_title(loc="left").endswith(", ".join(alone))
    told = words(named_fig(figures, 7))
    for run, other in fig07.pairs(transformers, lstms):
        assert f"{scales.count(run['params'])}, {scales.count(other['params'])}" in told
    few = [run | {"tokens": 10} for run in transformers]
    assert fig07.compared(lstms, few)[1] == []


def test_other_texts_are_followed_along_training_and_in_the_end(data, figures):
    sizes = data["fig08_transfer"]["sizes"]
    assert set(sizes.fits) == {f"transfer@{text}" for text in known.TRANSFER}
    courses = fig08.along_training(sizes)
    assert {row["cell"] for rows in courses.values() for row in rows} == {sizes.runs[-1]["cell"]}
    axes = panels(figures, 8)["loss"]
    for text, (k, s) in known.TRANSFER.items():
        line = next(x for x in axes.lines if str(x.get_gid()).endswith(f"{text}.along"))
        assert line.get_ydata() == pytest.approx(k + s * np.asarray(line.get_xdata()))
        ends = [xy for gid, xy in points(axes).items() if gid.endswith(f".{text}")]
        assert len(ends) == len(known.WIDTHS)
        assert all(y == pytest.approx(k + s * x) for x, y in ends)
    judged = offset(Evidence({"sizes": sizes}))
    assert judged.value == pytest.approx(np.mean([s for _, s in known.TRANSFER.values()]))
    told = estimate(judged.value, judged.low, judged.high)
    assert axes._left_title.get_text() == f"mean over texts: $s$ = {told}"


def test_overfitting_collapses_on_eq_4_3(figures, data):
    axes = panels(figures, 9)["collapse"]
    runs = {run["cell"]: run for run in data["fig09_overfitting"]["data"].runs}
    shown = points(axes)
    assert len(shown) == len(runs) == 18
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 200)
    law = known.DATA
    power = law.alpha_N / law.alpha_D
    for gid, (x, y) in shown.items():
        run = runs[gid.split(".")[0]]
        assert x == pytest.approx(run["params"] ** power / run["unique_tokens"])
        eq_4_3 = 1 + (run["params"] / law.Nc) ** power * law.Dc / run["unique_tokens"]
        assert y == pytest.approx(eq_4_3**law.alpha_D - 1)
        there = np.interp(math.log(x), np.log(curve.get_xdata()), curve.get_ydata())
        assert y == pytest.approx(there, rel=2e-3)
    assert f"= ${power:.3f}$ [" in axes.get_title(loc="left")
    assert fig09.overfit(law, 1e5, 1e5, float(law.unlimited(1e5)))[1] == pytest.approx(0)


def test_the_critical_batch_stands_with_the_papers_constants(figures):
    title = named_fig(figures, 10).axes[0].get_title(loc="left")
    assert r"paper: $B_*$ = $2.1\!\times\!10^{8}$, $\alpha_B$ = $0.21$" in title


def test_curves_read_off_at_one_compute_or_step_lie_on_the_law(figures, data):
    for label in ("compute", "steps"):
        axes = panels(figures, 11)[label]
        lines = [line for line in axes.lines if len(line.get_xdata()) == 120]
        assert len(lines) >= 4
        shown = points(axes)
        assert len(shown) >= 3 * len(lines)
        for gid, (x, y) in shown.items():
            near = [np.interp(math.log(x), np.log(line.get_xdata()), np.log(line.get_ydata()))
                    for line in lines]  # fmt: skip
            assert min(abs(near - np.log(y))) < 1e-3, gid


@pytest.mark.parametrize("number", [1, 4, 9, 11, 12])
def test_how_well_a_law_fits_stands_beside_its_constants(number, figures, data):
    told = words(named_fig(figures, number))
    fits = sum(len(one.fits) for one in named_fig(data, number).values())
    stated = told.count("$R^2$ = 0.987, rms residual 1.2 %")
    assert stated == fits - (number != 9)  # all but that of the batches


def test_lines_at_fixed_compute_have_the_band_of_both_fits(figures, data):
    """At one size and S_min the band is that of the law of steps itself."""
    axes = panels(figures, 11)
    for label in ("compute", "steps"):
        lines = [line for line in axes[label].lines if len(line.get_xdata()) == 120]
        assert len(axes[label].collections) == len(lines)
    fit = named_fig(data, 11)["sizes"].fits["kaplan_steps"]
    band = axes["steps"].collections[0].get_paths()[0].vertices
    level = min(float(gid.split(".", 2)[2]) for gid in points(axes["steps"]))
    size = float(np.unique(band[:, 0])[3])
    ends = fit.band(params=np.array([size]), steps_min=np.array([level]))
    shown = np.unique(band[np.isclose(band[:, 0], size), 1])
    assert shown == pytest.approx(np.ravel(ends), rel=1e-6)


def test_levels_are_those_that_enough_curves_span():
    spans = [(1.0, 100.0), (10.0, 1000.0), (5.0, 500.0), (2000.0, 3000.0)]
    assert all(5 <= value <= 500 for value in fig11.levels(spans))
    assert len(fig11.levels(spans)) == fig11.LEVELS
    assert len(fig11.levels([(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)])) == 0
    assert len(fig11.levels([])) == 0


def test_another_size_costs_least_at_the_best_and_curves_agree(figures):
    for label, name in (("compute", "flops"), ("steps", "steps")):
        axes = panels(figures, 12)[label]
        line = next(x for x in axes.lines if len(x.get_xdata()) == 400 and x.get_linestyle() == "-")
        x, y = (np.asarray(v) for v in line.get_data())
        if name == "flops":
            assert x[y.argmin()] == pytest.approx(1, rel=0.02)
            assert y.min() == pytest.approx(1, abs=1e-3)
        shown = points(axes)
        assert len(shown) >= 10
        for ratio, cost in shown.values():
            expected = getattr(kaplan2020.excess_of_size(known.STEPS, ratio), name)
            assert cost == pytest.approx(float(expected), rel=5e-3)


def test_curves_far_from_the_law_stay_inside_the_axes(data):
    """Where the law asks for four times the steps, curves take a quarter of its least compute."""
    given = dict(data["fig12_other_sizes"])
    fit = given["sizes"].fits["kaplan_steps"]
    values = {**fit.saved.values, "Sc": 4 * known.STEPS.Sc}
    wrong = replace(fit, saved=replace(fit.saved, values=values))
    given["sizes"] = replace(given["sizes"], fits={"kaplan_steps": wrong})
    figure = drawn("fig12_other_sizes", given)
    for axes in figure.axes:
        shown = points(axes).values()
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert all(left < x < right and low < y < high for x, y in shown)
        assert "over the law's best" in axes.get_xlabel()
        assert "over the best" in axes.get_ylabel()
    compute = [y for _, y in points(figure.axes[0]).values()]
    assert 0.25 < min(compute) < 0.27  # no size of the ladder is quite the best


def test_the_best_size_is_that_of_the_frontier_and_the_papers_costs_are_its_own():
    flops = 1e15
    best = kaplan2020.frontier(known.STEPS, known.BATCH, flops)
    params, steps = fig12.best(known.STEPS, float(best.loss))
    assert (params, steps) == pytest.approx((float(best.params), float(best.steps)))
    # Figure 12: between 0.6 and 2.2 times the best size costs 20 % more.
    assert fig12.cheap(kaplan2020.PAPER.steps) == pytest.approx((0.6, 2.2), rel=0.05)


def test_curves_are_the_peak_rate_part_of_each_size(data):
    courses = along.courses(data["fig11_fixed_compute"]["sizes"])
    assert [course.params for course in courses] == [24 * width**2 for width in known.WIDTHS]
    for course in courses:
        least = known.STEPS.at(course.params, course.fewest_steps(known.BATCH))
        assert course.loss == pytest.approx(least, rel=1e-9)


def test_a_missing_experiment_is_named(study, tmp_path):
    with pytest.raises(ContractError, match="fig09_overfitting needs the experiments data"):
        frame.paper_data("kaplan2020", "fig09_overfitting", tmp_path)


def test_the_command_writes_both_files(study, tmp_path):
    out = tmp_path / "fig.svg"
    module = importlib.import_module("pipeline.figures.kaplan2020.fig06_embeddings")
    frame.paper_main(
        "kaplan2020", "fig06_embeddings", module.draw, ["--study", str(study), "--out", str(out)]
    )
    assert out.read_text(encoding="utf-8").count("<svg ") == 1
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def refused(data: Data) -> Data:
    """The same tables with every fit refused for want of points."""
    fits = {}
    for key, fit in data.fits.items():
        saved = replace(
            fit.saved, values=dict.fromkeys(fit.saved.values, math.nan),
            replicates=dict.fromkeys(fit.saved.values, np.empty(0)),
        )  # fmt: skip
        rows = {
            name: row | {"value": math.nan, "low": None, "high": None, "status": "too_few_points",
                         "reason": "2 runs cannot determine it; add runs."}
            for name, row in fit.parameters.items()
        }  # fmt: skip
        fits[key] = replace(fit, saved=saved, parameters=rows)
    return replace(data, fits=fits)


@pytest.mark.parametrize(
    ("name", "few"), [*((name, True) for name in OWN), *((OWN[i], False) for i in (0, 3, 8, 11))]
)
def test_a_refused_fit_is_said_in_words(name, few, data):
    """Also in a study that has hardly begun."""
    given = {key: refused(one) for key, one in data[name].items()}
    if few:
        given = {
            key: replace(one, runs=one.runs[:1], curves={}, text_curves=[])
            for key, one in given.items()
        }
    figure = frame.render(
        importlib.import_module(f"pipeline.figures.kaplan2020.{name}").draw, given
    )
    if few:
        figure.draw_without_rendering()
    told = "2 runs cannot determine it; add runs." in words(figure)
    assert told == any(one.fits for one in given.values()) or name == "fig05_shape"
