"""CPU seconds of fitting: the global search, the bootstrap, and both as the runs grow.

    python benchmarks/fit.py [--turns 5] [--bootstraps 1000] [--points 28 120 240 1000]

Runs are drawn from each law with one per cent of noise. Each turn times every case once, in CPU
time of this process (set OMP_NUM_THREADS=1); the median of the turns is printed. Beside it stands
scipy's L-BFGS-B with the same exact gradient, from as many starts as fit in the time given with
--scipy-seconds, as CPU seconds for one start and as objective reached.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy import optimize

from pipeline.laws import law
from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective
from pipeline.laws.resample import SCOUT_STARTS, replicates, resamples
from pipeline.laws.search import STARTS
from pipeline.laws.surface import Minima, minimise, spread

TRUTH = {
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "chinchilla": {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
}  # Kaplan et al. 2020, table 2; Besiroglu et al. 2024, table 1
OBJECTIVE = Objective(0.01)


def drawn(name: str, points: int) -> Runs:
    """Runs of a law at random N and D with one per cent of noise."""
    rng = np.random.default_rng(points)
    n, d = np.exp(rng.uniform(np.log([[5e7], [3e8]]), np.log([[1.6e10], [3e11]]), (2, points)))
    values = {key: np.asarray(value) for key, value in TRUTH[name].items()}
    loss = law(name).predict(values, {"params": n, "tokens": d})
    noisy = loss * np.exp(0.01 * rng.standard_normal(points))
    columns = {"params": n, "tokens": d, "flops": 6 * n * d, "loss": noisy}
    return Runs(tuple(map(str, range(points))), columns)


def seconds(action: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def searched(found: Law, x: Floats, y: Floats) -> Minima:
    """The global search of a fit."""
    starts = spread(found.start_box(y), STARTS, np.random.default_rng(0))
    return minimise(found, x, y, np.ones((STARTS, len(y))), starts, OBJECTIVE)


def scipy_reached(found: Law, x: Floats, y: Floats, limit: float) -> tuple[float, float]:
    """CPU seconds per start of L-BFGS-B, and the lowest objective within ``limit`` seconds."""

    def cost(theta: Floats) -> tuple[float, Floats]:
        with np.errstate(all="ignore"):  # its line search tries wild steps
            around = found.expansion(theta, x)
            residual = y - around.value
            slope = -around.gradient @ OBJECTIVE.slope(residual)
        return OBJECTIVE.cost(residual).sum(), slope

    best, used, count = np.inf, 0.0, 0
    for start in spread(found.start_box(y), 10_000, np.random.default_rng(0)):
        begun = time.process_time()
        best = min(best, optimize.minimize(cost, start, jac=True, method="L-BFGS-B").fun)
        used, count = used + time.process_time() - begun, count + 1
        if used >= limit:
            break
    return used / count, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--points", type=int, nargs="+", default=[28, 120, 240, 1000])
    parser.add_argument("--scipy-seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    print(f"{STARTS} starts, {arguments.bootstraps} replicates, CPU seconds")
    print(f"{'law':<11}{'runs':>6}{'search':>9}{'bootstrap':>11}{'whole fit':>11}"
          f"{'scipy/start':>13}{'scipy objective / ours':>24}")  # fmt: skip
    for name in TRUTH:
        for points in arguments.points:
            found, runs = law(name), drawn(name, points)
            x, y = found.log_inputs(runs), np.log(runs.loss)
            x = x - x.mean(1, keepdims=True)
            ended = searched(found, x, y)
            theta = ended.theta[ended.best()]
            rng = np.random.default_rng(1)
            weights = resamples(x, len(theta), arguments.bootstraps, rng)
            scouts = spread(found.start_box(y), SCOUT_STARTS, rng)
            options = Options(bootstraps=arguments.bootstraps)
            cases: tuple[Callable[[], object], ...] = (
                lambda: searched(found, x, y),  # noqa: B023
                lambda: replicates(found, x, y, weights, theta, OBJECTIVE, scouts),  # noqa: B023
                lambda: fit(found, runs, options),  # noqa: B023
            )
            turns = [[seconds(case) for case in cases] for _ in range(arguments.turns)]
            search, boot, whole = (statistics.median(column) for column in zip(*turns))
            each, reached = scipy_reached(found, x, y, arguments.scipy_seconds)
            print(f"{name:<11}{points:>6}{search:>9.3f}{boot:>11.3f}{whole:>11.3f}"
                  f"{each:>13.4f}{reached / ended.objective.min():>24.8f}")  # fmt: skip


if __name__ == "__main__":
    main()
