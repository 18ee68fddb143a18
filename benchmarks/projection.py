"""Chinchilla's form by variable projection: does an independent solver reach the same optimum?

    python benchmarks/projection.py [--table RUNS.csv] [--delta 0.001] [--starts 9]

E + A N^-alpha + B D^-beta is linear in E, A and B. For fixed exponents these follow from
non-negative least squares, repeated because the objective is Huber's of log residuals and not the
squares of plain ones; what is left is a search over (alpha, beta) alone (Golub and Pereyra 1973,
SIAM J. Numer. Anal. 10:413). It shares no code with the solver of fits: SciPy's NNLS inside and
L-BFGS-B outside. Printed are the optima of both, the CPU seconds of each (set OMP_NUM_THREADS=1),
and the condition numbers of the Hessians that they face.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from pipeline.laws import law
from pipeline.laws.objective import Objective
from pipeline.laws.search import STARTS, search

Floats = NDArray[np.float64]

TRUTH = {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658}
BOX = (0.02, 1.2)  # of both exponents
SWEEPS = 2000  # of reweighting, at most
SETTLED = 1e-15  # relative decrease of the objective that ends them
HALVINGS = 30
SAME = 1e-6  # relative: objectives of one minimum


class Projected(NamedTuple):
    """E, A, B (3,) of fixed exponents for centred inputs, the objective, its slope (2,)."""

    linear: Floats
    objective: float
    slope: Floats


def huber(residual: Floats, delta: float) -> float:
    """The sum of Huber's loss, quadratic within delta."""
    size = np.abs(residual)
    inside = np.minimum(size, delta)
    return float((inside * (size - inside / 2)).sum())


def projected(exponents: Floats, x: Floats, loss: Floats, delta: float) -> Projected:
    """The best E, A, B >= 0 for (alpha, beta), centred log inputs x (2, n) and losses (n,).

    A step solves the least-squares problem of residuals linear in E, A, B with Huber's weights,
    min(1, delta / |r|); a half, a quarter, ... of it is taken where all of it does not help.
    """
    columns = np.stack([np.ones_like(loss), *np.exp(-exponents[:, None] * x)], axis=1)
    linear = optimize.nnls(columns / loss[:, None], np.ones_like(loss))[0]
    fitted = columns @ linear
    residual = np.log(loss / fitted)
    lowest = huber(residual, delta)
    for _ in range(SWEEPS):
        root = np.sqrt(delta / np.maximum(np.abs(residual), delta))
        # Relative to the fit, columns times (E, A, B) are 1: the step's target is 1 + r.
        target = optimize.nnls(columns * (root / fitted)[:, None], root * (1 + residual))[0]
        for halving in range(HALVINGS):
            trial = linear + 0.5**halving * (target - linear)
            trial_fitted = columns @ trial
            trial_residual = np.log(loss / trial_fitted)
            reached = huber(trial_residual, delta)
            if reached < lowest:
                break
        else:
            break
        gain = lowest - reached
        linear, fitted, residual, lowest = trial, trial_fitted, trial_residual, reached
        if gain <= SETTLED * lowest:
            break
    # At the best E, A, B the objective does not change with them to first order, so that its slope
    # along the exponents is the partial one.
    pull = np.clip(residual, -delta, delta)
    slope = (pull / fitted * x * columns[:, 1:].T * linear[1:, None]).sum(1)
    return Projected(linear, lowest, slope)


def solved(x: Floats, loss: Floats, delta: float, start: Floats) -> tuple[Floats, Projected]:
    """The exponents (2,) where a search from ``start`` ends, and what belongs to them."""
    unit = min(delta, 0.01) ** 2  # for tolerances of gradients are absolute

    def cost(exponents: Floats) -> tuple[float, Floats]:
        found = projected(exponents, x, loss, delta)
        return found.objective / unit, found.slope / unit

    end = optimize.minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=[BOX, BOX],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
    )  # fmt: skip
    return end.x, projected(end.x, x, loss, delta)


def spread(count: int) -> Floats:
    """Starts (k^2, 2), at least ``count``, on a grid of exponents."""
    side = np.geomspace(0.1, 0.8, int(np.ceil(count**0.5)))
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def condition(matrix: Floats) -> tuple[float, float]:
    """The condition number of a symmetric matrix, as it is and scaled to a diagonal of one."""
    root = np.sqrt(np.abs(np.diag(matrix)))
    return float(np.linalg.cond(matrix)), float(np.linalg.cond(matrix / np.outer(root, root)))


