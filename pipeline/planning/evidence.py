"""What a plan rests on: one fitted law, its runs, its rivals, and how it fared in the backtest."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws import SURFACES
from pipeline.laws.band import SavedFit
from pipeline.laws.base import Floats, SurfaceLaw
from pipeline.laws.interval import interval
from pipeline.planning.folder import Fits
from pipeline.planning.support import Estimate, Span, Support, error_rate, telling
from pipeline.planning.words import OF_DATASETS

SAME_LOSS = 1e-9  # relative: losses of one run in two tables


@dataclass(frozen=True)
class Evidence:
    """One fitted law of N and D, with what says how far to trust it.

    ``residuals`` (n,) are log observed - log predicted of its runs; ``backtest`` holds its
    predictions of larger runs, rows of the contract of that name that tell of its error
    (``support.telling``); ``others`` are the study's further fits by name.
    """

    fit: SavedFit
    support: Support
    residuals: Floats
    backtest: Sequence[Mapping[str, Any]]
    others: Mapping[str, SavedFit]

    @property
    def law(self) -> SurfaceLaw:
        return surface(self.fit)

    @cached_property
    def rivals(self) -> dict[str, SavedFit]:
        """The other laws of N and D alone."""
        return {
            name: fit
            for name, fit in self.others.items()
            if isinstance(fit.law, SurfaceLaw) and set(fit.law.inputs) == {"params", "tokens"}
        }

    @cached_property
    def rate(self) -> float | None:
        """How the error of its form grows (``support.error_rate``); None where not tested."""
        return error_rate(self.backtest)

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Parameters (1 + R,): the best estimate, then the bootstrap replicates."""
        return stacked(self.fit)

    @property
    def counted(self) -> str:
        """The column that N stands for."""
        return str(self.fit.card["convention"]["params"])

    @property
    def loss_unit(self) -> str:
        return str(self.fit.card["convention"].get("loss", "nats/token"))

    def estimate(self, samples: Floats, fit: SavedFit | None = None) -> Estimate:
        """A quantity and its interval from its values (1 + R,) over the parameters of a fit.

        They are those of ``stacked``; of the law planned with where no fit is given.
        """
        if len(samples) < 2:
            return Estimate(float(samples[0]))
        low, high = interval(samples[1:, None], _percentiles(fit or self.fit))
        return Estimate(float(samples[0]), float(low[0]), float(high[0]))

    def at(self, name: str, **inputs: Floats) -> Estimate:
        """What another fitted law says at inputs (each (1,)), with the doubt of its parameters."""
        fit = self.others[name]
        return self.estimate(fit.law.predict(stacked(fit), inputs)[:, 0], fit)


def stacked(fit: SavedFit) -> dict[str, Floats]:
    """A fit's parameters (1 + R,): the best estimate, then the bootstrap replicates."""
    return {n: np.r_[v, fit.replicates.get(n, [])] for n, v in fit.values.items()}


def _percentiles(fit: SavedFit) -> float:
    """The share between the percentiles that stand for a fit's level (see its card)."""
    return fit.card.get("bootstrap", {}).get("percentiles") or fit.level


def surface(fit: SavedFit) -> SurfaceLaw:
    """The fit's law; raises TypeError where it is none of N and D."""
    if not isinstance(fit.law, SurfaceLaw):
        raise TypeError(f"{fit.law.name} does not split a budget between N and D")
    return fit.law


def of_datasets(fit: SavedFit) -> bool:
    """Whether D is the tokens of a dataset, however often seen, which no budget pays for."""
    return bool(fit.card["convention"].get("tokens", "tokens") != "tokens")


def support(folder: Path) -> tuple[Support, Floats, dict[str, float]]:
    """The span of the runs behind a fit, its residuals (n,), and the loss of each run by cell.

    Raises ContractError where it has no run.
    """
    path = folder / "points.parquet"
    points = contracts.read(path, contracts.POINTS)
    if not len(points):
        raise ContractError(f"{path}: holds no run; nothing can be planned with this fit")
    n, d = points["params"].to_numpy(), points["tokens"].to_numpy()
    spans = (Span(float(x.min()), float(x.max())) for x in (n, d, 6.0 * n * d))
    losses = dict(zip(points["cell"].to_pylist(), points["observed"].to_pylist()))
    return Support(*spans), points["residual"].to_numpy(), losses


