"""The loss on a whole split, with its standard error and by position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from pipeline.training.data import TokenStream
from pipeline.training.inputs import CorpusFacts
from pipeline.training.learner import Learner
from pipeline.training.team import Alone


@dataclass(frozen=True)
class Score:
    """Losses in nats/token; ``by_position`` in the bins 1, 2, 3-4, 5-8, ... of the context."""

    loss: float
    se: float
    by_position: list[float]
    tokens: int


def score_row(text: CorpusFacts, score: Score) -> dict[str, Any]:
    """The score on another text in columns of the contracts."""
    return {
        "corpus": text.name, "loss": score.loss, "loss_se": score.se,
        "bits_per_byte": text.bits_per_byte(score.loss, "evaluation"),
    }  # fmt: skip


def evaluate(
    learner: Learner, stream: TokenStream, context: int, team: Alone | None = None
) -> Score:
    """Score every token of a split but the first, in windows that do not overlap.

    The windows start afresh, so the mean includes positions with little context, as training
    does. The last window is as long as the rest of the split. The standard error is that between
    documents; between windows where the split is a single document. A team's processes score
    stretches that follow one another.
    """
    team = team or Alone()
    whole, rest = divmod(len(stream) - 1, context)
    mine = team.part(whole + bool(rest))
    first, *others = team.gathered(_stretch(learner, stream, context, mine, team))
    for other in others:
        first.join(other)
    lengths = np.array([context] * whole + [rest] * bool(rest), float)
    loss, se = cluster_mean(np.concatenate(first.totals), lengths)
    totals, counts = first.documents.sums()
    if len(counts) > 1:
        _, se = cluster_mean(np.array(totals), np.array(counts, float))
    seen = whole + (np.arange(context) < rest)
    return Score(loss, se, _binned(first.by_position, seen), len(stream) - 1)


@dataclass
class _Losses:
    """Sums of the losses of a stretch of windows: by window, by position and by document."""

    totals: list[np.ndarray]
    by_position: np.ndarray
    documents: DocumentLosses

    def join(self, other: _Losses) -> None:
        """Take in the stretch that follows."""
        self.totals += other.totals
        self.by_position += other.by_position
        self.documents.join(other.documents)


def _stretch(
    learner: Learner, stream: TokenStream, context: int, mine: range, team: Alone
) -> _Losses:
    """Score the windows ``mine``, of ``context`` tokens but the split's last."""
    whole, rest = divmod(len(stream) - 1, context)
    found = _Losses([], np.zeros(context), DocumentLosses(stream.end_of_text))
    rows, full = rows_at_once(learner, context), min(mine.stop, whole)
    spans = [(range(i, min(i + rows, full)), context) for i in range(mine.start, full, rows)]
    if rest and whole in mine:
        spans.append((range(whole, whole + 1), rest))
    most = max(team.gathered(len(spans))) if learner.sharded else 0
    with learner.evaluating():
        for windows, length in spans:
            cut = stream.windows([window * context for window in windows], length + 1)
            batch = torch.from_numpy(cut).to(learner.device)
            losses = learner.module.losses(batch[:, :-1], batch[:, 1:]).double().cpu().numpy()
            found.totals.append(losses.sum(1))
            found.by_position[:length] += losses.sum(0)
            found.documents.add(cut[:, :-1], losses)
        for _ in range(most - len(spans)):  # others have more to score and need these weights
            idle = torch.zeros((1, context), dtype=torch.int64, device=learner.device)
            learner.module.losses(idle, idle)
    return found


def rows_at_once(learner: Learner, context: int) -> int:
    """Windows of one forward pass: as many as tokens, logits and memory allow, at least one."""
    return max(1, learner.passes.scored // context)


class DocumentLosses:
    """Sums of token losses in nats, and counts of tokens, of each document scored so far.

    A document ends with its end-of-text token, which counts as its last. Without such a token the
    whole split is one document.
    """

    def __init__(self, end_of_text: int | None):
        self.end_of_text = end_of_text
        # The first goes on with what came before, if anything did.
        self.totals, self.counts = [0.0], [0]

    def add(self, preceding: np.ndarray, losses: np.ndarray) -> None:
        """Losses of tokens in the order of the stream, and the token before each; equal shapes."""
        ended = preceding.ravel() == (-1 if self.end_of_text is None else self.end_of_text)
        document = np.cumsum(ended)
        totals = np.bincount(document, losses.ravel()).tolist()
        counts = np.bincount(document).tolist()
        self._append(totals, counts)

    def join(self, other: DocumentLosses) -> None:
        """Take in the losses of the stretch that follows."""
        self._append(other.totals, other.counts)

    def _append(self, totals: list[float], counts: list[int]) -> None:
        self.totals[-1] += totals[0]
        self.counts[-1] += counts[0]
        self.totals += totals[1:]
        self.counts += counts[1:]

    def sums(self) -> tuple[list[float], list[int]]:
        """Losses and tokens of each document; of none before an end that begins the text."""
        begun = 0 if self.counts[0] else 1
        return self.totals[begun:], self.counts[begun:]


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
