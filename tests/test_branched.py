"""The critical batch by branches: known on a quadratic with known noise, and of a small trunk."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq, least_squares
from training_data import Results, three

from pipeline import contracts
from pipeline.batches.fronts import drawn
from pipeline.batches.traces import Model
from pipeline.branched import main, measured
from pipeline.laws.base import Status

BATCHES = tuple(16 * 4**power for power in range(6))
FACTORS = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
FALLS = (0.3, 0.4)
# A quadratic of many curvatures, steep directions further down; one token's gradient has noise
# of unit covariance.
CURVATURE = np.geomspace(0.003, 1, 1200)
START = 0.05 / CURVATURE**0.9
BEGUN = 0.5 * (CURVATURE * START**2).sum()
COMMON = dict.fromkeys(Model._fields, 1) | {
    "family": "quadratic", "loss": BEGUN, "bits_per_byte": None, "schedule": "wsd", "warmup_steps": 0,
}  # fmt: skip


def rate(batch, factor):
    return min(factor * 0.12 * (batch / BATCHES[0]) ** 0.5, 1.9)


def steps_of(batch):
    return np.unique(np.geomspace(1, 60 + 4000 // batch, 60).round()).astype(int)


def expected(batch, factor, steps):
    """Expectation of the loss after some steps: each direction decays, and takes up noise."""
    by = rate(batch, factor)
    left = np.abs(1 - by * CURVATURE) ** (2 * np.asarray(steps, float)[:, None])
    taken = by**2 / batch * (1 - left) / (1 - (1 - by * CURVATURE) ** 2)
    return 0.5 * (CURVATURE * (START**2 * left + taken)).sum(1)


def descended(repeats, rng):
    """Rows of contracts.BRANCHES of SGD on the quadratic."""
    for batch, factor in itertools.product(BATCHES, FACTORS):
        x, at = np.tile(START, (repeats, 1)), steps_of(batch)
        for step in range(1, at[-1] + 1):
            noise = rng.standard_normal(x.shape) / np.sqrt(batch)
            x = x - rate(batch, factor) * (CURVATURE * x + noise)
            if step in at:
                for repeat, loss in enumerate(0.5 * (CURVATURE * x**2).sum(1)):
                    yield {"cell": "q", "at_step": 0, "at_loss": BEGUN, "batch_tokens": batch,
                           "factor": factor, "lr": rate(batch, factor), "lr_embedding": 0.0,
                           "repeat": repeat, "step": step, "val_loss": float(loss)}  # fmt: skip


def known(level):
    """S_min and B_crit of the expected curves, by other means: bisection and least squares."""
    steps = []
    for batch in BATCHES:
        last = 60.0 + 4000 // batch
        ways = [
            brentq(lambda s, b=batch, f=factor: expected(b, f, [s])[0] - level, 0.1, last)
            for factor in FACTORS
            if expected(batch, factor, [last])[0] < level
        ]
        steps.append(min(ways))
    least, batch = least_squares(
        lambda v: np.log(steps) - v[0] - np.log1p(np.exp(v[1]) / np.array(BATCHES)), (2.0, 5.0)
    ).x
    return np.exp(least), np.exp(batch)


def test_branches_of_a_noisy_quadratic_have_its_critical_batch():
    rows = list(descended(2, np.random.default_rng(0)))
    found = measured(rows, COMMON, FALLS, drawn(200, 0.9, 0))
    assert [front.loss / BEGUN for front in found] == pytest.approx([0.7, 0.6])
    for front in found:
        least, batch = known(front.loss)
        assert front.status is Status.CONVERGED
        assert front.values["steps_min"] == pytest.approx(least, rel=0.05)
        assert front.values["critical_batch"] == pytest.approx(batch, rel=0.1)
        assert [point.batch for point in front.points] == list(BATCHES)
        low, high = front.intervals["critical_batch"]
        assert low < batch < high


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    results = Results(tmp_path_factory.mktemp("trunk"), *three()[:2])
    return results.part()


def given(results, folder, *further):
    return [
        "--spec", str(results.specs[0]), "--corpus", str(results.manifest),
        "--state", str(results.state), "--device", "cpu", "--bootstraps", "20",
        "--batches", "16", "32", "64", "128", "--factors", "1", "--repeats", "2",
        "--falls", "0.05", "0.1", "0.9", "--steps", "12", "--tokens", "600",
        "--out", str(folder / "branches.parquet"), "--fronts", str(folder / "fronts.parquet"),
        *further,
    ]  # fmt: skip


def test_a_trunk_is_branched_and_its_fronts_written(trained, tmp_path, capsys):
    assert main(given(trained, tmp_path)) == 0
    rows = contracts.read(tmp_path / "branches.parquet", contracts.BRANCHES).to_pylist()
    assert {row["at_step"] for row in rows} == {16}
    assert {(row["batch_tokens"], row["repeat"]) for row in rows} == {
        (batch, repeat) for batch in (16, 32, 64, 128) for repeat in (0, 1)
    }
    fronts = contracts.read(tmp_path / "fronts.parquet", contracts.CRITICAL_BATCHES).to_pylist()
    begun = rows[0]["at_loss"]
    assert [front["loss"] for front in fronts] == pytest.approx([0.95 * begun, 0.9 * begun])
    for front in fronts:
        assert front["params"] == trained.cells[0].params
        assert front["bits_per_byte"] == pytest.approx(front["loss"] / np.log(2) / 2)  # 2 bytes
        assert set(front["batch_tokens"]) <= {16, 32, 64, 128}
        assert not front["reason"].startswith("Rows begin")  # branches have no warmup of their own
    told = capsys.readouterr().err
    assert f"loss {begun:.4f} to {0.95 * begun:.4f}: B_crit" in told
    assert f"loss {begun:.4f} to {0.1 * begun:.4f}: met by no branch after its first step" in told


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--batches", "24"], "--batches [24]: take multiples of the context, 16"),
        (["--falls", "1.5"], "--falls [1.5]: take shares between 0 and 1"),
        (["--factors", "0"], "--factors [0.0]: take positive numbers"),
        (["--steps", "0"], "--steps 0: take one or more"),
        (["--state", "nowhere"], "at-16.ckpt: cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_by_name(trained, tmp_path, capsys, option, words):
    assert main(given(trained, tmp_path, *option)) == 2
    assert words in capsys.readouterr().err
