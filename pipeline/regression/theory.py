r"""What is known of the error of such a regression in closed form.

Let lambda_k be the prior, a_k^2 the target's variance in degree k, delta the ridge, and kappa the
solution of  D = sum_k lambda_k / (lambda_k + kappa) + delta / kappa.  With
L_k = lambda_k / (lambda_k + kappa) the mean square error on new samples, their noise included, is

    D / (D - sum_k L_k^2) * (sum_k (1 - L_k)^2 a_k^2 + sum_{k >= N} a_k^2 + sigma^2)

for features that are as good as independent, in the limit of many (Bordelon et al. 2020,
arXiv:2002.02561; Simon et al. 2021, arXiv:2110.03922).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.regression.definition import Regression
from pipeline.regression.regressor import prior, spectrum


def learning_curve(exponent: float, noise: float, size: int, samples: int) -> float:
    """The excess error expected of one design, by the formula above."""
    variance, expected = spectrum(exponent), prior(exponent, size)
    ridge = float(variance[size:].sum()) + noise**2
    low, high = -80.0, 40.0  # of log kappa; the sum falls as kappa grows
    for _ in range(120):
        middle = (low + high) / 2
        kappa = np.exp(middle)
        above = (expected / (expected + kappa)).sum() + ridge / kappa > samples
        low, high = (middle, high) if above else (low, middle)
    learnt = expected / (expected + np.exp(low))
    unlearnt = float(((1 - learnt) ** 2 * variance[:size]).sum())
    error = samples / (samples - float((learnt**2).sum())) * (unlearnt + ridge)
    return float(error - noise**2)


def exponent_of_samples(exponent: float, noise: float) -> float:
    """The exponent of the error in D where N is without limit.

    Without noise kappa falls like D^-(1 + alpha), and the error, D kappa, like D^-alpha. With noise
    it is the variance of the D^(1 / (1 + alpha)) terms that D samples resolve, their number
    over D: the rate that no regressor beats on such targets (Caponnetto and De Vito 2007).
    """
    return exponent if noise == 0 else exponent / (1 + exponent)


def known(of: Regression) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``known``: what fits of N, of D and of both should find."""
    size, samples = of.exponent, exponent_of_samples(of.exponent, of.noise)
    by_size = "of the target's variance, N^-alpha lies beyond its first N terms"
    by_data = (
        "eigenvalues that fall like k^-(1 + alpha), without noise"
        if of.noise == 0
        else "alpha / (1 + alpha), the rate with noise"
    )
    facts = (
        ("power_params", "alpha_N", size, "1", by_size),
        ("power_params", "Nc", 1.0, "parameters", by_size),
        ("power_tokens", "alpha_D", samples, "1", by_data),
        ("additive", "A", 1.0, "share of variance", by_size),
        ("additive", "alpha", size, "1", by_size),
        ("additive", "beta", samples, "1", by_data),
        ("kaplan", "Nc", 1.0, "parameters", by_size),
        ("kaplan", "alpha_N", size, "1", by_size),
        ("kaplan", "alpha_D", samples, "1", by_data),
        ("chinchilla", "A", 1.0, "share of variance", by_size),
        ("chinchilla", "alpha", size, "1", by_size),
        ("chinchilla", "beta", samples, "1", by_data),
    )
    for law, parameter, value, unit, reason in facts:
        yield {"law": law, "parameter": parameter, "value": value, "unit": unit, "reason": reason}
