"""Figures 13 to 24 of Kaplan et al. and the staircase of recipes: what they show is right."""

from __future__ import annotations

import importlib
import itertools
import re
from collections import Counter
from dataclasses import replace
from functools import cache

import appendix_data
import figure_data
import numpy as np
import pytest
from appendix_data import BATCH, DATA, STEPS, TRUTH
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from pipeline import backtest, kaplan2020
from pipeline.claims.claim import Evidence
from pipeline.claims.kaplan2020.transfer import depth
from pipeline.figures import frame
from pipeline.figures.kaplan2020 import FIGURES
from pipeline.figures.kaplan2020 import fig14_optimal_size_and_steps as fig14
from pipeline.figures.kaplan2020 import fig15_contradiction as fig15
from pipeline.figures.kaplan2020 import fig17_recurrent as fig17
from pipeline.figures.kaplan2020 import fig19_sample_efficiency as fig19
from pipeline.figures.kaplan2020 import fig20_loss_by_position as fig20
from pipeline.figures.kaplan2020 import fig22_schedules as fig22
from pipeline.figures.kaplan2020 import fig23_power_or_logarithm as fig23
from pipeline.figures.kaplan2020 import fig24_transfer_by_depth as fig24
from pipeline.findings.data import Data
from pipeline.findings.kaplan2020 import along, envelopes, positions
from pipeline.findings.kaplan2020.stops import stops
from pipeline.laws import law
from pipeline.laws.estimate import Options

OWN = [name for name in FIGURES if re.match(r"fig(1[3-9]|2[0-4])_|recipe_", name)]
UNITS = re.compile(
    r"\((\w+/token|FLOP|PF-days|parameters|tokens|steps|dimensionless|%)\)$|parameters \$N\$$"
)


@cache
def study() -> dict[str, Data]:
    return appendix_data.study()


def read_by(name: str, whole: dict[str, Data] | None = None) -> dict[str, Data]:
    """What a figure is given: its experiments, each with the tables and fits that it names."""
    entry, whole = FIGURES[name], whole or study()
    kept = {}
    for experiment, needs in {**entry.needs, **entry.optional}.items():
        data = whole[experiment]
        tables = {table: getattr(data, table) for table in needs.tables}
        fits = {key: fit for key, fit in data.fits.items() if key in (*needs.laws, *needs.also)}
        kept[experiment] = Data(**tables, fits=fits)
    return kept


def drawn(name: str, whole: dict[str, Data] | None = None) -> Figure:
    module = importlib.import_module(f"pipeline.figures.kaplan2020.{name}")
    return frame.render(module.draw, read_by(name, whole))


