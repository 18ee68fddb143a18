"""Every law of the registry keeps the protocol: names, derivatives, inverses."""

import subprocess
import sys

import numpy as np
import pytest
from law_data import ROOT, TRUTH, arrays, drawn

from pipeline.laws import LAWS, SURFACES, law
from pipeline.laws.base import Kind, Law, Status, SurfaceLaw
from pipeline.laws.surface import spread
from pipeline.laws.table import END, START, markdown

every_law = pytest.mark.parametrize("name", LAWS)


@pytest.fixture(params=LAWS)
def case(request):
    """A law, scattered centred thetas (6, P), log inputs (K, 9)."""
    found = law(request.param)
    rng = np.random.default_rng(3)
    theta = spread(found.start_box(np.log(np.linspace(2.0, 4.0, 9))), 6, rng)
    # Losses of one table lie within a factor of two or so, counts within many.
    reach = [0.4 if column == "loss" else 3.0 for column in found.inputs]
    x = rng.uniform(-1, 1, (len(reach), 9)) * np.array(reach)[:, None]
    assert np.isfinite(found.log_target(theta, x)).mean() > 0.9
    return found, theta, x


def test_truth_names_every_law_and_parameter():
    assert {name: set(values) for name, values in TRUTH.items()} == {
        name: {p.name for p in law(name).parameters} for name in LAWS
    }


@every_law
def test_the_registry_knows_how_many_parameters_a_law_has(name):
    assert LAWS[name].parameters == len(law(name).parameters)


@every_law
def test_law_is_described(name):
    found = law(name)
    assert isinstance(found, Law)
    assert found.name == name
    assert found.title
    assert "arXiv" in found.citation
    assert found.use
    assert found.failure
    for parameter in found.parameters:
        assert parameter.symbol in found.formula
        assert parameter.meaning
        assert parameter.unit
        assert parameter.kind in Kind


def test_unknown_law_is_refused_with_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'chinchilla'"):
        law("chinchila")


def test_names_are_read_without_numpy():
    code = (
        "import sys, pipeline.laws; print(len(pipeline.laws.LAWS), "
        "[m for m in ('numpy', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == f"{len(LAWS)} []"


def test_every_status_has_a_sentence_and_a_rank():
    assert [s.severity for s in Status] == list(range(len(Status)))
    assert all(s.sentence.endswith(".") for s in Status)
    assert Status.CONVERGED.severity == 0


def test_gradient_is_exact(case):
    found, theta, x = case
    exact = found.expansion(theta, x).gradient
    h = 1e-6
    for p in range(theta.shape[1]):
        step = h * np.eye(theta.shape[1])[p]
        slope = (found.log_target(theta + step, x) - found.log_target(theta - step, x)) / (2 * h)
        np.testing.assert_allclose(exact[:, p], slope, rtol=1e-7, atol=1e-8)


def test_curvature_is_exact(case):
    found, theta, x = case
    weights = np.random.default_rng(4).standard_normal((len(theta), x.shape[1]))
    exact = found.expansion(theta, x).curvature(weights)
    h = 1e-5
    for p in range(theta.shape[1]):
        step = h * np.eye(theta.shape[1])[p]
        above = found.expansion(theta + step, x).gradient
        below = found.expansion(theta - step, x).gradient
        column = ((above - below) / (2 * h) * weights[:, None, :]).sum(-1)
        np.testing.assert_allclose(exact[:, :, p], column, rtol=1e-6, atol=1e-7)


def test_value_of_the_expansion_is_that_of_the_law(case):
    found, theta, x = case
    np.testing.assert_allclose(
        found.expansion(theta, x).value, found.log_target(theta, x), rtol=1e-13
    )


def test_values_and_theta_are_inverse(case):
    found, theta, _ = case
    np.testing.assert_allclose(found.theta(found.values(theta)), theta, rtol=1e-9, atol=1e-12)


def test_shifted_moves_the_centre(case):
    found, theta, x = case
    centre = found.centre(x + np.arange(1.0, len(x) + 1)[:, None])
    moved = found.log_target(found.shifted(theta, centre), x + centre[:, None])
    np.testing.assert_allclose(moved, found.log_target(theta, x), rtol=1e-11, atol=1e-12)


@every_law
def test_law_selects_runs_of_its_own_design(name):
    runs = drawn(name, 0.0, 0)
    assert law(name).select(runs).mask.all()


@pytest.mark.parametrize("name", [n for n in LAWS if isinstance(law(n), SurfaceLaw)])
@pytest.mark.parametrize("flops", [1e18, 1e21, 1e24])
def test_optimum_is_the_brute_force_minimum(name, flops):
    found, values = law(name), arrays(TRUTH[name])
    best = found.optimum(values, np.array(flops))
    middle = np.sqrt(flops / 6)
    params = np.geomspace(middle / 300, middle * 300, 400_001)
    loss = found.predict(values, {"params": params, "tokens": flops / (6 * params)})
    at = loss.argmin()
    assert float(best.loss) == pytest.approx(loss[at], rel=1e-9)
    assert float(best.params) == pytest.approx(params[at], rel=1e-3)
    assert 6 * float(best.params * best.tokens) == pytest.approx(flops, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in LAWS if isinstance(law(n), SurfaceLaw)])
def test_allocation_is_the_slope_of_the_optimum(name):
    found, values = law(name), arrays(TRUTH[name])
    params = found.optimum(values, 1e21 * np.exp([-0.1, 0.1])).params
    slope = np.log(params[1] / params[0]) / 0.2
    # Where the slope changes with the budget, this difference misses the square of its width.
    assert float(found.allocation(values, np.array(1e21))) == pytest.approx(slope, rel=1e-4)


def test_optimum_without_a_positive_exponent_is_not_a_number():
    values = arrays(TRUTH["chinchilla"] | {"alpha": -0.1})
    with np.errstate(invalid="raise"):
        assert np.isnan(law("chinchilla").optimum(values, np.array(1e20)).params)


def test_documentation_of_the_laws_is_generated():
    text = (ROOT / "docs" / "laws.md").read_text(encoding="utf-8")
    written = text[text.index(START) + len(START) : text.index(END)]
    assert written.strip() == markdown().strip(), "run python -m pipeline.laws.table docs/laws.md"


def test_surfaces_are_the_laws_with_an_optimum():
    assert set(SURFACES) == {name for name in LAWS if isinstance(law(name), SurfaceLaw)}
