"""The loss on a whole split, with its standard error and by position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from pipeline.training.data import TokenStream
from pipeline.training.learner import MICRO_TOKENS, Learner

LOGITS = {"cpu": 2**26, "cuda": 2**30}  # at once, 4 bytes each: bounds memory, not the result


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
    does. The last window is as long as the rest of the split. The standard error is that between
    documents; between windows where the split is a single document.
    """
    whole, rest = divmod(len(stream) - 1, context)
    rows = rows_at_once(learner, context)
    totals, by_position = [], np.zeros(context)
    documents = DocumentLosses(stream.end_of_text)
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
            documents.add(cut[:, :-1], losses)
    lengths = np.array([context] * whole + [rest] * bool(rest), float)
    loss, se = cluster_mean(np.concatenate(totals), lengths)
    if len(documents.counts) > 1:
        _, se = cluster_mean(np.array(documents.totals), np.array(documents.counts, float))
    seen = whole + (np.arange(context) < rest)
    return Score(loss, se, _binned(by_position, seen), len(stream) - 1)


def rows_at_once(learner: Learner, context: int) -> int:
    """Windows of one forward pass: as many as tokens and logits allow, at least one."""
    kind = learner.device.type
    tokens = min(MICRO_TOKENS[kind], LOGITS[kind] // learner.cell.vocab_size)
    return max(1, tokens // context)


class DocumentLosses:
    """Sums of token losses in nats, and counts of tokens, of each document scored so far.

    A document ends with its end-of-text token, which counts as its last. Without such a token the
    whole split is one document.
    """

    def __init__(self, end_of_text: int | None):
        self.end_of_text = end_of_text
        self.totals: list[float] = []
        self.counts: list[int] = []
        self._open = False  # does the next token go on with the last document?

    def add(self, preceding: np.ndarray, losses: np.ndarray) -> None:
        """Losses of tokens in the order of the stream, and the token before each; equal shapes."""
        ended = preceding.ravel() == (-1 if self.end_of_text is None else self.end_of_text)
        document = np.cumsum(ended)
        totals = np.bincount(document, losses.ravel()).tolist()
        counts = np.bincount(document).tolist()
        if self._open:
            self.totals[-1] += totals.pop(0)
            self.counts[-1] += counts.pop(0)
        elif not counts[0]:  # the text begins with an end
            del totals[0], counts[0]
        self.totals += totals
        self.counts += counts
        self._open = True


def cluster_mean(totals: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean per item and its standard error, where items come in clusters (Cochran 1977, ch. 6).

    Tokens of one document depend on one another, and so do those of one window: the cluster is
    the unit that varies, and the error that of a ratio of sums over clusters. It is unknown (nan)
    with a single cluster.
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