def laid_out(figure: Figure) -> Figure:
    """With every text in its place, which takes most of the time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {name: laid_out(drawn(name)) for name in OWN}


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def marked(figure: Figure) -> dict[str, list]:
    """Points and lines of runs by the id of their group."""
    found: dict[str, list] = {}
    for axes in figure.findobj(lambda artist: hasattr(artist, "get_xscale")):
        for line in axes.lines:
            if line.get_gid():
                found.setdefault(line.get_gid(), []).append(line)
    return found


def test_there_are_thirteen_each_with_a_module_and_a_caption():
    assert len(OWN) == 13
    assert {name[:5] for name in OWN} == {*(f"fig{n}" for n in range(13, 25)), "recip"}
    captions = frame.STYLE.parents[2] / "workflow" / "report" / "kaplan2020"
    for name in OWN:
        assert (captions / f"{name}.rst").read_text(encoding="utf-8").strip().endswith(".")
        assert importlib.import_module(f"pipeline.figures.kaplan2020.{name}").__doc__


@pytest.mark.parametrize("name", OWN)
def test_axes_have_units_and_no_text_is_cut_or_covered(name, figures):
    figure = figures[name]
    page, hidden = figure.bbox.padded(1.0), set()
    for axes in figure.findobj(lambda artist: hasattr(artist, "get_xscale")):
        labels = [label for label in (axes.get_xlabel(), axes.get_ylabel()) if label]
        assert all(UNITS.search(label) for label in labels), labels
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            hidden |= {t.label1 for t in axis.get_major_ticks() if not low <= t.get_loc() <= high}
            boxes = [label.get_window_extent() for label in axis.get_ticklabels()
                     if label.get_text() and label.get_visible()]  # fmt: skip
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes)), name
    for text in {*figure.findobj(Text)} - hidden:
        if text.get_visible() and text.get_text().strip() and text.get_window_extent().width > 0:
            box = text.get_window_extent()
            assert page.x0 <= box.x0, text.get_text()
            assert box.x1 <= page.x1, text.get_text()
            assert page.y0 <= box.y0, text.get_text()
            assert box.y1 <= page.y1, text.get_text()
            assert text.get_fontsize() >= 7 - 1e-9, text.get_text()


def prose(figure: Figure) -> list[Text]:
    """Titles, labels and legends."""
    found = [text for text in (figure._suptitle, figure._supxlabel) if text]
    for axes in figure.findobj(lambda artist: hasattr(artist, "get_xscale")):
        found += [axes.xaxis.label, axes.yaxis.label, axes._left_title]
    for legend in figure.findobj(Legend):
        found += [*legend.get_texts(), legend.get_title()]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def doubtful() -> dict[str, Data]:
    """The same experiments, with a doubt about every parameter."""
    reason = "These runs leave it open: the interval reaches from 8.42e+18 to 2e+26. Add runs."
    whole = {}
    for name, data in study().items():
        fits = {}
        for key, fit in data.fits.items():
            rows = {p: row | {"status": "unidentifiable", "reason": f"{reason} {p}"}
                    for p, row in fit.parameters.items()}  # fmt: skip
            fits[key] = replace(fit, parameters=rows)
        whole[name] = replace(data, fits=fits)
    return whole


def assert_apart(figure: Figure) -> None:
    for one, other in itertools.combinations(prose(figure), 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (
            one.get_text(), other.get_text(),
        )  # fmt: skip
    for axes in figure.axes:
        assert axes.bbox.height > 60, "too low to be read"


@pytest.mark.parametrize("name", OWN)
def test_titles_labels_and_legends_do_not_cover_one_another(name, figures):
    assert_apart(figures[name])


@pytest.mark.parametrize("number", [13, 14, 15, 16, 19, 23])
def test_doubts_have_room_below_and_are_short(number):
    name = next(name for name in OWN if name.startswith(f"fig{number}_"))
    figure = laid_out(drawn(name, doubtful()))
    said = figure._supxlabel.get_text()
    assert said.startswith("These runs leave open")
    assert "e+" not in said
    assert_apart(figure)


@pytest.mark.parametrize("name", OWN)
def test_points_are_traceable_and_told_apart(name, figures):
    ids = {key: len(lines) for key, lines in marked(figures[name]).items()}
    assert ids
    assert max(ids.values()) == 1, Counter(ids).most_common(2)
    if name == "recipe_staircase":
        return
    cells = {run["cell"] for data in read_by(name).values() for run in data.runs}
    cells |= {cell for row in study()["batches"].critical_batches for cell in row["cells"]}
    assert {key.split(".")[0] for key in ids} & cells


# What the figures are composed of.


def test_a_course_holds_each_trunk_once_and_counts_least_compute():
    courses = along.courses(study()["sizes"])
    assert [c.params for c in courses] == [24 * w * w for w in appendix_data.WIDTHS]
    for course in courses:
        assert course.run["tokens"] == appendix_data.TOKENS  # of both, the longer run
        assert course.flops == pytest.approx(6 * course.params * course.tokens)
        critical = BATCH.B / course.loss ** (1 / BATCH.alpha_B)
        share = course.fewest_steps(BATCH) / course.steps
        assert share == pytest.approx(1 / (1 + critical / 1024))
        least = course.least_flops(BATCH) / course.flops
        assert share + least == pytest.approx(np.ones(len(share)))  # eq. 5.4 and 5.5
        assert course.fewest_tokens(BATCH) == pytest.approx(
            critical * course.fewest_steps(BATCH)
        )  # eq. 5.2


def test_rows_of_the_warmup_and_the_cooldown_are_left_out():
    run = appendix_data.run(32) | {"schedule": "wsd", "warmup_steps": 100, "cooldown_steps": 900}
    data = Data(runs=[run], curves={run["cell"]: appendix_data.curve(run)})
    (course,) = along.courses(data)
    assert course.steps.min() >= 200
    assert course.steps.max() <= run["steps"] - 900
    assert along.courses(Data(runs=[run | {"included": False}], curves=data.curves)) == []


def test_the_envelope_is_the_frontier_of_the_known_laws():
    """Its losses lie on eq. B.6 to B.8, a little above, and its line has their exponent."""
    envelope = envelopes.envelope(
        along.courses(study()["sizes"]), lambda course: course.least_flops(BATCH)
    )
    place, inside = envelope.best()
    losses = envelope.losses[np.arange(len(place)), place][inside]
    best = kaplan2020.frontier(STEPS, BATCH, envelope.flops[inside])
    assert (losses > 0.999 * best.loss).all()  # no size between those of the ladder is better
    assert (losses < 1.02 * best.loss).all()
    line = envelope.line(envelope.losses)
    assert -line.slope == pytest.approx(kaplan2020.compute_exponent(STEPS, BATCH), rel=0.03)
    low, high = line.slope_ends(0.9)
    assert low < line.slope < high
    assert line.ends(envelope.flops, 0.5)[1] == pytest.approx(
        line.at(envelope.flops) ** 2 / line.ends(envelope.flops, 0.5)[0]
    )


def test_an_interval_of_a_line_is_the_jackknife_of_its_sizes():
    slopes, levels = np.array([0.5, 0.4, 0.5, 0.6]), np.zeros(4)
    line = envelopes.Line(slopes, levels, 0.0)
    spread = np.sqrt(2 / 3 * (0.01 + 0.0 + 0.01))
    # Student's 95 % point for 2 degrees of freedom: three sizes.
    assert line.slope_ends(0.9)[1] - 0.5 == pytest.approx(2.91999 * spread, rel=1e-5)
    broken = envelopes.Line(np.array([0.5, np.nan, 0.5, 0.6]), levels, 0.0)
    assert broken.slope_ends(0.9) == (None, None)
    assert broken.ends(np.ones(2), 0.9) is None


def test_the_smallest_and_the_largest_size_are_no_optimum():
    courses = along.courses(appendix_data.sizes(widths=(8, 16)))
    envelope = envelopes.envelope(courses, lambda course: course.flops)
    assert not envelope.best()[1].any()
    assert envelope.line(envelope.losses) is None
    assert envelope.stretches() == []


# The figures.


def test_13_shows_the_naive_line_above_that_of_the_least_compute(figures):
    axes = figures["fig13_compute_corrected"].axes[0]
    least, naive = (next(x for x in axes.lines if x.get_lw() == 1.5 and x.get_ls() == style)
                    for style in ("-", "--"))  # fmt: skip
    x = np.asarray(least.get_xdata(), float)
    values = TRUTH["power_compute_min"]
    assert least.get_ydata() == pytest.approx((values["Cc_min"] / x) ** values["alpha_C_min"])
    inside = (x > 1e9) & (x < 1e12)
    assert (np.asarray(naive.get_ydata())[inside] > np.asarray(least.get_ydata())[inside]).all()
    told = words(figures["fig13_compute_corrected"])
    assert "paper: 0.057" in told
    assert "no interval" not in told
    assert "along curves before any cooldown" in told


def test_13_says_where_the_line_through_the_envelope_has_no_interval():
    """Of five sizes three are on the envelope, and none of these can be left out."""
    whole = study() | {"sizes": replace(appendix_data.sizes(widths=(8, 16, 32, 64, 128)))}
    assert ", no interval  (paper: 0.057)" in words(drawn("fig13_compute_corrected", whole))


def test_14_shows_the_frontier_of_the_fitted_laws_and_points_around_it(figures):
    figure = figures["fig14_optimal_size_and_steps"]
    for axes, index in zip(figure.axes, (0, 1), strict=True):
        line = next(x for x in axes.lines if x.get_color() == fig14.FITS)
        known = kaplan2020.frontier(STEPS, BATCH, np.asarray(line.get_xdata(), float))[index]
        assert line.get_ydata() == pytest.approx(known, rel=1e-9)
    found = fig14.best(
        along.courses(study()["sizes"]),
        lambda c: c.least_flops(BATCH),
        lambda c: c.fewest_steps(BATCH),
    )
    known = kaplan2020.frontier(STEPS, BATCH, found.flops)
    params = np.array([run["params"] for run in found.runs])
    assert len(params) == 5  # of seven, all but the smallest and the largest
    assert np.abs(np.log(params / known.params)).max() < np.log(2)
    assert np.abs(np.log(found.value / known.steps)).max() < np.log(1.3)
    growth = kaplan2020.growth(STEPS, BATCH)
    of_size = fig14.best(
        along.courses(study()["sizes"]), lambda c: c.least_flops(BATCH), fig14._params
    )
    assert of_size.line.slope == pytest.approx(growth.params, abs=0.06)
    assert "$p$ = 0.73" in words(figure)


def test_14_draws_the_papers_slope_through_the_law_where_few_points_have_no_line():
    figure = drawn("fig14_optimal_size_and_steps")
    axes = figure.axes[0]
    axes.lines[-1].remove()
    law = kaplan2020.params_of(STEPS, BATCH)
    fig14._paper(axes, kaplan2020.PAPER.params_of, None, law)
    x, y = (np.asarray(values) for values in axes.lines[-1].get_data())
    middle = np.sqrt(x[0] * x[-1])
    assert np.exp(np.interp(np.log(middle), np.log(x), np.log(y))) == pytest.approx(law.at(middle))
    assert np.diff(np.log(y))[0] / np.diff(np.log(x))[0] == pytest.approx(0.73)


def test_15_crosses_where_the_two_lines_meet(figures):
    found = fig15.contradiction(read_by("fig15_contradiction"))
    compute, tokens = TRUTH["power_compute_min"], TRUTH["power_tokens"]
    flops = np.geomspace(1e10, 1e22, 200_001)
    data = 2 * flops / (6 * kaplan2020.frontier(STEPS, BATCH, flops).params)
    gap = np.log(compute["Cc_min"] / flops) * compute["alpha_C_min"]
    gap -= np.log(tokens["Dc"] / data) * tokens["alpha_D"]
    at = float(flops[np.flatnonzero(np.diff(np.sign(gap)))[0]])
    assert found.crossing.flops == pytest.approx(at, rel=1e-3)
    assert found.crossing.params == pytest.approx(
        kaplan2020.frontier(STEPS, BATCH, at).params, rel=1e-3
    )
    assert found.crossing.tokens == pytest.approx(np.interp(at, flops, data), rel=1e-3)
    figure = figures["fig15_contradiction"]
    (star,) = marked(figure)["crossing"]
    assert star.get_xdata()[0] == pytest.approx(at, rel=1e-3)
    low, high = np.quantile(found.samples.flops, [0.05, 0.95])
    assert low < at < high
    text = words(figure)
    assert "times beyond the runs" in text
    assert "nats/token" in text
    assert "100 % of replicates cross beyond the runs" in text


def test_15_says_where_there_is_no_crossing_to_come():
    found = fig15.contradiction(read_by("fig15_contradiction"))
    assert found.outruns
    within = fig15.told(found, float(found.crossing.flops) * 2, 0.9)
    assert "within the runs" in " ".join(within)
    data = replace(study()["data"], fits=study()["data"].fits
                   | {"power_tokens": appendix_data.fit("power_tokens", values={"Dc": 2e9, "alpha_D": 0.3})})  # fmt: skip
    never = fig15.contradiction({**read_by("fig15_contradiction"), "data": data})
    assert not never.outruns
    assert "cross nowhere" in " ".join(fig15.told(never, 1e12, 0.9))
    assert "cross nowhere" in words(drawn("fig15_contradiction", {**study(), "data": data}))


def test_15_draws_what_the_runs_leave_open_pale_and_hollow_beside_the_papers_crossing(figures):
    for figure, settled in (
        (figures["fig15_contradiction"], True),
        (drawn("fig15_contradiction", doubtful()), False),
    ):
        lines = marked(figure)
        assert (lines["crossing"][0].get_markerfacecolor() == "white") != settled
        (theirs,) = lines["paper"]
        assert theirs.get_xdata()[0] == pytest.approx(8.64e23)  # 1e4 PF-days of 1e15 x 86400 FLOP
        assert theirs.get_ydata()[0] == 1.7
        ours = [x for x in figure.axes[0].lines if x.get_color() == fig15.COMPUTE]
        assert [x.get_alpha() for x in ours] == [1.0 if settled else fig15.OPEN] * 2
        assert [x.get_linestyle() for x in ours] == ["-", "--"]  # within the runs, beyond
        assert ours[0].get_xdata()[-1] < ours[1].get_xdata()[0] < 8.64e23
        assert ("leave open where the lines cross" in words(figure)) != settled
        assert "N^*" not in words(figure) or settled


def test_15_draws_fits_without_intervals():
    whole = dict(study())
    data = whole["batches"]
    bare = data.fits["critical_batch"]
    rows = {name: row | {"low": None, "high": None} for name, row in bare.parameters.items()}
    bare = replace(bare, parameters=rows, saved=replace(bare.saved, replicates={
        name: values[:0] for name, values in bare.saved.replicates.items()}))  # fmt: skip
    whole["batches"] = replace(data, fits={"critical_batch": bare})
    assert fig15.contradiction(read_by("fig15_contradiction", whole)).samples is None
    for name in ("fig14_optimal_size_and_steps", "fig15_contradiction"):
        assert isinstance(drawn(name, whole), Figure)


@pytest.mark.parametrize("number", [13, 14, 15, 16, 19])
def test_a_fit_without_values_is_said_in_words(number):
    name = next(name for name in OWN if name.startswith(f"fig{number}_"))
    experiment, key = ("data", "kaplan") if number == 16 else ("batches", "critical_batch")
    data = study()[experiment]
    fit = data.fits[key]
    nothing = {"value": np.nan, "low": None, "high": None, "status": "too_few_points",
               "reason": "2 runs cannot determine 4 parameters; add runs."}  # fmt: skip
    rows = {parameter: row | nothing for parameter, row in fit.parameters.items()}
    whole = study() | {
        experiment: replace(data, fits=data.fits | {key: replace(fit, parameters=rows)})
    }
    text = words(drawn(name, whole))
    called = {"critical_batch": r"$B_{\mathrm{crit}}(L)$", "kaplan": "$L(N,D)$"}[key]
    assert f"not drawn: {called} could not be fitted" in text
    assert "2 runs cannot determine 4 parameters" in text


def test_13_says_where_no_run_has_a_curve():
    whole = study() | {"sizes": replace(study()["sizes"], curves={})}
    assert "not drawn: no run has a curve" in words(drawn("fig13_compute_corrected", whole))


def test_16_bound_is_that_of_the_known_laws_and_counts_who_keeps_it(figures):
    runs = study()["data"].runs
    n, d, loss, batch, step = (
        np.array([run[name] for run in runs], float)
        for name in ("params", "unique_tokens", "loss", "batch_tokens", "best_step")
    )
    excess = DATA.at(n, d) - DATA.unlimited(n)
    found = stops(runs, STEPS, DATA, BATCH)
    known = STEPS.Sc / excess ** (1 / STEPS.alpha_S)
    assert [stop.bound for stop in found] == pytest.approx(known, rel=1e-9)
    fewest = step / (1 + BATCH.B * loss ** (-1 / BATCH.alpha_B) / batch)  # eq. 5.4 and 1.4
    assert [stop.steps for stop in found] == pytest.approx(fewest, rel=1e-9)
    points = marked(figures["fig16_early_stopping"])
    assert [points[f"{run['cell']}.bound"][0].get_ydata()[0] for run in runs] == pytest.approx(
        fewest
    )
    stopped = sum(run["steps"] < 1953 for run in runs)
    assert 0 < stopped < len(runs)
    assert f"{stopped} of {stopped} stopped runs" in words(figures["fig16_early_stopping"])
    early = [run | {"best_step": max(run["best_step"] // 4, 1)} for run in runs]
    whole = study() | {"data": replace(study()["data"], runs=early)}
    assert f"0 of {stopped} stopped runs" in words(drawn("fig16_early_stopping", whole))


def test_16_a_step_beyond_the_bound_at_a_small_batch_may_be_fewer_at_a_large_one():
    """At B = B_crit half of the steps count; the measured loss counts, not the law's."""
    loss = 1.02 * float(DATA.unlimited(1e5))
    bound = STEPS.Sc / (loss / 1.02 * 0.02) ** (1 / STEPS.alpha_S)
    run = {"params": 1e5, "unique_tokens": 1e4, "loss": loss, "steps": 10**6,
           "batch_tokens": float(BATCH.at(loss))}  # fmt: skip
    runs = [run | {"best_step": factor * bound} for factor in (1.99, 2.01)]
    assert [stop.late_enough for stop in stops(runs, STEPS, DATA, BATCH)] == [False, True]
    better = run | {"best_step": 10, "loss": 0.99 * float(DATA.unlimited(1e5))}
    assert stops([better], STEPS, DATA, BATCH)[0].bound == np.inf


