import re
from dataclasses import replace

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
    for precision, speeds in (("bf16", (1.3e11, 1.25e-3)), ("fp32", (4.5e10, 2.2e-3))):
        monkeypatch.setattr(provenance, "cpu_precision", lambda told=precision: told)
        rate, layer = speeds
        told = listing.predicted_seconds(cell, 100)
        assert told == pytest.approx(cell.flops_exact * 100 / cell.steps / rate + 200 * layer)
        assert listing.predicted_seconds(longer, 100) == pytest.approx(told)
    recurrent = cells(family="recurrent", reuse=3)[0]
    more = 100 * 6 * 2.2e-3 + recurrent.flops_exact * 100 / recurrent.steps / 4.5e10
    assert listing.predicted_seconds(recurrent, 100) == pytest.approx(more)


def test_cells_that_share_a_trunk_take_less_and_start_once(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    shared = cells()
    told = re.search(r"about ([\d.]+ \w+) of one CPU core, (\d+)% saved", listing.summary(shared))
    short, long = shared
    parts = ((long, long.stable_steps), (short, short.cooldown_steps), (long, long.cooldown_steps))
    whole = listing.START + sum(listing.predicted_seconds(*part) for part in parts)
    assert told[1] == listing.duration(whole)
    alone = sum(listing.START + listing.predicted_seconds(c, c.steps) for c in shared)
    assert int(told[2]) == round(100 * (1 - whole / alone))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (2.54, "2.5 s"), (119, "119 s"), (150, "2.5 min"), (4161, "69 min"), (7200, "2.0 h"),
        (43.2 * 3600, "43 h"), (86400 * 2, "2.0 days"), (86400 * 30, "30 days"),
        (86400 * 12345, "12,345 days"),
    ],
)  # fmt: skip
def test_a_time_is_told_in_the_unit_that_suits_it(seconds, told):
    assert listing.duration(seconds) == told


def test_what_shares_no_trunk_saves_nothing_and_is_not_told(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    assert "saved" in listing.summary(cells())
    assert "saved" not in listing.summary(cells()[:1])  # it was -0%, of rounding


def test_columns_never_touch(monkeypatch):
    """Also where D / N has four digits and a count one more than its heading."""
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    [cell, longer] = cells()
    large = replace(longer, tokens=2 * 10**9, steps=2 * 10**6)
    head, *rows = listing.table([cell, longer, large]).splitlines()
    names = re.split(r"  +", head.strip())
    told = "cell|shape|N|D|D/N|steps|lr|6ND FLOP|FLOP|one core"
    assert "|".join(names) == told
    split = [re.split(r"  +", row.strip()) for row in rows]
    assert [len(row) for row in split] == [len(names)] * 3
    assert {len(row) for row in [head, *rows]} == {len(head)}
    assert split[0][4] == f"{2e9 / large.params:,.0f}"
    assert "," in split[0][4]


def test_what_is_too_much_for_a_core_is_told_in_hours_of_a_gpu(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    long = replace(cells()[0], tokens=2 * 10**12, steps=2 * 10**9, cooldown_steps=4 * 10**8)
    hours = long.flops_exact / 4e14 / 3600
    told = listing.summary([long])
    assert f"FLOP: {hours:.3g} GPU-hours at 4e+14 FLOP/s, which small models do not reach" in told
    assert "core" not in told
    head, row = listing.table([long]).splitlines()
    assert head.endswith("GPU-hours")
    assert float(row.split()[-1]) == pytest.approx(hours, rel=0.01)
    # Two cells of one trunk: the shorter adds its cooldown alone.
    half = replace(long, tokens=10**12, steps=10**9, cooldown_steps=2 * 10**8)
    shared = re.search(
        r"([\d.,]+) GPU-hours at 4e\+14 .*, (\d+)% saved", listing.summary([long, half])
    )
    assert float(shared[1].replace(",", "")) == pytest.approx(1.1 * hours, rel=0.01)
    assert int(shared[2]) == round(100 * (1 - 1.1 / 1.5))
