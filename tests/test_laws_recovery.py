"""Simulated tables of every law, at one per cent of noise: the truth lies inside the intervals.

Each law's own truth is drawn again and again, each time with other noise, and fitted. A nominal
90 % interval of a few dozen runs covers somewhat less, so each parameter of a law, and all of them
together, are asked for what a true coverage of 80 % misses once in ten thousand such tests. That is
little for eight tables of one law; all laws together are asked for more, on both sides.
"""

import zlib

import numpy as np
from law_data import TRUTH, drawn
from scipy.stats import binom
from scipy.stats import t as student

from pipeline.laws import LAWS, law
from pipeline.laws.estimate import Options, fit

OPTIONS = Options(bootstraps=60, starts=4, profile=False)
INTERVALS = 48  # of each law, about: tables times parameters
FEWEST = 8  # tables; of five, even none that hold the truth would pass
RARE = 1e-4
# Its nine numbers trade off, and one fit takes seconds; without noise it is recovered elsewhere.
LEFT_OUT = {"farseer"}


def covered(name):
    """Whether the interval of each parameter holds the truth, in each table: (tables, P)."""
    truth = TRUTH[name]
    rows = []
    for table in range(max(FEWEST, INTERVALS // len(truth))):
        noise = zlib.crc32(f"{name} {table}".encode())  # laws of one design must not share noise
        intervals = fit(law(name), drawn(name, 0.01, noise), OPTIONS).intervals
        assert None not in intervals.values(), (name, table, intervals)
        rows.append([low <= truth[p] <= high for p, (low, high) in intervals.items()])
    return np.array(rows)


def test_intervals_of_every_law_hold_the_truth_about_as_often_as_they_say(monkeypatch):
    # Other basins than the one of all runs have their own tests, and cost most of a fit.
    monkeypatch.setattr("pipeline.laws.resample.SCOUTS", 1)
    tables = {name: covered(name) for name in LAWS if name not in LEFT_OUT}
    # Parameters of one table err together, so a table counts once: its share of intervals that hold
    # the truth.
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
