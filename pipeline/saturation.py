"""Stage 5: errors on tasks along the curves -> what each task's error is to the loss.

A task whose error stands still while the loss goes on falling is flat: it says nothing more of the
models. One whose error in a training is foretold by the loss and the other trainings is
predictable; any other is noisy. All three are judged in the last part of the range of losses: what
an error did before says nothing of what it does there. All evaluations count, whatever the size of
the model; trainings are what is left out and resampled, as the evaluations of one go together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws.base import Floats
from pipeline.options import refuse

# The part of the range of losses that tells whether an error still moves: long enough to hold
# evaluations of several trainings, and short enough for what came before it not to show.
LAST_PART = 1 / 3
# nats/token that this part must span. Scores of one model on two samples of a text of the toy
# study's length differ by about as much, and a shorter fall might be no fall of the loss at all.
LEAST_FALL = 0.1
# An error that changes by less through the last part stands still: two questions of a hundred, less
# than the standard error (0.03) of one score on 256 questions.
STILL = 0.02
# Share of the variance that must be foretold: the loss then tells more than it leaves open.
FORETOLD = 0.5
LEAST_POINTS, LEAST_RUNS = 8, 3  # fewer evaluations, or trainings, in the last part tell nothing
UNUSABLE = 0.05  # share of resamples without a value beyond which there is no interval


class Kind(StrEnum):
    """What a task's error is to the loss."""

    PREDICTABLE = "predictable"
    NOISY = "noisy"
    FLAT = "flat"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Points:
    """Evaluations of one task, (n,) each; ``run`` numbers the trainings that they belong to."""

    loss: Floats
    error: Floats
    se: Floats
    run: NDArray[np.int64]
    chance: float

    def take(self, kept: NDArray[Any]) -> Points:
        """Some of them, by mask or index."""
        return Points(self.loss[kept], self.error[kept], self.se[kept], self.run[kept], self.chance)

    @property
    def part(self) -> tuple[float, float]:
        """From which loss to which the last part goes."""
        low, high = float(self.loss.min()), float(self.loss.max())
        return low + LAST_PART * (high - low), low


def points(curves: Iterable[Mapping[str, Any]], runs: Mapping[str, Any]) -> dict[str, Points]:
    """Task -> its evaluations in included runs, those that cells of a trunk share once.

    ``runs`` holds rows by cell. The runs of a trunk are one training.
    """
    rows: dict[str, dict[tuple[Any, ...], Mapping[str, Any]]] = {}
    for row in curves:
        if row["val_loss"] is not None and runs[row["cell"]]["included"]:
            training = runs[row["cell"]]["trunk"] or row["cell"]
            # What cells of a trunk share is the same to the last digit.
            own = training, row["step"], row["val_loss"], row["error"]
            rows.setdefault(row["task"], {}).setdefault(own, row)
    found = {}
    for task, own_rows in rows.items():
        columns = np.array([
            [row["val_loss"], row["error"], row["error_se"] or 0.0] for row in own_rows.values()
        ])  # fmt: skip
        run = np.unique([training for training, *_ in own_rows], return_inverse=True)[1]
        chance = float(np.mean([row["chance"] for row in own_rows.values()]))
        found[task] = Points(columns[:, 0], columns[:, 1], columns[:, 2], run, chance)
    return found


def rank_correlation(loss: Floats, error: Floats) -> float:
    """Spearman's, ties by their mean rank; 0 where all errors are one, nan where all losses are."""
    a, b = (scipy.stats.rankdata(values) - (len(values) + 1) / 2 for values in (loss, error))
    if not a.any():
        return float("nan")
    return float(a @ b / np.sqrt((a @ a) * (b @ b))) if b.any() else 0.0


def slope(loss: Floats, error: Floats) -> float:
    """Of the least squares line of error on loss; nan where there is none."""
    apart = loss - loss.mean() if len(loss) else loss
    spread = float(apart @ apart)
    return float(apart @ error) / spread if spread > 0 else float("nan")


def statistics(of: Points, part: tuple[float, float]) -> tuple[float, float]:
    """(rank correlation over all, change of the error while the loss falls through a part)."""
    last = of.take(of.loss <= part[0])
    change = slope(last.loss, last.error) * (part[1] - part[0])
    return rank_correlation(of.loss, of.error), change


def resampled(of: Points, part: tuple[float, float], count: int, seed: int) -> Floats:
    """``statistics`` of resamples that draw whole trainings, (count, 2)."""
    random, trainings = np.random.default_rng(seed), int(of.run.max()) + 1
    members = [np.flatnonzero(of.run == run) for run in range(trainings)]
    found = np.empty((count, 2))
    for row in found:
        drawn = random.integers(trainings, size=trainings)
        row[:] = statistics(of.take(np.concatenate([members[run] for run in drawn])), part)
    return found


def ends(sample: Floats, level: float) -> tuple[float, float] | None:
    """Percentiles of a statistic's resamples; None where too many have no value."""
    known = sample[np.isfinite(sample)]
    if len(known) < (1 - UNUSABLE) * len(sample) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def monotone(of: Points, at: Floats, rising: bool) -> Floats:
    """The line nearest to the errors that only rises (falls) with loss, at some losses (m,).

    Straight between the evaluations, and constant beyond them.
    """
    order = np.argsort(of.loss, kind="stable")
    line = scipy.optimize.isotonic_regression(of.error[order], increasing=rising).x
    return np.interp(at, of.loss[order], line)


