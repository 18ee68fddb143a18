import re

import pytest

from pipeline import config, design, listing, provenance


def cells(**size):
    shape = {"n_layer": 2, "d_model": 32, "n_head": 2, **size}
    study = {
        "study": "small", "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
        "grid": {"sizes": [shape], "tokens": [1e6, 2e6]},
    }  # fmt: skip
    return design.study(config.complete(study)).cells


def test_a_step_takes_its_flop_and_its_layers(monkeypatch):
    [cell, longer] = cells()
    for has_bf16, speeds in ((True, (1.3e11, 1.25e-3)), (False, (4.5e10, 2.2e-3))):
        monkeypatch.setattr(provenance, "multiplies_bf16", lambda has=has_bf16: has)
        rate, layer = speeds
        told = listing.predicted_seconds(cell, 100)
        assert told == pytest.approx(cell.flops_exact * 100 / cell.steps / rate + 200 * layer)
        assert listing.predicted_seconds(longer, 100) == pytest.approx(told)
    recurrent = cells(family="recurrent", reuse=3)[0]
    more = 100 * 6 * 2.2e-3 + recurrent.flops_exact * 100 / recurrent.steps / 4.5e10
    assert listing.predicted_seconds(recurrent, 100) == pytest.approx(more)


def test_cells_that_share_a_trunk_take_less_and_start_once(monkeypatch):
    monkeypatch.setattr(provenance, "multiplies_bf16", lambda: False)
    shared = cells()
    told = re.search(r"about (\d+) s of one CPU core, (\d+)% saved", listing.summary(shared))
    short, long = shared
    parts = ((long, long.stable_steps), (short, short.cooldown_steps), (long, long.cooldown_steps))
    whole = listing.START + sum(listing.predicted_seconds(*part) for part in parts)
    assert int(told[1]) == round(whole)
    alone = sum(listing.START + listing.predicted_seconds(c, c.steps) for c in shared)
    assert int(told[2]) == round(100 * (1 - whole / alone))
