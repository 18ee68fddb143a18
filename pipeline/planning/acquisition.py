"""Which run to train next: the one that tells most about a prediction for its compute.

Around its optimum a fit is a linear regression of log losses on the law's gradients, so what a run
of N and D would tell is known before it is trained. With S the covariance of theta, t the gradient
of the prediction, g that of the candidate and s^2 the variance of one run, training it takes

    (t' S g)^2 / (s^2 + g' S g)

off the variance t' S t of the prediction, and S becomes S - S g g' S / (s^2 + g' S g): the linear
case of Bayesian experimental design (Chaloner and Verdinelli 1995). Candidates are taken one by
one, each the best per FLOP given those before it.

Two things keep it from trusting the linear picture too far. The prior on theta is the box in which
the law's fit starts, so that a direction which the runs leave open is uncertain and not infinitely
so. And s^2 grows with a run's distance from the target, s^2 + (rate ln f)^2, where a backtest has
shown that the law's error grows with the extrapolation factor f: a small run says the less about a
large one, the farther the form may be off.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.objective import Objective

NOISE, WORTH = 0.01, 4  # natural log: what one run scatters by, believed as four runs are


class Knowledge(NamedTuple):
    """What runs tell of a law: theta (P,) and its covariance (P, P), for inputs less ``centre``.

    ``noise`` is the standard deviation of one run's log target.
    """

    law: Law
    theta: Floats
    covariance: Floats
    centre: Floats
    noise: float

    def gradients(self, log_inputs: Floats) -> Floats:
        """Gradients (m, P) of the log target at log inputs (K, m)."""
        return self.law.expansion(self.theta, log_inputs - self.centre[:, None]).gradient.T


class Pick(NamedTuple):
    """A candidate in the order of choice, with the deviation of the log prediction after it.

    ``row`` counts in the candidates as given; ``cost`` is in FLOP.
    """

    row: int
    cost: float
    deviation: float


def knowledge(law: Law, theta: Floats, runs: Runs, objective: Objective) -> Knowledge:
    """What ``runs`` tell of a law fitted to them; ``theta`` (P,) holds for inputs as they are."""
    x, y = law.log_inputs(runs), np.log(runs.column(law.target))
    centre = law.centre(x)
    local = law.shifted(theta, -centre)
    centred = x - centre[:, None]
    around = law.expansion(local, centred)
    residual = y - around.value
    weights = objective.reweighting(residual)
    # A few runs hardly leave residuals: without a prior their noise would look like none.
    scatter = (weights * residual**2).sum() + WORTH * NOISE**2
    noise = float(np.sqrt(scatter / (max(len(y) - len(local), 0) + WORTH)))
    information = (around.gradient * weights) @ around.gradient.T / noise**2
    low, high = law.start_box(y)
    covariance = np.linalg.inv(information + np.diag(((high - low) / 2) ** -2.0))
    return Knowledge(law, local, np.asarray(covariance, float), centre, noise)


def deviation(known: Knowledge, target: Floats) -> float:
    """Root mean variance of the log predictions at log inputs (K, t)."""
    wanted = known.gradients(target)
    return float(np.sqrt(np.einsum("tp,pq,tq->t", wanted, known.covariance, wanted).mean()))


def ranked(
    known: Knowledge, candidates: Floats, cost: Floats, target: Floats, count: int,
    form_error: Floats | float = 0.0, budget: float = math.inf,
) -> list[Pick]:  # fmt: skip
    """The ``count`` best of m candidates in order: log inputs (K, m), FLOP (m,), targets (K, t).

    ``form_error`` (m,) is the deviation of the log target that the form adds to a candidate as
    seen from the target; ``budget`` is the FLOP that all picks may cost together. Fewer are
    returned where fewer tell anything or can be paid for.
    """
    offered, wanted = known.gradients(candidates), known.gradients(target)
    noise = known.noise**2 + np.broadcast_to(np.asarray(form_error, float) ** 2, cost.shape)
    covariance = known.covariance.copy()
    free = np.ones(len(cost), dtype=bool)
    picks: list[Pick] = []
    for _ in range(min(count, len(cost))):
        seen = offered @ covariance  # (m, P)
        spread = noise + (seen * offered).sum(1)
        gain = ((wanted @ seen.T) ** 2).mean(0) / spread
        free &= cost <= budget
        best = int(np.argmax(np.where(free, gain / cost, -np.inf)))
        if not (free[best] and gain[best] > 0):
            break
        free[best] = False
        budget -= float(cost[best])
        covariance -= np.outer(seen[best], seen[best]) / spread[best]
        left = float(np.sqrt(max(np.einsum("tp,pq,tq->t", wanted, covariance, wanted).mean(), 0)))
        picks.append(Pick(best, float(cost[best]), left))
    return picks
