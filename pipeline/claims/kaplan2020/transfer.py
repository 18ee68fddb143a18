"""Loss on other texts: section 3.2.2 and appendix D.8."""

from __future__ import annotations

import numpy as np

from pipeline.batches.traces import at_peak
from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import AtMost, Near
from pipeline.claims.runs import by, counted, trunk
from pipeline.claims.samples import over_rows, slope
from pipeline.figures.data import Data, Row
from pipeline.laws.base import Floats

SEEDS = 2.0  # % of the loss: the paper's spread between seeds
FEWEST = 3  # runs of different loss


def scored(data: Data) -> tuple[list[Row], Floats]:
    """Counted runs, and their loss on each other text (runs, texts), texts that all have.

    Raises UnmeasuredError where fewer than three runs were scored on a common text.
    """
    of = {(row["cell"], row["corpus"]): row["loss"] for row in data.evaluations}
    runs = [run for run in counted(data) if any(cell == run["cell"] for cell, _ in of)]
    texts = sorted({text for _, text in of})
    texts = [text for text in texts if all((run["cell"], text) in of for run in runs)]
    if len(runs) < FEWEST or not texts:
        raise UnmeasuredError("fewer than three runs were scored on another text")
    return runs, np.array([[of[run["cell"], text] for text in texts] for run in runs])


def offset(evidence: Evidence) -> Measured:
    """Slope of the loss on other texts in that on the validation text, mean over texts.

    What is resampled is whole trainings, of which runs of several lengths branch off.
    """
    runs, other = scored(evidence["sizes"])
    loss = np.array([run["loss"] for run in runs])
    return over_rows(
        evidence,
        lambda index: float(np.mean([slope(loss[index], text[index]) for text in other.T])), runs,
        shared=[trunk(run) for run in runs],
    )  # fmt: skip


def training(evidence: Evidence) -> Measured:
    """How far losses during training lie from the line through finished runs, per cent, mean.

    Points at the peak learning rate whose validation loss some finished run has, of each training
    those of its longest run, which has those of the shorter ones; what is resampled is trainings.
    """
    data = evidence["sizes"]
    runs, other = scored(data)
    loss = np.array([run["loss"] for run in runs])
    texts = sorted({row["corpus"] for row in data.text_curves})
    ends = {(row["cell"], row["corpus"]): row["loss"] for row in data.evaluations}
    along = by(data.text_curves, "cell")
    found: list[Floats] = []
    behind: list[Row] = []
    for run in {trunk(run): run for run in sorted(runs, key=lambda run: run["steps"])}.values():
        at = [row for row in at_peak(run, along.get((run["cell"],), []))
              if loss.min() <= row["val_loss"] <= loss.max()]  # fmt: skip
        away = [
            abs(row["loss"] / _line(runs, ends, row["corpus"], row["val_loss"]) - 1)
            for row in at if row["corpus"] in texts
            and all((one["cell"], row["corpus"]) in ends for one in runs)
        ]  # fmt: skip
        if away:
            found.append(np.array(away))
            behind.append(run)
    if not found or other.size == 0:
        raise UnmeasuredError("no loss on another text was measured along training")
    return over_rows(
        evidence,
        lambda index: 100 * float(np.concatenate([found[i] for i in index]).mean()),
        behind,
    )


def _line(runs: list[Row], ends: dict[tuple[str, str], float], text: str, at: float) -> float:
    """The line through the finished runs' losses on a text, at a validation loss."""
    x = np.array([run["loss"] for run in runs])
    y = np.array([ends[run["cell"], text] for run in runs])
    return float(y.mean() + slope(x, y) * (at - x.mean()))


def depth(evidence: Evidence) -> Measured:
    """Change of the loss on other texts, over that on the validation text, from the shallowest to
    the deepest models of one size, in per cent; mean over texts of the absolute change.
    """
    runs, other = scored(evidence["shapes"])
    layers = np.log([run["n_layer"] for run in runs])
    if np.ptp(layers) == 0:
        raise UnmeasuredError("all shapes have one depth")
    gap = np.log(other) - np.log([run["loss"] for run in runs])[:, None]

    def change(index: np.ndarray) -> float:
        slopes = [slope(layers[index], text[index]) for text in gap.T]
        return 100 * float(np.mean(np.abs(slopes)) * np.ptp(layers))

    return over_rows(evidence, change, runs)


CLAIMS = (
    Claim(
        "transfer_offset", "The loss on other texts lies above that on the training text's own "
        "kind by a nearly constant offset.", "section 3.2.2, figure 8",
        "slope of the loss on other texts in the validation loss", {"sizes": ()}, offset, Near(),
        paper=1,
    ),
    Claim(
        "transfer_training", "The loss on other texts depends on the validation loss alone, and "
        "not on how long a model was trained.", "section 3.2.2, figure 8",
        "distance of losses during training from the line of finished runs",
        {"sizes": ()}, training, AtMost(), "%", high=SEEDS,
    ),
    Claim(
        "transfer_depth", "How well models do on other texts does not depend on their depth.",
        "appendix D.8, figure 24", "change of the loss on other texts over all depths",
        {"shapes": ()}, depth, AtMost(), "%", high=SEEDS,
    ),
)  # fmt: skip
