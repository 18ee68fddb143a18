"""Laws that are a sum of positive power-law terms, such as a floor and A/N^alpha.

The logarithm of each term is linear in theta, so that log target = log sum_k exp(X_k theta) with
matrices X_k that depend on the inputs alone: one for all starts and all replicates.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import reduce
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Expansion, Floats, Law


class Term(NamedTuple):
    """The logarithm of one term: sum over j of theta[at[j]] * columns[j], plus offset.

    The first position is the term's logarithm where all (centred) inputs are 0: its column is one.
    """

    at: tuple[int, ...]
    columns: Floats  # (p, n)
    offset: Floats | float = 0.0  # (n,)


class SumLaw(Law):
    """A law that is a sum of positive terms; a final class says which."""

    @abstractmethod
    def terms(self, x: Floats) -> tuple[Term, ...]:
        """The terms at log inputs x (K, n); columns and offsets are linear in x."""

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        logs = [_logarithm(theta, term) for term in self.terms(x)]
        top = reduce(np.maximum, logs)
        return top + np.log(sum(np.exp(log - top) for log in logs))

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        terms = self.terms(x)
        logs = np.stack(np.broadcast_arrays(*(_logarithm(theta, term) for term in terms)), axis=-2)
        top = logs.max(axis=-2, keepdims=True)
        shares = np.exp(logs - top)
        total = shares.sum(axis=-2, keepdims=True)
        shares /= total
        gradient = np.zeros((*shares.shape[:-2], theta.shape[-1], shares.shape[-1]))
        for k, term in enumerate(terms):
            # A parameter may stand in several terms, but only once in each.
            gradient[..., list(term.at), :] += shares[..., k, None, :] * term.columns

        def curvature(weights: Floats) -> Floats:
            matrix = -(gradient * weights[..., None, :]) @ np.swapaxes(gradient, -1, -2)
            for k, term in enumerate(terms):
                weighted = (weights * shares[..., k, :])[..., None, :] * term.columns
                rows, columns = np.ix_(term.at, term.at)
                matrix[..., rows, columns] += weighted @ term.columns.T
            return matrix

        return Expansion((top + np.log(total))[..., 0, :], gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        ends = np.stack([np.zeros_like(centre), centre], axis=-1)  # (K, 2)
        for term in self.terms(ends):
            first, rest = term.at[0], term.at[1:]
            origin, there = np.broadcast_to(term.offset, 2)
            moved[..., first] += origin - there
            for j, (origin, there) in zip(rest, term.columns[1:]):
                moved[..., first] += theta[..., j] * (origin - there)
        return moved


def _logarithm(theta: Floats, term: Term) -> Floats:
    """(..., n), or (..., 1) where the term is the same for all runs."""
    total = theta[..., term.at[0], None] + term.offset
    for j, column in zip(term.at[1:], term.columns[1:]):
        total = total + theta[..., j, None] * column
    return total
