"""Which law is trusted: scores by bins, paired differences, ties, and what is said of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from law_data import arrays, drawn, runs

from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, Quality
from pipeline.laws.prediction import Prediction
from pipeline.laws.ranking import Ranking, beats, common, ranked
from pipeline.laws.rolling import Cut, Rolled, cut, ladder, rolled
from pipeline.laws.verdict import disagreement, reasons, size

QUICK = Options(bootstraps=60, starts=24, profile=False)
APART = "more than one standard error of the difference"
FAR = (1e19, 1e20)  # FLOP, within those of drawn runs
FLOORS = ("kaplan", "chinchilla")  # a law without one, and one with


def predicting(
    name: str, cuts: dict[float, dict[str, tuple[float, float]]], rmse=0.01, below=100
) -> Rolled:
    """A law with given predictions: cut-off -> cell -> (factor, log error); all losses are 2."""
    made = []
    for at, errors in cuts.items():
        factor, error = np.array(list(errors.values())).T
        told = 2.0 * np.exp(error)
        prediction = Prediction(told, told - 0.1, told + 0.1, (told, told), 0.01, np.nan)
        above = Runs(tuple(errors), {"loss": np.full(len(told), 2.0)})
        found = SimpleNamespace(
            law=law(name), runs=range(below)
        )  # as many runs as it was fitted to
        made.append(Cut("flops", at, found, above, factor, prediction))
    return Rolled(law(name), "flops", tuple(made), Quality(0.9, np.nan, rmse), None)


def of(name: str, *errors: float, rmse=0.01) -> Rolled:
    """A law tested from one cut-off on runs a, b, ... half as large again as any fitted."""
    return predicting(name, {1.0: {c: (1.5, e) for c, e in zip("abcdefgh", errors)}}, rmse)


def test_cutoffs_that_leave_less_than_half_of_the_runs_are_not_scored():
    """A law that errs on large runs when it has seen two small ones is none the worse for it."""
    cuts = {1.0: {"a": (1.5, 0.5), "b": (4.5, 0.5), "c": (20.0, 0.5)}, 3.0: {"c": (1.5, 0.01)}}
    found = ranked([predicting("kaplan", cuts, below=2)])
    assert found.pairs.keys == ((3.0, "c"),)
    assert found.laws[0].score == pytest.approx(0.01)
    # Where no cut-off leaves half, the highest alone counts.
    assert ranked([predicting("kaplan", {1.0: cuts[1.0]}, below=2)]).pairs.cells == ["a", "b", "c"]


def test_bins_count_alike_however_many_predictions_they_hold():
    near = dict.fromkeys("abcdefgh", (1.5, 0.01))
    found = ranked([predicting("kaplan", {1.0: {**near, "far": (20.0, 0.05)}})])
    assert found.laws[0].score == pytest.approx((0.01 + 0.05) / 2)
    assert found.pairs.weight.sum() == pytest.approx(1.0)
    assert {b: s.predictions for b, s in found.by_bin(found.laws[0]).items()} == {0: 8, 3: 1}


@pytest.mark.parametrize(
    ("factor", "place"),
    [(1.02, 0), (2.0, 0), (2.01, 0), (2.03, 1), (10.0, 2), (30.0, 3), (30.05, 3), (31.0, 4)],
)
def test_a_bin_holds_its_upper_end(factor, place):
    found = common([predicting("kaplan", {1.0: {"a": (factor, 0.01)}})])
    assert found.bins.tolist() == [place]


def test_laws_are_compared_on_what_all_of_them_predicted():
    one = predicting("kaplan", {1.0: {"a": (2.0, 0.1), "b": (3.0, 0.1)}, 1.5: {"b": (2.0, 0.1)}})
    other = predicting(
        "chinchilla", {1.0: {"b": (3.0, 0.2), "c": (9.0, 9.0)}, 1.5: {"b": (2.0, 0.2)}}
    )
    found = ranked([one, other])
    assert found.pairs.keys == ((1.0, "b"), (1.5, "b"))
    assert {g.name: g.score for g in found.laws} == pytest.approx(
        {"kaplan": 0.1, "chinchilla": 0.2}
    )


@pytest.mark.parametrize(("gap", "wins"), [(1.01, True), (0.99, False)])
def test_a_difference_must_exceed_its_standard_error(gap, wins):
    # Differences gap - 1 and gap + 1: standard deviation sqrt(2), standard error 1.
    pairs = common([of("kaplan", 0.05, 0.05)])
    assert beats(np.array([5.0, 5.0]), np.array([4.0 + gap, 6.0 + gap]), pairs) is wins


def test_many_predictions_of_one_run_are_one_observation():
    alone = predicting("kaplan", {float(at): {"a": (1.5, 0.01)} for at in range(1, 50)})
    pairs = common([alone])
    assert not beats(np.full(49, 0.01), np.full(49, 0.5), pairs)


def test_the_better_law_is_chosen_where_errors_show_it():
    found = ranked([of("kaplan", 0.02, 0.03, 0.02), of("chinchilla", 0.001, -0.002, 0.002)])
    assert (found.winner, found.equals) == ("chinchilla", ("chinchilla",))
    assert [one.name for one in found.laws] == ["chinchilla", "kaplan"]
    told = reasons(found)
    assert told["chinchilla"].endswith(f"better than every other by {APART}.")
    assert told["kaplan"].endswith(f"too high by 2.36 %; worse than chinchilla by {APART}.")


def test_of_laws_that_cannot_be_told_apart_the_simpler_is_chosen():
    # |error| differs by 2, -1, 0 per cent: mean 1/3, standard error 0.88.
    found = ranked([of("kaplan", 0.03, 0.01, 0.01), of("chinchilla", 0.01, 0.02, 0.01)])
    assert [one.name for one in found.laws] == ["chinchilla", "kaplan"]
    assert (found.winner, found.equals) == ("kaplan", ("chinchilla", "kaplan"))
    told = reasons(found)
    assert "cannot be told from chinchilla, and no other has fewer parameters" in told["kaplan"]
    assert "cannot be told from kaplan, which has no more parameters" in told["chinchilla"]


def test_a_law_without_a_number_comes_last():
    found = ranked([of("kaplan", np.nan, 0.0), of("chinchilla", 0.3, 0.3)])
    assert found.winner == "chinchilla"
    assert found.predicts == {"chinchilla": 1, "kaplan": 2}
    assert reasons(found)["kaplan"] == "It gives no number for some of the runs it should predict."
    assert ranked([of("kaplan", np.nan, 0.0)]).winner is None


def test_nothing_tested_and_nothing_in_common():
    refused = Rolled(law("kaplan"), "flops", (), Quality(0.9, np.nan, 0.01), "Too few.")
    assert ranked([refused]) is None
    apart = [
        predicting("kaplan", {1.0: {"a": (2.0, 0.1)}}),
        predicting("chinchilla", {1.0: {"b": (2, 0)}}),
    ]
    found = ranked(apart)
    assert (found.winner, found.pairs.keys) == (None, ())
    assert set(reasons(found).values()) == {
        "No run was predicted by all laws tested, so they cannot be compared."
    }


def test_a_law_that_splits_no_budget_is_ranked_and_not_chosen():
    """Kaplan's law of N and steps predicts best here, and has no N* to plan with."""
    steps = of("kaplan_steps", 0.001, 0.002, 0.001)
    found = ranked([steps, of("kaplan", 0.02, 0.03, 0.02), of("chinchilla", 0.09, 0.08, 0.09)])
    assert [one.name for one in found.laws] == ["kaplan_steps", "kaplan", "chinchilla"]
    assert (found.winner, found.equals) == ("kaplan", ("kaplan",))
    told = reasons(found)
    assert told["kaplan_steps"].endswith("it splits no budget, so it is no choice for a plan.")
    assert told["kaplan"].endswith(f"better than every other by {APART}.")
    assert told["chinchilla"].endswith(f"worse than kaplan by {APART}.")
    assert disagreement(found).startswith("kaplan describes")
    alone = ranked([steps, of("kaplan", 0.02, 0.03)])
    assert reasons(alone)["kaplan"].endswith("the only law tested that splits a budget.")
    assert ranked([steps]).winner == "kaplan_steps"  # of its group; no headline


