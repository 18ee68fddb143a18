"""Every exponent under each other choice behind its fit, beside the interval that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pipeline.figures import frame, marks
from pipeline.findings.data import MINUS, Data, Row
from pipeline.laws import ALLOCATION
from pipeline.laws.choices import FACTORS, alone, baselines, under

PANELS = {
    "Huber's delta": ("delta",),
    "runs of highest loss left out": ("dropped",),
    "what is counted": ("params", "flops", "loss"),
}
LIMIT = 100.0  # %: changes beyond stand on the edge
REACHES = (10.0, 20.0, 50.0, LIMIT)  # %: ends of the axis
NARROW, SMALL = 20.0, 10.0  # %: a wider axis is logarithmic beyond the latter
UNSEEN = 0.1  # %
COUNTED = {  # instead of the columns of the fit
    "params": "$N$ without embeddings", "params_total": "$N$ with embeddings",
    "flops_6nd": "$C = 6ND$", "flops_exact": "$C$ of all operations",
    "loss": "loss in nats/token", "bits_per_byte": "loss in bits/byte",
}  # fmt: skip
SHADES = (marks.SKY, marks.BLUE, marks.GREEN, marks.ORANGE, marks.VERMILLION, marks.PURPLE)
EXPONENT = tuple[str, str]  # key of the fit, parameter


class Look(NamedTuple):
    """How one choice is marked in all rows of a panel."""

    colour: str
    marker: str
    label: str
    idle: bool  # it changes no exponent that one could see, and is not marked


def draw(figure: Figure, data: Data) -> None:
    """A row for each exponent, a panel for each kind of choice; zero is the study's own fit."""
    known = {
        key: row for key, row in baselines(data.sensitivity).items()
        if row["value"] and row["low"] is not None
    }  # fmt: skip
    if not known:
        figure.set_size_inches(frame.COLUMN, 0.6)
        marks.head(figure, "No exponent has a value and an interval.")
        return
    rows = [row for row in data.sensitivity if (row["law"], row["parameter"]) in known]
    figure.set_size_inches(frame.WIDE, 1.9 + 0.22 * len(known))
    panels = figure.subplots(1, len(PANELS), sharey=True, sharex=True)
    for axes, (title, factors) in zip(panels, PANELS.items()):
        axes.set_label(title)
        _panel(axes, list(known), rows, factors)
        axes.set_title(title)
        axes.set_xlabel("change of the exponent (%)")
    panels[0].set_yticks(range(len(known)), [_name(data, key) for key in known])
    panels[0].set_ylim(len(known) - 0.4, -0.6)
    _limits(panels[0], known, rows)
    left = {key for factor in FACTORS for key, of in alone(rows, factor).items()
            if any(row["moved"] for row in of[1:])}  # fmt: skip
    points = sorted({row["points"] for row in known.values()})
    span = f"{points[0]}" if len(points) == 1 else f"{points[0]} to {points[-1]}"
    marks.head(
        figure,
        f"{len(left)} of {len(known)} exponents leave their interval under one other choice; "
        f"fits of {span} runs",
    )


def _limits(axes: Axes, known: Mapping[EXPONENT, Row], rows: Sequence[Row]) -> None:
    """An axis no wider than what is drawn; over a wide one small changes keep their room."""
    drawn = [_change(own[end], own) for own in known.values() for end in ("low", "high")]
    drawn += [
        _change(row["value"], own)
        for factor in FACTORS
        for own, *others in alone(rows, factor).values()
        for row in others
        if row["value"] is not None
    ]
    widest = max(abs(change) for change in drawn)
    reach = next(limit for limit in REACHES if widest <= limit)
    if reach > NARROW:
        axes.set_xscale("symlog", linthresh=SMALL, linscale=1.0)
        axes.xaxis.set_minor_locator(NullLocator())
        ticks = [-reach, -SMALL, 0, SMALL, reach]
    else:
        ticks = [-reach, -reach / 2, 0, reach / 2, reach]
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", MINUS) for tick in ticks])


def _name(data: Data, key: EXPONENT) -> str:
    law, parameter = key
    symbols = {p.name: p.symbol for p in data.fits[law].law.parameters} if law in data.fits else {}
    symbol = "a" if parameter == ALLOCATION else symbols.get(parameter)
    return f"{law}  ${symbol}$" if symbol else f"{law}  {parameter}"


def _panel(
    axes: Axes, order: Sequence[EXPONENT], rows: Sequence[Row], factors: Sequence[str]
) -> None:
    families = {factor: alone(rows, factor) for factor in factors}
    looks = _looks(families)
    for index, key in enumerate(order):
        own = families[factors[0]][key][0]
        low, high = (_change(own[end], own) for end in ("low", "high"))
        axes.barh(index, high - low, 0.68, left=low, color=marks.PALE, alpha=0.6, lw=0)
        for factor in factors:
            for row in families[factor][key][1:]:
                look = looks[factor, row[factor]]
                if row["value"] is not None and not look.idle:
                    _mark(axes, index, row, own, look, factor)
    axes.axvline(0, color=marks.INK, lw=0.7, zorder=1)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], color=look.colour, marker="" if look.idle else look.marker, ls="none",
               label=look.label)
        for look in looks.values()
    ]  # fmt: skip
    marks.legend_below(axes, handles, 1)


def _looks(families: Mapping[str, Mapping[EXPONENT, Sequence[Row]]]) -> dict[Any, Look]:
    """A look for each value of each factor that any row takes."""
    taken = {
        (factor, row[factor]): None
        for factor, of in families.items()
        for family in of.values()
        for row in sorted(family[1:], key=lambda row: row[factor])
    }
    order = sorted(taken, key=lambda key: (list(families).index(key[0]), key[1]))
    looks = {}
    for i, key in enumerate(order):
        words = COUNTED.get(str(key[1])) or under(*key)
        idle = not any(
            abs(_change(row["value"], own)) > UNSEEN
            for own, *others in families[key[0]].values()
            for row in others
            if row[key[0]] == key[1] and row["value"] is not None
        )
        label = f"{words} (under {UNSEEN:g} %)" if idle else words
        colour, marker = SHADES[i % len(SHADES)], marks.MARKERS[i % len(marks.MARKERS)]
        looks[key] = Look(colour, marker, label, idle)
    return looks


def _mark(axes: Axes, index: int, row: Row, own: Row, look: Look, factor: str) -> None:
    """A filled marker outside the interval, a hollow one inside."""
    axes.plot(
        _change(row["value"], own), index, ls="none", marker=look.marker, mec=look.colour, mew=0.8,
        mfc=look.colour if row["moved"] else "white", ms=3.6,
        gid=f"{row['law']}.{row['parameter']}.{factor}.{row[factor]}", zorder=3,
    )  # fmt: skip


def _change(value: float, own: Row) -> float:
    """% of the baseline, held at the edge."""
    change = 100 * (value / own["value"] - 1)
    return max(-LIMIT, min(LIMIT, change))


if __name__ == "__main__":
    frame.main("sensitivity", draw)
