"""How often intervals hold the truth: simulated tables of known laws, each fitted as a study is.

    python benchmarks/coverage.py [--tables 200] [--bootstraps 300] [--laws kaplan chinchilla]
        [--designs 28 60] [--noises normal size]

Every table is drawn from a law's truth on a design, sizes times token counts, with one per cent of
noise: normal; of heavy tails (Student's t of three degrees of freedom, scaled to one per cent); or
``size``, of which 0.8 per cent is common to all runs of a size. For each nominal 90 % interval the
share of tables where it holds the truth is printed: for the parameters the intervals of the default
bootstrap, of cases, of sizes drawn whole and of the profile likelihood; the law's own loss, by the
default, amid the runs and 30 times beyond the largest compute; and one more run there.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipeline.laws import law
from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Fit, Options, fit
from pipeline.laws.prediction import predicted

TRUTH = {
    "power_params": {"Nc": 8.8e13, "alpha_N": 0.076},
    "power_floor_params": {"E": 1.8, "Nc": 4.0e7, "alpha_N": 0.35},
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "chinchilla": {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
}  # Kaplan et al. 2020, eq. 1.1 and table 2; Besiroglu et al. 2024, table 1
GRIDS = {7: (7, 1), 28: (7, 4), 60: (10, 6), 240: (24, 10)}  # sizes, token counts
LEVEL = 0.9
FURTHER = 30**0.5  # in N and in D
NOISES = ("normal", "tails", "size")


def grid(found: Law, points: int) -> dict[str, Floats]:
    """Columns of a design; a law of one input takes all its points at one token count."""
    sizes, counts = (points, 1) if len(found.inputs) == 1 else GRIDS[points]
    tokens = np.geomspace(3e8, 3e11, counts) if counts > 1 else np.array([1e11])
    n, d = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e10, sizes), tokens))
    return {"params": n, "tokens": d, "flops": 6 * n * d}


def errors(kind: str, params: Floats, rng: np.random.Generator) -> Floats:
    """Errors of the log loss (n,), of a standard deviation of one per cent."""
    n = len(params)
    if kind == "tails":
        return 0.01 * rng.standard_t(3, n) / np.sqrt(3)
    if kind == "size":
        sizes, of = np.unique(params, return_inverse=True)
        shared = rng.standard_normal(len(sizes))[of]
        return 0.008 * shared + 0.006 * rng.standard_normal(n)
    return 0.01 * rng.standard_normal(n)


def held(
    found: Fit, truth: dict[str, Floats], noise: str, rng: np.random.Generator
) -> Iterator[tuple[str, str, bool]]:
    """(kind of interval, quantity, whether it holds the truth) of one fit of the default kind."""
    for name, value in truth.items():
        ends, profile = found.intervals[name], found.profiles[name]
        if ends:
            yield "default", name, bool(ends[0] <= value <= ends[1])
        if profile:
            low, high = profile
            inside = (low is None or low <= value) and (high is None or value <= high)
            yield "profile", name, bool(inside)
    middle = np.exp(np.log(found.runs.params).mean()), np.exp(np.log(found.runs.tokens).mean())
    largest = found.runs.params.max() * FURTHER, found.runs.tokens.max() * FURTHER
    residuals = np.log(found.runs.loss) - np.log(found.predicted)
    for where, (n, d) in {"within": middle, "beyond": largest}.items():
        inputs = {"params": np.array([n]), "tokens": np.array([d])}
        true = found.law.predict(truth, inputs)[0]
        one = predicted(found.law, found.values, found.replicates, residuals, inputs, LEVEL,
                        factor=found.widening)  # fmt: skip
        low, high = one.parameters
        yield "default", f"law {where}", bool(low[0] <= true <= high[0])
        again = true * np.exp(errors(noise, np.array([n]), rng)[0])
        yield "default", f"run {where}", bool(one.low[0] <= again <= one.high[0])


def tabulated(
    name: str, points: int, noise: str, tables: int, bootstraps: int
) -> dict[tuple[str, str], list[bool]]:
    """(kind of interval, quantity) -> whether it held the truth, for each table."""
    known, hits = law(name), defaultdict(list)
    truth = {key: np.asarray(value) for key, value in TRUTH[name].items()}
    columns = grid(known, points)
    clean = known.predict(truth, columns)
    others = (Bootstrap.CASES, Bootstrap.SIZE) if len(known.inputs) > 1 else ()
    for table in range(tables):
        rng = np.random.default_rng(table)
        noisy = clean * np.exp(errors(noise, columns["params"], rng))
        runs = Runs(tuple(map(str, range(points))), {**columns, "loss": noisy})
        options = Options(bootstraps=bootstraps, level=LEVEL, starts=16, seed=table)
        found = fit(known, runs, options)
        hits["chose", "size"].append(found.clusters.kind is Bootstrap.SIZE)
        for kind, quantity, inside in held(found, truth, noise, rng):
            hits[kind, quantity].append(inside)
        for kind in others:
            again = found  # the default drew these very resamples, or others are drawn
            if found.clusters.kind is not kind:
                again = fit(known, runs, replace(options, bootstrap=kind, profile=False))
            for key, value in truth.items():
                if ends := again.intervals[key]:
                    hits[kind.value, key].append(bool(ends[0] <= value <= ends[1]))
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--bootstraps", type=int, default=300)
    parser.add_argument("--laws", nargs="+", choices=TRUTH, default=list(TRUTH))
    parser.add_argument("--designs", nargs="+", type=int, choices=GRIDS, default=[28, 60])
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=["normal"])
    given = parser.parse_args()
    for name in given.laws:
        for points in given.designs:
            for noise in given.noises:
                start = time.process_time()
                hits = tabulated(name, points, noise, given.tables, given.bootstraps)
                spent = time.process_time() - start
                print(f"{name}, {points} runs, {noise} noise ({spent:.0f} CPU s)", flush=True)
                for kind in ("default", "cases", "size", "profile", "chose"):
                    shares = {q: np.mean(inside) for (k, q), inside in hits.items() if k == kind}
                    if shares:
                        print(f"  {kind:8}", "  ".join(f"{q} {s:.2f}" for q, s in shares.items()))
    print(f"standard error of a share of 0.9: {(0.09 / given.tables) ** 0.5:.3f}")


if __name__ == "__main__":
    main()
