"""What is said last of a run of the workflow that did not reach its end."""

from pathlib import Path

from pipeline.endings import last_words
from pipeline.training.interruption import Stopped


def log(folder: Path, name: str, text: str) -> tuple[str, Path]:
    """A job of rule ``name`` with a log."""
    path = folder / f"{name}.log"
    path.write_text(text)
    return name, path


def test_an_interruption_counts_the_trainings_that_left_a_checkpoint(tmp_path):
    stopped = [log(tmp_path, name, f"resuming\n{Stopped(2)}\n\n") for name in ("b", "a")]
    others = [log(tmp_path, "done", "a: finished\n"), log(tmp_path, "new", "")]
    lost = ("fit", tmp_path / "never-written.log")
    assert last_words([], [*others, *stopped, lost]) == (
        f"Interrupted. 2 trainings stopped with a checkpoint ({tmp_path}/a.log, {tmp_path}/b.log); "
        "the same command goes on from there."
    )
    assert "1 training stopped with a checkpoint" in last_words([], stopped[:1])
    for running in (others, [lost], []):
        assert last_words([], running) == (
            "Interrupted. What is finished is kept; the same command goes on from there."
        )


def test_failures_are_told_by_their_last_lines(tmp_path):
    one = log(tmp_path, "fit_law", "Warning: x\nerror: no rows\n")
    told = last_words([one], [log(tmp_path, "train", str(Stopped(15)))])
    assert told.splitlines() == [
        "1 job failed. What is finished is kept; the same command goes on from there.",
        f"  fit_law: error: no rows ({tmp_path}/fit_law.log)",
    ]
    many = [log(tmp_path, f"rule{i}", "") for i in range(7)]
    lines = last_words(many, []).splitlines()
    assert lines[0].startswith("7 jobs failed.")
    assert lines[1] == f"  rule0: ended without a word ({tmp_path}/rule0.log)"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 1 + 5 + 1
