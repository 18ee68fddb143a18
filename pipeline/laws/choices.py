"""The choices behind a fit, and which of them take an exponent out of its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.laws.objective import LEAST_ABSOLUTE, LEAST_SQUARES

NAMES = {LEAST_ABSOLUTE: "least absolute", LEAST_SQUARES: "least squares"}

Row = dict[str, Any]  # of the contract sensitivity


class Choice(NamedTuple):
    """One way to fit: Huber's delta, runs of highest loss left out, and columns of the runs."""

    delta: float
    dropped: int
    params: str
    flops: str
    loss: str

    @property
    def words(self) -> str:
        """The choice as one line."""
        return ", ".join([f"delta {self.delta:g}", f"{self.dropped} runs dropped", *self[2:]])


FACTORS = Choice._fields


def baselines(found: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """The row of the study's own fit, by law and exponent."""
    return {(row["law"], row["parameter"]): row for row in found if row["baseline"]}


def alone(found: Iterable[Row], factor: str) -> dict[tuple[str, str], list[Row]]:
    """For each law and exponent the baseline, then the rows where nothing but ``factor`` differs.

    In the order of the factor's values.
    """
    families: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(found, key=lambda row: not row["baseline"]):
        family = families.setdefault((row["law"], row["parameter"]), [])
        if row["baseline"] or (family and differs(row, family[0]) == [factor]):
            family.append(row)
    for family in families.values():
        family[1:] = sorted(family[1:], key=lambda row: row[factor])
    return families


def differs(row: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """The factors in which a row differs from the baseline."""
    return [factor for factor in FACTORS if row[factor] != baseline[factor]]


def warnings(found: Iterable[Row]) -> list[str]:
    """A sentence for each exponent and single choice that takes it out of its interval."""
    found = list(found)
    said = []
    for factor in FACTORS:
        for (law, parameter), (own, *others) in alone(found, factor).items():
            moved = [row for row in others if row["moved"]]
            if moved:
                to = ", ".join(f"{row['value']:.3g} {under(factor, row[factor])}" for row in moved)
                interval = f"[{own['low']:.3g}, {own['high']:.3g}]"
                said.append(f"{law}: {parameter} {own['value']:.3g} {interval} would be {to}.")
    return said


def under(factor: str, value: Any) -> str:
    """A choice in words."""
    if factor == "delta":
        return f"with {NAMES[value]}" if value in NAMES else f"with delta {value:g}"
    if factor == "dropped":
        return f"without the {value} runs of highest loss"
    return f"with {value} for {factor}"


def convention_lines(found: Iterable[Row]) -> list[str]:
    """A table of every exponent under each convention, with the delta and the runs of its fit."""
    found = list(found)
    own = baselines(found)
    lines = [f"{'law':20} {'exponent':12} {'N':12} {'C':12} {'loss':14} value"]
    for row in found:
        base = own[row["law"], row["parameter"]]
        if not {"delta", "dropped"} & set(differs(row, base)):
            value = "none" if row["value"] is None else f"{row['value']:.4g}"
            mark = "  baseline" if row["baseline"] else "  moved" if row["moved"] else ""
            lines.append(
                f"{row['law']:20} {row['parameter']:12} {row['params']:12} {row['flops']:12} "
                f"{row['loss']:14} {value}{mark}"
            )
    return lines