def evidence(fits: Fits, name: str, backtest: Path | None = None) -> Evidence:
    """What plans with a law rest on; raises ContractError or ValueError with the cure."""
    known = fits.keys
    surfaces = [key for key in known if key in SURFACES]
    if name not in known:
        raise ValueError(
            f"--law {name}: {fits.folder} holds no fit of it, only "
            f"{', '.join(known) or 'nothing'}; fit it with python -m pipeline.fit"
        )
    if name not in surfaces:
        raise ValueError(
            f"--law {name}: it does not split a budget between N and D; take one of "
            f"{', '.join(surfaces) or ', '.join(SURFACES)}"
        )
    fit = fits[name]
    if of_datasets(fit):
        raise ValueError(f"--law {name}: it {OF_DATASETS}")
    if not fit.usable:
        raise ValueError(f"--law {name}: its fit cannot be used. {fit.card.get('sentence', '')}")
    found = {key: fits[key] for key in known if key != name}
    for other in found.values():
        if isinstance(other.law, SurfaceLaw):  # the others say nothing of the same losses
            _refuse_stranger(fit, other)
    spans, residuals, losses = support(fit.folder)
    told = [] if backtest is None else _own_rows(backtest, name, losses)
    others = {key: other for key, other in found.items() if other.usable}
    return Evidence(fit, spans, residuals, telling(told), others)


def _refuse_stranger(fit: SavedFit, other: SavedFit) -> None:
    """Raise ContractError where two fits of a folder are of other runs or counts."""
    for key, what in (("convention", "counts"), ("runs_sha256", "runs")):
        mine, its = fit.card.get(key), other.card.get(key)
        if None not in (mine, its) and mine != its:
            raise ContractError(
                f"{other.folder / 'card.json'}: {other.folder.name} was fitted to other {what} "
                f"than {fit.folder.name} ({key} {its}, not {mine}); fit both to the same runs, or "
                "leave it out (--laws)"
            )


def _own_rows(
    backtest: Path, name: str, losses: Mapping[str, float]
) -> Sequence[Mapping[str, Any]]:
    """A law's rows of a backtest, which must predict the very runs behind its fit, ``losses``."""
    rows = tested(contracts.read(backtest, contracts.BACKTEST).to_pylist(), name)
    for row in rows:
        if not math.isclose(losses.get(row["cell"], math.nan), row["observed"], rel_tol=SAME_LOSS):
            raise ContractError(
                f"{backtest}: predicts a loss of {row['observed']:g} for {row['cell']}, which is "
                f"none of the runs behind the fit of {name}; make it again with "
                "python -m pipeline.backtest"
            )
    return rows


def tested(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """A law's rows of the backtest, those along compute where it was tested along more."""
    own = [row for row in rows if row["law"] == name]
    return [row for row in own if row["axis"] == "flops"] or own


def chosen(fits: Fits, headline: Path | None) -> tuple[str | None, str]:
    """The law to plan with, and why: the headline's, else the fitted law with the least error.

    None where no fit of a law of N and D can be used.
    """
    fitted = {key: fits[key] for key in fits.keys if key in SURFACES}
    found = {key: fit for key, fit in fitted.items() if not of_datasets(fit)}
    if fitted and not found:
        return None, f"{next(iter(fitted))} {OF_DATASETS}"
    usable = {key: fit for key, fit in found.items() if fit.usable}
    why = "No backtest is given"
    if headline is not None:
        name, reason = _headline(headline, found)
        if name in usable:
            return name, f"The backtest chose {name}: {reason}"
        why = f"The headline is {name}, which cannot be planned with" if name else reason
    errors = {
        key: float(np.sqrt((support(fit.folder)[1] ** 2).mean())) for key, fit in usable.items()
    }
    if not errors:
        return None, (
            f"No law of N and D in {fits.folder} is fitted well enough to plan with: fit one of "
            f"{', '.join(SURFACES)} to more runs."
        )
    best = min(errors, key=lambda name: errors[name])
    return best, (
        f"{why.removesuffix('.')}: {best} describes its own runs best "
        f"({100 * errors[best]:.2f} % in loss), which says little about larger ones."
    )


def _headline(path: Path, found: Mapping[str, SavedFit]) -> tuple[str | None, str]:
    """The law of a headline, if any, and why; it must rest on the very runs of the fits ``found``.

    Raises ContractError where it cannot be read or rests on others.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        name, reason = told["law"], str(told["reason"])
        ground = told.get("runs_sha256")
        if not (name is None or isinstance(name, str)):
            raise TypeError(f"law is {name!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(
            f"{path}: not a readable headline ({error}); make it again with "
            "python -m pipeline.backtest"
        ) from error
    for key, fit in found.items():
        own = fit.card.get("runs_sha256")
        if None not in (own, ground) and own != ground:
            raise ContractError(
                f"{path}: chosen on other runs than those behind the fit of {key} in "
                f"{fit.folder.parent}; make it again with python -m pipeline.backtest"
            )
    return name, reason