def test_16_runs_that_never_stopped_are_hollow(figures):
    faces = {key: lines[0].get_markerfacecolor()
             for key, lines in marked(figures["fig16_early_stopping"]).items()
             if key.endswith(".bound")}  # fmt: skip
    whole = {f"{run['cell']}.bound" for run in study()["data"].runs if run["steps"] == 1953}
    assert {key for key, face in faces.items() if face == "white"} == whole


def test_17_moves_runs_right_by_how_often_their_layers_are_used(figures):
    lines = marked(figures["fig17_recurrent"])
    for run in study()["recurrent"].runs:
        for panel, factor in (("params", 1), ("compute", run["reuse"])):
            (point,) = lines[f"{run['cell']}.{panel}"]
            assert point.get_xdata()[0] == factor * run["params"]
            assert point.get_ydata()[0] == run["loss"]


def test_17_compares_equal_token_counts_alone():
    plain = study()["sizes"].runs
    beside = fig17.beside(study()["recurrent"].runs, [*plain, *plain])
    assert {run["tokens"] for run in beside} == {appendix_data.TOKENS}
    assert len(beside) == len(appendix_data.WIDTHS)


def test_18_has_a_panel_for_each_size_and_marks_twice_the_least(figures):
    figure = figures["fig18_batch_fronts"]
    rows = study()["batches"].critical_batches
    found = [row for row in rows if row["status"] == "converged"]
    shown = {(round(float(line.get_xdata()[0])), round(float(line.get_ydata()[0])))
             for axes in figure.axes for line in axes.lines if line.get_marker() == "D"}  # fmt: skip
    assert {(round(2 * r["tokens_min"]), round(2 * r["steps_min"])) for r in found} <= shown


