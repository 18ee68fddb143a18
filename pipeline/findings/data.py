"""What figures are drawn from: a study's tables and its stored fits, read once, never refitted."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.conventions import Terms, terms
from pipeline.laws import named
from pipeline.laws.band import Band, SavedFit
from pipeline.laws.band import read as read_fit
from pipeline.laws.base import Floats, Kind, Law, Parameter, Status, SurfaceLaw

Row = dict[str, Any]
Ends = tuple[Floats, Floats]
# Tables taken as they are.
ROWS = ("text_curves", "evaluations", "predictions", "backtest", "ranking", "optima", "allocations",
        "plan", "sensitivity", "known", "critical_batches", "task_curves",
        "saturation", "level_replicates")  # fmt: skip
HELD_OUT = 0.2  # share of a law's runs above the cut-off that stands for its backtest
NATS, BITS = "nats/token", "bits/byte"
MINUS = "\u2212"  # of numbers outside mathtext
UNUSABLE = (Status.TOO_FEW_POINTS, Status.NOT_CONVERGED)


def state(run: Mapping[str, Any]) -> str:
    """How a run enters the fits: included, excluded (finished, but left out) or diverged."""
    if run["status"] == "diverged":
        return "diverged"
    return "included" if run["included"] else "excluded"


def number(value: float, digits: int = 2) -> str:
    """A number as mathtext without dollars: 0.076, 123, 8.8 x 10^13."""
    if not math.isfinite(value):
        return r"\mathrm{unknown}"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{max(digits, 3)}g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"{mantissa}\!\times\!10^{{{int(exponent)}}}"


def estimate(value: float, low: float | None, high: float | None) -> str:
    """A value and its interval as mathtext with dollars, to two digits of the interval's width."""
    if low is None or high is None:
        return f"${number(value)}$"
    width = high - low
    if all(v == 0 or 1e-3 <= abs(v) < 1e4 for v in (value, low, high)) and 0 < width < math.inf:
        places = min(max(1 - math.floor(math.log10(width)), 0), 5)
        ends = f"[{low:.{places}f}, {high:.{places}f}]".replace("-", MINUS)
        return f"${value:.{places}f}$ {ends}"
    return f"${number(value)}$ [${number(low)}$, ${number(high)}$]"


def verdict(row: Row, exact: float) -> str:
    """Whether the exact value is held by an interval, or missed by how much; without one, off."""
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return f"off by {abs(row['value'] - exact):.2g}"
    miss = max(low - exact, exact - high)
    told = f"${number(miss, 1)}$" if miss < 1e-4 else f"{miss:.1g}"
    return f"missed by {told}" if miss > 0 else "held"


@dataclass(frozen=True)
class FittedLaw:
    """One stored fit: the law with its replicates, its parameters with intervals, its points.

    ``parameters`` are rows by parameter name, ``points`` rows of the points table.
    """

    saved: SavedFit
    parameters: Mapping[str, Row]
    points: list[Row]
    key: str  # the law's name, and after @ the text or task that it is fitted to

    @property
    def law(self) -> Law:
        return self.saved.law

    @property
    def unit(self) -> str:
        """The unit of the loss of the runs: nats/token, bits/byte, or what their table tells."""
        unit: str = self.saved.card["convention"].get("loss", NATS)
        return unit

    @property
    def terms(self) -> Terms:
        """What the runs' table calls the loss and the tokens."""
        return terms(self.saved.card["convention"])

    @property
    def estimates(self) -> list[tuple[Parameter, Row]]:
        """The parameters in the formula's order."""
        return [(p, self.parameters[p.name]) for p in self.law.parameters]

    @property
    def drawable(self) -> bool:
        """Whether the fit has a line to draw."""
        return all(
            row["status"] not in UNUSABLE and math.isfinite(row["value"])
            for row in self.parameters.values()
        )

    @property
    def has_intervals(self) -> bool:
        """Whether any parameter has an interval, and so the line a band."""
        return any(row["low"] is not None for row in self.parameters.values())

    @property
    def runs(self) -> int:
        """Runs behind the fit."""
        return self.saved.points

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        return self.saved.level

    @property
    def r_squared(self) -> float | None:
        """Share of the variance of log loss that the fit explains; None without variance."""
        r2: float | None = self.saved.card["quality"]["r2"]
        return r2

    @property
    def rmse(self) -> float | None:
        """Root mean square residual of log loss; None where the card does not tell it."""
        rmse: float | None = self.saved.card["quality"].get("rmse")
        return rmse

    @property
    def doubts(self) -> list[str]:
        """Why parameters cannot be trusted: one sentence for each distinct reason."""
        reasons: dict[str, list[str]] = {}
        for parameter, row in self.estimates:
            if row["status"] != Status.CONVERGED:
                reasons.setdefault(row["reason"], []).append(f"${parameter.symbol}$")
        everything = len(self.law.parameters)
        return [
            reason if len(symbols) == everything else f"{', '.join(symbols)}: {reason}"
            for reason, symbols in reasons.items()
        ]

    @property
    def exponents(self) -> list[tuple[Parameter, Row]]:
        return [pair for pair in self.estimates if pair[0].kind is Kind.EXPONENT]

    def column(self, variable: str) -> str:
        """The column of the runs table that stands for params, tokens or flops in this fit."""
        return self.saved.card["convention"][variable]

    def predict(self, **inputs: Floats) -> Floats:
        """The fitted line at ``inputs`` (each (n,), in the units of the runs)."""
        return self.saved.predict(**inputs)

    def band(self, **inputs: Floats) -> Ends | None:
        """Pointwise interval of the line, two arrays (n,); None where the fit has none."""
        return ends(self.saved.band(**inputs))

    def optimum(self, flops: Floats) -> dict[str, Band]:
        """Bands of params, tokens and loss at budgets (n,); empty without an optimum to draw."""
        if not self.drawable or not isinstance(self.law, SurfaceLaw):
            return {}
        best = self.saved.optimum(flops)
        return best if np.isfinite(best["params"].mid).all() else {}


