"""CPU seconds of fitting, and whether independent searches find anything lower.

    python benchmarks/fit.py [--table RUNS.csv] [--delta 0.001] [--bootstraps 4000] [--turns 5]
    python benchmarks/fit.py --points 28 240 1000 10000 --bootstraps 0 1000 4000 --checked 0

A table is CSV with columns N, D and loss (rows whose used_in_fit is False are left out); without
one, runs are drawn from each law with one per cent of noise. Each turn times the global search and
the case bootstrap, and then the whole fit with its profile likelihood, in CPU time of this process
(set OMP_NUM_THREADS=1); medians of the turns are printed, with the resamples that a fit can afford
and the most memory that the process has held so far. The first --checked replicates are then
minimised afresh, each by SciPy's L-BFGS-B from --scipy-starts random starts and by our own solver
from --own-starts, and the worst ratio of our objective to the lower of theirs is printed: 1 says
that no replicate is worse off.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize

from pipeline.laws import law
from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Options, fit
from pipeline.laws.large import affordable
from pipeline.laws.objective import Objective
from pipeline.laws.resample import SCOUT_STARTS, replicates, resamples
from pipeline.laws.search import STARTS, search
from pipeline.laws.surface import Minima, minimise, spread

TRUTH = {
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "chinchilla": {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
}  # Kaplan et al. 2020, table 2; Besiroglu et al. 2024, table 1
TOLERANCES = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20_000}


class Problem(NamedTuple):
    """A law with centred log inputs (K, n) and log losses (n,)."""

    law: Law
    x: Floats
    y: Floats
    objective: Objective


class Solved(NamedTuple):
    """A fit's searches with the CPU seconds of each; ``weights`` (R, n) are the resamples."""

    found: Minima
    weights: Floats
    repeated: Minima
    search: float
    bootstrap: float


def drawn(name: str, points: int) -> tuple[Floats, Floats]:
    """Inputs (2, n) and losses of a law at random N and D with one per cent of noise."""
    rng = np.random.default_rng(points)
    counts = np.exp(rng.uniform(np.log([[5e7], [3e8]]), np.log([[1.6e10], [3e11]]), (2, points)))
    values = {key: np.asarray(value) for key, value in TRUTH[name].items()}
    loss = law(name).predict(values, dict(zip(("params", "tokens"), counts)))
    return counts, loss * np.exp(0.01 * rng.standard_normal(points))


def read(path: Path) -> tuple[Floats, Floats]:
    """Inputs (2, n) and losses of a table."""
    rows = pd.read_csv(path)
    if "used_in_fit" in rows:
        rows = rows[rows["used_in_fit"]]
    return rows[["N", "D"]].to_numpy(float).T, rows["loss"].to_numpy(float)


def problem(name: str, inputs: Floats, loss: Floats, delta: float) -> Problem:
    found, x = law(name), np.log(inputs)
    return Problem(found, x - found.centre(x)[:, None], np.log(loss), Objective(delta))


def solved(given: Problem, bootstraps: int) -> Solved:
    """The global search and the bootstrap, as a fit runs them."""
    found_law, x, y, objective = given
    rng = np.random.default_rng(0)
    begun = time.process_time()
    found = search(found_law, x, y, np.ones(len(y)), objective, STARTS, rng)
    searched = time.process_time()
    count = affordable(len(y), bootstraps).resamples
    weights = resamples(x, len(found_law.parameters), count, rng)
    scouts = spread(found_law.start_box(y), SCOUT_STARTS, rng)
    optimum = found.theta[found.best()]
    repeated = replicates(found_law, x, y, weights, optimum, objective, scouts)
    ended = time.process_time()
    return Solved(found, weights, repeated, searched - begun, ended - searched)


def whole(name: str, inputs: Floats, loss: Floats, options: Options) -> float:
    """CPU seconds of everything that a fit does."""
    params, tokens = inputs
    columns = {"params": params, "tokens": tokens, "flops": 6 * params * tokens, "loss": loss}
    runs = Runs(tuple(map(str, range(len(loss)))), columns)
    begun = time.process_time()
    fit(law(name), runs, options)
    return time.process_time() - begun


