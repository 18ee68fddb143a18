"""How much of a table's compute is enough to predict its largest runs, and which runs to train.

    python benchmarks/next_cells.py [--data FOLDER] [--seeds 6] [--law chinchilla]

Each published table becomes a pool: the runs of most compute are held out, the rest are the
candidates. A start of a few cheap runs is drawn, then runs are added in batches by one of four
rules: the acquisition rule of ``pipeline.planning.acquisition``, the same without its doubt about
the form, at random, and cheapest first. After each batch the law is fitted again and predicts the
held-out runs. Two ways to be enough are told apart: the compute from which on the mean absolute
error stays within 1.1 times that of the whole pool, and that from which on the predictions stay
within 1 % of the whole pool's. Printed as shares of the pool's compute: medians over seeds with
quartiles, and the errors at fixed shares.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.laws import law
from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.search import search
from pipeline.planning.acquisition import knowledge, ranked

DATA = Path(os.environ.get("ISOLOSS_PUBLISHED_DATA", "published"))  # folder of the tables
HELD_OUT = 0.15  # share of the runs, most compute first
STARTS = 16
GROWTH = 0.15  # a batch is this share of the runs there are, and two or more
RATE = 0.01  # growth of the error of the form, natural log per natural log of compute
SHARES = (0.1, 0.3)  # of the pool's compute
WITHIN, SAME = 1.1, 0.01  # of the whole pool's error; natural log, of its predictions
Rule = Callable[[Law, Floats, Runs, np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]


def tables(folder: Path) -> Iterator[tuple[str, Runs]]:
    """The pools: name and runs."""
    rows = list(csv.DictReader((folder / "besiroglu_chinchilla.csv").open(encoding="utf-8")))
    yield "besiroglu", _runs([r for r in rows if r["used_in_fit"] == "True"], "loss")
    rows = list(csv.DictReader((folder / "gadre_overtraining.csv").open(encoding="utf-8")))
    for text in ("c4_original", "rpj", "rw_original"):
        yield f"gadre {text}", _runs([r for r in rows if r["train_dataset"] == text], "loss_c4_val")
    rows = list(csv.DictReader((folder / "porian_isoflops.csv").open(encoding="utf-8")))
    tuned = [r for r in rows if r["hparams"] == "tuned" and r["split"] == "val"]
    yield "porian", _runs([r for r in tuned if r["dataset"] == "rw"], "loss")


def _runs(rows: list[dict[str, str]], loss: str) -> Runs:
    n, d, y = (np.array([float(r[key]) for r in rows]) for key in ("N", "D", loss))
    columns = {"params": n, "tokens": d, "flops": 6 * n * d, "loss": y}
    return Runs(tuple(map(str, range(len(rows)))), columns)


def fitted(form: Law, runs: Runs) -> Floats:
    """Theta of a law for inputs as they are."""
    x, y = form.log_inputs(runs), np.log(runs.loss)
    centre = form.centre(x)
    rng = np.random.default_rng(0)
    found = search(form, x - centre[:, None], y, np.ones_like(y), form.objective, STARTS, rng)
    return form.shifted(found.theta[found.best()], centre)


def log_predicted(form: Law, theta: Floats, runs: Runs) -> Floats:
    """Log losses (n,) that a law gives to runs."""
    return form.log_target(theta, form.log_inputs(runs))


def by_acquisition(rate: float) -> Rule:
    """The rule of the project, with a form error that grows at ``rate``."""

    def choose(form, theta, pool, taken, held, count, rng):  # noqa: ARG001
        known = knowledge(form, theta, pool.take(taken), form.objective)
        free = np.setdiff1d(np.arange(len(pool)), taken)
        candidates, target = pool.take(free), form.log_inputs(held)
        far = np.log(np.median(held.flops) / candidates.flops)
        picks = ranked(known, form.log_inputs(candidates), candidates.flops, target, count,
                       rate * np.maximum(far, 0))  # fmt: skip
        return free[[pick.row for pick in picks]]

    return choose


def at_random(form, theta, pool, taken, held, count, rng):  # noqa: ARG001
    """Runs drawn from the pool."""
    return rng.permutation(np.setdiff1d(np.arange(len(pool)), taken))[:count]


def cheapest_first(form, theta, pool, taken, held, count, rng):  # noqa: ARG001
    """The runs of least compute."""
    free = np.setdiff1d(np.arange(len(pool)), taken)
    return free[np.argsort(pool.flops[free], kind="stable")][:count]


RULES: dict[str, Rule] = {
    "acquisition": by_acquisition(RATE), "without form error": by_acquisition(0.0),
    "random": at_random, "cheapest first": cheapest_first,
}  # fmt: skip


class Point(NamedTuple):
    """Where a path stands: compute as a share of the pool's, and the log predictions (h,)."""

    share: float
    predicted: Floats