def test_19_steps_and_tokens_to_a_loss_are_those_of_the_known_law(figures):
    courses = along.courses(study()["sizes"])
    chosen = fig19.losses(courses)
    assert sum(course.loss.min() <= chosen[0] for course in courses) == 3
    compared = 0
    for loss in chosen:
        steps = fig19.to_loss(courses, lambda c: c.fewest_steps(BATCH), loss)
        tokens = fig19.to_loss(courses, lambda c: c.fewest_tokens(BATCH), loss)
        for (course, taken), (_, seen) in zip(steps, tokens, strict=True):
            known = STEPS.Sc / (loss - STEPS.unlimited(course.params)) ** (1 / STEPS.alpha_S)
            assert taken == pytest.approx(known, rel=0.02)
            assert seen == pytest.approx(known * BATCH.at(loss), rel=0.02)
            compared += 1
    assert compared > 30


def test_19_compares_sizes_at_the_loss_and_by_the_factor_of_figure_2(figures):
    courses = along.of_sizes(study()["sizes"])
    found = along.fewer_tokens(courses)
    assert found.loss in fig19.losses(courses)
    times = f"{found.small_tokens / found.large_tokens:.2g} times"
    assert f"{times} fewer tokens" in words(drawn("fig02_sample_efficiency"))
    text = words(figures["fig19_sample_efficiency"])
    assert f"{times} the steps and tokens of" in text
    assert "no dot" not in text


