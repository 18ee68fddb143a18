"""The study's page: every number it states, every link it makes, safe HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import figure_data
import pytest

from pipeline.contracts import ContractError
from pipeline.figures import FIGURES, index

VOID = {"meta", "img", "br", "link", "hr"}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="252pt" height="10pt"></svg>'


class Page(HTMLParser):
    """Checks that tags balance, and collects text, links and images."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given[key] for key in ("href", "src") if key in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    rows = figure_data.runs()
    rows[0] |= {"included": False, "exclusion": "tokens below min_tokens"}
    folder = tmp_path_factory.mktemp("root")
    return figure_data.write_study(folder / "results" / "made-up", rows), rows


def write(study, title="Made up", laws=figure_data.LAWS, names=tuple(FIGURES)) -> Page:
    paths, _ = study
    figures = paths.folder.parents[1] / "figures" / "made-up"
    figures.mkdir(parents=True, exist_ok=True)
    for name in names:
        (figures / f"{name}.svg").write_text(SVG)
        (figures / f"{name}.png").write_bytes(b"png")
    index.main([
        "--title", title, "--runs", str(paths.runs), "--fits", str(paths.fits), "--laws", *laws,
        "--predictions", str(paths.folder / "predictions.parquet"),
        "--ranking", str(paths.folder / "ranking.parquet"),
        "--plan", str(paths.folder / "plan.parquet"),
        "--known", str(paths.folder / "known.parquet"),
        "--figures", *(str(figures / f"{name}.svg") for name in names),
        "--out", str(figures / "index.html"),
    ])  # fmt: skip
    return Page((figures / "index.html").read_text(encoding="utf-8"))


def test_page_is_whole_and_its_links_resolve_without_a_network(study):
    page = write(study)
    assert page.open == []
    base = study[0].folder.parents[1] / "figures" / "made-up"
    ids = set(re.findall(r'id="([^"]+)"', (base / "index.html").read_text()))
    for target in page.links:
        if target.startswith("#"):
            assert target[1:] in ids
        else:
            assert (base / target).exists(), target
    for figure in FIGURES.values():
        assert figure.title in page.text


def test_page_lists_every_run_fit_plan_and_failure(study):
    page = write(study)
    _, rows = study
    for row in rows:
        assert f"{row['cell']}" in page.text
        assert f"{row['loss']:.4f}" in page.text
    assert page.text.count("tokens below min_tokens") == 2  # in the card and in the table
    assert "No run comes near the floor" in page.text
    assert "standard error of the mean over the documents" in page.text
    assert page.text.count("× 1000") == 2  # both surfaces at a thousand times the largest run
    assert "× 30.0" not in page.text  # a point of the line, not of the plan
    assert "this study" not in page.text


def test_bytes_have_one_unit_and_the_two_tables_of_plans_say_why_they_differ(study):
    row = {"asked": "q", "quantity": "memory_states", "value": 1.43e10, "low": None, "high": None,
           "unit": "bytes/GPU", "note": ""}  # fmt: skip
    (told,) = index.answer_rows([row])
    assert (told["value"], told["unit"]) == ("14.3 GB", "per GPU")
    (other,) = index.answer_rows([row | {"quantity": "loss", "value": 2.0, "unit": "bits/byte"}])
    assert other["unit"] == "bits/byte"
    assert "of the law's parameters alone" in write(study).text


def test_titles_are_escaped(study):
    text = write(study, title="A <script> & more")
    assert "A <script> & more" in text.text
    assert "script" not in text.open


def test_page_without_laws_or_figures(study):
    page = write(study, laws=(), names=())
    assert "No law was fitted." in page.text


def test_facts_count_a_shared_trunk_once():
    rows = figure_data.runs(widths=(8,), tokens=(512_000, 1_024_000))
    small, large = rows
    facts = dict(index.facts(rows, index.markup))
    own = [row["cooldown_steps"] * row["batch_tokens"] for row in rows]
    tokens = sum(own) + large["tokens"] - own[1]
    assert tokens < small["tokens"] + large["tokens"]
    assert f"{tokens / 1e6:.1f}M tokens in all" in facts["Trained on"]
    seconds = sum(row["own_seconds"] for row in rows) + large["seconds"] - large["own_seconds"]
    assert facts["Training time"].startswith(f"{seconds:,.0f} s")
    assert facts["Runs"] == "2: 2 in the fits, 0 excluded, 0 diverged"


def test_facts_of_runs_without_trunks_add_up():
    rows = [
        row | {"trunk": None, "own_seconds": row["seconds"]}
        for row in figure_data.runs(widths=(8,))
    ]
    facts = dict(index.facts(rows, index.markup))
    assert f"{sum(row['tokens'] for row in rows) / 1e6:.1f}M tokens" in facts["Trained on"]


def test_markup_of_mathtext():
    assert index.markup(r"$\alpha_N$") == "&alpha;<sub>N</sub>"
    assert index.markup(r"$8.8\!\times\!10^{-3}$") == "8.8 × 10<sup>−3</sup>".replace("−", "−")
    assert index.markup("<b>") == "&lt;b&gt;"


def test_captions_are_sound_rst_and_short_of_jargon():
    for name in (*FIGURES, "workflow"):
        body = index.caption(name)
        assert "system-message" not in body, name
        assert body.count("<p>") >= 2, name


def test_a_missing_caption_or_figure_is_named(tmp_path):
    with pytest.raises(ContractError, match="nowhere.rst"):
        index.caption("nowhere")
    with pytest.raises(ContractError, match="iso_loss.svg: no such figure"):
        index.drawings([tmp_path / "iso_loss.svg"], Path(tmp_path))
