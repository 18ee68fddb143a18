"""Fronts of steps and tokens: known ones are found again, and what cannot be known is said."""

import batch_data
import numpy as np
import pytest
from batch_data import BATCHES, RATES, critical_batch, scan, steps, steps_min
from rows import CURVE

from pipeline.batches.fronts import Point, automatic, drawn, fastest, fitted, fronts
from pipeline.batches.traces import Model, Trace, at_peak
from pipeline.laws.base import Status

LEVELS = np.array([4.0, 3.6, 3.2])
OPTIONS = drawn(40, 0.9, 0)
MODEL = Model(1536, 2, 8, 32, 1, 16, "transformer", 10240, 1, 0.0, "adamw")


def points(batches, critical=1500.0, least=300.0):
    return tuple(Point(b, least * (1 + critical / b), 0.01, f"B{b}", False) for b in batches)


def test_fronts_of_a_known_scan_are_found_again():
    found = fronts(scan(), LEVELS, OPTIONS)
    assert [front.loss for front in found] == LEVELS.tolist()
    for front in found:
        assert front.status is Status.CONVERGED
        truth = {"steps_min": steps_min(front.loss), "critical_batch": critical_batch(front.loss)}
        truth["tokens_min"] = truth["steps_min"] * truth["critical_batch"]
        assert front.values == pytest.approx(truth, rel=2e-3)  # of the rows between which it lies
        assert [p.batch for p in front.points] == list(BATCHES)
        for point in front.points:
            assert point.steps == pytest.approx(steps(front.loss, point.batch), rel=2e-3)
            assert point.rate == RATES[1]
            assert not point.at_edge


def test_noise_leaves_the_truth_within_intervals_as_often_as_they_say():
    rng, inside = np.random.default_rng(5), []
    for _ in range(24):
        noise = np.exp(0.03 * rng.standard_normal(7))
        noisy = tuple(p._replace(steps=p.steps * f) for p, f in
                      zip(points([128, *BATCHES]), noise, strict=True))  # fmt: skip
        front = fitted(MODEL, 3.0, noisy, drawn(40, 0.8, 0))
        for name, true in (("steps_min", 300), ("critical_batch", 1500), ("tokens_min", 450_000)):
            low, high = front.intervals[name]
            inside.append(low < true < high)
    assert 0.65 < np.mean(inside) < 0.95


def test_one_odd_batch_size_does_not_bend_the_front():
    odd = [p._replace(steps=p.steps * (2 if p.batch == 1024 else 1)) for p in points(BATCHES)]
    front = fitted(MODEL, 3.0, tuple(odd), OPTIONS)
    squares = np.polynomial.polynomial.polyfit(
        1 / np.array(BATCHES), [p.steps for p in odd], 1
    )  # least squares of S against 1/B
    assert front.values["critical_batch"] == pytest.approx(1500, rel=0.1)
    assert abs(squares[1] / squares[0] / 1500 - 1) > 0.25


@pytest.mark.parametrize("tokens", [1.0, 1e-3, 4e4])
@pytest.mark.parametrize("per_step", [1.0, 7.0])
def test_units_of_tokens_and_steps_do_not_matter(tokens, per_step):
    rng = np.random.default_rng(1)
    noisy = [
        p._replace(steps=p.steps * np.exp(0.05 * rng.standard_normal())) for p in points(BATCHES)
    ]
    base = fitted(MODEL, 3.0, tuple(noisy), OPTIONS)
    other = [p._replace(batch=p.batch * tokens, steps=p.steps * per_step) for p in noisy]
    moved = fitted(MODEL, 3.0, tuple(other), OPTIONS)
    factor = {"steps_min": per_step, "critical_batch": tokens, "tokens_min": tokens * per_step}
    for name, by in factor.items():
        assert moved.values[name] == pytest.approx(by * base.values[name], rel=1e-6)
        ends = [by * end for end in base.intervals[name]]
        assert list(moved.intervals[name]) == pytest.approx(ends, rel=1e-4)


def test_a_batch_size_that_did_not_meet_the_loss_is_left_out():
    whole = scan()
    cut = [Trace(t.run, t.rows[:8]) if t.batch == 512 else t for t in whole]
    (front,) = fronts(cut, np.array([3.6]), OPTIONS)
    assert [p.batch for p in front.points] == [256, 1024, 2048, 4096, 8192]
    assert front.values["critical_batch"] == pytest.approx(critical_batch(front.loss), rel=5e-3)
    assert fronts(whole, np.array([1.0]), OPTIONS) == []


