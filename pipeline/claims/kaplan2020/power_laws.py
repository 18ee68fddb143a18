"""Loss as a power of size, compute and steps: sections 3.2, 3.3, 5 and 6.1, appendix D.7."""

from __future__ import annotations

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.fits import algebra, parameter
from pipeline.claims.rules import AtLeast, Near, Within
from pipeline.claims.samples import over_rows
from pipeline.kaplan2020 import PF_DAY
from pipeline.laws.base import Floats

HELD_OUT = 1 / 3  # share of the sizes, the largest, that the smaller ones predict
FEWEST = 5  # sizes: three to fit and two to predict


def power_or_logarithm(evidence: Evidence) -> Measured:
    """Error of L = a - b log N on the largest sizes over that of a power law, both least squares.

    The runs are those that L(N) is fitted to; those of the smaller sizes are resampled.
    """
    fit = evidence["sizes"].fits["power_params"]
    points = sorted(fit.points, key=lambda point: point["params"])
    largest = max(2, round(HELD_OUT * len(points)))
    if len(points) < FEWEST:
        raise UnmeasuredError(f"{len(points)} sizes are too few to predict the largest of them")
    x = np.log([point["params"] for point in points])
    loss = np.array([point["observed"] for point in points])
    small = len(points) - largest

    def ratio(index: np.ndarray) -> float:
        if len(np.unique(x[index])) < 2:
            return np.nan
        errors = [
            np.abs(np.log(guess / loss[small:])).mean()
            for guess in (
                _line(x, loss, index, small),
                np.exp(_line(x, np.log(loss), index, small)),
            )
        ]
        return float(errors[0] / max(errors[1], 1e-12))

    return over_rows(evidence, ratio, points[:small], beyond=float(np.exp(x[-1] - x[small - 1])))


def _line(x: Floats, y: Floats, index: np.ndarray, small: int) -> Floats:
    """The line through the points at ``index``, at the larger sizes."""
    guess = np.polyval(np.polyfit(x[index], y[index], 1), x[small:])
    return np.asarray(np.maximum(guess, 1e-6), float)  # a line may leave what a loss can be


CLAIMS = (
    Claim(
        "alpha_N", "The loss of models trained to near convergence is a power of their size N.",
        "eq. 1.1 and 3.1, figures 1 and 6, table 5", "exponent of L(N) at the largest D",
        {"sizes": ("power_params",)}, parameter("sizes", "power_params", "alpha_N"), Near(),
        paper=0.076,
    ),
    Claim(
        "N_c", "L(N) = (N_c / N)^alpha_N with N_c = 8.8e13, which depends on the vocabulary.",
        "eq. 1.1, table 5", "N_c of L(N) at the largest D",
        {"sizes": ("power_params",)}, parameter("sizes", "power_params", "Nc"), Within(),
        "parameters", paper=8.8e13,
    ),
    Claim(
        "power_or_log", "A power law describes the trend of the loss with size better than a "
        "logarithm does.", "appendix D.7, figure 23",
        "error of a logarithm on the largest sizes over that of a power law",
        {"sizes": ("power_params",)}, power_or_logarithm, AtLeast(), low=1,
    ),
    Claim(
        "alpha_C", "The best loss of a compute budget at a fixed batch size is a power of it.",
        "eq. 3.3, figures 1 and 13, table 5", "exponent of L(C) over ends of runs, batch fixed",
        {"sizes": ("power_compute",)}, parameter("sizes", "power_compute", "alpha_C"), Near(),
        paper=0.057,
    ),
    Claim(
        "C_c", "L(C) = (C_c / C)^alpha_C with C_c = 1.6e7 PF-days, batch size fixed.",
        "eq. 3.3, figures 1 and 13, table 5", "C_c of L(C) over ends of runs, batch fixed",
        {"sizes": ("power_compute",)}, parameter("sizes", "power_compute", "Cc", PF_DAY), Within(),
        "PF-days", paper=1.6e7,
    ),
    Claim(
        "alpha_C_min", "At batches far below the critical one, the best loss of a compute budget "
        "is a power of it.", "eq. 1.3, 6.3 and 6.4, figure 13, table 5", "exponent of L(C_min)",
        {"sizes": ("power_compute_min",)},
        parameter("sizes", "power_compute_min", "alpha_C_min"), Near(),
        paper=0.050, low=0.050, high=0.054,
    ),
    Claim(
        "C_c_min", "L(C_min) = (C_c^min / C_min)^alpha_C^min with C_c^min = 3.1e8 PF-days.",
        "eq. 1.3, table 5; 2.3e8 in figure 1", "C_c^min of L(C_min)",
        {"sizes": ("power_compute_min",)},
        parameter("sizes", "power_compute_min", "Cc_min", PF_DAY), Within(), "PF-days",
        paper=3.1e8, low=2.3e8, high=3.1e8,
    ),
    Claim(
        "compute_for_loss", "22 % more compute makes up for a loss that is 1 % higher.", "figure 5",
        "more compute for 1 % of loss, by L(C_min)", {"sizes": ("power_compute_min",)},
        algebra(
            lambda compute: 100 * (1.01 ** (1 / compute.exponent) - 1),
            ("sizes", "power_compute_min"),
        ),
        Near(), "%", paper=22,
    ),
    Claim(
        "alpha_N_steps", "Along training the loss is a power of N plus a power of S_min.",
        "eq. 1.6 and 5.6, figures 4 and 11, table 3", "exponent of N in L(N, S_min)",
        {"sizes": ("kaplan_steps",)}, parameter("sizes", "kaplan_steps", "alpha_N"), Near(),
        paper=0.077,
    ),
    Claim(
        "N_c_steps", "L(N, S_min) = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S with N_c = 6.5e13.",
        "eq. 1.6 and 5.6, table 3", "N_c of L(N, S_min)",
        {"sizes": ("kaplan_steps",)}, parameter("sizes", "kaplan_steps", "Nc"), Within(),
        "parameters", paper=6.5e13,
    ),
    Claim(
        "alpha_S", "What training has yet to gain is a power of the steps S_min.",
        "eq. 1.6 and 5.6, figures 4 and 11, table 3", "exponent of S_min in L(N, S_min)",
        {"sizes": ("kaplan_steps",)}, parameter("sizes", "kaplan_steps", "alpha_S"), Near(),
        paper=0.76,
    ),
    Claim(
        "S_c", "L(N, S_min) = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S with S_c = 2.1e3.",
        "eq. 1.6 and 5.6, table 3", "S_c of L(N, S_min)",
        {"sizes": ("kaplan_steps",)}, parameter("sizes", "kaplan_steps", "Sc"), Within(), "steps",
        paper=2.1e3,
    ),
)  # fmt: skip
