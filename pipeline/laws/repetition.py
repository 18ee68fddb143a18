r"""What repeating is worth: X' = U (1 + r (1 - exp(-R/r))) after R repetitions of U.

Muennighoff et al. 2023 (arXiv:2305.16264), section 3 and appendix A: each repetition adds less, and
all of them together add r times U. ``log_gain`` is log(X'/U), a function of log r and of R.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Gain(NamedTuple):
    """log(X'/U) to second order in log r and R, all of one shape.

    ``left`` is d log(X'/U) / dR times (1 + R): 1 while repetition is as good as new, 0 at the end.
    """

    value: Floats
    by_rate: Floats  # d / d log r
    by_rate_twice: Floats
    left: Floats
    left_by_repeats: Floats  # d left / dR
    by_rate_by_repeats: Floats  # d by_rate / dR


def log_gain(log_rate: Floats, repeats: Floats) -> Floats:
    """log(1 + r (1 - exp(-R/r))); log_rate and repeats >= 0 broadcast together."""
    rate = np.exp(log_rate)
    return np.log1p(-rate * np.expm1(-repeats / rate))


def gain(log_rate: Floats, repeats: Floats) -> Gain:
    """``log_gain`` with its derivatives."""
    rate = np.exp(log_rate)
    z = repeats / rate
    fade = np.exp(-z)
    added = -rate * np.expm1(-z)  # r (1 - exp(-z))
    whole = 1 + added
    turn = added - repeats * fade  # d added / d log r
    turn_again = turn - repeats * z * fade
    left = (1 + repeats) * fade / whole
    return Gain(
        np.log1p(added),
        turn / whole,
        turn_again / whole - (turn / whole) ** 2,
        left,
        fade / whole - left / rate - left * fade / whole,
        z * fade / whole - turn * fade / whole**2,
    )
