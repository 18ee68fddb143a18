"""The copy that jobs run: what is in it, that edits do not reach it, and that Python imports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from snakemake_executor_plugin_submitit.frozen import freeze
from snakemake_interface_common.exceptions import WorkflowError


@pytest.fixture
def root(tmp_path):
    """A project: a Snakefile, a package, and what is not to be copied."""
    root = tmp_path / "project"
    files = {
        "Snakefile": "rule all:\n",
        "package/__init__.py": "ANSWER = 'as submitted'\n",
        "package/deep/data.txt": "1\n",
        "package/__pycache__/x.pyc": "compiled",
        "package/.git/HEAD": "ref",
        "unnamed.txt": "not asked for",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def make(root, tmp_path):
    return lambda *names: freeze(names or ("Snakefile", "package"), root, tmp_path / "store")


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def git(root, *arguments):
    subprocess.run(
        ["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        check=True, capture_output=True,
    )  # fmt: skip


def test_the_copy_holds_what_is_named_and_no_more(make):
    assert listing(make().folder) == [
        "ORIGIN.json", "Snakefile", "package/__init__.py", "package/deep/data.txt"
    ]  # fmt: skip


def test_an_empty_folder_is_a_copy_of_nothing(make, root):
    (root / "empty").mkdir()
    assert listing(make("empty").folder) == ["ORIGIN.json"]


def test_a_file_is_found_in_the_copy(make, root, tmp_path, monkeypatch):
    frozen = make()
    assert frozen.path(root / "Snakefile") == frozen.folder / "Snakefile"
    assert frozen.path(root / "unnamed.txt") is None
    assert frozen.path(tmp_path / "elsewhere") is None
    monkeypatch.chdir(root)
    assert frozen.path("package/deep/data.txt").read_text() == "1\n"


def test_unchanged_files_are_copied_once(make, root):
    first = make()
    os.utime(root / "Snakefile")
    assert make("package", "Snakefile") == first
    assert [path.name for path in first.folder.parent.iterdir()] == [first.folder.name]


def test_an_edit_makes_another_copy_and_leaves_the_first(make, root):
    first = make()
    (root / "package/__init__.py").write_text("ANSWER = 'edited'\n")
    second = make()
    assert second.folder != first.folder
    assert "as submitted" in (first.folder / "package/__init__.py").read_text()
    assert "edited" in (second.folder / "package/__init__.py").read_text()


def test_a_renamed_file_makes_another_copy(make, root):
    first = make()
    (root / "package/deep/data.txt").rename(root / "package/deep/other.txt")
    assert make().folder != first.folder


@pytest.mark.parametrize("name", ["missing", "../outside", "/etc/hosts"])
def test_a_name_that_is_not_there_is_refused(make, root, name):
    (root.parent / "outside").write_text("")
    with pytest.raises(WorkflowError, match=f"--submitit-freeze: '{name}' is no file or folder"):
        make("Snakefile", name)


def test_a_link_to_nothing_is_left_out(make, root):
    (root / "package/.#lock").symlink_to("nobody@nowhere")
    assert not any("lock" in name for name in listing(make().folder))


def test_a_link_to_a_file_is_its_content(make, root):
    (root / "package/link.txt").symlink_to("../unnamed.txt")
    frozen = make()
    (root / "unnamed.txt").write_text("edited")
    assert (frozen.folder / "package/link.txt").read_text() == "not asked for"


def test_a_link_to_a_folder_is_its_content(make, root):
    (root / "data").mkdir()
    (root / "data/1.txt").write_text("1")
    (root / "package/link").symlink_to("../data")
    (root / "package/deep/up").symlink_to("..")  # leads in a circle
    frozen = make()
    (root / "data/1.txt").write_text("edited")
    assert (frozen.folder / "package/link/1.txt").read_text() == "1"


def test_the_origin_without_git_is_the_folder(make, root, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    assert json.loads((make().folder / "ORIGIN.json").read_text()) == {"folder": str(root)}


def test_the_origin_tells_the_commit_and_whether_files_differ_from_it(make, root):
    (root / "package/.git/HEAD").unlink()
    git(root, "init", "-q")
    git(root, "add", "Snakefile", "package")
    git(root, "commit", "-qm", "first")
    clean = json.loads((make().folder / "ORIGIN.json").read_text())
    head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    assert clean == {"folder": str(root), "git_commit": head.stdout.strip(), "git_dirty": False}
    (root / "Snakefile").write_text("rule other:\n")
    assert json.loads((make().folder / "ORIGIN.json").read_text())["git_dirty"] is True


def answer(folder, **variables):
    """What a Python started in a folder imports as the package."""
    return subprocess.run(
        [sys.executable, "-c", "import package; print(package.ANSWER)"], cwd=folder, text=True,
        env={**os.environ, **variables}, capture_output=True, check=True,
    ).stdout.strip()  # fmt: skip


def test_python_imports_the_copy_from_wherever_it_is_started(make, root, monkeypatch):
    frozen = make()
    (root / "package/__init__.py").write_text("ANSWER = 'edited'\n")
    assert answer(root) == "edited"
    assert answer(root, **frozen.environment()) == "as submitted"
    monkeypatch.setenv("PYTHONPATH", str(root))
    assert answer(root, **frozen.environment()) == "as submitted"
    assert frozen.environment()["PYTHONPATH"].endswith(f":{root}")
