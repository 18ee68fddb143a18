"""Laws that are a sum of positive power-law terms, such as a floor and A/N^alpha.

The logarithm of each term is linear in theta, so that log target = log sum_k exp(X_k theta) with
matrices X_k that depend on the inputs alone: one for all starts and all replicates.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import reduce
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Expansion, Floats, Law
from pipeline.laws.local import Local, Normal, Prepared


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

    def prepared(self, x: Floats) -> Prepared:
        """Values and sums as matrix products with columns, and products of two, made once.

        With s_k the share of a term in the total and X_k its columns, the gradient of a value is
        the sum over k of s_k X_k and its Hessian that of s_k X_k X_k', less the outer product of
        the gradient.
        """
        terms = self.terms(x)
        pairs = [
            (k, j, _products(one, terms[j]))
            for k, one in enumerate(terms)
            for j in range(k, len(terms))
        ]
        single, double = _places(terms, len(self.parameters))

        def total(theta: Floats) -> tuple[list[Floats], Floats]:
            parts = [np.exp(_logarithm(theta, term)) for term in terms]
            return parts, sum(parts[1:], start=parts[0])

        def value(theta: Floats) -> Floats:
            return np.log(total(theta)[1])

        def local(theta: Floats) -> Local:
            parts, whole = total(theta)

            def normal(slope: Floats, bend: Floats, above: Floats) -> Normal:
                shares = [part / whole for part in parts]
                pulled = [slope * share for share in shares]
                both = bend + slope
                inside, outside = [], []
                for k, j, columns in pairs:
                    product = shares[k] * shares[j]
                    outside.append((above * product) @ columns)
                    product *= both
                    inside.append((product - pulled[k] if k == j else product) @ columns)
                down = [pull @ term.columns.T for pull, term in zip(pulled, terms)]
                return Normal(
                    -np.concatenate(down, axis=-1) @ single,
                    *(
                        _square(np.concatenate(sums, axis=-1) @ double)
                        for sums in (inside, outside)
                    ),
                )

            return Local(np.log(whole), normal)

        return Prepared(value, local)

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


def _products(one: Term, other: Term) -> Floats:
    """Every column of one term times every column of another: (n, p q)."""
    products = one.columns[:, None] * other.columns
    return np.ascontiguousarray(products.reshape(-1, products.shape[-1]).T)


def _places(terms: tuple[Term, ...], size: int) -> tuple[Floats, Floats]:
    """Zeros and ones that add sums over columns, and over their products, to where they belong.

    (sum p, P) and (sum p q, P P); a product of two different terms belongs to two places.
    """
    unit = np.eye(size)
    double = []
    for k, one in enumerate(terms):
        for other in terms[k:]:
            block = np.einsum("ip,jq->ijpq", unit[list(one.at)], unit[list(other.at)])
            if other is not one:
                block = block + np.swapaxes(block, -1, -2)
            double.append(block.reshape(-1, size * size))
    return unit[[j for term in terms for j in term.at]], np.concatenate(double)


def _square(flat: Floats) -> Floats:
    """(..., P P) as (..., P, P)."""
    size = math.isqrt(flat.shape[-1])
    return flat.reshape(*flat.shape[:-1], size, size)