def test_the_best_rate_at_each_loss_counts_and_one_at_the_edge_is_told():
    def line(batch, rate, slope):
        rows = [CURVE | {"step": s, "val_loss": 5 * s**-slope} for s in (1, 10, 100)]
        return Trace(batch_data.run(batch, rate, rows), rows)

    # The greater rate is ahead at first: from 20 steps on it stays above what the smaller one meets.
    early = Trace(batch_data.run(256, 0.04, [CURVE]), [
        CURVE | {"step": s, "val_loss": x} for s, x in ((1, 5.0), (5, 4.0), (20, 3.5), (100, 3.4))
    ])  # fmt: skip
    late = line(256, 0.01, 0.1)
    lone = line(512, 0.01, 0.1)
    high, low = fastest([early, late, lone], np.log([4.2, 3.3]))
    assert [(p.batch, p.rate, p.at_edge) for p in high] == [(256, 0.04, True), (512, 0.01, False)]
    assert [(p.batch, p.rate) for p in low] == [(256, 0.01), (512, 0.01)]
    middle = line(256, 0.02, 0.2)
    ((best, _), _) = fastest([early, late, middle, lone], np.log([3.45, 3.3]))
    assert (best.rate, best.at_edge) == (0.02, False)


def test_seeds_are_averaged_in_log_steps_and_all_must_have_met_the_loss():
    def seed(number, factor, last):
        rows = [CURVE | {"step": factor * s, "val_loss": 5 * s**-0.1} for s in (1, 10, last)]
        return Trace(batch_data.run(256, 0.01, rows, seed=number), rows)

    (met,), unmet = fastest(
        [seed(0, 1, 100), seed(1, 4, 20)], np.log(5 * np.array([10.0, 50]) ** -0.1)
    )
    assert met.steps == pytest.approx(20)
    assert unmet == []


@pytest.mark.parametrize("other", [{"schedule": "wsd"}, {"warmup_steps": 2}])
def test_another_schedule_of_one_rate_is_compared_and_no_seed(other):
    """5 s^-0.1 meets its loss at 10 steps, four times as slow a schedule at 40: 20 is neither."""

    def under(factor, seed=0, rate=0.01, **changed):
        rows = [CURVE | {"step": factor * s, "val_loss": 5 * s**-0.1} for s in (1, 10, 100)]
        return Trace(batch_data.run(256, rate, rows, seed=seed, **changed), rows)

    level = np.log([5 * 10**-0.1])
    quick, slow = under(1), under(4, **other)
    for traced in ([quick, slow], [slow, quick]):
        ((point,),) = fastest(traced, level)
        assert point.steps == pytest.approx(10)
        assert not point.at_edge
    # Seeds of one schedule are averaged still: the other is faster than 1 and 9 times as many.
    ((point,),) = fastest([quick, under(9, seed=1), under(2, **other)], level)
    assert point.steps == pytest.approx(20)
    # One rate was tried under its schedule, and three under the other.
    rates = [under(5, rate=r, **other) for r in (0.005, 0.01, 0.02)]
    assert not fastest([quick, *rates], level)[0][0].at_edge
    assert fastest([under(9), rates[0]], level)[0][0].at_edge is False
    assert fastest([under(9), *rates], level)[0][0].at_edge


@pytest.mark.parametrize(
    ("batches", "status", "words"),
    [
        ((256, 1024, 4096), Status.TOO_FEW_POINTS, "3 batch sizes met this loss; a front needs 4"),
        ((4096, 8192, 16384, 32768), Status.UNIDENTIFIABLE, "4096 to 32768 tokens, lie above the critical one, which is at most about 4096. Add smaller"),
        ((32, 64, 128, 256), Status.UNIDENTIFIABLE, "32 to 256 tokens, lie below the critical one, which is at least about 256. Add larger"),
    ],
)  # fmt: skip
def test_too_few_batch_sizes_and_batch_sizes_on_one_side_are_told(batches, status, words):
    front = fitted(MODEL, 3.0, points(batches), OPTIONS)
    assert front.status is status
    assert words in front.reason
    assert np.isnan(front.values["steps_min"]) == (status is Status.TOO_FEW_POINTS)


def test_more_steps_at_larger_batches_are_no_front():
    slower = tuple(Point(b, 100.0 * b**0.3, 0.01, "a", False) for b in BATCHES)
    assert fitted(MODEL, 3.0, slower, OPTIONS).status is not Status.CONVERGED


