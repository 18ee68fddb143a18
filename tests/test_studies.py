"""The shipped studies hold what they say, at every scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline import experiments
from pipeline.accounting import Shape

STUDIES = Path(__file__).parents[1] / "studies"


@pytest.fixture
def found(tmp_path, monkeypatch):
    """The experiments of a shipped study, with a text where it looks for one."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.jsonl.zst").write_bytes(b"")
    monkeypatch.chdir(tmp_path)

    def resolve(name: str) -> dict[str, experiments.Experiment]:
        config = yaml.safe_load((STUDIES / f"{name}.yaml").read_text())
        made = experiments.resolved(config, tmp_path / "results")
        return {key.partition("/")[2]: one for key, one in made.items()}

    return resolve


def test_the_papers_scale_spans_the_papers_ranges(found):
    paper = found("kaplan-paper")
    cells = experiments.cells(paper.values())
    assert len(cells) > 2000
    sizes = [cell.params for cell in paper["sizes"].study.cells]
    assert (min(sizes), round(max(sizes), -8)) == (768, 1.5e9)
    assert {cell.steps for cell in paper["sizes"].study.cells} == {250_000}
    assert {cell.batch_tokens for cell in paper["sizes"].study.cells} == {2**19}
    datasets = {cell.unique_tokens for cell in paper["data"].study.cells}
    assert (min(datasets), max(datasets)) == (22_000_000, 22_900_000_000)
    assert {cell.dropout for cell in paper["data"].study.cells} == {0.1}
    shapes = {(cell.n_layer, cell.d_model) for cell in paper["shapes"].study.cells}
    assert {(6, 4288), (48, 1600), (207, 768)} <= shapes
    aspects = [cell.d_model / cell.n_layer for cell in paper["shapes"].study.cells]
    assert max(aspects) / min(aspects) > 40
    assert {cell.context for cell in paper["short"].study.cells} == {8}
    assert {cell.n_layer for cell in paper["lstm"].study.cells} == {1, 2, 4}
    batches = {cell.batch_tokens for cell in paper["batches"].study.cells}
    assert max(batches) / min(batches) == 1024
    assert {round(c.params, -6) for c in paper["batches"].study.cells} == {3_000_000, 85_000_000}
    assert len({c.schedule for c in paper["schedules"].study.cells}) >= 6


def test_curves_that_laws_of_steps_are_fitted_to_hold_their_peak_rate(found):
    """And what is compared with their ends was trained as they were."""
    for scale in ("laptop", "gpu", "paper"):
        schedules = {
            name: {cell.schedule for cell in one.study.cells}
            for name, one in found(f"kaplan-{scale}").items()
        }
        assert schedules["batches"] == {"constant"}
        for name in ("sizes", "shapes", "depths", "lstm", "recurrent", "short"):
            assert schedules[name] == {"wsd"}, (scale, name)


def test_every_scale_has_the_same_experiments(found):
    laptop, gpu, paper = (set(found(f"kaplan-{scale}")) for scale in ("laptop", "gpu", "paper"))
    assert gpu == paper == laptop - {"language", "polynomial"}


def test_shapes_of_one_experiment_have_one_size(found):
    for scale in ("laptop", "gpu", "paper"):
        sizes = [cell.params for cell in found(f"kaplan-{scale}")["shapes"].study.cells]
        sizes = [
            size for size in sizes if size < 1e9
        ]  # the paper's largest are a group of their own
        assert max(sizes) / min(sizes) < 1.05


def test_the_paper_s_largest_shape_counts_what_the_paper_counts(found):
    largest = max(found("kaplan-paper")["sizes"].study.cells, key=lambda cell: cell.params)
    assert largest.shape == Shape(48, 1600, 6400, 25)
    assert largest.params == 12 * 48 * 1600**2
