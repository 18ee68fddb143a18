"""Loss by position in the context: appendix D.5."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtMost
from pipeline.claims.runs import counted, longest, trained_as
from pipeline.claims.samples import over_rows
from pipeline.findings.kaplan2020 import positions

SEEDS = 2.0  # % of the loss: the paper's spread between seeds


def power(evidence: Evidence) -> Measured:
    """Root mean square distance of losses by position from a power law with a floor, per cent.

    Over the degrees of freedom that the three numbers of each size leave. Sizes whose loss depends
    on the position by less than seeds lie apart, to which any line is near, do not count.
    """
    data = evidence["sizes"]
    found = [(run, positions.final(data, run)) for run in longest(counted(data))]
    known = [(run, losses) for run, losses in found if len(losses) >= positions.LEAST_BINS]
    if not known:
        raise UnmeasuredError(f"no run has losses in {positions.LEAST_BINS} bins of positions")
    told = [(run, losses) for run, losses in known if max(losses) > (1 + SEEDS / 100) * min(losses)]
    if not told:
        raise UnmeasuredError(
            f"no size has losses that differ by more than {SEEDS:g} % between positions"
        )
    squares = np.array([positions.misfit(losses) for _, losses in told])
    bins, enough = min(len(losses) for _, losses in told), positions.ENOUGH_BINS
    few = (
        f"contexts of {2 ** (bins - 1)} tokens have {bins} bins of positions, and a power law with "
        f"a floor, of {positions.FREE} free numbers, is judged from {enough} on"
    )
    measured = over_rows(
        evidence,
        lambda index: 100 * float(np.sqrt(squares[index].mean())),
        [run for run, _ in told],
    )
    return replace(measured, doubt=few if bins < enough else "")


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
        "distance of losses by position from a power law with a floor, RMS per degree of freedom",
        {"sizes": ()}, power, AtMost(), "%", high=SEEDS,
    ),
    Claim(
        "short_contexts", "At the first positions, models trained on contexts of 8 tokens are "
        "better than those trained on long ones.", "appendix D.5, figure 21",
        "loss at these positions over that of models of long contexts, less one",
        {"short": (), "sizes": ()}, short, AtMost(), "%", high=0,
    ),
)  # fmt: skip
