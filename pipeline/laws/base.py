"""What every scaling law is: parameters with names and units, a formula, and exact derivatives.

A law is stateless. It predicts the logarithm of its target (the loss, for most), from the
logarithms of its inputs, with ``theta``, the coordinates it is fitted in: they are free of bounds
and of about unit size when the logarithms of the inputs are centred. ``values`` turns theta into
the named parameters of the formula and ``theta`` turns them back.

Shapes: theta is (..., P) and x is (K, n), one row for each input, so that one call evaluates all
starts and all bootstrap replicates; the results are (..., n), (..., P, n) and (..., P, P).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.laws import COLUMNS
from pipeline.laws.local import Prepared, expanded
from pipeline.laws.objective import Objective
from pipeline.laws.optimum import exponent, log_optimum

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]
Fixed = Mapping[str, Floats] | None  # inputs by name

LOG_RANGE = 690.0  # natural logs beyond this leave float64


class Kind(StrEnum):
    """What a parameter is, which decides how it can fail to be known."""

    EXPONENT = "exponent"  # without unit, positive
    RATE = "rate"  # with a unit, positive; an effect that fades as it nears zero
    SCALE = "scale"  # positive
    FLOOR = "floor"  # what the target tends to, zero or more
    SLOPE = "slope"  # of either sign; zero is no effect
    OFFSET = "offset"  # of either sign; zero is a value like any other


@dataclass(frozen=True)
class Parameter:
    """One named number of a formula; ``symbol`` is LaTeX.

    ``published`` is the value that its paper reports, with the paper, to stand beside a fit.
    """

    name: str
    symbol: str
    meaning: str
    unit: str
    kind: Kind
    published: tuple[float, str] | None = None


class Status(StrEnum):
    """How far a fit, or one parameter of it, can be trusted; the last is the worst."""

    CONVERGED = "converged"
    BOUND_HIT = "bound_hit"
    UNIDENTIFIABLE = "unidentifiable"
    NOT_CONVERGED = "not_converged"
    TOO_FEW_POINTS = "too_few_points"

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]

    @property
    def severity(self) -> int:
        return list(Status).index(self)


_SENTENCES = {
    Status.CONVERGED: "The data determine this within the interval given.",
    Status.BOUND_HIT: "The best value lies on the edge of what the formula allows.",
    Status.UNIDENTIFIABLE: "These runs cannot tell this value from very different ones.",
    Status.NOT_CONVERGED: "No start of the solver reached a minimum; do not use these values.",
    Status.TOO_FEW_POINTS: "There are too few runs to fit this law; add runs that it measures.",
}


@dataclass(frozen=True)
class Runs:
    """Finished runs as columns of equal length n, counts in the conventions of one fit.

    ``columns`` holds arrays (n,) under names of ``pipeline.laws.COLUMNS``, in their units. Of
    points along curves ``curves`` names the training of each; it is None where all are runs' ends.
    """

    cell: tuple[str, ...]
    columns: Mapping[str, Floats]
    curves: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def params(self) -> Floats:
        return self.column("params")

    @property
    def tokens(self) -> Floats:
        return self.column("tokens")

    @property
    def flops(self) -> Floats:
        return self.column("flops")

    @property
    def loss(self) -> Floats:
        return self.column("loss")

    def column(self, name: str) -> Floats:
        """One column; raises KeyError naming it, its meaning and the columns there are."""
        if name not in self.columns:
            raise KeyError(
                f"column {name!r} ({COLUMNS.get(name, 'unknown')}) is not in these runs, which "
                f"have {', '.join(self.columns)}"
            )
        return self.columns[name]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Runs:
        """The runs at ``rows``, a mask or indices."""
        index = np.arange(len(self))[rows]
        return Runs(
            tuple(self.cell[i] for i in index),
            {name: column[index] for name, column in self.columns.items()},
            None if self.curves is None else tuple(self.curves[i] for i in index),
        )


class Selection(NamedTuple):
    """Which runs a law is measured on (a mask of shape (n,)), and why those."""

    mask: NDArray[np.bool_]
    reason: str


class Expansion(NamedTuple):
    """The logarithm of a law's target to second order around theta."""

    value: Floats  # (..., n)
    gradient: Floats  # (..., P, n), d value / d theta
    curvature: Callable[
        [Floats], Floats
    ]  # weights (..., n) -> sum of weighted Hessians (..., P, P)


