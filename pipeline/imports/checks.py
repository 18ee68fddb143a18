"""What looks wrong in a table of runs: gaps, repeated rows, overflow, units that do not fit.

A number that cannot be is refused. A number that is only unlikely is refused as a suspicion, which
the config can accept by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator

import numpy as np

from pipeline.imports import ImportRefusedError
from pipeline.imports.quantities import LN2, Draft, Problem
from pipeline.imports.units import PF_DAY
from pipeline.laws.base import Floats

SHOWN = 20  # problems that one refusal lists
FACTOR = 3.0  # C and 6 N D further apart than this do not count the same thing
TYPICAL = 20.0  # tokens per parameter, to tell which unit would make sense of a ratio
# Between these, the D / N of a table's median and of each row are taken as they are.
FEWEST, SWAPPED, MOST = 1e-3, 0.2, 1e5
APART = 1e4  # times the middle of a table: few grids are as wide
SMALLEST = {"params": 100, "tokens": 1000}
# More than ln of the vocabularies in use, and less than models of natural text reach per token.
HIGHEST, LOWEST = math.log(300_000), 1.3
TOLD = 0.05  # two statements of one loss further apart than this disagree
WRAP = 2**64
BITS = re.compile(r"bits|bpb|bpc|bpt|ppl|perplexity", re.I)

# C over 6 N D -> what would explain it.
FACTORS = {
    1 / PF_DAY: "C looks like PF-days",
    1e-6: "C looks like MFLOP",
    1e-9: "C looks like GFLOP",
    1e-12: "C looks like TFLOP",
    1e-15: "C looks like PFLOP",
    1e-18: "C looks like EFLOP",
    1e-21: "C looks like ZFLOP",
    1e3: "N or D looks like thousands",
    1e6: "N or D looks like millions",
    1e9: "N or D looks like billions",
    1e12: "N and D look like millions, or D like trillions",
    1e15: "N looks like millions and D like billions, or the other way round",
    1e18: "N and D look like billions",
    1e21: "N looks like billions and D like trillions",
}
SCALES = {1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions"}


def checked(draft: Draft, accept: Collection[str]) -> list[Problem]:
    """Every problem of the rows, those of the numbers themselves first.

    Suspicions are looked for only among numbers that can be.
    """
    problems = [*draft.problems, *_gaps(draft), *_wrapped(draft), *_shares(draft)]
    if problems:
        return sorted(problems, key=lambda p: -1 if p.at is None else p.at)
    for name, suspects in CHECKS.items():
        if name not in accept:
            cure = f"; if it is right, accept: [{name}]"
            problems += [p._replace(message=p.message + cure) for p in suspects(draft)]
    return problems


def refuse(draft: Draft, problems: list[Problem]) -> None:
    """Raise ImportRefusedError that lists problems by row and column, the first 20 of them."""
    if not problems:
        return
    lines = []
    for at, column, message in problems[:SHOWN]:
        place = "all rows" if at is None else draft.table.place(at)
        lines.append(f"  {place}, column {column}: {message}")
    if len(problems) > SHOWN:
        lines.append(f"  and {len(problems) - SHOWN} more")
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    raise ImportRefusedError("\n".join([f"{draft.file}: {count}, nothing is imported", *lines]))


def _gaps(draft: Draft) -> Iterator[Problem]:
    """Rows without N, D or, unless they diverged, a loss."""
    named = {p.at for p in draft.problems}
    diverged = np.array([state == "diverged" for state in draft.texts["status"]])
    loss = draft.either("loss", "bits_per_byte")
    needs = (
        (draft.label("params", "params_total"), draft.size, np.zeros(len(draft), bool)),
        (draft.label("tokens"), draft.values["tokens"], np.zeros(len(draft), bool)),
        (draft.label("loss", "bits_per_byte"), loss, diverged),
    )
    for label, values, excused in needs:
        for i in np.flatnonzero(np.isnan(values) & ~excused):
            if i not in named:
                yield Problem(int(i), label, "is empty or not a number, and every run needs it")
    for i in np.flatnonzero(loss <= 0):
        yield Problem(int(i), draft.label("loss"), f"is {loss[i]:.4g} nats/token, not positive")


def _given_flops(draft: Draft) -> tuple[str, Floats] | None:
    """The compute that the table itself gives, with its label."""
    for name in ("flops_6nd", "flops_exact"):
        if name in draft.labels:
            return draft.labels[name], draft.values[name]
    return None


def _counted(draft: Draft) -> Floats:
    return 6.0 * draft.size * draft.values["tokens"]


def _wrapped(draft: Draft) -> Iterator[Problem]:
    """Compute that equals 6 N D modulo 2^64: it went through a 64-bit integer."""
    given = _given_flops(draft)
    if given is None:
        return
    label, flops = given
    beyond = np.flatnonzero((_counted(draft) >= WRAP / 2) & np.isfinite(flops))
    for i in beyond:
        whole = 6 * int(draft.size[i]) * int(draft.values["tokens"][i])
        wrapped = (whole + WRAP // 2) % WRAP - WRAP // 2
        if wrapped != whole and abs(wrapped - int(flops[i])) <= WRAP * 1e-9:
            yield Problem(
                int(i), label, f"{flops[i]:.4g} is 6 N D = {whole:.4g} after overflow of a 64-bit "
                "integer; flops: compute takes 6 N D instead",
            )  # fmt: skip


def _shares(draft: Draft) -> Iterator[Problem]:
    """Errors on tasks outside [0, 1]."""
    for name, values in draft.values.items():
        if name.startswith("task:"):
            for i in np.flatnonzero((values < 0) | (values > 1)):
                fault = f"an error of {values[i]:.4g} is no share of answers; is it per cent?"
                yield Problem(int(i), draft.labels[name], fault)


def _flops(draft: Draft) -> Iterator[Problem]:
    """Compute that is far from 6 N D, in all rows by one factor or in some."""
    given = _given_flops(draft)
    if given is None:
        return
    label, flops = given
    known = np.isfinite(flops)
    with np.errstate(divide="ignore"):
        ratio = np.log(flops / _counted(draft))
    off = known & (np.abs(ratio) > math.log(FACTOR))
    if off.any() and off[known].all() and np.ptp(ratio[known]) < math.log(FACTOR):
        factor = math.exp(float(np.median(ratio[known])))
        yield Problem(None, label, f"is {factor:.3g} times 6 N D{_explained(factor)}")
        return
    for i in np.flatnonzero(off):
        factor = math.exp(ratio[i])
        yield Problem(
            int(i), label,
            f"{flops[i]:.4g} is {factor:.3g} times 6 N D{_explained(factor)}; "
            f"{int((known & ~off).sum())} other rows agree with 6 N D within a factor {FACTOR:g}",
        )  # fmt: skip


def _explained(factor: float) -> str:
    """The unit that a factor looks like, if any."""
    near = min(FACTORS, key=lambda known: abs(math.log(factor / known)))
    return f": {FACTORS[near]}" if abs(math.log(factor / near)) < math.log(FACTOR) else ""


def _scale(ratio: float) -> str:
    """The scale that makes a ratio of counts typical."""
    return SCALES[min(SCALES, key=lambda scale: abs(math.log(ratio / scale / TYPICAL)))]


def _units(draft: Draft) -> Iterator[Problem]:
    """Counts so small, beside each other or at all, that a unit must be missing."""
    size, tokens = draft.size, draft.values["tokens"]
    middle = float(np.median(tokens / size))
    labels = {"params": draft.label("params", "params_total"), "tokens": draft.label("tokens")}
    if middle > MOST:
        yield Problem(
            None, labels["params"], f"D / N is {middle:.3g} in the middle row: N looks like "
            f"{_scale(middle)} (unit)",
        )  # fmt: skip
    elif middle < FEWEST:
        yield Problem(
            None, labels["tokens"], f"D / N is {middle:.3g} in the middle row: D looks like "
            f"{_scale(TYPICAL**2 / middle)} (unit)",
        )  # fmt: skip
    else:
        yield from _odd_units(size, tokens, labels)


def _odd_units(size: Floats, tokens: Floats, labels: dict[str, str]) -> Iterator[Problem]:
    """Rows, among others in order, whose N or D looks as if it were in another unit."""
    cure = "is it in another unit than the other rows?"
    told = set()
    for name, values in (("params", size), ("tokens", tokens)):
        middle = float(np.median(values))
        apart = np.abs(np.log(values / middle)) > math.log(APART)
        for i in np.flatnonzero((values < SMALLEST[name]) | apart):
            few = values[i] < SMALLEST[name]
            fault = "too few" if few else f"far from the {middle:.4g} of the middle row"
            told.add(int(i))
            yield Problem(int(i), labels[name], f"{values[i]:.4g} is {fault}; {cure}")
    ratio = tokens / size
    for i in np.flatnonzero((ratio < FEWEST) | (ratio > MOST)):
        if int(i) not in told:
            both = f"{labels['params']} and {labels['tokens']}"
            yield Problem(int(i), both, f"D / N is {ratio[i]:.3g} in this row; {cure}")


def _swapped(draft: Draft) -> Iterator[Problem]:
    """Tokens well below parameters in the middle of the table."""
    middle = float(np.median(draft.values["tokens"] / draft.size))
    if FEWEST <= middle < SWAPPED:
        both = f"{draft.label('params', 'params_total')} and {draft.label('tokens')}"
        yield Problem(
            None, both, f"D / N is {middle:.3g} in the middle row: they look swapped"
        )  # fmt: skip


def _loss(draft: Draft) -> Iterator[Problem]:
    """A loss that is called, or is as large or small as, one in another unit."""
    loss, label = draft.values["loss"], draft.label("loss")
    told = _told_twice(draft)
    if told:
        yield from told
        return
    if "loss" not in draft.labels or np.isnan(loss).all():
        return
    if draft.units["loss"] == "nats/token" and BITS.search(label):
        yield Problem(None, label, "is taken as nats/token; does its name tell another unit?")
    highest = np.fmin(np.log(draft.values.get("vocab_size", np.full(len(draft), np.nan))), HIGHEST)
    finished = np.array([state == "finished" for state in draft.texts["status"]])
    for i in np.flatnonzero((loss > 1.02 * highest) & finished):
        yield Problem(
            int(i), label, f"{loss[i]:.4g} nats/token is worse than guessing every token; is it "
            "bits/token, or perplexity?",
        )  # fmt: skip
    if np.nanmedian(loss) < LOWEST:
        yield Problem(
            None, label, f"the middle loss is {np.nanmedian(loss):.3g} nats/token, lower than "
            "models of text reach; is it bits/byte?",
        )  # fmt: skip


def _told_twice(draft: Draft) -> list[Problem]:
    """Losses in nats/token that disagree with the bits/byte beside them."""
    if not {"loss", "bits_per_byte", "bytes_per_token"} <= set(draft.labels):
        return []
    values = draft.values
    ratio = values["loss"] / (values["bits_per_byte"] * LN2 * values["bytes_per_token"])
    off = np.flatnonzero(np.abs(ratio - 1) > TOLD)
    middle = float(np.nanmedian(ratio))
    if len(off) and abs(middle * LN2 - 1) < TOLD:
        fault = f"is {middle:.3f} = 1 / ln 2 times what bits/byte tell: it looks like bits/token"
        return [Problem(None, draft.labels["loss"], fault)]
    return [
        Problem(int(i), draft.labels["loss"], f"is {ratio[i]:.3g} times what bits/byte tell")
        for i in off
    ]


CHECKS: dict[str, Callable[[Draft], Iterator[Problem]]] = {
    "flops": _flops,
    "units": _units,
    "swapped": _swapped,
    "loss": _loss,
}


def repeated(draft: Draft) -> dict[int, int]:
    """Position of each row that repeats an earlier one (N, D, seed and loss) -> that one's."""
    nothing = np.full(len(draft), np.nan)
    seed = draft.values.get("seed", nothing)
    loss = draft.either("loss", "bits_per_byte")
    key = np.column_stack([draft.size, draft.values["tokens"], seed, loss])
    first: dict[tuple[float, ...], int] = {}
    found = {}
    for index, row in enumerate(np.nan_to_num(key, nan=-1.0).tolist()):
        earlier = first.setdefault(tuple(row), index)
        if earlier != index:
            found[index] = earlier
    return found