def left_out(of: Points, highest: float, rising: bool) -> Floats:
    """Squared errors of each training, (trainings, 2): as foretold by the others, and as the mean.

    Those at losses up to ``highest``, of trainings that have some. What foretells is the monotone
    line through all evaluations of the other trainings, the higher losses too.
    """
    last, found = of.take(of.loss <= highest), []
    for run in np.unique(last.run):
        own, others = last.take(last.run == run), of.take(of.run != run)
        misfit = own.error - (monotone(others, own.loss, rising) if len(others.loss) else np.nan)
        found.append([misfit @ misfit, np.sum((own.error - last.error.mean()) ** 2)])
    return np.array(found)


def foretold(squares: Floats) -> Floats:
    """Share of the variance that is foretold, (...,), of sums over trainings, (..., 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - squares[..., 0] / squares[..., 1]
    return np.where(squares[..., 1] > 0, share, np.nan)


def row(task: str, of: Points, level: float, count: int, seed: int) -> dict[str, Any]:
    """A task's row of the contract ``saturation``."""
    part = of.part
    rho, change = statistics(of, part)
    last = of.take(of.loss <= part[0])
    sample = resampled(of, part, count, seed)
    of_rho, of_change = (ends(column, level) for column in sample.T)
    if len(np.unique(last.run)) < LEAST_RUNS:
        of_change = None
    squares = left_out(of, part[0], rho >= 0)
    drawn = np.random.default_rng([seed, 1]).integers(len(squares), size=(count, len(squares)))
    of_foretold = ends(foretold(squares[drawn].sum(1)), level)
    kind, reason = judged(of, part, of_foretold, of_change)
    misfit = of.error - monotone(of, of.loss, rho >= 0)
    return {
        "task": task, "points": len(of.loss), "runs": len(np.unique(of.run)),
        "rho": _finite(rho), **_ends("rho", of_rho),
        "foretold": _finite(foretold(squares.sum(0))), **_ends("foretold", of_foretold),
        "loss_high": part[0], "loss_low": part[1], "error": float(last.error.mean()),
        "change": _finite(change), **_ends("change", of_change),
        "slope": _finite(slope(last.loss, last.error)),
        "scatter": _root_mean_square(misfit), "sampling": _root_mean_square(of.se),
        "chance": of.chance, "level": level, "kind": kind.value, "reason": reason,
    }  # fmt: skip


def judged(
    of: Points,
    part: tuple[float, float],
    of_foretold: tuple[float, float] | None,
    of_change: tuple[float, float] | None,
) -> tuple[Kind, str]:
    """The kind of a task by its points and intervals, and why."""
    last = of.take(of.loss <= part[0])
    high, low = part
    trainings = len(np.unique(last.run))
    where = f"while the loss falls from {high:.3g} to {low:.3g} nats/token"
    if len(last.loss) < LEAST_POINTS or trainings < LEAST_RUNS:
        return Kind.UNKNOWN, (
            f"{len(last.loss)} evaluations of {trainings} training{'s' * (trainings != 1)} reach "
            f"the lowest third of the losses; {LEAST_POINTS} of {LEAST_RUNS} trainings are needed. "
            "Evaluate more often, or train more models."
        )
    if high - low < LEAST_FALL:
        return Kind.UNKNOWN, (
            f"The lowest third of the losses spans {high - low:.2g} nats/token, less than "
            f"{LEAST_FALL}: too short a fall to see an error stand still. Train longer."
        )
    if of_change is None:
        return Kind.UNKNOWN, "Too few resamples have a value; train more models."
    told = " to ".join(f"{round(end, 3) + 0.0:+.3f}" for end in of_change)
    if of_change[0] > -STILL and of_change[1] < STILL:
        return Kind.FLAT, f"The error changes by {told} {where}, {_level(last, of.chance)}."
    share = "no share" if of_foretold is None else f"{of_foretold[0]:.2f} to {of_foretold[1]:.2f}"
    ending = f"of a training's variance {where}; the error changes by {told}."
    if of_foretold and of_foretold[0] >= FORETOLD:
        return Kind.PREDICTABLE, f"Loss and the other trainings foretell {share} {ending}"
    return Kind.NOISY, f"Loss and the other trainings foretell but {share} {ending}"


def _level(last: Points, chance: float) -> str:
    """Where an error that stands still stands."""
    error = float(last.error.mean())
    if error < STILL:
        return "with all questions solved"
    if error > chance - STILL:
        return f"at {error:.2f}, no better than without looking ({chance:.2f})"
    return f"at {error:.2f}, better than without looking ({chance:.2f})"


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ends(name: str, interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def rows(
    curves: Path, runs: Path, level: float, bootstraps: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The rows of all tasks of a study, in the order of its curves."""
    by_cell = {run["cell"]: run for run in contracts.read(runs, contracts.RUNS).to_pylist()}
    along = contracts.read(curves, contracts.TASK_CURVES).to_pylist()
    foreign = sorted({point["cell"] for point in along} - set(by_cell))
    if foreign:
        raise ContractError(f"{runs}: lacks the run {foreign[0]} of {curves}; aggregate anew")
    for task, of in points(along, by_cell).items():
        yield row(task, of, level, bootstraps, seed)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.saturation", description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet of a study")
    parser.add_argument("--curves", type=Path, required=True, help="its task_curves.parquet")
    parser.add_argument("--bootstraps", type=int, default=1000, help="resamples of trainings")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--out", type=Path, required=True, help="saturation.parquet")
    given = parser.parse_args(argv)
    try:
        refuse(given)
        found = list(rows(given.curves, given.runs, given.level, given.bootstraps, given.seed))
        contracts.write(given.out, found, contracts.SATURATION)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for one in found:
        print(f"{one['task']}: {one['kind']}. {one['reason']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
