"""Simulated tables at one per cent of noise: intervals hold the truth as often as they say.

Each law's own truth is drawn again and again, each time with other noise, and fitted. The laws that
studies lean on get ``TABLES`` tables each and are tested on both sides: each parameter's 90 %
interval must hold the truth in a number of tables that a coverage of exactly 90 % would leave on
that side once in ten thousand times, and all laws together must lie near 90 %. That refuses
intervals which always hold the truth; ones of 75 % in place of 90 % fail, as the test shows.

Every other law gets a few tables (eight, for most). They show intervals that hardly ever hold the
truth and little more: of eight tables, a parameter may miss it in six. Only all of these laws
together are held to a coverage near 90 %.
"""

import zlib

import numpy as np
from law_data import TRUTH, drawn
from scipy.stats import binom
from scipy.stats import t as student

from pipeline.laws import LAWS, law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.interval import interval
from pipeline.laws.widening import expanded

OPTIONS = Options(bootstraps=60, starts=4, profile=False)
MAIN = ("power_params", "power_tokens", "power_compute", "kaplan", "chinchilla", "additive")
TABLES = 90  # a coverage of 90 % holds the truth in all of them less than once in ten thousand
NARROW, WIDE = 0.75, 0.998  # levels of intervals that must not pass for ones of 90 %
INTERVALS = 48  # of each other law, about: tables times parameters
FEWEST = 8  # tables; of five, even none that hold the truth would pass
RARE = 1e-4
# Its nine numbers trade off, and one fit takes seconds; without noise it is recovered elsewhere.
LEFT_OUT = {"farseer"}


def covered(name, tables, levels=(OPTIONS.level,)):
    """Whether intervals hold the truth: (levels, tables, parameters)."""
    held = []
    for table in range(tables):
        noise = zlib.crc32(f"{name} {table}".encode())  # laws of one design must not share noise
        found = fit(law(name), drawn(name, 0.01, noise), OPTIONS)
        assert None not in found.intervals.values(), (name, table, found.intervals)
        sample = np.stack([found.replicates[p] for p in TRUTH[name]], axis=1)
        truth = np.array(list(TRUTH[name].values()))
        for level in levels:
            low, high = interval(sample, expanded(level, found.widening))
            held.append((low <= truth) & (truth <= high))
    return np.array(held).reshape(tables, len(levels), -1).swapaxes(0, 1)


def within(tables):
    """Fewest and most tables of a coverage of 90 %, each side wrong once in ten thousand times."""
    return binom.ppf(RARE, tables, 0.9), binom.isf(RARE, tables, 0.9)


def test_intervals_of_the_main_laws_hold_the_truth_as_often_as_they_say(monkeypatch):
    # Other basins than the one of all runs have their own tests, and cost most of a fit.
    monkeypatch.setattr("pipeline.laws.resample.SCOUTS", 1)
    levels = (NARROW, OPTIONS.level, WIDE)
    tables = {name: covered(name, TABLES, levels) for name in MAIN}
    least, most = within(TABLES)
    assert 0.75 * TABLES < least < most < TABLES
    for name, (_, said, _) in tables.items():
        assert ((least <= said.sum(0)) & (said.sum(0) <= most)).all(), f"{name}: {said.sum(0)}"
    # Parameters of one table err together, so a table counts once: its share that hold the truth.
    shares = np.concatenate([table.mean(2) for table in tables.values()], axis=1)
    narrow, said, wide = shares.mean(1)
    error = shares[1].std() / np.sqrt(shares.shape[1])
    assert error < 0.015
    assert abs(said - 0.9) < 4 * error
    # And the same bounds refuse intervals that are too narrow or too wide.
    assert narrow < 0.9 - 4 * error < 0.9 + 4 * error < wide


def test_intervals_of_the_other_laws_together_hold_the_truth_about_as_often_as_they_say(
    monkeypatch,
):
    monkeypatch.setattr("pipeline.laws.resample.SCOUTS", 1)
    tables = {
        name: covered(name, max(FEWEST, INTERVALS // len(TRUTH[name])))[0]
        for name in LAWS
        if name not in LEFT_OUT and name not in MAIN
    }
    shares = {name: table.mean(1) for name, table in tables.items()}
    for name, table in tables.items():
        least = binom.ppf(RARE, len(table), 0.8)
        assert least >= 2
        assert (table.sum(0) >= least).all(), f"{name}: {table.sum(0)} of {len(table)} tables"
        share = shares[name]
        doubt = student.ppf(1 - RARE, len(share) - 1) * share.std(ddof=1) / np.sqrt(len(share))
        assert share.mean() + doubt >= 0.8, f"{name}: {share}"
    every = np.concatenate(list(shares.values()))
    error = every.std() / np.sqrt(len(every))
    assert error < 0.02
    assert 0.85 - 3 * error < every.mean() < 0.93 + 3 * error
