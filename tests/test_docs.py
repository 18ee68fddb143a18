"""The pages agree with the tree they describe."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_exists(page):
    pattern = r"`((?:pipeline|tests|workflow|benchmarks|studies|docs)/[\w./]+\.\w+)`"
    named = re.findall(pattern, page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_layout_has_a_line_for_every_module_and_package():
    page = (ROOT / "docs/architecture.md").read_text()
    block = page[page.index("\npipeline/\n") : page.index("```\n\n## Files")]
    listed = re.findall(r"^    (\w+)(\.py|/|\.<name>)? ", block, re.M)
    there = {path.stem for path in (ROOT / "pipeline").glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    stages = {name for name, kind in listed if kind in ("", ".<name>")}
    assert {name for name, kind in listed if kind == "/"} == packages
    modules = {name for name, kind in listed if kind == ".py"}
    assert modules | {"endings"} == there - stages  # which stands in the line of sources.py
    assert stages <= there | {"corpus", "figures"}


def test_the_lock_pins_what_the_metadata_asks_for():
    lock = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))
    assert lock["torch"] == "2.13.0"
    metadata = (ROOT / "pyproject.toml").read_text()
    asked = re.findall(r'^  "([\w-]+)(?:>=|==)', metadata, re.M)
    known = {name.lower().replace("_", "-") for name in lock}
    assert len(asked) > 15
    assert [name for name in asked if name.lower().replace("_", "-") not in known] == []


def test_the_makefile_names_only_targets_it_has():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    used = set(re.findall(r"(?:^|`)make (\w+)", "".join(p.read_text() for p in PAGES), re.M))
    assert used <= targets
    script = (ROOT / ".ci" / "run").read_text()
    assert set(re.findall(r"\bmake (\w+)$", script, re.M)) <= targets


def test_continuous_integration_is_a_valid_script():
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")]).returncode == 0