def path(form: Law, pool: Runs, held: Runs, rule: Rule, seed: int) -> list[Point]:
    """The held-out runs as predicted after each batch."""
    rng = np.random.default_rng(seed)
    cheap = np.argsort(pool.flops)[: max(len(pool) // 4, 2 * len(form.parameters))]
    taken = rng.permutation(cheap)[: len(form.parameters) + 2]
    found = []
    while True:
        theta = fitted(form, pool.take(taken))
        share = float(pool.flops[taken].sum() / pool.flops.sum())
        found.append(Point(share, log_predicted(form, theta, held)))
        if len(taken) == len(pool):
            return found
        count = max(2, round(GROWTH * len(taken)))
        chosen = rule(form, theta, pool, taken, held, count, rng)
        left = count - len(chosen)
        rest = cheapest_first(form, theta, pool, np.r_[taken, chosen], held, left, rng)
        taken = np.r_[taken, chosen, rest].astype(int)


def error(point: Point, held: Runs) -> float:
    """Mean absolute error of log losses."""
    return float(np.abs(point.predicted - np.log(held.loss)).mean())


def enough(found: list[Point], good: Callable[[Point], bool]) -> float:
    """The least share of compute from which on every point is good."""
    share = 1.0
    for point in reversed(found):
        if not good(point):
            break
        share = point.share
    return share


def summary(paths: list[list[Point]], held: Runs) -> str:
    """One row of the table, without its labels."""
    whole = paths[0][-1]
    limit = WITHIN * error(whole, held)
    good: tuple[Callable[[Point], bool], ...] = (
        lambda p: error(p, held) <= limit,
        lambda p: float(np.abs(p.predicted - whole.predicted).mean()) <= SAME,
    )
    cells = []
    for one in good:
        low, mid, high = np.quantile([enough(found, one) for found in paths], [0.25, 0.5, 0.75])
        cells.append(f"{f'{mid:.0%} [{low:.0%}, {high:.0%}]':>20}")
    for share in SHARES:
        reached = [[p for p in found if p.share <= share] or found[:1] for found in paths]
        cells.append(f"{100 * np.median([error(found[-1], held) for found in reached]):>8.2f} %")
    return "".join(cells) + f"{100 * error(whole, held):>8.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--law", default="chinchilla")
    arguments = parser.parse_args()
    form, begun = law(arguments.law), time.process_time()
    print(f"{'pool':<19}{'runs':>5}  {'rule':<19}{'error within 1.1x':>20}{'answer within 1 %':>20}"
          + "".join(f"{f'at {share:.0%}':>10}" for share in SHARES) + f"{'whole':>10}")  # fmt: skip
    for name, runs in tables(arguments.data):
        order = np.argsort(runs.flops, kind="stable")
        cut = len(runs) - math.ceil(HELD_OUT * len(runs))
        pool, held = runs.take(np.sort(order[:cut])), runs.take(np.sort(order[cut:]))
        for label, rule in RULES.items():
            paths = [path(form, pool, held, rule, seed) for seed in range(arguments.seeds)]
            print(f"{name:<19}{len(pool):>5}  {label:<19}{summary(paths, held)}", flush=True)
    print(f"{time.process_time() - begun:.0f} CPU seconds")


if __name__ == "__main__":
    main()