def test_19_shows_the_smallest_size_where_it_ends_above_where_others_begin():
    sizes = study()["sizes"]
    least, most = (f(run["params"] for run in sizes.runs) for f in (min, max))
    of = {run["cell"]: run["params"] for run in sizes.runs}
    ends = min(rows[-1]["val_loss"] for cell, rows in sizes.curves.items() if of[cell] == least)
    late = {  # the largest is first evaluated below where the smallest ends
        cell: [row for row in rows if of[cell] != most or row["val_loss"] < 0.99 * ends]
        for cell, rows in sizes.curves.items()
    }
    figure = drawn("fig19_sample_efficiency", study() | {"sizes": replace(sizes, curves=late)})
    assert any(of[key.split(".")[0]] == least for key in marked(figure))
    assert "no dot" not in words(figure)


def test_19_names_a_size_that_met_none_of_its_losses():
    sizes = study()["sizes"]
    most = max(run["params"] for run in sizes.runs)
    of = {run["cell"]: run["params"] for run in sizes.runs}
    late = {cell: rows[-2:] if of[cell] == most else rows for cell, rows in sizes.curves.items()}
    text = words(drawn("fig19_sample_efficiency", study() | {"sizes": replace(sizes, curves=late)}))
    assert "no dot: $N$ = 393k, which met none of these losses at the peak rate" in text


