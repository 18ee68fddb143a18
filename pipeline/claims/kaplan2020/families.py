"""LSTMs and recurrent transformers beside transformers: sections 3.2.1 and D.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtLeast, AtMost
from pipeline.claims.runs import Baseline, baseline, counted, trained_as
from pipeline.claims.samples import over_rows, resampled, span
from pipeline.findings.data import Row
from pipeline.findings.kaplan2020.positions import final

PLATEAU = 7  # the bin of positions 65 to 128, in which the paper's LSTMs stop to gain
HALF = 0.5  # of the transformers' gain beyond it: a model that gains less has levelled off

Depth = int | None  # layers of the transformers compared with; None for two or more, pooled


def apart(
    experiment: str, size: Callable[[Row], float], depth: Callable[[Row], Depth] = lambda _: None
) -> Callable[[Evidence], Measured]:
    """Loss over that of a plain transformer of ``size`` and the same tokens, less one, in per cent.

    Geometric mean over the models within the range of the transformers of their ``depth``. What is
    resampled is the models, and with them the transformers' losses around their trend.
    """

    def measure(evidence: Evidence) -> Measured:
        runs = counted(evidence[experiment])
        if not runs:
            raise UnmeasuredError(f"{experiment} has no run")
        bases = _beside(evidence, {depth(run): run for run in runs})
        known = [run for run in runs if depth(run) in bases]
        inside = [run for run in known if bases[depth(run)].holds(size(run))]
        if not inside:
            raise UnmeasuredError(
                f"no model of {experiment} is as large as a plain transformer beside it"
            )
        logs = np.log([run["loss"] for run in inside])

        def excess(drawn: Mapping[Depth, Baseline], index: NDArray[np.intp]) -> float:
            trend = np.array([drawn[depth(run)].log_loss(size(run)) for run in inside])
            return 100 * float(np.expm1((logs - trend)[index].mean()))

        rng = np.random.default_rng((evidence.seed, 1))  # not the stream of the models' draws
        low, high = resampled(
            evidence,
            [[i] for i in range(len(inside))],
            lambda index: excess({d: base.redrawn(rng) for d, base in bases.items()}, index),
        )
        return Measured(
            excess(bases, np.arange(len(inside))), low, high, evidence.level, len(inside),
            span(inside, "params"), span(inside, "tokens"),
        )  # fmt: skip

    return measure


def _beside(evidence: Evidence, models: Mapping[Depth, Row]) -> dict[Depth, Baseline]:
    """Depth -> the transformers beside a model; raises UnmeasuredError where none has enough."""
    found: dict[Depth, Baseline] = {}
    lacks: list[UnmeasuredError] = []
    for depth, model in models.items():
        try:
            found[depth] = baseline(evidence, model, depth)
        except UnmeasuredError as lack:
            lacks.append(lack)
    if not found:
        raise lacks[0]
    return found


def layers(run: Row) -> Depth:
    """The layers that have weights of their own."""
    return int(run["n_layer"])


def plateau(evidence: Evidence) -> Measured:
    """What LSTMs gain beyond a hundred tokens of context, over what transformers gain there.

    Beside each LSTM stand the transformers of half to twice its size that saw as many tokens.
    """
    found = {
        name: [run for run in counted(evidence[name]) if final(evidence[name], run)]
        for name in ("lstm", "sizes")
    }
    if not all(found.values()):
        raise UnmeasuredError("no loss by position was measured")
    context = min(run["context"] for runs in found.values() for run in runs)
    lstms = found["lstm"]
    if context < 2 ** (PLATEAU + 1):
        raise UnmeasuredError(
            f"contexts of {context} tokens end before or little after the 100 that it is about"
        )
    beside = [[run for run in found["sizes"] if _comparable(run, lstm)] for lstm in lstms]
    lstms = [lstm for lstm, others in zip(lstms, beside, strict=True) if others]
    if not lstms:
        raise UnmeasuredError("no transformer of an LSTM's size saw as many tokens")
    own = np.array([_gain(final(evidence["lstm"], run)) for run in lstms])
    usual = np.array([
        np.mean([_gain(final(evidence["sizes"], run)) for run in others])
        for others in beside if others
    ])  # fmt: skip
    return over_rows(evidence, lambda index: float(own[index].mean() / usual[index].mean()), lstms)


def _comparable(run: Row, lstm: Row) -> bool:
    """Whether a transformer has half to twice the size of an LSTM, and was trained as it was."""
    near = lstm["params"] / 2 <= run["params"] <= 2 * lstm["params"]
    return near and run["context"] == lstm["context"] and trained_as(run, lstm)


def _gain(losses: list[float]) -> float:
    return losses[PLATEAU] - losses[-1]


CLAIMS = (
    Claim(
        "lstm_worse", "LSTMs do not reach the loss of transformers of the same size.",
        "section 3.2.1, figure 7", "loss over that of a transformer of the same size, less one",
        {"lstm": (), "depths": ()}, apart("lstm", lambda run: run["params"]), AtLeast(), "%", low=0,
    ),
    Claim(
        "lstm_plateau", "LSTMs level off after fewer than 100 tokens of context, while "
        "transformers gain through the whole of it.", "section 3.2.1, figure 7",
        "gain beyond 128 tokens over that of transformers", {"lstm": (), "sizes": ()}, plateau,
        AtMost(), high=HALF,
    ),
    Claim(
        "recurrent_size", "For their size, transformers that use layers again are better.",
        "appendix D.2, figure 17", "loss over that of a transformer of the same N, less one",
        {"recurrent": (), "depths": ()}, apart("recurrent", lambda run: run["params"], layers),
        AtMost(), "%", high=0,
    ),
    Claim(
        "recurrent_compute", "For their compute, transformers that use layers again are worse.",
        "appendix D.2, figure 17", "loss over that of a transformer of the same compute, less one",
        {"recurrent": (), "depths": ()},
        apart("recurrent", lambda run: run["params"] * (run["reuse"] or 1), layers), AtLeast(),
        "%", low=0,
    ),
)  # fmt: skip