def test_errors_are_in_per_cent_of_the_loss():
    found = ranked([of("kaplan", np.log(1.1), np.log(0.96))])
    assert size(found, found.laws[0]) == pytest.approx((7.0, 3.0, 10.0))
    summary = found.by_bin(found.laws[0])[0]
    # The interval reaches 0.1 either way: 2.2 misses the loss of 2, and 1.92 does not.
    assert summary == pytest.approx((2, 2, 7.0, 3.0, 10.0, 0.5))


def test_disagreement_names_the_law_that_only_looks_better():
    laws = [of("kaplan", 0.01, 0.01, rmse=0.03), of("chinchilla", 0.04, 0.04, rmse=0.02)]
    found = ranked(laws)
    assert (found.predicts["kaplan"], found.describes["kaplan"]) == (1, 2)
    assert disagreement(found) == (
        "chinchilla describes its own runs best (2.00 % against 3.00 %), but kaplan predicts "
        "larger ones best (1.00 % against 4.00 %)."
    )
    same = ranked([of("kaplan", 0.01, 0.01, rmse=0.01), laws[1]])
    assert disagreement(same) == "kaplan describes its own runs best and predicts larger ones best."


def backtested(data: Runs, names=("kaplan", "chinchilla"), ratio=8.0) -> Ranking:
    cutoffs = ladder(data.flops, ratio)
    return ranked([rolled(law(name), data, "flops", cutoffs, QUICK) for name in names])