def test_seeds_of_a_size_count_as_one():
    runs, curves = list(study()["sizes"].runs), dict(study()["sizes"].curves)
    for run in study()["sizes"].runs:  # each again, a little worse
        again = run | {"cell": f"{run['cell']}-again", "trunk": f"{run['trunk']}-again", "seed": 1}
        rows = curves[run["cell"]]
        runs.append(again)
        curves[again["cell"]] = [row | {"val_loss": 1.001 * row["val_loss"]} for row in rows]
    once, twice = (along.courses(data) for data in
                   (study()["sizes"], Data(runs=runs, curves=curves)))  # fmt: skip
    assert len(twice) == 2 * len(once)
    lines = []
    for courses in (once, twice):
        envelope = envelopes.envelope(courses, lambda course: course.flops)
        lines.append(envelope.line(envelope.losses))
        assert len(envelope.stretches()) == 5
    assert lines[1].slopes == pytest.approx(lines[0].slopes)
    assert len(lines[0].slopes) == 1 + len(appendix_data.WIDTHS)
    loss = fig19.losses(once)[2]
    assert fig19.losses(twice)[0] == pytest.approx(fig19.losses(once)[0])
    fewest = [[y for _, y in fig19.to_loss(of, lambda c: c.steps, loss)] for of in (once, twice)]
    assert fewest[0] == fewest[1]


def test_19_a_loss_that_is_never_met_or_passed_at_once_is_left_out():
    x, loss = np.array([1.0, 2.0, 4.0, 8.0]), np.array([4.0, 2.0, 3.0, 1.0])
    assert along.reached(x, loss, 2.0) == pytest.approx(2.0)
    assert along.reached(x, loss, np.sqrt(2)) == pytest.approx(4.0)  # past the bump, in log-log
    assert np.isnan(along.reached(x, loss, 5.0))
    assert np.isnan(along.reached(x, loss, 0.9))


def test_20_finds_the_power_of_the_position():
    at = positions.middle(6)
    assert at[:3].tolist() == [1.0, 2.0, pytest.approx(np.sqrt(12))]
    assert [positions.named(i) for i in range(4)] == ["1", "2", "3\u20134", "5\u20138"]
    found = positions.power((2.0 + 1.5 * at**-0.6).tolist())
    assert found == pytest.approx((2.0, 1.5, 0.6), rel=2e-3)
    assert positions.power([4.0, 3.0, 2.5]) is None


def test_20_shows_every_size_and_every_bin_of_the_largest(figures):
    lines = marked(figures["fig20_loss_by_position"])
    sizes = [run for run in study()["sizes"].runs if run["tokens"] == appendix_data.TOKENS]
    for run in sizes:
        last = study()["sizes"].curves[run["cell"]][-1]
        (line,) = lines[f"{run['cell']}.sizes"]
        assert line.get_ydata().tolist() == last["loss_by_position"]
    bins = [key for key in lines if key.startswith(f"{sizes[-1]['cell']}.training")]
    assert len(bins) == 6


def test_20_shows_no_power_that_the_bins_do_not_determine():
    """A power is told; one at the edge of those tried, of a logarithm or of a rise, is not."""
    at = positions.middle(6)
    power, logarithm = (2.0 + 1.5 * at**-0.6).tolist(), (4.2 - 0.02 * np.log(at)).tolist()
    assert positions.power(power).determined
    assert not positions.power(logarithm).determined  # the limit of a vanishing exponent
    assert not positions.power([4.2, 4.21, 4.22, 4.24, 4.25, 4.26]).determined  # rising
    assert "off (rms)" in fig20.told(power, positions.power(power))
    assert fig20.told(logarithm, positions.power(logarithm)) == "no such power is determined"
    assert fig20.told(power[:5], positions.power(power[:5])) == (
        "5 bins are too few for three numbers"
    )
    sizes = study()["sizes"]
    flat = {cell: [row | {"loss_by_position": logarithm} for row in rows]
            for cell, rows in sizes.curves.items()}  # fmt: skip
    figure = drawn("fig20_loss_by_position", study() | {"sizes": replace(sizes, curves=flat)})
    text = words(figure)
    assert "no such power is determined" in text
    assert "where it is determined" not in text
    left = figure.axes[0]
    assert not [line for line in left.lines if line.get_linestyle() == "--"]