def by_scipy(given: Problem, weights: Floats, starts: Floats) -> float:
    """The lowest objective that L-BFGS-B reaches with the exact gradient; weights (n,)."""
    found, x, y, objective = given
    # In units of delta squared, for its tolerance of gradients is absolute.
    unit = min(objective.delta, 0.01) ** 2

    def cost(theta: Floats) -> tuple[float, Floats]:
        with np.errstate(all="ignore"):  # its line search tries wild steps
            around = found.expansion(theta, x)
            residual = y - around.value
            slope = -around.gradient @ (weights * objective.slope(residual))
            return float(weights @ objective.cost(residual)) / unit, slope / unit

    ends = (
        optimize.minimize(cost, start, jac=True, method="L-BFGS-B", options=TOLERANCES)
        for start in starts
    )
    return unit * min(end.fun for end in ends)


def by_ourselves(given: Problem, weights: Floats, starts: Floats) -> float:
    """The lowest objective that our solver reaches."""
    shared = np.broadcast_to(weights, (len(starts), len(weights)))
    return float(minimise(*given[:3], shared, starts, given.objective).objective.min())


def worst(given: Problem, ours: Solved, arguments: argparse.Namespace) -> tuple[float, float]:
    """The largest ratio of our objectives to those of SciPy and of many starts each."""
    rng = np.random.default_rng(1)
    low, high = given.law.start_box(given.y)
    pairs = list(zip(ours.weights, ours.repeated.objective))[: arguments.checked]
    theirs, dense = [], []
    for weights, reached in pairs:
        random = rng.uniform(low, high, (arguments.scipy_starts, len(low)))
        theirs.append(reached / by_scipy(given, weights, random))
        random = rng.uniform(low, high, (arguments.own_starts, len(low)))
        dense.append(reached / by_ourselves(given, weights, random))
    return max(theirs), max(dense)


def report(
    name: str, inputs: Floats, loss: Floats, bootstraps: int, arguments: argparse.Namespace
) -> None:
    """One line of the table."""
    given = problem(name, inputs, loss, arguments.delta)
    options = Options(given.objective, bootstraps, bootstrap=Bootstrap.CASES)
    turns, fits = [], []
    for _ in range(arguments.turns):
        turns.append(solved(given, bootstraps))
        fits.append(whole(name, inputs, loss, options))
    ours = turns[0]
    search_s, bootstrap_s, whole_s = (
        statistics.median(seconds)
        for seconds in zip(*((t.search, t.bootstrap, t.search + t.bootstrap) for t in turns))
    )
    line = (
        f"{name:<12}{len(loss):>8}{len(ours.weights):>12}{search_s:>9.3f}"
        f"{bootstrap_s:>11.3f}{whole_s:>9.3f}{statistics.median(fits):>9.3f}"
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:>9.2f}"
        f"{ours.found.objective.min():>17.12f}"
    )
    if arguments.checked and bootstraps:
        line += "{:>18.9f}{:>18.9f}".format(*worst(given, ours, arguments))
    print(line, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--laws", nargs="+", choices=list(TRUTH), default=list(TRUTH))
    parser.add_argument("--delta", type=float, default=1e-3)
    parser.add_argument("--points", type=int, nargs="+", default=[28, 240, 1000])
    parser.add_argument("--bootstraps", type=int, nargs="+", default=[4000])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--checked", type=int, default=40)
    parser.add_argument("--scipy-starts", type=int, default=100)
    parser.add_argument("--own-starts", type=int, default=256)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    print(f"{STARTS} starts, delta {arguments.delta:g}, CPU seconds (medians)")
    print(f"{'law':<12}{'runs':>8}{'replicates':>12}{'search':>9}{'bootstrap':>11}{'both':>9}{'fit':>9}{'GB':>9}"
          f"{'objective':>17}{'ours / scipy':>18}{'ours / many':>18}")  # fmt: skip
    for name in arguments.laws:
        if arguments.table:
            tables = [read(arguments.table)]
        else:
            tables = [drawn(name, points) for points in arguments.points]
        for inputs, loss in tables:
            for bootstraps in arguments.bootstraps:
                report(name, inputs, loss, bootstraps, arguments)


if __name__ == "__main__":
    main()
