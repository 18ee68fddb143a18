"""What stands over a panel: a law's formula, its numbers with intervals, and the paper's beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes

from pipeline.figures import marks, notes
from pipeline.findings.data import FittedLaw, estimate, number
from pipeline.laws.base import Kind

EXPONENTS = (Kind.EXPONENT,)
BOTH = (Kind.SCALE, Kind.EXPONENT)


def across(left: Axes, right: Axes, fit: FittedLaw, per_line: int, point: str = "point") -> None:
    """Head two panels of one law: formula and numbers left, the paper's and the counts right."""
    names = _shown(fit, BOTH)
    if not names:
        heading(left, fit, BOTH, per_line, point)
        return
    marks.headed(left, fit, _numbers(fit, names, per_line))
    lines = [*filter(None, [published(fit, names)]), counted(fit, point)]
    right.set_title("\n".join(lines), linespacing=1.35)


def heading(
    axes: Axes, fit: FittedLaw, kinds: Collection[Kind] = EXPONENTS, per_line: int = 1,
    point: str = "point",
) -> None:  # fmt: skip
    """Head the axes with the formula and the parameters of some kinds, each beside the paper's.

    ``per_line`` parameters stand in a line, scales first; ``point`` is what the law was fitted to.
    """
    names = _shown(fit, kinds)
    lines = _numbers(fit, names, per_line)
    lines += filter(None, [published(fit, names)])
    lines.append(counted(fit, point))
    marks.headed(axes, fit, lines)


def _shown(fit: FittedLaw, kinds: Collection[Kind]) -> list[str]:
    """The parameters of these kinds, scales first; none of a fit without values."""
    if not fit.drawable:
        return []
    scales_first = sorted(fit.estimates, key=lambda pair: pair[0].kind is not Kind.SCALE)
    return [p.name for p, _ in scales_first if p.kind in kinds]


def _numbers(fit: FittedLaw, names: Sequence[str], per_line: int) -> list[str]:
    numbers = [told(fit, name) for name in names]
    return ["   ".join(numbers[i : i + per_line]) for i in range(0, len(numbers), per_line)]


def told(fit: FittedLaw, name: str) -> str:
    """One fitted parameter: an exponent with its interval, of a scale its size with the unit."""
    parameter, row = next(pair for pair in fit.estimates if pair[0].name == name)
    if parameter.kind is Kind.SCALE:
        return f"${parameter.symbol}$ = ${number(row['value'])}$ {parameter.unit}"
    return f"${parameter.symbol}$ = {estimate(row['value'], row['low'], row['high'])}"


def published(fit: FittedLaw, names: Collection[str]) -> str:
    """The paper's values of these parameters, as far as it gives them."""
    values = [
        f"${p.symbol}$ = ${number(p.published[0])}$"
        for p, _ in fit.estimates if p.published and p.name in names
    ]  # fmt: skip
    return f"paper: {', '.join(values)}" if values else ""


def room(fits: Mapping[str, FittedLaw]) -> float:
    """Inches that the doubts about some fits take below two panels."""
    return notes.room(fits, 130)


def counted(fit: FittedLaw, point: str) -> str:
    """How many points are behind a fit, the coverage of its intervals; below, how well it fits."""
    level = f", {100 * fit.level:.3g} % intervals" if fit.drawable and fit.has_intervals else ""
    return f"{fit.runs} {point}{'s' if fit.runs != 1 else ''}{level}{quality(fit)}"


def quality(fit: FittedLaw) -> str:
    """A line with R2 of the log loss and the root mean square residual, as far as known."""
    if not fit.drawable or fit.r_squared is None:
        return ""
    residual = "" if fit.rmse is None else f", rms residual {100 * fit.rmse:.2g} %"
    return f"\n$R^2$ = {fit.r_squared:.3f}{residual}"
