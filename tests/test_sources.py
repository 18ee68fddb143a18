import os

import pytest

from pipeline import sources


def write(root, **modules):
    for name, text in modules.items():
        path = root / "pipeline" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_all_that_a_module_imports_is_part_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        fit="import json\nfrom pipeline import contracts\nfrom pipeline.laws import base\n",
        laws__base="def f():\n    import pipeline.laws.surface\n",
        laws__surface="from pipeline.laws import base\n",
        laws__kaplan="",
        laws__init="",
        contracts="",
        other="",
    )
    found = [os.path.join("pipeline", n) for n in (
        "contracts.py", "fit.py", os.path.join("laws", "base.py"), os.path.join("laws", "surface.py"))]  # fmt: skip
    assert sources.closure(tmp_path, ["pipeline.fit"]) == found
    both = sources.closure(tmp_path, ["pipeline.fit", "pipeline.laws.kaplan"])
    assert set(both) - set(found) == {os.path.join("pipeline", "laws", "kaplan.py")}


def test_a_package_that_hands_on_what_its_modules_hold_is_all_of_them(tmp_path):
    """A package without ``__all__`` is a registry, whose modules a rule names itself."""
    write(
        tmp_path,
        fit="from pipeline import contracts\nfrom pipeline.laws import LAWS\n",
        plan="from pipeline.contracts import RUNS\n",
        draw="import pipeline.contracts\n",
        contracts__runs="RUNS = 1\n",
        contracts__other="",
        laws__kaplan="",
    )
    contracts, laws = (tmp_path / "pipeline" / name for name in ("contracts", "laws"))
    (laws / "__init__.py").write_text("from pipeline.laws import kaplan\n\nLAWS = {}\n")
    (contracts / "__init__.py").write_text(
        'from pipeline.contracts.runs import RUNS\n\n__all__ = ["RUNS"]\n'
    )
    gathered = [str(contracts / name) for name in ("__init__.py", "runs.py")]
    for stage in ("fit", "plan", "draw"):
        own = str(tmp_path / "pipeline" / f"{stage}.py")
        assert sources.closure(tmp_path, [f"pipeline.{stage}"]) == [*gathered, own]


def test_a_file_beside_a_module_that_it_names_is_part_of_it(tmp_path):
    write(tmp_path, frame='STYLE = "a.mplstyle"\n', page="from pipeline import frame\n", other="")
    for name in ("a.mplstyle", "b.mplstyle"):
        (tmp_path / "pipeline" / name).touch()
    found = sources.closure(tmp_path, ["pipeline.page"])
    assert [os.path.basename(path) for path in found] == ["a.mplstyle", "frame.py", "page.py"]
    assert len(sources.closure(tmp_path, ["pipeline.other"])) == 1


def test_outside_the_current_folder_paths_are_absolute(tmp_path, monkeypatch):
    write(tmp_path, fit="")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sources.closure(tmp_path, ["pipeline.fit"]) == [str(tmp_path / "pipeline" / "fit.py")]


def test_a_module_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pipeline\.fit: there is no such module"):
        sources.closure(tmp_path, ["pipeline.fit"])