def conditions(theta: Floats, x: Floats, centre: Floats, y: Floats, delta: float) -> None:
    """Print the conditions of the Hessian at an optimum theta (5,), and of its projection."""
    form, weights = law("chinchilla"), np.ones((1, len(y)))

    def hessian(at: Floats, inputs: Floats) -> Floats:
        here = form.prepared(inputs).local(at[None])
        _, slope, bend, above = Objective(delta).parts(y - here.value, weights)
        return here.normal(slope, bend, above).hessian[0]

    whole = hessian(theta, x)
    plain = hessian(form.shifted(theta, centre), x + centre[:, None])
    outer, inner = [2, 4], [0, 1, 3]  # exponents; logs of E, A and B
    inside, mixed = whole[np.ix_(inner, inner)], whole[np.ix_(outer, inner)]
    left = whole[np.ix_(outer, outer)] - mixed @ np.linalg.solve(inside, mixed.T)
    for name, matrix in (
        ("Newton's, centred logs", whole), ("Newton's, logs not centred", plain),
        ("projection's, alpha and beta", left), ("projection's, E, A and B", inside),
    ):  # fmt: skip
        raw, scaled = condition(matrix)
        print(f"  condition of {name:<30}{raw:>11.3g}, scaled {scaled:>9.3g}")


def table(path: Path | None) -> tuple[Floats, Floats]:
    """Log inputs (2, n) and losses: those of a CSV file, or drawn with one per cent of noise."""
    if path:
        rows = pd.read_csv(path)
        if "used_in_fit" in rows:
            rows = rows[rows["used_in_fit"]]
        return np.log(rows[["N", "D"]].to_numpy(float).T), rows["loss"].to_numpy(float)
    rng = np.random.default_rng(0)
    x = rng.uniform(np.log([[5e7], [3e8]]), np.log([[1.6e10], [3e11]]), (2, 240))
    values = {key: np.asarray(value) for key, value in TRUTH.items()}
    clean = law("chinchilla").predict(values, dict(zip(("params", "tokens"), np.exp(x))))
    return x, clean * np.exp(0.01 * rng.standard_normal(240))


def by_newton(
    x: Floats, y: Floats, centre: Floats, delta: float
) -> tuple[Floats, dict[str, Floats]]:
    """The solver of fits: theta (5,) for centred inputs, and the parameters by name."""
    form, begun = law("chinchilla"), time.process_time()
    found = search(form, x, y, np.ones(len(y)), Objective(delta), STARTS, np.random.default_rng(0))
    spent = time.process_time() - begun
    theta, lowest = found.theta[found.best()], found.objective.min()
    hits = (found.objective < lowest * (1 + SAME)).sum()
    print(f"Newton:     objective {lowest:.15f}, {spent:.3f} CPU s for all starts, "
          f"{hits} of {STARTS} at the best")  # fmt: skip
    return theta, form.values(form.shifted(theta, centre))


def by_projection(x: Floats, loss: Floats, centre: Floats, delta: float, count: int) -> list[float]:
    """Variable projection: E, A, alpha, B, beta."""
    starts, begun = spread(count), time.process_time()
    ends = [solved(x, loss, delta, start) for start in starts]
    spent = time.process_time() - begun
    (alpha, beta), best = min(ends, key=lambda end: end[1].objective)
    hits = sum(end[1].objective < best.objective * (1 + SAME) for end in ends)
    print(f"projection: objective {best.objective:.15f}, {spent:.3f} CPU s for all starts, "
          f"{hits} of {len(starts)} at the best")  # fmt: skip
    e, a, b = best.linear
    return [e, a * np.exp(alpha * centre[0]), alpha, b * np.exp(beta * centre[1]), beta]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--delta", type=float, default=1e-3)
    parser.add_argument("--starts", type=int, default=9)
    given = parser.parse_args()
    log_inputs, loss = table(given.table)
    centre, y = log_inputs.mean(1), np.log(loss)
    x = log_inputs - centre[:, None]
    print(f"{len(y)} runs, delta {given.delta:g}")
    theta, ours = by_newton(x, y, centre, given.delta)
    theirs = by_projection(x, loss, centre, given.delta, given.starts)
    for (name, one), other in zip(ours.items(), theirs):
        print(f"  {name:<6}{float(one):>16.9g}{other:>16.9g}  ratio - 1: {other / one - 1:.1e}")
    conditions(theta, x, centre, y, given.delta)


if __name__ == "__main__":
    main()
