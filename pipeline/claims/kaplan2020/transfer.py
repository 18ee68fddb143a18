"""Loss on other texts: section 3.2.2 and appendix D.8."""

from __future__ import annotations

import numpy as np

from pipeline.batches.traces import at_peak
from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtMost, Near
from pipeline.claims.runs import by, counted, trunk
from pipeline.claims.samples import over_rows, span
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import other_texts
from pipeline.laws.base import Floats, Status

SEEDS = 2.0  # % of the loss: the paper's spread between seeds
FEWEST = 3  # runs of different loss


def scored(data: Data) -> tuple[list[Row], dict[str, Floats]]:
    """Counted runs, and their losses (runs,) on each other text that all were scored on.

    Raises UnmeasuredError where fewer than three runs were scored on a common text.
    """
    of = {(row["cell"], row["corpus"]): row["loss"] for row in data.evaluations}
    cells = {cell for cell, _ in of}
    runs = [run for run in counted(data) if run["cell"] in cells]
    texts = sorted({text for _, text in of})
    texts = [text for text in texts if all((run["cell"], text) in of for run in runs)]
    if len(runs) < FEWEST or not texts:
        raise UnmeasuredError("fewer than three runs were scored on another text")
    return runs, {text: np.array([of[run["cell"], text] for run in runs]) for text in texts}


def offset(evidence: Evidence) -> Measured:
    """Slope of the loss on other texts in that on the validation text, mean over fitted texts.

    The interval is that of the fits, which draw whole sizes, replicate by replicate.
    """
    fits = other_texts.lines(evidence["sizes"])
    if not fits:
        raise UnmeasuredError("sizes fits no line to the loss on another text")
    value, low, high = other_texts.mean_slope(fits)
    slopes = {fit.key: fit.parameters["s"] for fit in fits}
    open_ = (f"{key}: {row['reason']}" for key, row in slopes.items()
             if row["status"] != Status.CONVERGED)  # fmt: skip
    doubt = next(open_, "")
    points = [point for fit in fits for point in fit.points]
    return Measured(
        value, low, high, fits[0].level, max(fit.runs for fit in fits), span(points, "params"),
        span(points, "tokens"), doubt=doubt,
    )  # fmt: skip


def training(evidence: Evidence) -> Measured:
    """How far losses during training lie from the line through finished runs, per cent, mean.

    Points at the peak learning rate whose validation loss some finished run has, of each training
    those of its longest run, which has those of the shorter ones; what is resampled is trainings.
    """
    data = evidence["sizes"]
    runs, other = scored(data)
    loss = np.array([run["loss"] for run in runs])
    along = by(data.text_curves, "cell")
    found: list[Floats] = []
    behind: list[Row] = []
    for run in {trunk(run): run for run in sorted(runs, key=lambda run: run["steps"])}.values():
        at = [
            row for row in at_peak(run, along.get((run["cell"],), []))
            if row["corpus"] in other and loss.min() <= row["val_loss"] <= loss.max()
        ]  # fmt: skip
        if at:
            line = [
                float(other_texts.on_line(loss, other[row["corpus"]], row["val_loss"]))
                for row in at
            ]
            found.append(np.abs(np.array([row["loss"] for row in at]) / np.array(line) - 1))
            behind.append(run)
    if not found:
        raise UnmeasuredError("no loss on another text was measured along training")
    return over_rows(
        evidence,
        lambda index: 100 * float(np.concatenate([found[i] for i in index]).mean()),
        behind,
    )


def depth(evidence: Evidence) -> Measured:
    """Change of the loss on other texts, over that which the loss on the validation text foretells,
    from the shallowest to the deepest models that differ in depth alone, in per cent; mean over
    texts of the absolute change.

    What it foretells is the line through the ladder of sizes, which is taken as it is.
    """
    runs = other_texts.by_depth(counted(evidence["shapes"]))
    scores, ladder = other_texts.scored(evidence["shapes"]), other_texts.ladder(evidence["sizes"])
    if len(runs) < FEWEST or not scores:
        raise UnmeasuredError("fewer than three depths were scored on another text")
    layers = np.array([run["n_layer"] for run in runs], float)
    ends = float(layers.min()), float(layers.max())
    if ends[0] == ends[1]:
        raise UnmeasuredError("all shapes have one depth")
    away = [
        other_texts.residuals(runs, losses, ladder[text]) for text, losses in scores.items()
        if text in ladder and all(run["cell"] in losses for run in runs)
    ]  # fmt: skip
    if not away:
        raise UnmeasuredError("sizes and shapes were scored on no common text")

    def change(index: np.ndarray) -> float:
        if np.ptp(layers[index]) == 0:
            return np.nan
        moved = [other_texts.changed(layers[index], r[index], ends) for r in away]
        return float(np.abs(moved).mean())

    return over_rows(evidence, change, runs)


CLAIMS = (
    Claim(
        "transfer_offset", "The loss on other texts lies above that on the training text's own "
        "kind by a nearly constant offset.", "section 3.2.2, figure 8",
        "slope of the loss on other texts in the validation loss, mean over texts",
        {"sizes": ("transfer",)}, offset, Near(), paper=1,
    ),
    Claim(
        "transfer_training", "The loss on other texts depends on the validation loss alone, and "
        "not on how long a model was trained.", "section 3.2.2, figure 8",
        "distance of losses during training from the line of finished runs",
        {"sizes": ()}, training, AtMost(), "%", high=SEEDS,
    ),
    Claim(
        "transfer_depth", "How well models do on other texts does not depend on their depth.",
        "appendix D.8, figure 24",
        "change over all depths of the loss on other texts over what the validation loss foretells",
        {"shapes": (), "sizes": ()}, depth, AtMost(), "%", high=SEEDS,
    ),
)  # fmt: skip