class Law(ABC):
    """One scaling law. Final classes set every class attribute; instances hold nothing."""

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]  # LaTeX
    citation: ClassVar[str]
    use: ClassVar[str]  # when to reach for it
    failure: ClassVar[str]  # how it is known to mislead
    inputs: ClassVar[tuple[str, ...]]
    parameters: ClassVar[tuple[Parameter, ...]]
    target: ClassVar[str] = "loss"
    sizes_together: ClassVar[bool] = False  # auto draws sizes whole, whatever their residuals
    # Inputs that may be left out, and the value that then stands for "without limit".
    unlimited: ClassVar[Mapping[str, float]] = {}
    # Where a study gives no objective.
    objective: ClassVar[Objective] = Objective(0.01)
    objective_reason: ClassVar[str] = (
        "Residuals of clean runs, about one per cent, count by their squares; an odd run cannot "
        "bend the law."
    )

    @abstractmethod
    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        """Value, exact gradient and exact curvature of the logarithm of the target."""

    def prepared(self, x: Floats) -> Prepared:
        """The law at log inputs x (K, n), as the solver asks for it again and again."""
        return Prepared(
            lambda theta: self.log_target(theta, x),
            lambda theta: expanded(*self.expansion(theta, x)),
        )

    @abstractmethod
    def log_target(self, theta: Floats, x: Floats) -> Floats:
        """Natural log of the target: theta (..., P), x (K, n) natural logs -> (..., n).

        x may also be (K, ..., n), so that every theta has inputs of its own.
        """

    def centre(self, x: Floats) -> Floats:
        """What a fit takes off log inputs x (K, n) before it starts, (K,): their means.

        Inputs whose unit is part of the formula stay where they are, and inputs that the formula
        compares with one another move together; such laws say so here.
        """
        return x.mean(1)

    @abstractmethod
    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        """Theta for x, given the theta that holds for x - centre (K,)."""

    @abstractmethod
    def values(self, theta: Floats) -> dict[str, Floats]:
        """The formula's parameters by name, each of shape (...), from theta (..., P)."""

    @abstractmethod
    def theta(self, values: Values) -> Floats:
        """The inverse of ``values``."""

    @abstractmethod
    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        """Corners, each (P,), of the box of starts for centred x and log targets y (n,)."""

    def revived(self, theta: Floats, y: Floats) -> Floats:  # noqa: ARG002
        """Theta (..., P) with terms that vanished brought back, to search from there once more.

        The logarithm of a term that is nearly zero has no gradient left to bring it back.
        """
        return theta

    @abstractmethod
    def select(self, runs: Runs) -> Selection:
        """The runs that the law is measured on."""

    @abstractmethod
    def backtest_order(self, runs: Runs) -> Floats:
        """What the backtest sorts runs by (n,); the largest are held out."""

    def log_inputs(self, runs: Runs) -> Floats:
        """Natural logs of the law's inputs, (K, n)."""
        return np.log(np.stack([runs.column(name) for name in self.inputs]))

    def own(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """The law's inputs among ``inputs``, of one shape; those left out are without limit.

        Raises KeyError naming an input that the law needs and ``inputs`` lacks.
        """
        given = {**self.unlimited, **inputs}
        if missing := [name for name in self.inputs if name not in given]:
            raise KeyError(f"{self.name} needs {missing[0]} ({COLUMNS.get(missing[0], 'unknown')})")
        columns = [np.asarray(given[name], dtype=float) for name in self.inputs]
        return dict(zip(self.inputs, np.broadcast_arrays(*columns)))

    def predict(self, values: Values, inputs: Mapping[str, Floats]) -> Floats:
        """The target in its unit: values of shape (...), inputs (n,) in their units -> (..., n)."""
        x = np.log(np.stack(list(self.own(inputs).values())))
        return np.exp(self.log_target(self.theta(values), x))


class Optimum(NamedTuple):
    """The compute-optimal run of a budget: parameters N*, tokens D*, loss in nats/token."""

    params: Floats
    tokens: Floats
    loss: Floats


class SurfaceLaw(Law):
    """A law of N and D together, which therefore splits a budget C = 6 N D between them.

    It may have further inputs, such as distinct tokens; a budget is then split with these held at
    ``fixed``, and without limit where that names no value for them.
    """

    inputs: ClassVar[tuple[str, ...]] = ("params", "tokens")

    def optimum(self, values: Values, flops: Floats, fixed: Fixed = None) -> Optimum:
        """The lowest loss with 6 N D = flops; values (...), flops and fixed broadcast together.

        NaN where no split into at least one parameter and one token is a minimum. A law with a
        closed form overrides this search.
        """
        flops = np.asarray(flops, dtype=float)
        log_n, log_loss = log_optimum(self, values, flops, fixed or {})
        return Optimum(np.exp(log_n), flops / 6 / np.exp(log_n), np.exp(log_loss))

    def allocation(self, values: Values, flops: Floats, fixed: Fixed = None) -> Floats:
        """The exponent a of N* ~ C^a around a budget, under C = 6 N D; D* grows as C^(1 - a)."""
        return exponent(self, values, np.asarray(flops, dtype=float), fixed or {})

    def select(self, runs: Runs) -> Selection:
        """All runs: the law describes every pair (N, D)."""
        return Selection(
            np.ones(len(runs), dtype=bool), "All included runs: the law covers every (N, D)."
        )

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.flops


def scale(logarithm: Floats) -> Floats:
    """exp, held inside float64: a scale of a nearly flat law is astronomically large."""
    return np.exp(np.clip(logarithm, -LOG_RANGE, LOG_RANGE))


def floor(logarithm: Floats) -> Floats:
    """exp of a floor's logarithm, and exactly 0 where float64 has nothing so small."""
    return np.where(logarithm < -LOG_RANGE, 0.0, scale(logarithm))
