"""The page over several experiments: every claim, figure and experiment, and links that resolve."""

from __future__ import annotations

import claim_data
import pytest
from test_compare import write_runs
from test_figures_index import SVG, Page

from pipeline import compare, contracts
from pipeline.figures import overview
from pipeline.figures.kaplan2020 import FIGURES

ROW = {
    "claim": "alpha_N", "statement": "The loss is a power of <N>.", "source": "eq. 1.1",
    "quantity": "exponent", "unit": "1", "paper": 0.076, "paper_low": None, "paper_high": None,
    "value": 0.0823, "low": 0.071, "high": 0.094, "level": 0.9, "runs": 7, "experiments": "sizes",
    "params_low": 1536.0, "params_high": 393216.0, "tokens_low": 4e6, "tokens_high": 4e6,
    "verdict": "reproduced", "reason": "Reproduced: it meets.",
}  # fmt: skip


@pytest.fixture
def study(tmp_path):
    """results/made-up with two experiments, their comparison and pages."""
    folder = tmp_path / "results" / "made-up"
    made = claim_data.study(claim_data.Truth())
    for name in ("seeds", "schedules"):
        write_runs(folder, name, made[name].runs)
        (tmp_path / "figures" / "made-up" / name).mkdir(parents=True)
        (tmp_path / "figures" / "made-up" / name / "index.html").write_text("page")
    found = compare.evidence("kaplan2020", folder, 20, 0.9, 0)
    rows = compare.comparison("kaplan2020", found)
    contracts.write(folder / "comparison.parquet", rows, contracts.COMPARISON)
    return folder


def write(study, *more: str) -> Page:
    figures = study.parents[1] / "figures" / "made-up"
    out = figures / "index.html"
    overview.main([
        "--title", "Made <up>", "--study", str(study), "--experiments", "seeds", "schedules",
        "--titles", "Three seeds", "Schedules", *more, "--out", str(out),
    ])  # fmt: skip
    page = Page(out.read_text(encoding="utf-8"))
    for target in page.links:
        assert target.startswith("#") or (figures / target).exists(), target
    return page


def test_the_page_of_a_replication_holds_claims_and_experiments(study):
    page = write(study, "--paper", "kaplan2020", "--comparison", str(study / "comparison.parquet"))
    assert page.open == []
    assert "Made <up>" in page.text
    for claim in compare.claims("kaplan2020"):
        assert plain(claim.statement) in page.text
    rows = contracts.read(study / "comparison.parquet", contracts.COMPARISON).to_pylist()
    for row in rows:
        assert plain(row["reason"]) in page.text
    lacking = sum(row["verdict"] == "not_measured" for row in rows)
    assert f"2reproduced 0differs 0out of reach {lacking}not measured" in page.text
    assert "Three seeds" in page.text
    assert "15" in page.text  # runs of the schedules
    assert "seeds/index.html" in page.links
    assert "../../results/made-up/comparison.parquet" in page.links


def test_the_papers_figures_stand_with_title_and_caption(study, monkeypatch):
    monkeypatch.setattr(overview, "caption", lambda name: f"<p>Caption of {name}.</p>")
    name = next(iter(FIGURES))
    drawing = study.parents[1] / "figures" / "made-up" / f"{name}.svg"
    drawing.write_text(SVG)
    drawing.with_suffix(".png").write_bytes(b"png")
    page = write(
        study, "--paper", "kaplan2020", "--comparison", str(study / "comparison.parquet"),
        "--figures", str(drawing),
    )  # fmt: skip
    assert f"Figure 1: {FIGURES[name].title}" in page.text
    assert f"Caption of kaplan2020/{name}." in page.text
    assert f"{name}.png" in page.links


def test_without_a_paper_it_lists_the_experiments_only(study):
    page = write(study)
    assert page.open == []
    assert "Schedules" in page.text
    assert "claim" not in page.text.lower()


def plain(text: str) -> str:
    """The words of a claim's text as the page shows them."""
    return Page(overview.symbols(text)).text


def test_symbols_stand_as_they_are_printed():
    law = overview.symbols("(N_c / N)^alpha_N with N_c = 8.8e13, 5e3 N^0.74 <")
    assert law == (
        "(N<sub>c</sub> / N)<sup>α<sub>N</sub></sup> with N<sub>c</sub> = 8.8 × 10<sup>13</sup>, "
        "5 × 10<sup>3</sup> N<sup>0.74</sup> &lt;"
    )
    assert overview.symbols("S_c = 2.1e3.") == "S<sub>c</sub> = 2.1 × 10<sup>3</sup>."
    assert overview.symbols("x^(1/alpha_S), -0.1 [-1e-05, 1e+09]") == (
        "x<sup>1/α<sub>S</sub></sup>, −0.1 [−10<sup>-5</sup>, 10<sup>9</sup>]"
    )


def test_numbers_stand_as_the_table_has_them():
    (row,) = overview.claim_rows([ROW])
    assert row["ours"] == "0.082 [0.071, 0.094]"
    assert row["paper"] == "0.076"
    assert (row["params"], row["tokens"], row["unit"]) == ("1.5k to 393k", "4M", "")
    limit = ROW | {"paper": None, "paper_high": 3.0, "value": None}
    assert overview.stated(limit) == "≤ 3"
    assert overview.ours(limit) == ""
    assert overview.stated(ROW | {"paper": None, "paper_low": 0.9}) == "≥ 0.9"
    both = {"paper": 0.05, "paper_low": 0.05, "paper_high": 0.054}
    assert overview.stated(ROW | both) == "0.05 (0.05 to 0.054)"
    assert overview.stated(ROW | {"paper": 8.8e13}) == "8.8 × 10<sup>13</sup>"


def test_what_lacks_is_named(study, capsys):
    with pytest.raises(SystemExit, match="overview: .*nothing.svg: no such figure"):
        write(study, "--paper", "kaplan2020", "--comparison", str(study / "comparison.parquet"),
              "--figures", "nothing.svg")  # fmt: skip
    with pytest.raises(SystemExit):
        write(study, "--paper", "kaplan2020")
    assert "go together" in capsys.readouterr().err
    (study / "seeds" / "runs.parquet").unlink()
    with pytest.raises(SystemExit, match=r"seeds/runs\.parquet"):
        write(study)
