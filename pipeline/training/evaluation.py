"""The loss on a whole split, with its standard error and by position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from pipeline.training.data import TokenStream
from pipeline.training.learner import MICRO_TOKENS, Learner


@dataclass(frozen=True)
class Score:
    """Losses in nats/token; ``by_position`` in the bins 1, 2, 3-4, 5-8, ... of the context."""

    loss: float
    se: float
    by_position: list[float]
    tokens: int


def evaluate(learner: Learner, stream: TokenStream, context: int) -> Score:
    """Score every token of a split but the first, in windows that do not overlap.

    The windows start afresh, so the mean includes positions with little context, as training
    does. The last window is as long as the rest of the split.
    """
    whole, rest = divmod(len(stream) - 1, context)
    rows = max(1, MICRO_TOKENS[learner.device.type] // context)
    totals, by_position = [], np.zeros(context)
    with learner.evaluating():
        spans = [(range(i, min(i + rows, whole)), context) for i in range(0, whole, rows)]
        if rest:
            spans.append((range(whole, whole + 1), rest))
        for windows, length in spans:
            cut = stream.windows([window * context for window in windows], length + 1)
            batch = torch.from_numpy(cut).to(learner.device)
            losses = learner.module.losses(batch[:, :-1], batch[:, 1:]).double().cpu().numpy()
            totals.append(losses.sum(1))
            by_position[:length] += losses.sum(0)
    lengths = np.array([context] * whole + [rest] * bool(rest), float)
    loss, se = cluster_mean(np.concatenate(totals), lengths)
    seen = whole + (np.arange(context) < rest)
    return Score(loss, se, _binned(by_position, seen), len(stream) - 1)


def cluster_mean(totals: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean per item and its standard error, where items come in clusters (Cochran 1977, ch. 6).

    Tokens of one window depend on one another, so the window is the unit that varies: the error
    is that of a ratio of sums over windows. With a single window it is unknown (nan).
    """
    mean = totals.sum() / counts.sum()
    number = len(totals)
    if number < 2:
        return float(mean), math.nan
    residual = totals - mean * counts
    spread = math.sqrt(number / (number - 1) * float(np.square(residual).sum()))
    return float(mean), spread / float(counts.sum())


def position_bins(context: int) -> list[tuple[int, int]]:
    """Half-open ranges of positions (from 0): 1, 2, 3-4, 5-8, ... up to the context."""
    edges = [0, 1]
    while edges[-1] < context:
        edges.append(min(2 * edges[-1], context))
    return list(pairwise(edges))


def _binned(totals: np.ndarray, counts: np.ndarray) -> list[float]:
    bins = [slice(low, high) for low, high in position_bins(len(totals))]
    return [float(totals[b].sum() / counts[b].sum()) for b in bins if counts[b].sum()]