def test_automatic_levels_are_met_by_three_quarters_of_the_batch_sizes():
    whole = scan()
    levels = automatic(whole, 6)
    assert len(levels) == 6
    assert np.diff(np.log(levels)) == pytest.approx(np.log(levels[1] / levels[0]))
    met = [len(found) for found in fastest(whole, np.log(levels))]
    assert min(met) >= 5  # of six
    lowest = sorted(min(t.loss.min() for t in whole if t.batch == b) for b in BATCHES)
    assert levels[-1] == pytest.approx(lowest[4])
    assert automatic(scan(BATCHES[:3]), 6).size == 0


def warmed(warmup):
    """The scan under a warmup of some steps, of whose rows only those after it count."""
    return [Trace(trace.run, at_peak(trace.run, trace.rows)) for trace in scan(warmup_steps=warmup)]


def test_a_front_that_the_warmup_limits_is_not_determined():
    """S_min is 43, 77 and 98 steps; rows count from step 40, and from 60 on they are clear."""
    found = fronts(warmed(20), np.array([3.6, 3.3, 3.2]), OPTIONS)
    assert [front.values["steps_min"] for front in found] == pytest.approx(
        [steps_min(loss) for loss in (3.6, 3.3, 3.2)], rel=1e-2
    )
    assert [front.status for front in found] == [Status.UNIDENTIFIABLE, *[Status.CONVERGED] * 2]
    told = found[0].reason
    assert told.startswith("Rows begin at step 40, 2 times the warmup")
    assert told.endswith("limits the steps. Shorten the warmup or take lower losses.")
    quick = tuple(p._replace(first=300) for p in points(BATCHES, least=400.0))
    assert fitted(MODEL, 3.0, quick, OPTIONS).status is Status.UNIDENTIFIABLE
    clear = tuple(p._replace(first=260) for p in quick)
    assert fitted(MODEL, 3.0, clear, OPTIONS).status is Status.CONVERGED


def test_automatic_levels_begin_below_the_losses_that_the_warmup_limits():
    begins = 2.5 * (1e3 / 1536) ** 0.08 + 1  # where steps_min is 60
    levels = automatic(warmed(20), 6)
    assert 0.98 * begins < levels[0] <= begins * 1.001
    found = fronts(warmed(20), levels, OPTIONS)
    assert not [front for front in found if front.reason.startswith("Rows begin")]
    assert automatic(scan(), 6)[0] > 1.2 * begins


def test_where_the_warmup_limits_all_losses_each_level_says_so():
    slow = warmed(300)
    found = fronts(slow, automatic(slow, 4), OPTIONS)
    assert len(found) == 4
    assert all("Rows begin at step 600" in front.reason for front in found)


def test_noisy_quadratic_descent_has_the_critical_batch_of_its_noise_scale():
    """SGD on a quadratic, at the best rate of every step: E_min / S_min is the mean noise scale.

    tr(H Sigma) / (G H G) with the true gradient, averaged over the steps of a very large batch
    (McCandlish et al. 2018, sections 2.2 and 2.3); S_min is the steps of descent without noise.
    """
    rng, d, repeats, length = np.random.default_rng(0), 100, 4, 400
    h = np.geomspace(0.01, 1, d)
    batches = np.repeat(4.0 ** np.arange(1, 7), repeats)
    x = np.tile(3 / np.sqrt(h), (len(batches) + 1, 1))  # the last row descends without noise
    size = np.append(batches, np.inf)
    losses, scales = [], []
    for _ in range(length):
        gradient = h * x
        bend = (h * gradient**2).sum(1)
        scale = h.sum() / bend  # Sigma is the identity
        losses.append(0.5 * (h * x**2).sum(1))
        scales.append(scale[-1])
        rate = (gradient**2).sum(1) / bend / (1 + scale / size)
        noise = rng.standard_normal(x.shape) / np.sqrt(size)[:, None]
        x = x - rate[:, None] * (gradient + noise)
    table = np.array(losses)

    def along(column, batch, seed):
        rows = [CURVE | {"step": s, "val_loss": float(table[s, column])} for s in range(1, length)]
        return Trace(batch_data.run(int(batch), 0.01, rows, seed=seed), rows)

    traced = [along(i, batch, i % repeats) for i, batch in enumerate(batches)]
    levels = table[0, 0] * np.array([0.05, 0.03, 0.02])
    for front in fronts(traced, levels, OPTIONS):
        whole = int((table[:, -1] > front.loss).sum())
        predicted = np.mean(scales[:whole])
        assert front.values["critical_batch"] == pytest.approx(predicted, rel=0.2)
        assert front.values["steps_min"] == pytest.approx(whole, rel=0.1)
        assert front.status is Status.CONVERGED
        low, high = front.intervals["critical_batch"]
        assert low < predicted < high
