import ast
import os
from pathlib import Path

import pytest

from pipeline import sources

ROOT = Path(__file__).parents[1]


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


def parsed(path):
    """What a module imports of the project, and the files beside it that it names, by Python."""
    imported, named = [], []
    beside = {p.name: p for p in path.parent.iterdir() if p.is_file() and p.suffix != ".py"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named += [beside[node.value]] if node.value in beside else []
    return {name for name in imported if name.split(".")[0] == "pipeline"}, set(named)


def test_imports_are_read_as_python_reads_them():
    modules = sorted((ROOT / "pipeline").rglob("*.py"))
    assert len(modules) > 200
    for path in modules:
        assert (set(sources._imported(path)), set(sources._named(path))) == parsed(path), path


def test_imports_in_every_form_are_read(tmp_path):
    write(tmp_path, all="""import json, pipeline.a as first, pipeline.b  # pipeline.no
from pipeline.c import (
    d as second,
    e,
)
def f(): # import pipeline.no
    from pipeline import g, h as third  # pipeline.no
    try:
        import pipeline.i
    except ImportError: pass
    return "import pipeline.no"
""")  # fmt: skip
    path = tmp_path / "pipeline" / "all.py"
    expected = {f"pipeline.{name}" for name in ("a", "b", "c", "c.d", "c.e", "g", "h", "i")}
    assert set(sources._imported(path)) - {"pipeline"} == expected
    assert set(sources._imported(path)) == parsed(path)[0]


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
