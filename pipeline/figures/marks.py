"""What figures are composed of: points traceable to their run, size colours, bands, fit strips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from pipeline.figures import axes as scales
from pipeline.figures import notes
from pipeline.findings import data
from pipeline.findings.data import FittedLaw, state
from pipeline.laws import CURVES, SURFACES, named
from pipeline.laws.base import Kind

# Okabe and Ito's palette: told apart under every common colour blindness.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
INK, GREY, PALE = "#222222", "#777777", "#bdbdbd"
CATEGORIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
BAND = 0.22  # opacity of a confidence band
LABEL_SIZE = 7.2
LABEL_DEPTH = 25  # points that ticks and axis label take below the axes
LEADER = 11.0  # points between the axes and labels that had to be moved
LISTED = 9  # more sizes than this get a colour bar instead of a list


def law_colour(key: str) -> str:
    """One colour for each law, by the registry's order, laws of N and D first."""
    return CATEGORIES[(*SURFACES, *CURVES).index(named(key)) % len(CATEGORIES)]


class SizeColours:
    """Colours by count on a log scale, without the palest end: viridis for sizes."""

    def __init__(self, params: Iterable[float], base: Colormap | None = None):
        self.sizes = sorted(set(params))
        base = base or matplotlib.colormaps["viridis"]
        colours = base(np.linspace(0.0, 0.88, 256))
        self.map = matplotlib.colors.ListedColormap(colours)
        low, high = (self.sizes[0], self.sizes[-1]) if self.sizes else (1, 10)
        self.norm: Normalize = LogNorm(low / 1.5, high * 1.5) if low == high else LogNorm(low, high)

    def __call__(self, params: float) -> Any:
        """RGBA of a size."""
        return self.map(self.norm(params))

    def key(self, figure: Figure, axes: Sequence[Axes]) -> None:
        """Name the colours right of the last of ``axes``, or in a colour bar where many."""
        if len(self.sizes) <= LISTED:
            handles = [Line2D([], [], color=self(n), lw=2.2) for n in reversed(self.sizes)]
            labels = [scales.count(n) for n in reversed(self.sizes)]
            beside = axes[-1]
            listed = Legend(
                beside, handles, labels, title="$N$", loc="upper left", bbox_to_anchor=(1.0, 1.0)
            )
            beside.add_artist(listed)
            listed.set_clip_on(False)  # else the layout leaves it no room
            return
        bar = figure.colorbar(ScalarMappable(self.norm, self.map), ax=list(axes), pad=0.02)
        bar.outline.set_visible(False)
        scales.count_axis(bar.ax, "y", scales.PARAMS)


def gid(axes: Axes, cell: str, part: str = "") -> str:
    """The id of a run's group in the SVG: its cell key, then the panel and part where there are."""
    return ".".join(filter(None, (cell, str(axes.get_label()), part)))


def point(
    axes: Axes,
    x: float | None,
    y: float | None,
    run: Mapping[str, Any],
    colour: Any,
    part: str = "",
    **style: Any,
) -> None:
    """Mark one run; its group in the SVG is named after its cell.

    Excluded runs are hollow. Diverged ones are crosses; one without a loss stands on the upper
    edge of the axes, one without x (an imported run may lack a count) nowhere.
    """
    if x is None:
        return
    look: dict[str, Any] = {"marker": "o", "ls": "none", "zorder": 4, **style}
    kind = state(run)
    if kind == "included":
        look |= {"mfc": colour, "mec": "white", "mew": 0.5}
    elif kind == "excluded":
        look |= {"mfc": "white", "mec": colour, "mew": 0.9}
    else:
        look |= {"marker": "x", "mec": VERMILLION, "mew": 1.2}
    look["gid"] = gid(axes, run["cell"], part)
    if y is None or not math.isfinite(y):
        axes.plot([x], [0.98], transform=axes.get_xaxis_transform(), clip_on=False, **look)
    else:
        axes.plot([x], [y], **look)


def state_handles(runs: Iterable[Mapping[str, Any]]) -> list[Line2D]:
    """Legend entries for the excluded and diverged runs among ``runs``, with their numbers."""
    kinds = [state(run) for run in runs]
    handles = []
    if count := kinds.count("excluded"):
        handles.append(
            Line2D([], [], marker="o", ls="none", mfc="white", mec=GREY, mew=0.9,
                   label=f"excluded ({count})")
        )  # fmt: skip
    if count := kinds.count("diverged"):
        handles.append(
            Line2D([], [], marker="x", ls="none", mec=VERMILLION, mew=1.2,
                   label=f"diverged ({count})")
        )  # fmt: skip
    return handles


def band_handle(fit: FittedLaw, colour: Any) -> Patch:
    """Legend entry of a confidence band."""
    return Patch(fc=colour, alpha=BAND, lw=0, label=f"{100 * fit.level:.3g} % band")


def band(
    axes: Axes, x: np.ndarray, ends: tuple[np.ndarray, np.ndarray] | None, colour: Any,
    opacity: float = BAND,
) -> None:  # fmt: skip
    """Shade between the ends of an interval; nothing where there is none."""
    if ends is not None:
        axes.fill_between(x, *ends, color=colour, alpha=opacity, lw=0, zorder=1.5)


