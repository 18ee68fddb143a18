"""What a plan rests on: one fitted law, its runs, its rivals, and how it fared in the backtest."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws import LAWS, SURFACES
from pipeline.laws.band import SavedFit, read
from pipeline.laws.base import Floats, SurfaceLaw
from pipeline.laws.interval import interval
from pipeline.planning.support import Estimate, Span, Support, error_growth, error_rate

FAR_WORSE = 2.0  # times the error growth of the law planned with


@dataclass(frozen=True)
class Evidence:
    """One fitted law of N and D, with what says how far to trust it.

    ``residuals`` (n,) are log observed - log predicted of its runs; ``rate`` is the growth of the
    error of its form (``support.error_rate``), None where it was not tested; ``others`` are the
    study's further fits by name, ``growths`` how fast the error of each law that was tested grows,
    its own included (``support.error_growth``).
    """

    fit: SavedFit
    support: Support
    residuals: Floats
    rate: float | None
    others: Mapping[str, SavedFit]
    growths: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def law(self) -> SurfaceLaw:
        return surface(self.fit)

    @cached_property
    def rivals(self) -> dict[str, SavedFit]:
        """The other laws of N and D alone, but those that the backtest found far worse."""
        own = self.growths.get(self.fit.law.name)
        most = math.inf if own is None else FAR_WORSE * own
        return {
            name: fit
            for name, fit in self.others.items()
            if isinstance(fit.law, SurfaceLaw)
            and set(fit.law.inputs) == {"params", "tokens"}
            and (self.growths.get(name) or 0.0) <= most
        }

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Parameters (1 + R,): the best estimate, then the bootstrap replicates."""
        return {n: np.r_[v, self.fit.replicates.get(n, [])] for n, v in self.fit.values.items()}

    @property
    def counted(self) -> str:
        """The column that N stands for."""
        return str(self.fit.card["convention"]["params"])

    @property
    def loss_unit(self) -> str:
        return str(self.fit.card["convention"].get("loss", "nats/token"))

    @property
    def percentiles(self) -> float:
        """The share between the percentiles that stand for the fit's level (see its card)."""
        return self.fit.card.get("bootstrap", {}).get("percentiles") or self.fit.level

    def estimate(self, samples: Floats) -> Estimate:
        """A quantity and its interval from its values (1 + R,) over ``values``."""
        if len(samples) < 2:
            return Estimate(float(samples[0]))
        low, high = interval(samples[1:, None], self.percentiles)
        return Estimate(float(samples[0]), float(low[0]), float(high[0]))


def surface(fit: SavedFit) -> SurfaceLaw:
    """The fit's law; raises TypeError where it is none of N and D."""
    if not isinstance(fit.law, SurfaceLaw):
        raise TypeError(f"{fit.law.name} does not split a budget between N and D")
    return fit.law


def stored(fits: Path, among: Collection[str] | None = None) -> list[str]:
    """Keys of the fits in a folder, in the registry's order; only those ``among``."""
    found = {path.parent.name for path in fits.glob("*/card.json")}
    found &= found if among is None else set(among)
    return [*(name for name in LAWS if name in found), *sorted(found - set(LAWS))]


def support(folder: Path) -> tuple[Support, Floats]:
    """The span of the runs behind a fit, and its residuals (n,); ContractError without any."""
    path = folder / "points.parquet"
    points = contracts.read(path, contracts.POINTS)
    if not len(points):
        raise ContractError(f"{path}: holds no run; nothing can be planned with this fit")
    n, d = points["params"].to_numpy(), points["tokens"].to_numpy()
    spans = (Span(float(x.min()), float(x.max())) for x in (n, d, 6.0 * n * d))
    return Support(*spans), points["residual"].to_numpy()


def evidence(
    fits: Path, name: str, backtest: Path | None = None, among: Collection[str] | None = None
) -> Evidence:
    """What plans with a law rest on; raises ContractError or ValueError with the cure."""
    known = stored(fits, among)
    surfaces = [key for key in known if key in SURFACES]
    if name not in known:
        raise ValueError(
            f"--law {name}: {fits} holds no fit of it, only {', '.join(known) or 'nothing'}; fit "
            "it with python -m pipeline.fit"
        )
    if name not in surfaces:
        raise ValueError(
            f"--law {name}: it does not split a budget between N and D; take one of "
            f"{', '.join(surfaces) or ', '.join(SURFACES)}"
        )
    fit = read(fits / name)
    if not fit.usable:
        raise ValueError(f"--law {name}: its fit cannot be used. {fit.card.get('sentence', '')}")
    found = {key: read(fits / key) for key in known if key != name}
    rows: list[dict[str, Any]] = []
    if backtest is not None:
        rows = contracts.read(backtest, contracts.BACKTEST).to_pylist()
    growths = {key: error_growth(tested(rows, key)) for key in known}
    spans, residuals = support(fits / name)
    others = {key: other for key, other in found.items() if other.usable}
    return Evidence(fit, spans, residuals, error_rate(tested(rows, name)), others, growths)


def tested(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """A law's rows of the backtest, those along compute where it was tested along more."""
    own = [row for row in rows if row["law"] == name]
    return [row for row in own if row["axis"] == "flops"] or own


def chosen(
    fits: Path, headline: Path | None, among: Collection[str] | None = None
) -> tuple[str | None, str]:
    """The law to plan with, and why: the headline's, else the fitted law with the least error.

    None where no fit of a law of N and D can be used; ``among`` leaves other fits out.
    """
    names = [key for key in stored(fits, among) if key in SURFACES]
    why = "No backtest is given"
    if headline is not None:
        try:
            told = json.loads(headline.read_text(encoding="utf-8"))
            name, reason = told["law"], told["reason"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ContractError(
                f"{headline}: not a readable headline ({error}); make it again with "
                "python -m pipeline.backtest"
            ) from error
        if name in names and read(fits / name).usable:
            return name, f"The backtest chose {name}: {reason}"
        why = f"The headline is {name}, which cannot be planned with" if name else str(reason)
    errors = {
        name: float(np.sqrt((support(fits / name)[1] ** 2).mean()))
        for name in names
        if read(fits / name).usable
    }
    if not errors:
        return None, (
            f"No law of N and D in {fits} is fitted well enough to plan with: fit one of "
            f"{', '.join(SURFACES)} to more runs."
        )
    best = min(errors, key=lambda name: errors[name])
    return best, (
        f"{why.removesuffix('.')}: {best} describes its own runs best "
        f"({100 * errors[best]:.2f} % in loss), which says little about larger ones."
    )
