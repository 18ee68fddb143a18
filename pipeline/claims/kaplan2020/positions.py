"""Loss by position in the context: appendix D.5."""

from __future__ import annotations

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtMost
from pipeline.claims.runs import counted, longest, trained_as
from pipeline.claims.samples import over_rows
from pipeline.figures.kaplan2020 import positions

LEAST_BINS = 5  # for three numbers
SEEDS = 2.0  # % of the loss: the paper's spread between seeds


def power(evidence: Evidence) -> Measured:
    """Root mean square distance of losses by position from a power law with a floor, per cent."""
    data = evidence["sizes"]
    found = [(run, positions.final(data, run)) for run in longest(counted(data))]
    known = [(run, losses) for run, losses in found if len(losses) >= LEAST_BINS]
    if not known:
        raise UnmeasuredError(f"no run has losses in {LEAST_BINS} bins of positions")
    squares = np.array([misfit(losses) for _, losses in known])
    return over_rows(
        evidence,
        lambda index: 100 * float(np.sqrt(squares[index].mean())),
        [run for run, _ in known],
    )


def misfit(losses: list[float]) -> float:
    """Mean square relative residual of the power law with a floor through losses by bin.

    Of losses that do not fall with the position, it is that of their mean.
    """
    measured, found = np.array(losses), positions.power(losses)
    falls = found is not None and found.height > 0
    line = found.at(positions.middle(len(losses))) if found and falls else measured.mean()
    return float(((line / measured - 1) ** 2).mean())


def short(evidence: Evidence) -> Measured:
    """Loss of models of a short context over that of models of the long one of the same size and
    as many tokens, at the positions that both have, less one, in per cent.
    """
    near, far = evidence["short"], evidence["sizes"]
    runs, logs = [], []
    for run in counted(near):
        own = positions.final(near, run)
        others = [
            positions.final(far, other)[: len(own)] for other in counted(far)
            if other["params"] == run["params"] and trained_as(other, run)
        ]  # fmt: skip
        others = [other for other in others if len(other) == len(own)]
        if own and others:
            weight = np.r_[1, 1, 2 ** np.arange(1, len(own) - 1)][: len(own)]
            usual = np.average(others, axis=1, weights=weight).mean()
            logs.append(np.log(np.average(own, weights=weight) / usual))
            runs.append(run)
    if not runs:
        raise UnmeasuredError("no size was trained in both contexts on as many tokens")
    found = np.array(logs)
    return over_rows(evidence, lambda index: 100 * float(np.expm1(found[index].mean())), runs)


CLAIMS = (
    Claim(
        "position_power", "The loss falls with the position in the context as a power law with a "
        "floor.", "appendix D.5, figure 20",
        "distance of losses by position from a power law with a floor, RMS",
        {"sizes": ()}, power, AtMost(), "%", high=SEEDS,
    ),
    Claim(
        "short_contexts", "At the first positions, models trained on contexts of 8 tokens are "
        "better than those trained on long ones.", "appendix D.5, figure 21",
        "loss at these positions over that of models of long contexts, less one",
        {"short": (), "sizes": ()}, short, AtMost(), "%", high=0,
    ),
)  # fmt: skip
