"""Runs held against a forecast of them: error, cover and log score, and what that comes to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from statistics import NormalDist
from typing import Any

from pipeline.conventions import OPTIONAL, PARAMS, of_card

SAME = 0.01  # natural log: counts this close are one cell
TOLD = ("params", "tokens", "predicted", "low", "high", "extrapolation")  # of each prediction
LEAST = 1e-6  # natural log: the deviation of a forecast without doubt, as of data without noise


def unlike_a_forecast(found: Mapping[str, Any]) -> str | None:
    """What a sealed object lacks to be a forecast that runs can be held against; None for one."""
    fit, rows, level = found.get("fit"), found.get("predictions"), found.get("level")
    if not (isinstance(fit, dict) and isinstance(fit.get("convention"), dict)):
        return "it has no fit with a convention: it is no forecast"
    try:
        convention = of_card(fit["convention"])
    except (KeyError, ValueError) as error:
        return f"fit.convention cannot be read ({error.args[0]})"
    if convention.params not in PARAMS:
        return f"fit.convention.params is {convention.params!r}, not one of {', '.join(PARAMS)}"
    if not (isinstance(level, float) and 0 < level < 1):
        return f"level is {level!r}, not a number between 0 and 1"
    if _time(found.get("frozen_at")) is None:
        return f"frozen_at is {found.get('frozen_at')!r}, not a time with its zone"
    if not (isinstance(rows, list) and rows):
        return "it has no list of predictions: it is no forecast"
    for i, row in enumerate(rows):
        given = row if isinstance(row, dict) else {}
        for name in (*TOLD, *(name for name in OPTIONAL if name in given)):
            value = given.get(name)
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                return f"predictions[{i}].{name} is {value!r}, not a positive number"
    return None


def scores(
    forecast: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], tolerance: float = SAME
) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``score``: each run that matches a prediction, or a prediction alone.

    ``runs`` are rows of runs.parquet; N, D and whatever else the cell gives of a run (such as
    unique_tokens) match within ``tolerance``, in natural logs. Only runs that fits would take
    count: included and finished, with a loss. A run is made after the freeze where it finished
    after it.
    """
    convention, level = of_card(forecast["fit"]["convention"]), forecast["level"]
    fair = [
        run for run in runs
        if run["included"] and run["status"] == "finished" and run[convention.loss]
    ]  # fmt: skip
    columns = {"params": convention.params, "tokens": "tokens", **OPTIONAL}
    for told in forecast["predictions"]:
        row = {name: told[name] for name in ("params", "tokens", "predicted", "low", "high")}
        row |= {"level": level, "extrapolation": told["extrapolation"]}
        asked = {columns[name]: value for name, value in told.items() if name in columns}
        matching = [run for run in fair if _matches(run, asked, tolerance)]
        for run in matching:
            yield row | _grade(told, level, run[convention.loss]) | {
                "cell": run["cell"], "finished_at": run["finished_at"],
                "after": _after(run["finished_at"], forecast["frozen_at"]),
            }  # fmt: skip
        if not matching:
            yield row


def _matches(run: Mapping[str, Any], asked: Mapping[str, float], tolerance: float) -> bool:
    """Whether a run has all that a cell asks; one that lacks a column does not."""
    return all(
        run[column] and abs(math.log(run[column] / value)) < tolerance
        for column, value in asked.items()
    )


def _grade(told: Mapping[str, float], level: float, observed: float) -> dict[str, Any]:
    """Error, cover and log score: the log density of the log loss, normal with that interval."""
    width = math.log(told["high"] / told["low"])
    deviation = max(width / (2 * NormalDist().inv_cdf((1 + level) / 2)), LEAST)
    residual = math.log(observed / told["predicted"]) / deviation
    return {
        "observed": observed, "error": 100 * (told["predicted"] / observed - 1),
        "covered": told["low"] <= observed <= told["high"],
        "log_score": -0.5 * residual**2 - math.log(deviation * math.sqrt(2 * math.pi)),
    }  # fmt: skip


def _after(finished: str | None, frozen_at: str) -> bool | None:
    made, frozen = _time(finished), _time(frozen_at)
    return None if made is None or frozen is None else made > frozen


def _time(text: Any) -> datetime | None:
    """A time as a run or a forecast tells it; None where it is none or names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return None if found.tzinfo is None else found


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Scores as lines of text, and a line that sums up the runs made after the freeze."""
    rows = list(rows)
    lines = ["         N          D   x largest  predicted  [interval]          observed   error"]
    for row in rows:
        line = (
            f"{row['params']:10.4g} {row['tokens']:10.4g} {row['extrapolation']:11.3g} "
            f"{row['predicted']:10.4f}  [{row['low']:.4f}, {row['high']:.4f}]"
        )
        if row.get("observed") is None:
            lines.append(f"{line}  no run yet")
            continue
        place = "inside" if row["covered"] else "OUTSIDE"
        when = {True: "after the freeze", False: "BEFORE the freeze", None: "date unknown"}
        lines.append(
            f"{line} {row['observed']:9.4f} {row['error']:+6.2f} %  {place}, "
            f"log score {row['log_score']:.2f}, made {when[row['after']]}: {row['cell']}"
        )
    return "\n".join([*lines, summary(rows)])


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the forecast did, in a sentence: only runs made after the freeze count."""
    fair = [row for row in rows if row.get("after")]
    undated = sum(row.get("observed") is not None and row["after"] is None for row in rows)
    doubt = ""
    if undated == 1:
        doubt = " 1 run matches, its date is unknown (finished_at)."
    elif undated:
        doubt = f" {undated} runs match, their dates are unknown (finished_at)."
    if not fair:
        if undated:
            return f"No run is known to be made after the freeze.{doubt}"
        return "No run that was made after the freeze matches a prediction yet."
    error = sum(abs(row["error"]) for row in fair) / len(fair)
    inside = sum(row["covered"] for row in fair)
    score = sum(row["log_score"] for row in fair) / len(fair)
    return (
        f"{len(fair)} run{'s' if len(fair) > 1 else ''} made after the freeze: {error:.2f} % off "
        f"on average, {inside} inside the {100 * fair[0]['level']:.3g} % interval, "
        f"mean log score {score:.2f} nats.{doubt}"
    )
