"""The sentence below a figure: symbols and words, short, and whatever cannot be trusted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import figure_data
import pytest

from pipeline.figures import notes
from pipeline.findings.data import FittedLaw, fitted_law

REASON = "These runs leave it open: the interval reaches from 2.26e+11 to 3.18e+71. Add runs."


def doubted(fit: FittedLaw, *names: str) -> FittedLaw:
    """The fit with a doubt about some parameters."""
    open_ = {"status": "unidentifiable", "reason": REASON}
    rows = {name: row | (open_ if name in names else {"status": "converged"})
            for name, row in fit.parameters.items()}  # fmt: skip
    return replace(fit, parameters=rows)


@pytest.fixture
def fit(tmp_path):
    def made(name: str, few: bool = False) -> FittedLaw:
        figure_data.write_fit(tmp_path / name, name, figure_data.runs(), few)
        return fitted_law(Path(tmp_path / name))

    return made


def test_one_sentence_names_all_that_is_open_by_symbols(fit):
    fits = {
        "power_tokens": doubted(fit("power_tokens"), "Dc", "alpha_D"),
        "power_params": doubted(fit("power_params"), "Nc"),
        "kaplan": doubted(fit("kaplan")),
    }
    (line,) = notes.lines(fits, 130)
    assert line == r"These runs leave open $D_c$, $\alpha_D$ of $L(D)$; $N_c$ of $L(N)$."
    assert not re.search(r"e[+-]\d\d|power_|tokens", line)
    assert notes.lines({"kaplan": fits["kaplan"]}, 130) == []
    assert notes.room(fits, 130) == pytest.approx(0.14)


def test_a_floor_that_no_run_is_near_is_no_open_exponent(fit):
    told = notes.lines({"chinchilla": doubted(fit("chinchilla"), "E", "beta")}, 130)
    assert told == [
        r"These runs leave open $\beta$ of $L(N,D)$.", "No run is near the floor $E$ of $L(N,D)$.",
    ]  # fmt: skip


def test_laws_of_the_same_variables_are_told_apart_by_their_titles(fit):
    fits = {name: fit(name) for name in ("kaplan", "chinchilla", "power_params")}
    called = notes.names(fits)
    assert called["power_params"] == "$L(N)$"
    assert called["kaplan"] == fits["kaplan"].law.title != called["chinchilla"]
    both = notes.names({name: fit(name) for name in ("power_params", "log_params")})
    assert both == {"power_params": "the power law in model size",
                    "log_params": "the logarithm of model size"}  # fmt: skip


def test_a_fit_without_values_says_why(fit):
    refused = fit("kaplan", few=True)
    assert notes.lines({"kaplan": refused}, 130) == [
        "2 runs cannot determine 4 parameters; add runs."
    ]
    both = notes.lines({"kaplan": refused, "power_params": doubted(fit("power_params"))}, 130)
    assert both == ["$L(N,D)$: 2 runs cannot determine 4 parameters; add runs."]


def test_lines_are_as_wide_as_they_look_and_break_no_symbol():
    symbols = [rf"$\alpha_{{C_{{\min}}}}^{{{i}}}$" for i in range(20)]
    found = notes.wrapped("These runs leave open " + ", ".join(symbols), 40)
    assert len(found) > 2
    assert all(line.count("$") % 2 == 0 for line in found)
    assert all(20 < notes.seen(line) <= 43 for line in found[:-1])
    assert " ".join(line.strip() for line in found).split() == [
        "These", "runs", "leave", "open", *(f"{s}," for s in symbols[:-1]), symbols[-1],
    ]  # fmt: skip
    assert notes.seen(r"$L(N,S_{\min})$") == len("L(N,Smin)")