def end_labels(
    figure: Figure, axes: Axes, ends: Mapping[str, tuple[float, Any]], title: str,
    at: float | None = None,
) -> None:  # fmt: skip
    """Name lines where they leave the axes on the right: label -> (y, colour), under a title.

    Lines that end within the axes do so ``at`` one x, to which leaders then go.

    Called when all is drawn: the limits of the y axis are kept as they are. Labels too near one
    another are pushed apart within the height of the axes, and leaders join all of them to the ends
    of their lines.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    height = figure.get_size_inches()[1] * 0.6  # what the axes get, about
    gap = 1.25 * LABEL_SIZE / 72 / height
    to_axes = axes.transData + axes.transAxes.inverted()
    low, high = axes.get_ylim()
    inside = {text: (y, c) for text, (y, c) in ends.items() if low <= y <= high}
    placed = sorted((to_axes.transform((1.0, y))[1], text, c) for text, (y, c) in inside.items())
    if len(placed) > LISTED:  # name the outermost and every few between
        keep = np.unique(np.linspace(0, len(placed) - 1, LISTED).round().astype(int))
        placed = [placed[i] for i in keep]
    if not placed:
        return
    heights = spaced([y for y, _, _ in placed], gap, (gap / 2, 1 - gap / 2))
    end_x = 1.0 if at is None else to_axes.transform((at, low))[0]
    moved = at is not None or max(abs(y - end) for y, (end, _, _) in zip(heights, placed)) > gap / 4
    aside = LEADER if moved else 3.0
    beside = axes.transAxes + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)
    leader = {"arrowstyle": "-", "lw": 0.5, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
    for y, (end, text, colour) in zip(heights, placed, strict=True):
        axes.annotate(
            text, (end_x, end), (1, y), xycoords="axes fraction", textcoords=beside, va="center",
            fontsize=LABEL_SIZE, color=colour, annotation_clip=False,
            arrowprops={**leader, "color": colour} if moved else None,
        )  # fmt: skip
    axes.annotate(title, (1, heights[-1] + gap), xycoords=beside, va="center", fontsize=LABEL_SIZE,
                  color=INK, annotation_clip=False)  # fmt: skip


def spaced(
    heights: Sequence[float], gap: float, within: tuple[float, float] = (-math.inf, math.inf)
) -> list[float]:
    """The nearest heights, in least squares, that are at least ``gap`` apart; sorted ascending.

    They stay ``within`` its ends where these leave room for all. Isotonic regression of the heights
    less i times the gap: neighbours that clash are pooled, and clipping the levels keeps the least
    squares.
    """
    pools: list[tuple[float, int]] = []  # mean and number of each pool
    for index, height in enumerate(heights):
        mean, number = height - index * gap, 1
        while pools and pools[-1][0] > mean:
            before, members = pools.pop()
            mean = (mean * number + before * members) / (number + members)
            number += members
        pools.append((mean, number))
    lowest = within[0]
    highest = max(within[1] - (len(heights) - 1) * gap, lowest)
    levels = [min(max(mean, lowest), highest) for mean, number in pools for _ in range(number)]
    return [level + index * gap for index, level in enumerate(levels)]


def strip(
    axes: Axes, fit: FittedLaw, per_line: int, point: str = "run", units: bool = False
) -> None:  # fmt: skip
    """Head the first axes with the formula and, below it, its numbers, runs and R2.

    ``per_line`` is the most parameters, each with its interval, that a line has room for; ``point``
    is what the law was fitted to, where that is no run. ``units`` adds those of scales.
    """
    lines = []
    if fit.drawable:
        numbers = [
            f"${p.symbol}$ = {data.estimate(row['value'], row['low'], row['high'])}"
            f"{' ' + p.unit if units and p.kind is Kind.SCALE else ''}"
            for p, row in fit.estimates
        ]
        even = math.ceil(len(numbers) / math.ceil(len(numbers) / per_line))
        lines += ["    ".join(numbers[i : i + even]) for i in range(0, len(numbers), even)]
    lines.append(summary(fit, point))
    headed(axes, fit, lines)


def headed(axes: Axes, fit: FittedLaw, lines: Sequence[str]) -> None:
    """The law's formula over a panel, and ``lines`` of its numbers beneath."""
    title = axes.set_title("\n".join(lines), linespacing=1.35)
    # Fractions in display style: the small ones fall under seven points.
    axes.annotate(
        f"${fit.law.formula}$".replace(r"\frac", r"\dfrac"), (0, 1), (0, 4),
        xycoords=("axes fraction", title), textcoords="offset points", va="bottom",
        annotation_clip=False,
    )  # fmt: skip


def summary(fit: FittedLaw, point: str = "run") -> str:
    """Runs behind a fit, its R2 in log loss, and what its brackets are."""
    text = f"{fit.runs} {point}{'s' if fit.runs != 1 else ''}"
    if fit.drawable and fit.r_squared is not None:
        text += f", $R^2$ = {fit.r_squared:.3f}"
    if fit.drawable and fit.has_intervals:
        text += f", {100 * fit.level:.3g} % intervals"
    return text


def legend_below(
    axes: Axes, handles: Sequence[Any], ncols: int, handlelength: float | None = None
) -> None:  # fmt: skip
    """A legend under the axes and their label, where it hides no data.

    Dashes that a marker would hide need a ``handlelength``, in font sizes.
    """
    down = ScaledTranslation(0, -LABEL_DEPTH / 72, axes.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
    axes.legend(
        handles=handles, ncols=ncols, loc="upper left", bbox_to_anchor=(-0.04, 0.0),
        bbox_transform=axes.transAxes + down, columnspacing=1.2, handlelength=handlelength,
    )  # fmt: skip


def head(figure: Figure, text: str) -> None:
    """Put a few lines of text above everything, from the left edge."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=7.5, linespacing=1.35)


def doubts(figure: Figure, fits: Mapping[str, FittedLaw], width: int) -> None:
    """Say below the figure, in lines of ``width`` characters, which numbers cannot be trusted."""
    if lines := notes.lines(fits, width):
        figure.supxlabel(
            "\n".join(lines), x=0.01, ha="left", fontsize=LABEL_SIZE, color=VERMILLION,
            linespacing=1.3,
        )  # fmt: skip
