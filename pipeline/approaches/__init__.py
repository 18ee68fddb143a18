"""The ways to the compute-optimal split that need no law of N and D: an envelope, isoFLOP minima.

Standard library only: the workflow reads this registry each time it is parsed.
"""

from __future__ import annotations

from typing import NamedTuple


class Approach(NamedTuple):
    """One way from runs to N*(C): its title, source, and what it is known to get wrong."""

    title: str
    citation: str
    use: str
    failure: str
    isoflop: bool  # whether it needs several sizes at each of a few budgets
    asked: bool = False  # whether only configs that name it have it


APPROACHES: dict[str, Approach] = {
    "envelope": Approach(
        "Approach 1: envelope of training curves",
        "Hoffmann et al. 2022, arXiv:2203.15556, section 3.1",
        "Sizes trained on several token counts each, or training curves at a constant rate.",
        "N* moves in steps from size to size, and the ends of the grid bend it.",
        False,
    ),
    "isoflop_parabola": Approach(
        "Approach 2: isoFLOP minima by parabolas",
        "Hoffmann et al. 2022, arXiv:2203.15556, section 3.2",
        "Five sizes or more on both sides of the best one, at each of three budgets or more.",
        "Loss is no parabola in log N: where its two sides differ, N* is off by a share that "
        "grows with the width of the grid.",
        True,
    ),
    "isoflop_akima": Approach(
        "Approach 2: isoFLOP minima by Akima interpolation",
        "Porian et al. 2024, arXiv:2406.19146, section 3",
        "As for parabolas, where sizes are dense and the noise of single runs is small.",
        "It goes through every run: noise of one run near the minimum moves N* by up to a step "
        "of the grid.",
        True,
    ),
    "isoflop_curves": Approach(
        "Approach 2: isoFLOP minima along curves",
        "Porian et al. 2024, arXiv:2406.19146, section 3",
        "As for the envelope, with seven sizes or more and a factor of ten or more in tokens.",
        "As for parabolas; curves whose noise is large against the depth of the minimum.",
        False,
        asked=True,
    ),
}


def applicable(isoflop: bool) -> tuple[str, ...]:
    """The approaches where a config names none: of a grid of budgets (isoFLOP), or of others."""
    return tuple(
        name for name, entry in APPROACHES.items()
        if not entry.asked and (isoflop or not entry.isoflop)
    )  # fmt: skip
