"""What the loss does not depend on: a model's shape, its embeddings (section 3.1 and 3.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtLeast, AtMost
from pipeline.claims.runs import by, counted
from pipeline.claims.samples import over_groups, over_seeds
from pipeline.findings.data import Row
from pipeline.findings.kaplan2020 import collapse
from pipeline.findings.kaplan2020.collapse import SHALLOW

LIMIT = 3.0  # %: the paper's (6, 4288) comes within 3 % of the loss of (48, 1600)
SAME_SIZE = 0.1  # natural log of N
SHAPE = ("n_layer", "d_model", "d_ff", "n_head")


def spread(
    scan: Callable[[Sequence[Row]], dict[Hashable, list[Row]]],
) -> Callable[[Evidence], Measured]:
    """Largest over least loss of the shapes of one size, in per cent.

    ``scan`` gives the runs at each value of what is varied; of several shapes at one value the best
    counts, as the paper's others are tuned. Of several sizes the one with the widest spread counts.
    """

    def measure(evidence: Evidence) -> Measured:
        found = [
            _spread(evidence, list(scan(runs).values()))
            for runs in of_one_size(counted(evidence["shapes"])) if len(scan(runs)) > 1
        ]  # fmt: skip
        if not found:
            raise UnmeasuredError("no size was trained in several such shapes")
        return max(found, key=lambda one: one.value)

    return measure


def _spread(evidence: Evidence, values: Sequence[Sequence[Row]]) -> Measured:
    best = [min(by(runs, *SHAPE).values(), key=_mean) for runs in values]
    return over_seeds(evidence, best, lambda loss: 100 * float(loss.max() / loss.min() - 1))


def _mean(runs: Sequence[Row]) -> float:
    return float(np.mean([run["loss"] for run in runs]))


def of_one_size(runs: Sequence[Row]) -> list[list[Row]]:
    """Runs (by size) in groups whose sizes hardly differ."""
    groups: list[list[Row]] = []
    for run in runs:
        if not groups or np.log(run["params"] / groups[-1][0]["params"]) > SAME_SIZE:
            groups.append([])
        groups[-1].append(run)
    return groups


def aspects(runs: Sequence[Row]) -> dict[Hashable, list[Row]]:
    """By d_model / n_layer, of the usual feed-forward ratio, without single layers."""
    usual = [run for run in runs if run["d_ff"] == 4 * run["d_model"] and run["n_layer"] >= SHALLOW]
    return _at([(run["d_model"] / run["n_layer"], run) for run in usual])


def ratios(runs: Sequence[Row]) -> dict[Hashable, list[Row]]:
    """By d_ff / d_model, at the depth at which it was varied most."""
    depths = by(runs, "n_layer").values()
    most = max(
        depths, key=lambda own: len({run["d_ff"] / run["d_model"] for run in own}), default=[]
    )
    return _at([(round(run["d_ff"] / run["d_model"], 1), run) for run in most])


def heads(runs: Sequence[Row]) -> dict[Hashable, list[Row]]:
    """By the number of heads, in the shape in which it was varied most."""
    shapes = by(runs, "n_layer", "d_model", "d_ff").values()
    most = max(shapes, key=lambda own: len({run["n_head"] for run in own}), default=[])
    return _at([(run["n_head"], run) for run in most])


def _at(pairs: Sequence[tuple[Hashable, Row]]) -> dict[Hashable, list[Row]]:
    found: dict[Hashable, list[Row]] = {}
    for value, run in pairs:
        found.setdefault(value, []).append(run)
    return found


def embeddings(evidence: Evidence) -> Measured:
    """Scatter around one line in N with embeddings over that without, models of two layers or more.

    The line is a parabola in logarithms, so that a bend of the trend does not count as scatter. The
    interval is the jackknife's over sizes.
    """
    runs = collapse.deep(evidence["depths"].runs)
    if len({run["n_layer"] for run in runs}) < 2 or len(runs) < 6:
        raise UnmeasuredError("too few depths of two layers or more were trained")
    loss = collapse.logs(runs, "loss")
    counts = [collapse.logs(runs, column) for column in collapse.COUNTS]

    def ratio(index: np.ndarray) -> float:
        total, own = (collapse.scatter(x[index], loss[index]) for x in counts)
        return total / max(own, 1e-9)

    return over_groups(evidence, ratio, runs, "params")


def _shape(
    key: str, what: str, factor: str, scan: Callable[..., dict[Hashable, list[Row]]]
) -> Claim:
    return Claim(
        key, f"At a fixed size N the loss depends only weakly on {what}: within 3 %{factor}.",
        "section 3.1, figure 5", f"largest over least loss by {what}", {"shapes": ()}, spread(scan),
        AtMost(), "%", high=LIMIT,
    )  # fmt: skip


CLAIMS = (
    _shape("aspect", "the ratio of width to depth", " over ratios forty times apart", aspects),
    _shape("ff_ratio", "the feed-forward ratio", "", ratios),
    _shape("heads", "the number of heads", "", heads),
    Claim(
        "embeddings", "Counted without embeddings, sizes of all depths follow one trend; counted "
        "with them, they do not.", "section 3.2.1, figure 6",
        "scatter around the trend with embeddings over that without", {"depths": ()}, embeddings,
        AtLeast(), low=1,
    ),
)  # fmt: skip