def test_21_dashes_the_short_context(figures):
    lines = marked(figures["fig21_position_by_size"])
    short = study()["short"].runs[1]
    for index, loss in enumerate(study()["short"].curves[short["cell"]][-1]["loss_by_position"]):
        assert lines[f"{short['cell']}.short.{index}"][0].get_ydata()[0] == loss
    joined = [x for x in figures["fig21_position_by_size"].axes[0].lines if not x.get_gid()]
    assert Counter(x.is_dashed() for x in joined) == {False: 6, True: 4}
    assert "context of 8 tokens" in words(figures["fig21_position_by_size"])
    axes = figures["fig21_position_by_size"].axes[0]
    ends = {tuple(x.get_color()): x
            for x in axes.lines if not x.get_gid() and x.get_linestyle() == "-"}  # fmt: skip
    for text in axes.texts[:-1]:  # the last is their title
        start = axes.transData.inverted().transform(axes.transAxes.transform(text.xy))
        line = ends[tuple(text.get_color())]
        assert start == pytest.approx((line.get_xdata()[-1], line.get_ydata()[-1]), rel=1e-6)
        assert text.arrow_patch is not None


def test_22_tells_schedules_apart_and_pools_their_seeds(figures):
    runs = study()["schedules"].runs
    groups = fig22.by_schedule(runs)
    assert [len(members) for members in groups.values()] == [3] * 11
    names = fig22.labels(list(groups))
    assert len(set(names)) == 11
    assert {"cosine", "cosine, ×2", "cosine, warmup", "power 2", "constant, ×0.25"} <= set(names)
    looks = {(fig22.colour(i), fig22.marker(i)) for i in range(36)}
    assert len(looks) == 36
    variances = [np.var([run["loss"] for run in members], ddof=1) for members in groups.values()]
    assert fig22.spread(groups) == pytest.approx(np.sqrt(np.mean(variances)))
    lines = marked(figures["fig22_schedules"])
    for run in runs:
        (point,) = lines[run["cell"]]
        assert point.get_xdata()[0] == pytest.approx(run["lr_sum"], rel=0.2)
    assert fig22.spread({schedule: members[:1] for schedule, members in groups.items()}) is None


def test_22_draws_rates_by_the_schedule_and_not_between_evaluations():
    """A cooldown bends where it begins, and a warmup ends at the peak (Kaplan et al., D.6)."""
    run = appendix_data.run(32) | {"lr": 0.4, "steps": 1000, "warmup_steps": 300, "final_lr": 0.0}
    x, y = fig22.rates(run | {"schedule": "wsd", "cooldown_steps": 200})
    expected = 0.4 * np.minimum(1, np.minimum((1000 * x + 1) / 300, (1 - x) / 0.2))
    assert len(x) == fig22.DRAWN
    assert y == pytest.approx(expected)
    x, y = fig22.rates(run | {"schedule": "linear"})
    assert np.interp([0.1495, 0.3, 0.65], x, y) == pytest.approx([0.2, 0.4, 0.2], abs=2e-3)


def test_22_schedules_of_one_sum_stand_side_by_side(figures):
    places = fig22.side_by_side([2.0, 8.0, 2.0, 2.001, 1.0])
    assert places[[1, 4]] == pytest.approx([8, 1])
    assert np.diff(np.sort(np.log(places[[0, 2, 3]]))) == pytest.approx(0.025 * np.log(8), rel=0.03)
    lines = marked(figures["fig22_schedules"])
    at = [x.get_xdata()[0] for key in lines for x in lines[key] if key.endswith("-s0")]
    assert len(set(at)) == len(at) == 11


@pytest.mark.parametrize("true", ["power_params", "log_params"])
def test_23_held_out_error_prefers_the_law_that_made_the_runs(true):
    other = {"power_params": "log_params", "log_params": "power_params"}[true]
    noise = np.random.default_rng(4)
    form = law(true)
    values = {name: np.asarray(value) for name, value in TRUTH[true].items()}
    rows = []
    for width in (8, 12, 16, 24, 32, 48, 64, 96, 128, 192):
        row = figure_data.run(width, appendix_data.TOKENS, 1.0)
        exact = float(form.predict(values, {"params": np.array([row["params"]], float)})[0])
        rows.append(row | {"loss": exact * np.exp(noise.normal(0, 0.002))})
    quick = Options(bootstraps=10, starts=4, level=0.9)
    both = (true, other)
    tested = backtest.groups([law(name) for name in both], figure_data.included(rows), ["flops"],
                             10.0, dict.fromkeys(both, quick))  # fmt: skip
    points = [appendix_data.residual(row) for row in rows]
    data = Data(runs=rows, backtest=list(backtest.backtest_rows(tested, 0.9)),
                fits={name: appendix_data.fit(name, points) for name in both})  # fmt: skip
    errors = {name: fig23.held_out_error(data, name) for name in both}
    assert errors[true] < 0.5
    assert errors[other] > 2 * errors[true]
    figure = frame.render(fig23.draw, {"sizes": data})
    assert f"{fig23.NAMES[true]}: 0.30 % within, {errors[true]:.2f} % held out" in words(figure)
    held = [key for key in marked(figure) if key.endswith(f"{true}.held")]
    assert len(held) == len(fig23.errors(data, true)) > 0


