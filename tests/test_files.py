import errno
import os
import subprocess
import sys

import pytest

from pipeline import files


def test_atomic_shows_the_whole_file_or_none(tmp_path):
    path = tmp_path / "folder" / "table"
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["table"]


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "table"
    path.write_text("old")

    def write():
        with files.atomic(path) as temporary:
            temporary.write_text("half")
            raise KeyError("broken")

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    path = tmp_path / "table"

    def write():
        with files.atomic(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"table: No space left.*half written") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


def test_a_really_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    path = tmp_path / "table"

    def write():
        with files.atomic(path) as temporary:
            os.symlink("/dev/full", temporary)
            temporary.write_text("x" * 10)

    with pytest.raises(OSError, match="No space left"):
        write()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "table"
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    dead = tmp_path / f".table.{files.HOST}-{int(done.stdout)}.tmp"
    living = tmp_path / f".table.{files.HOST}-{os.getppid()}.tmp"
    elsewhere = tmp_path / f".table.other-{int(done.stdout)}.tmp"
    for left in (dead, living, elsewhere):
        left.touch()
    with files.atomic(path) as temporary:
        temporary.write_text("new")
    assert set(os.listdir(tmp_path)) == {"table", living.name, elsewhere.name}


def test_json_and_copies(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": [1, 2], "a": 1.5})
    files.copy(tmp_path / "a.json", tmp_path / "deep" / "b.json")
    assert (tmp_path / "deep" / "b.json").read_text() == (
        '{\n "a": 1.5,\n "b": [\n  1,\n  2\n ]\n}\n'
    )
