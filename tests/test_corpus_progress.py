"""Progress in a log: few lines, and the sum at the end."""

import pytest

from pipeline.corpus import progress


def test_a_log_gets_a_line_now_and_then_and_the_total(capsys, monkeypatch):
    clock = iter([0.0, 0.0, 4.0, 11.0, 11.0, 12.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    items = [b"x" * 2_000_000, b"y" * 3_000_000, b"z" * 5_000_000]
    assert list(progress.shown(items, "encode", len, 10_000_000)) == items
    assert capsys.readouterr().err.splitlines() == [
        "encode: 5.0 of 10.0 MB",
        "encode: 10.0 MB in 20.0 s (0.5 MB/s)",
    ]


def test_an_error_in_between_is_passed_on():
    def items():
        yield b"a"
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        list(progress.shown(items(), "read", len))
