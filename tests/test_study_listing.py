import re
from dataclasses import replace

import pytest

from pipeline import config, provenance
from pipeline.cells import durations, parts
from pipeline.cells.durations import START
from pipeline.study import design, listing


def cells(**size):
    shape = {"n_layer": 2, "d_model": 32, "n_head": 2, **size}
    study = {
        "study": "small", "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
        "grid": {"sizes": [shape], "tokens": [1e6, 2e6]},
    }  # fmt: skip
    return design.study(config.complete(study)).cells


def test_a_machines_precision_tells_the_time_of_automatic_cells_alone(monkeypatch):
    [cell, _] = cells()
    assert cell.precision == "auto"
    for precision, other in (("bf16", "fp32"), ("fp32", "bf16")):
        monkeypatch.setattr(provenance, "cpu_precision", lambda told=precision: told)
        told = durations.seconds(cell, 100, precision)
        assert listing.predicted_seconds(cell, 100) == told
        fixed = replace(cell, precision=other)
        assert listing.predicted_seconds(fixed, 100) == durations.seconds(cell, 100, other) != told


def test_cells_that_share_a_trunk_take_less_and_start_once(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    shared = cells()
    told = re.search(
        r"about ([\d.]+ \w+) of one CPU core, (\d+)% of time and (\d+)% of FLOP saved by sharing "
        r"trunks$",
        listing.summary(shared),
    )
    short, long = shared
    stages = ((long, long.stable_steps), (short, short.cooldown_steps), (long, long.cooldown_steps))
    whole = START + sum(listing.predicted_seconds(*stage) for stage in stages)
    assert told[1] == listing.duration(whole)
    alone = sum(START + listing.predicted_seconds(c, c.steps) for c in shared)
    assert int(told[2]) == round(100 * (1 - whole / alone))
    flops = sum(cell.flops_exact * steps / cell.steps for cell, steps in stages)
    assert int(told[3]) == round(100 * (1 - flops / sum(c.flops_exact for c in shared)))


def test_processes_that_trainings_share_are_counted_and_start_once(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    small = replace(cells()[0], schedule="cosine", cooldown_steps=0, steps=200, tokens=204_800)
    many = [replace(small, seed=seed) for seed in range(72)]
    assert listing.sharing(many[:31]) == ""
    # Each of four, as a sixteenth of all is four and a half.
    assert listing.sharing(many) == "; 72 trainings share 18 processes, whose starts are 45 s of it"
    told = re.search(r"about ([\d.]+) min of one CPU core$", listing.summary(many))
    own = 72 * listing.predicted_seconds(small, small.steps)
    assert own / parts.SHARES < parts.PACK_SECONDS
    assert float(told[1]) == pytest.approx((own + 18 * START) / 60, abs=0.06)


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
        r"([\d.,]+) GPU-hours at 4e\+14 .*, (\d+)% of FLOP saved", listing.summary([long, half])
    )
    assert float(shared[1].replace(",", "")) == pytest.approx(1.1 * hours, rel=0.01)
    assert int(shared[2]) == round(100 * (1 - 1.1 / 1.5))