@dataclass(frozen=True)
class Data:
    """A study as rows: curves by cell in the order of training, fits by law."""

    runs: list[Row] = field(default_factory=list)
    curves: Mapping[str, list[Row]] = field(default_factory=dict)
    text_curves: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    predictions: list[Row] = field(default_factory=list)
    backtest: list[Row] = field(default_factory=list)
    ranking: list[Row] = field(default_factory=list)
    optima: list[Row] = field(default_factory=list)
    allocations: list[Row] = field(default_factory=list)
    plan: list[Row] = field(default_factory=list)
    sensitivity: list[Row] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    critical_batches: list[Row] = field(default_factory=list)
    level_replicates: list[Row] = field(default_factory=list)
    task_curves: list[Row] = field(default_factory=list)
    saturation: list[Row] = field(default_factory=list)
    fits: Mapping[str, FittedLaw] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The unit of the runs' loss: that of the fits, nats/token where there are none."""
        return next((fit.unit for fit in self.fits.values()), NATS)

    @property
    def terms(self) -> Terms:
        """What the loss and the tokens are called: the usual terms where there are no fits."""
        return next((fit.terms for fit in self.fits.values()), Terms())

    @property
    def loss_label(self) -> str:
        """What an axis of loss is called."""
        return f"{self.terms.loss} ({self.unit})"

    @property
    def measured_label(self) -> str:
        """The same, with what the loss is measured on."""
        return f"{self.terms.of} {self.loss_label}".strip()

    @property
    def tokens_label(self) -> str:
        """What an axis of D is called."""
        fit = next(iter(self.fits.values()), None)
        if fit and fit.column("tokens") == "unique_tokens":
            return "dataset tokens $D$"
        return f"{self.terms.tokens} $D$"

    def truth(self, key: str) -> dict[str, Row]:
        """Parameter -> what is known of it, of the law of a fit; a loss only in the fit's unit."""
        return {
            row["parameter"]: row
            for row in self.known
            if row["law"] == named(key)
            and (row["unit"] not in (NATS, BITS) or row["unit"] == self.unit)
        }


def held_out(backtest: Sequence[Row], law: str, fitted: int) -> list[Row]:
    """A law's predictions from the cut-off that left out nearest to a fifth of its runs.

    ``fitted`` counts the runs behind its fit of all. The axis is the first that it was tested on.
    """
    by_cutoff: dict[float, list[Row]] = {}
    own = [row for row in backtest if row["law"] == law]
    for row in own:
        if row["axis"] == own[0]["axis"]:
            by_cutoff.setdefault(row["cutoff"], []).append(row)

    def distance(rows: list[Row]) -> float:
        return abs(len(rows) / fitted - HELD_OUT)

    return min(by_cutoff.values(), key=distance, default=[])


def load(tables: Mapping[str, Path], fits: Path | None, laws: Collection[str]) -> Data:
    """Read the named tables and the fits of ``laws`` from ``fits``/<law>/.

    Raises ContractError, naming the file, where one is missing or broken.
    """
    found = {name: contracts.read(path, contracts.SCHEMAS[name]) for name, path in tables.items()}
    rows = {name: table.to_pylist() for name, table in found.items() if name != "curves"}
    curves: dict[str, list[Row]] = {}
    if "curves" in found:
        wanted = ["cell", "step", "tokens", "flops", "train_loss", "val_loss", "loss_by_position",
                  "lr", "noise_scale"]  # fmt: skip
        for row in found["curves"].select(wanted).to_pylist():
            if row["val_loss"] is not None and row["tokens"] > 0:
                curves.setdefault(row["cell"], []).append(row)
        for of_cell in curves.values():
            of_cell.sort(key=lambda row: row["step"])
    stored = {name: fitted_law(fits / name) for name in laws} if fits else {}
    unit = next((fit.unit for fit in stored.values()), NATS)
    counted = next((fit.column("tokens") for fit in stored.values()), "tokens")
    runs = [shown(run, unit, counted) for run in rows.get("runs", [])]
    runs.sort(key=lambda run: (run["params"], run["tokens"], run["cell"]))
    others = {name: rows.get(name, []) for name in ROWS}
    return Data(runs=runs, curves=curves, fits=stored, **others)


def shown(run: Row, unit: str, counted: str = "tokens") -> Row:
    """A run as figures show it: N as far as it is known, D and the loss as the fits count them."""
    size = run["params_total"] if run["params"] is None else run["params"]
    run = {**run, "tokens": run[counted] or run["tokens"]}
    if unit != BITS:
        return {**run, "params": size}
    loss, spread = run["bits_per_byte"], run["loss_se"]
    scaled = spread * loss / run["loss"] if spread and loss and run["loss"] else None
    return {**run, "params": size, "loss": loss, "loss_se": scaled}


def fitted_law(folder: Path) -> FittedLaw:
    """The fit stored in ``folder``; raises ContractError where a file is missing or broken."""
    parameters, points = (
        contracts.read(folder / f"{name}.parquet", contracts.SCHEMAS[name]).to_pylist()
        for name in ("parameters", "points")
    )
    by_name = {row["parameter"]: row for row in parameters}
    return FittedLaw(read_fit(folder), by_name, points, folder.name)


def ends(band: Band) -> Ends | None:
    """Low and high of a band; None where it has no interval anywhere."""
    return (band.low, band.high) if np.isfinite(band.low).any() else None
