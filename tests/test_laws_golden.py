"""Numbers of the papers, from their own constants."""

import numpy as np
import pytest
from law_data import arrays, published, runs, toy

from pipeline.laws import law
from pipeline.laws.objective import Objective
from pipeline.laws.surface import minimise, spread


@pytest.mark.parametrize(
    ("name", "values", "column", "at", "loss"),
    [  # Kaplan et al. 2020, table 5, read off eq. 1.1 and 1.2
        ("power_params", {"Nc": 8.8e13, "alpha_N": 0.076}, "params", 1e6, 4.016),
        ("power_params", {"Nc": 8.8e13, "alpha_N": 0.076}, "params", 1e8, 2.830),
        ("power_params", {"Nc": 8.8e13, "alpha_N": 0.076}, "params", 1.5e9, 2.304),
        ("power_tokens", {"Dc": 5.4e13, "alpha_D": 0.095}, "tokens", 22e6, 4.046),
        ("power_tokens", {"Dc": 5.4e13, "alpha_D": 0.095}, "tokens", 1e9, 2.816),
        ("power_tokens", {"Dc": 5.4e13, "alpha_D": 0.095}, "tokens", 22e9, 2.099),
    ],
)
def test_loss_of_one_variable(name, values, column, at, loss):
    assert law(name).predict(arrays(values), {column: np.array([at])})[0] == pytest.approx(
        loss, abs=5e-4
    )


