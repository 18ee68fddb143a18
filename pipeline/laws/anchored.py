"""A law with artificial runs that observe its parameters and pull a fit towards values of them."""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Expansion, Floats, Kind, Law, Runs, Selection, Values

STEP = 1e-4  # of numerical derivatives of a parameter in theta, of unit size


class Anchored(Law):
    """A law whose last runs observe its parameters: theirs is the last row of x, -1 for others.

    The target of such a run is the parameter (its logarithm, where it is a scale) in ``widths``.
    """

    def __init__(self, law: Law, centre: Floats, widths: Floats):
        self.law, self.origin, self.widths = law, centre, widths
        self.logarithmic = np.array([p.kind in (Kind.SCALE, Kind.FLOOR) for p in law.parameters])

    def coordinates(self, theta: Floats) -> Floats:
        """The parameters in widths, theta (..., P) -> (..., P)."""
        values = self.law.values(self.law.shifted(theta, self.origin))
        stacked = np.stack([values[p.name] for p in self.law.parameters], axis=-1)
        logs = np.log(np.where(self.logarithmic, np.maximum(stacked, 1e-300), 1.0))
        return np.where(self.logarithmic, logs, stacked) / self.widths

    def slopes(self, theta: Floats) -> Floats:
        """Their derivatives, (..., parameter, P)."""
        steps = STEP * np.eye(theta.shape[-1])
        ahead, behind = (self.coordinates(theta[..., None, :] + s) for s in (steps, -steps))
        return np.swapaxes((ahead - behind) / (2 * STEP), -1, -2)

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        observed = x[-1].astype(int)
        out = np.empty((*theta.shape[:-1], x.shape[1]))
        out[..., observed < 0] = self.law.log_target(theta, x[:-1, observed < 0])
        out[..., observed >= 0] = self.coordinates(theta)[..., observed[observed >= 0]]
        return out

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        observed = x[-1].astype(int)
        run, which = observed < 0, observed[observed >= 0]
        inner = self.law.expansion(theta, x[:-1, run])
        shape = (*theta.shape[:-1], x.shape[1])
        value, gradient = np.empty(shape), np.empty((*shape[:-1], theta.shape[-1], shape[-1]))
        value[..., run], gradient[..., run] = inner.value, inner.gradient
        value[..., ~run] = self.coordinates(theta)[..., which]
        gradient[..., ~run] = np.swapaxes(self.slopes(theta)[..., which, :], -1, -2)
        steps = STEP * np.eye(theta.shape[-1])
        ahead, behind = (self.slopes(theta[..., None, :] + s) for s in (steps, -steps))
        bends = (ahead - behind) / (2 * STEP)  # (..., P, parameter, P)

        def curvature(weights: Floats) -> Floats:
            pull = np.zeros((*weights.shape[:-1], len(self.widths)))
            for k, j in zip(np.flatnonzero(~run), which):
                pull[..., j] += weights[..., k]
            return inner.curvature(weights[..., run]) + np.einsum("...pjq,...j->...pq", bends, pull)

        return Expansion(value, gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        return self.law.shifted(theta, centre)

    def values(self, theta: Floats) -> dict[str, Floats]:
        return self.law.values(theta)

    def theta(self, values: Values) -> Floats:
        return self.law.theta(values)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return self.law.start_box(y)

    def select(self, runs: Runs) -> Selection:
        return self.law.select(runs)

    def backtest_order(self, runs: Runs) -> Floats:
        return self.law.backtest_order(runs)
