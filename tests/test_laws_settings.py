"""Rules for batch sizes and learning rates: the papers' numbers, and which runs they are read off."""

import numpy as np
import pytest
from law_data import arrays, runs

from pipeline.fit import point_rows
from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, fit


def published(name, **inputs):
    """The law at its paper's constants."""
    found = law(name)
    values = {p.name: p.published[0] for p in found.parameters}
    return found.predict(
        arrays(values), {key: np.array([float(value)]) for key, value in inputs.items()}
    )[0]


@pytest.mark.parametrize(
    ("loss", "batch"), [(2.0, 7.4e6), (2.5, 2.55e6), (3.0, 1.07e6), (4.0, 2.7e5)]
)
def test_critical_batch_of_kaplan(loss, batch):
    """Eq. 1.4 with its rounded B* of 2e8 tokens and alpha_B of 0.21."""
    values = arrays({"B": 2e8, "alpha_B": 0.21})
    got = law("critical_batch").predict(values, {"loss": np.array([loss])})[0]
    digits = len(f"{batch:.3g}".partition("e")[0].replace(".", ""))
    assert got == pytest.approx(batch, rel=0.6 * 10.0 ** (1 - digits))


def test_critical_batch_doubles_with_thirteen_per_cent_less_loss():
    ratio = published("critical_batch", loss=0.87 * 3) / published("critical_batch", loss=3)
    assert ratio == pytest.approx(1.94, abs=0.005)


@pytest.mark.parametrize(
    ("params", "lr"), [(1e5, 1.63e-3), (3e6, 1.16e-3), (1e8, 6.7e-4), (1.5e9, 2.9e-4)]
)
def test_learning_rate_of_kaplan(params, lr):
    assert published("kaplan_lr", params=params) == pytest.approx(lr, abs=0.6e-5)


def test_learning_rate_of_kaplan_ends_above_ten_billion():
    assert published("kaplan_lr", params=1e10) > 0
    assert np.isnan(published("kaplan_lr", params=2e10))


@pytest.mark.parametrize(
    ("layers", "width", "lr", "sequences", "off"),
    [(30, 4096, 4.2e-4, 2304, 0.03), (95, 8192, 3.2e-4, 4608, 0.10)],
)
def test_deepseek_trained_near_its_own_rules(layers, width, lr, sequences, off):
    """The 7B and 67B models on 2T tokens (Bi et al. 2024, table 2), C from their section 3.2."""
    context = 4096
    flops = (72 * layers * width**2 + 12 * layers * width * context) * 2e12
    assert published("deepseek_lr", flops=flops) == pytest.approx(lr, rel=off)
    assert published("deepseek_batch", flops=flops) == pytest.approx(sequences * context, rel=off)


def test_step_law_by_powers_of_ten():
    """1.79 (1e9)^-0.713 (1e11)^0.307 = 1.79 10^-3.04 and 0.58 (1e10)^0.571 = 0.58 10^5.71."""
    got = published("step_law_lr", params=1e9, tokens=1e11)
    assert got == pytest.approx(1.79 * 10**-3.04, rel=1e-12)
    assert published("step_law_batch", tokens=1e10) == pytest.approx(0.58 * 10**5.71, rel=1e-12)


def test_step_law_is_the_middle_of_its_bootstrap():
    """Means of the 1,000 resampled fits that its authors released, and the exponents they print."""
    means = {"step_law_lr": {"alpha": 0.712922, "beta": 0.307491},
             "step_law_batch": {"beta": 0.570944}}  # fmt: skip
    for name, exponents in means.items():
        printed = {p.name: p.published[0] for p in law(name).parameters}
        for exponent, mean in exponents.items():
            assert printed[exponent] == pytest.approx(mean, abs=5.5e-4)


def sweep(rates, losses, params=1e8, tokens=1e10):
    """Runs of one (N, D) at several learning rates."""
    count = len(rates)
    data = runs(np.full(count, params), np.full(count, tokens), losses)
    return Runs(data.cell, {**data.columns, "lr": np.array(rates)})


def joined(*parts):
    columns = {c: np.concatenate([part.column(c) for part in parts]) for c in parts[0].columns}
    return Runs(tuple(f"run-{i}" for i in range(sum(map(len, parts)))), columns)


def test_best_rate_of_every_sweep_is_selected():
    data = joined(
        sweep([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.2]),
        sweep([1e-3, 2e-3, 4e-3], [2.9, 2.95, 3.2], tokens=2e10),
        sweep([1e-3, 2e-3, 4e-3], [2.9, 2.7, 2.8], params=4e8),
    )
    chosen = law("step_law_lr").select(data)
    assert chosen.mask.tolist() == [False, True, False, *[False] * 3, False, True, False]
    assert "1 left out, best at the edge" in chosen.reason


def test_reason_names_the_counts_of_the_sweeps():
    data = sweep([1e-3, 2e-3, 4e-3], [3.1, 3.0, 3.2])
    assert law("step_law_lr").select(data).reason == "The run of lowest loss at each N and D."
    assert law("kaplan_lr").select(data).reason == "The run of lowest loss at each N."


def test_points_of_a_fit_hold_the_setting_and_not_the_loss():
    data = joined(*(sweep([2e-3 * n**-0.5], [3.0 - n / 10], params=n * 1e8) for n in range(1, 6)))
    found = fit(law("kaplan_lr"), data, Options(bootstraps=0))
    assert [row["observed"] for row in point_rows(found)] == data.column("lr").tolist()


def test_one_rate_of_an_optimum_measured_elsewhere_is_taken():
    data = joined(sweep([2e-3], [3.0]), sweep([1e-3], [2.5], params=4e8))
    chosen = law("step_law_lr").select(data)
    assert chosen.mask.all()
    assert "left out" not in chosen.reason


def test_counts_within_rounding_are_one_sweep_and_a_chain_of_them_is_not():
    close = joined(*(sweep([rate], [loss], tokens=d) for rate, loss, d in
                     [(1e-3, 3.1, 1e10), (2e-3, 3.0, 1.01e10), (4e-3, 3.2, 1.02e10)]))  # fmt: skip
    assert law("step_law_lr").select(close).mask.tolist() == [False, True, False]
    chain = joined(*(sweep([1e-3], [3.0], tokens=d) for d in 1e10 * 1.03 ** np.arange(6)))
    assert law("step_law_lr").select(chain).mask.sum() == 3


def test_no_run_is_no_setting():
    assert law("step_law_lr").select(sweep([], [])).mask.size == 0