def test_kaplan_surface_tends_to_its_two_limits():
    values = arrays({"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103})

    def loss(params, tokens):
        inputs = {"params": np.array([params]), "tokens": np.array([tokens])}
        return law("kaplan").predict(values, inputs)[0]

    assert loss(1e8, 1e40) == pytest.approx((6.4e13 / 1e8) ** 0.076, rel=1e-12)
    assert loss(1e60, 1e9) == pytest.approx((1.8e13 / 1e9) ** 0.103, rel=1e-12)
    written_out = ((6.4e13 / 1e8) ** (0.076 / 0.103) + 1.8e13 / 1e9) ** 0.103  # eq. 1.5
    assert loss(1e8, 1e9) == pytest.approx(written_out, rel=1e-13)


def test_chinchilla_of_gopher_budget():
    """Hoffmann et al. 2022, table A3, approach 3: 5.76e23 FLOP buy 40B parameters, 2.4T tokens."""
    published_fit = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    best = law("chinchilla").optimum(arrays(published_fit), np.array(5.76e23))
    # The constants are printed to two digits, which leaves the optimum about 20 % of freedom.
    assert float(best.params) == pytest.approx(40e9, rel=0.25)
    assert float(best.tokens) == pytest.approx(2.4e12, rel=0.25)


def minimum(name, data, delta):
    """Best theta of 256 starts, as values, and its objective."""
    found = law(name)
    x, y = np.log(np.stack([data.params, data.tokens])), np.log(data.loss)
    centre = x.mean(1)
    starts = spread(found.start_box(y), 256, np.random.default_rng(0))
    weights = np.ones((len(starts), len(y)))
    ended = minimise(found, x - centre[:, None], y, weights, starts, Objective(delta))
    best = ended.best()
    assert ended.converged[best]
    return found.values(found.shifted(ended.theta[best], centre)), ended.objective[best]


CHINCHILLA = ("A", "B", "E", "alpha", "beta")
BESIROGLU, GADRE = "besiroglu_chinchilla.csv", "gadre_overtraining.csv"
# Best of 4,500 starts of an independent solver, to the digits it printed.
KNOWN = [
    (BESIROGLU, {"used_in_fit": "True"}, "loss", 1e-3,
     (477.82587, 2143.4174, 1.8172181, 0.3473105, 0.3671724), 0.0010182740178),
    (BESIROGLU, {"used_in_fit": "True"}, "loss", 1e-2,
     (538.75188, 2905.5999, 1.8380786, 0.3544155, 0.3815375), 0.0046962248826),
    (BESIROGLU, {"used_in_fit": "True"}, "loss", 1e3,
     (593.32210, 4875.6378, 1.8645501, 0.3602528, 0.4058834), None),
    (BESIROGLU, {}, "loss", 1e-3,
     (495.726, 12845.613, 1.8913385, 0.3493129, 0.4530493), 0.0018260105231),
    (GADRE, {"train_dataset": "c4_original"}, "loss_c4_val", 1e-3,
     (122.5531, 242.6089, 1.6200235, 0.2525741, 0.2622292), 0.0005299541),
    (GADRE, {"train_dataset": "rpj"}, "loss_c4_val", 1e-3,
     (106.0910, 297.9755, 1.7202448, 0.2430845, 0.2730054), 0.0004265108),
    (GADRE, {"train_dataset": "rw_original"}, "loss_c4_val", 1e-3,
     (76.7742, 384.1605, 1.7013396, 0.2225871, 0.2897729), 0.0004757255),
]  # fmt: skip


@pytest.mark.parametrize(("file", "keep", "loss", "delta", "values", "objective"), KNOWN)
def test_published_table_gives_the_known_fit(file, keep, loss, delta, values, objective):
    got, reached = minimum("chinchilla", published(file, keep, loss), delta)
    for name, value in zip(CHINCHILLA, values):
        digits = 10.0 ** -(len(repr(value).replace(".", "").lstrip("0")) - 1)
        assert float(got[name]) == pytest.approx(value, rel=digits), name
    if objective is not None:
        assert reached <= objective * (1 + 1e-7)
        assert reached == pytest.approx(objective, rel=1e-7)


@pytest.mark.parametrize(
    ("dropped", "beta"), [(0, 0.453), (2, 0.403), (5, 0.367), (10, 0.358), (20, 0.327)]
)
def test_highest_losses_move_the_exponent_of_tokens(dropped, beta):
    """Of all 245 published points; found by an independent solver."""
    data = published(BESIROGLU, {})
    kept = np.argsort(data.loss)[: len(data.loss) - dropped]
    part = type(data)(data.params[kept], data.tokens[kept], data.loss[kept])
    got, _ = minimum("chinchilla", part, 1e-3)
    assert float(got["beta"]) == pytest.approx(beta, abs=5e-4)


def test_small_delta_gives_the_published_least_absolute_fit():
    """Besiroglu et al. 2024 (arXiv:2404.10102), whose fitted scale makes delta about zero."""
    got, _ = minimum("chinchilla", published(BESIROGLU, {"used_in_fit": "True"}), 1e-7)
    want = {"A": (482.00, 0.01), "B": (2085.39, 0.01), "E": (1.8169, 1e-4),
            "alpha": (0.347812, 1e-6), "beta": (0.365853, 1e-6)}  # fmt: skip
    for name, (value, digit) in want.items():
        assert float(got[name]) == pytest.approx(value, abs=digit), name


def test_published_small_runs_predict_the_large_ones():
    data = published(BESIROGLU, {"used_in_fit": "True"})
    small = 6 * data.params * data.tokens < 1e20
    part = type(data)(data.params[small], data.tokens[small], data.loss[small])
    values, _ = minimum("chinchilla", part, 1e-3)
    large = {"params": data.params[~small], "tokens": data.tokens[~small]}
    error = np.abs(law("chinchilla").predict(values, large) / data.loss[~small] - 1)
    assert 100 * error.mean() == pytest.approx(0.89, abs=0.005)


def test_huber_is_quadratic_then_linear():
    got = Objective(1.0).cost(np.array([-0.5, 0.0, 1.0, 3.0]))
    np.testing.assert_allclose(got, [0.125, 0.0, 0.5, 2.5])


def test_largest_token_count_is_selected_up_to_rounding_to_steps():
    data = runs([1e5, 2e5, 3e5], [1e6, 1.01e6, 5e5], [4.0, 3.9, 3.8])
    assert law("power_params").select(data).mask.tolist() == [True, True, False]
    assert law("power_tokens").select(data).mask.tolist() == [False, False, True]


def test_frontier_is_the_lowest_loss_of_each_budget():
    data = runs([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5, [4.0, 4.1, 3.5, 3.5, 3.0])
    selection = law("power_compute").select(data)
    assert selection.mask.tolist() == [True, False, True, False, True]
    assert "frontier" in selection.reason


def test_frontier_of_the_measured_runs_falls():
    data = toy()
    chosen = data.take(law("power_compute").select(data).mask)
    order = np.argsort(chosen.flops)
    assert (np.diff(chosen.loss[order]) < 0).all()
    for cell, flops, loss in zip(chosen.cell, chosen.flops, chosen.loss):
        assert not ((data.flops <= flops) & (data.loss < loss)).any(), cell


def test_runs_of_one_budget_are_not_efficient_by_rounding():
    """Compute of an isoFLOP budget differs by rounding; only its best run is efficient."""
    data = runs([1e8, 1e9, 1e10, 1e9], [1.0, 0.1001, 0.01002, 1.0], [2.9, 2.6, 2.7, 2.2])
    assert law("power_compute").select(data).mask.tolist() == [False, True, False, True]