@pytest.mark.parametrize("truth", ["kaplan", "chinchilla"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_law_behind_the_data_wins(truth, seed):
    assert backtested(drawn(truth, 0.005, seed)).winner == truth


def test_a_law_without_a_floor_fails_far_out_though_it_fits_well():
    values = {"E": 1.8, "A": 400.0, "alpha": 0.34, "B": 410.0, "beta": 0.28}
    n, d = (g.ravel() for g in np.meshgrid(np.geomspace(3e7, 1e9, 8), np.geomspace(1e9, 3e10, 6)))
    loss = law("chinchilla").predict(arrays(values), {"params": n, "tokens": d})
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(len(n)))
    data = runs(n, d, loss * noise)
    found = backtested(data)
    assert found.winner == "chinchilla"
    assert {one.name: one.quality.r2 for one in found.laws}["kaplan"] > 0.95
    small = {x: cut(law(x), data, "flops", data.flops.max() / 100, QUICK) for x in FLOORS}
    assert (small["kaplan"].factor > 30).any()
    far = {x: np.abs(one.log_error)[one.factor > 30].mean() for x, one in small.items()}
    near = np.abs(small["kaplan"].log_error)[small["kaplan"].factor < 2].mean()
    assert far["kaplan"] > 5 * far["chinchilla"]
    assert far["kaplan"] > 1.5 * near


@pytest.mark.parametrize("name", ["kaplan", "chinchilla"])
def test_intervals_hold_about_their_share_where_the_law_is_right(name):
    """The predictions of one table err together, so each of 24 tables is one observation."""
    quick = Options(bootstraps=60, starts=8, profile=False)
    shares = [
        np.concatenate(
            [cut(law(name), drawn(name, 0.01, seed), "flops", at, quick).covered for at in FAR]
        ).mean()
        for seed in range(24)
    ]
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert 3 * error < 0.1  # so that it can tell 90 % from 80 %
    assert np.mean(shares) == pytest.approx(0.9, abs=3 * error)


def test_the_best_of_equal_laws_is_often_a_standard_error_ahead():
    """Which is why no sentence says that a difference shows more than chance."""
    rng, ahead = np.random.default_rng(0), 0
    alike = [of(name, *np.zeros(8)) for name in ("kaplan", "chinchilla")]
    pairs = common(alike)
    for _ in range(400):
        one, other = np.abs(0.01 * rng.standard_normal((2, 8)))
        best, worse = (one, other) if one.mean() < other.mean() else (other, one)
        ahead += beats(best, worse, pairs)
    assert 0.25 < ahead / 400 < 0.45  # 2 P(t > 1) at seven degrees of freedom is 0.351
    told = reasons(ranked([of("kaplan", 0.02, 0.03), of("chinchilla", 0.001, 0.002)]))
    assert "chance" not in " ".join(told.values())


def test_laws_that_end_in_the_same_curve_share_a_rank():
    found = ranked([of("kaplan", 0.01, rmse=0.02), of("chinchilla", 0.01, rmse=0.02 * (1 + 1e-8))])
    assert found.describes == {"kaplan": 1, "chinchilla": 1}
    assert found.predicts == {"kaplan": 1, "chinchilla": 1}
