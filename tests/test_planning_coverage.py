"""How often a plan's interval holds the loss of published runs larger than those it rests on."""

import json

import numpy as np
import pytest
from law_data import published
from rows import RUN

from pipeline import backtest, contracts, fit
from pipeline.planning.answer import loss_of
from pipeline.planning.evidence import evidence
from pipeline.planning.folder import Fits
from pipeline.planning.support import Reach


@pytest.mark.parametrize(
    ("file", "keep", "loss", "largest", "least"),
    [
        ("besiroglu_chinchilla.csv", {"used_in_fit": "True"}, "loss", 1e20, 0.85),
        ("gadre_overtraining.csv", {"train_dataset": "c4_original"}, "loss_c4_val", 1.5e19, 0.85),
        ("gadre_overtraining.csv", {"train_dataset": "rpj"}, "loss_c4_val", 1.5e19, 0.85),
    ],
)
def test_the_interval_of_a_planned_loss_holds_the_runs_that_were_larger(
    file, keep, loss, largest, least, tmp_path
):
    """Small runs of a published table are fitted and backtested; nominal 90 %."""
    told = published(file, keep, loss)
    flops = 6.0 * told.params * told.tokens
    small = flops <= largest
    rows = [
        {**RUN, "study": "s", "source": "published", "included": True, "exclusion": None,
         "cell": f"r{i}", "params": int(told.params[i]), "tokens": int(told.tokens[i]),
         "loss": told.loss[i], "flops_6nd": flops[i]}
        for i in np.flatnonzero(small)
    ]  # fmt: skip
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    of, laws = ["--runs", str(tmp_path / "runs.parquet")], ("kaplan", "chinchilla")
    for name in laws:
        out = ["--out", str(tmp_path / "fits" / name), "--bootstraps", "100"]
        assert fit.main(["--law", name, *of, *out]) == 0
    assert backtest.main(["--laws", *laws, *of, "--out", str(tmp_path), "--bootstraps", "60"]) == 0
    chosen = json.loads((tmp_path / "headline.json").read_text())["law"]
    rest = evidence(Fits(tmp_path / "fits"), chosen, tmp_path / "backtest.parquet")
    held = []
    for n, d, observed in zip(told.params[~small], told.tokens[~small], told.loss[~small]):
        found = loss_of(rest, float(n), float(d), Reach(), {})
        held.append(found.low <= observed <= found.high)
    assert len(held) >= 12
    assert np.mean(held) >= least