def test_24_keeps_shapes_that_differ_in_depth_alone():
    runs = [*study()["shapes"].runs, appendix_data.run(90, d_ff=92, n_head=6, n_layer=2)]
    kept = fig24.by_depth(runs)
    assert Counter(run["n_layer"] for run in kept) == {1: 2, 2: 2, 4: 2, 8: 2}
    assert {run["n_head"] for run in kept if run["n_layer"] == 2} == {4}


def test_24_says_how_far_depth_moves_the_loss():
    shapes = study()["shapes"]
    deep = {run["cell"] for run in shapes.runs if run["n_layer"] == 8}
    rows = [row | {"loss": 1.02 * row["loss"]} if row["cell"] in deep and row["corpus"] == "code"
            else row for row in shapes.evaluations]  # fmt: skip
    text = words(
        drawn("fig24_transfer_by_depth", study() | {"shapes": replace(shapes, evaluations=rows)})
    )
    assert "code: means within 2.0 %" in text
    assert "dictionary: means within 0.0 %" in text


def test_24_draws_what_the_verdict_rests_on():
    """Depths that differ on the validation text by as much as sizes do on the others: no change."""
    line = {"code": (1.7, 0.8), "dictionary": (1.3, 0.7)}
    shapes, sizes = study()["shapes"], study()["sizes"]
    runs = [run | {"loss": 4.0 * (1 + 0.02 * np.log2(run["n_layer"]))} for run in shapes.runs]

    def scored(runs, more):
        return [{"cell": run["cell"], "corpus": text,
                 "loss": (k + s * run["loss"]) * (1 + more * np.log2(run["n_layer"] / 2))}
                for run in runs for text, (k, s) in line.items()]  # fmt: skip

    ladder = replace(sizes, evaluations=scored(sizes.runs, 0.0))
    for more in (0.0, 0.01):
        whole = {
            "sizes": ladder,
            "shapes": replace(shapes, runs=runs, evaluations=scored(runs, more)),
        }
        figure = drawn("fig24_transfer_by_depth", study() | whole)
        claim = depth(Evidence(whole))
        change = 100 * 3 * more  # from one layer to eight
        assert claim.value == pytest.approx(change, abs=0.05)
        text = words(figure)
        for name in line:
            assert re.search(
                rf"{name}: means within [\d.]+ %, \+{change:.1f} % against foretold", text
            )
        assert "foretold by the validation loss" in text
    assert "foretold" not in words(drawn("fig24_transfer_by_depth"))


def test_the_staircase_marks_each_exponent_and_the_published_ones(figures):
    figure = figures["recipe_staircase"]
    lines = marked(figure)
    for name, exponent in {"paper": 0.83, "warmup": 0.6, "tuned": 0.5}.items():
        assert lines[f"exponent.recipe_{name}"][0].get_ydata()[0] == exponent
    levels = {line.get_ydata()[0] for line in figure.axes[0].lines if line.get_color() == "#222222"}
    assert levels == {0.73, 0.50}
    assert "$0.83$ [0.77, 0.92]" in words(figure)
    assert [axes.get_label() for axes in figure.axes[1:]] == [
        f"recipe_{name}" for name in ("paper", "head", "warmup", "decay", "tuned")
    ]


def test_the_staircase_keeps_its_scale_beside_exponents_that_tell_nothing():
    """One interval too wide, one exponent without any, and one that is not known."""
    row = study()["recipe_head"].allocations[0]
    rows = {
        "recipe_head": row | {"low": -3.0, "high": 9.0},
        "recipe_decay": row | {"low": None, "high": None},
        "recipe_tuned": row | {"exponent": None, "low": None, "high": None},
    }
    figure = laid_out(drawn(
        "recipe_staircase", study() | {name: Data(allocations=[of]) for name, of in rows.items()}
    ))  # fmt: skip
    assert figure.axes[0].get_ylim() == (-0.2, 1.4)
    text = words(figure)
    assert text.count("no interval") == text.count("no exponent") == 1
    lines = marked(figure)
    assert "exponent.recipe_tuned" not in lines
    assert lines["exponent.recipe_decay"][0].get_markerfacecolor() == "white"
    assert lines["exponent.recipe_head"][0].get_markerfacecolor() != "white"
    (label,) = [text for text in figure.findobj(Text) if "[\u22123" in text.get_text()]
    assert label.get_window_extent().y1 <= figure.bbox.y1
