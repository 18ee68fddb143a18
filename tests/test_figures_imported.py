"""Figures and page of runs that others made, which lack what training here would tell."""

import importlib
import json

import figure_data
import pytest
from matplotlib.text import Text

from pipeline import contracts
from pipeline.figures import FIGURES, drawable, frame, index
from pipeline.findings.data import Data, load, shown

KEPT = {"study", "cell", "params", "tokens", "flops_6nd", "loss", "loss_se", "status", "included",
        "exclusion"}  # fmt: skip
LAWS = ("power_compute", "kaplan", "chinchilla")
DRAWN = [
    name for name in drawable(LAWS, True, trained=False)
    if set(FIGURES[name].tables) <= {"runs", "evaluations", "predictions"}
]  # fmt: skip


def bare(row: dict) -> dict:
    """An imported run that knows no more than it must."""
    told = json.dumps({"file": "table.csv", "sha256": "ab" * 32, "row": 1})
    known = {name: row[name] for name in KEPT} | {"source": "sweep", "provenance": told}
    return dict.fromkeys(contracts.RUNS.names) | known


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """An isoFLOP set, as tables of runs often are: no two runs share a size or a token count."""
    found = []
    for budget in (1e11, 1e12):
        for width in (16, 24, 32, 48, 64):
            tokens = round(budget / (6 * 24 * width * width)) + width
            found.append(
                bare(
                    figure_data.run(
                        width, tokens, float(figure_data.truth(24 * width**2, tokens)[0])
                    )
                )
            )
    found[0] |= {"status": "diverged", "loss": None, "loss_se": None, "included": False,
                 "exclusion": "diverged"}  # fmt: skip
    return found


@pytest.fixture(scope="module")
def paths(rows, tmp_path_factory) -> figure_data.Paths:
    folder = tmp_path_factory.mktemp("imported")
    contracts.write(folder / "runs.parquet", rows, contracts.RUNS)
    texts = [
        {"cell": row["cell"], "corpus": "code", "loss": 0.8 * row["loss"] + 1.0}
        for row in rows if row["loss"] is not None
    ]  # fmt: skip
    contracts.write(folder / "evaluations.parquet", texts, contracts.EVALUATIONS)
    for name in LAWS:
        figure_data.write_fit(folder / "fits" / name, name, rows)
    plans = list(figure_data.plans(rows, LAWS, ()))
    contracts.write(folder / "predictions.parquet", plans, contracts.PREDICTIONS)
    return figure_data.Paths(folder)


def loaded(name: str, paths: figure_data.Paths) -> Data:
    entry = FIGURES[name]
    given = paths.arguments(entry.tables, bool(entry.laws or entry.any_laws))
    return frame.data(name, frame.arguments(name, [*given, "--out", "unused.svg"]))


def words(name: str, data: Data) -> str:
    figure = frame.render(importlib.import_module(f"pipeline.figures.{name}").draw, data)
    figure.draw_without_rendering()
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_what_needs_training_is_not_drawn():
    assert {"transfer", "kaplan_surface", "iso_loss", "allocation"} <= set(DRAWN)
    assert not {"learning_curves", "loss_by_position"} & set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_need_no_more_than_size_tokens_and_loss(name, paths):
    assert words(name, loaded(name, paths))


def test_sizes_at_different_token_counts_are_not_joined(paths):
    data = loaded("transfer", paths)
    draw = importlib.import_module("pipeline.figures.transfer").draw
    figure = frame.render(draw, data)
    left = figure.axes[0]
    assert [line for line in left.lines if len(line.get_xdata()) > 1
            and line.get_linestyle() != "None" and line.get_linewidth() > 0] == []  # fmt: skip


def test_the_page_tells_where_runs_came_from_and_nothing_of_training(paths, rows):
    data = load({"runs": paths.runs}, None, ())
    facts = dict(index.facts(data.runs, index.markup))
    assert facts["Imported, sweep"] == f"table.csv, sha256 {'ab' * 8}: {len(rows)} runs"
    assert facts["Runs"] == f"{len(rows)}: {len(rows) - 1} in the fits, 0 excluded, 1 diverged"
    assert set(facts) == {"Runs", "Sizes N", "Tokens D", "Imported, sweep"}


def test_runs_are_shown_in_the_unit_and_the_counts_there_are(rows):
    row = rows[1] | {"bits_per_byte": 1.25, "loss": 4.0, "loss_se": 0.02}
    assert shown(row, "nats/token")["loss"] == 4.0
    per_byte = shown(row, "bits/byte")
    assert (per_byte["loss"], per_byte["loss_se"]) == (1.25, pytest.approx(0.02 * 1.25 / 4.0))
    assert shown(row | {"loss": None, "loss_se": None}, "bits/byte")["loss"] == 1.25
    assert shown(row | {"params": None, "params_total": 77}, "nats/token")["params"] == 77


@pytest.mark.parametrize("name", ["kaplan_surface", "loss_vs_compute", "iso_loss"])
def test_axes_name_the_unit_of_the_fits(name, paths, tmp_path, monkeypatch):
    data = loaded(name, paths)
    assert "(nats/token)" in words(name, data)
    for fit in data.fits.values():
        monkeypatch.setitem(fit.saved.card["convention"], "loss", "bits/byte")
    told = words(name, data)
    assert "(bits/byte)" in told
    assert "(nats/token)" not in told
