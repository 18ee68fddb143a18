"""Gadre's law: it is Chinchilla's with one exponent, and his constants come out of his runs."""

import csv

import numpy as np
import pytest
from law_data import DATA, arrays
from scipy import optimize

from pipeline.laws import law

GADRE = DATA / "gadre_overtraining.csv"
LAW = law("overtraining")
# Each corpus with the published E, a, b and eta.
PUBLISHED = [
    ("c4_original", (1.51, 141, 190, 0.121)),
    ("rpj", (1.84, 212, 367, 0.136)),
    ("rw_original", (1.73, 157, 246, 0.127)),
]


def test_law_is_that_of_chinchilla_with_one_exponent():
    e, a, b, eta = 1.51, 141.0, 190.0, 0.121
    n, d = np.array([1e7, 1e9, 7e9]), np.array([1e9, 3e10, 1e12])
    inputs = {"params": n, "tokens": d}
    got = LAW.predict(arrays({"E": e, "a": a, "b": b, "eta": eta}), inputs)
    m, c = d / n, 6 * n * d  # the formula as it is printed
    np.testing.assert_allclose(got, e + (a * m**eta + b * m**-eta) * c**-eta, rtol=1e-13)
    six = 6.0**-eta
    same = {"E": e, "A": a * six, "alpha": 2 * eta, "B": b * six, "beta": 2 * eta}
    np.testing.assert_allclose(got, law("chinchilla").predict(arrays(same), inputs), rtol=1e-13)


def small_runs(corpus):
    """N, D and loss of the five runs behind the published fit.

    Four sizes at 20 tokens per parameter, and the smallest one at 320.
    """
    if not GADRE.is_file():
        pytest.skip(f"{GADRE} is absent: set ISOLOSS_PUBLISHED_DATA to the published tables")
    with GADRE.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["train_dataset"] == corpus]
    sizes = sorted({float(row["N"]) for row in rows})[:4]
    wanted = {(n, 1.0) for n in sizes} | {(sizes[0], 16.0)}
    kept = [r for r in rows if (float(r["N"]), float(r["chinchilla_multiplier"])) in wanted]
    return np.array([[float(r[c]) for c in ("N", "D", "loss_c4_val")] for r in kept]).T


@pytest.mark.parametrize(("corpus", "published"), PUBLISHED)
def test_published_constants(corpus, published):
    """Least squares of the loss itself, on five runs and their C4 loss."""
    params, tokens, loss = small_runs(corpus)
    assert len(loss) == 5
    inputs = {"params": params, "tokens": tokens}

    def values(t):
        return arrays({"E": t[0], "a": np.exp(t[1]), "b": np.exp(t[2]), "eta": t[3]})

    found = optimize.least_squares(
        lambda t: LAW.predict(values(t), inputs) - loss, [1.5, 5.0, 5.5, 0.12],
        xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000,
    )  # fmt: skip
    got = [float(value) for value in values(found.x).values()]
    for value, want, digit in zip(got, published, (0.01, 1.0, 1.0, 0.001)):
        assert value == pytest.approx(want, abs=0.5001 * digit)
