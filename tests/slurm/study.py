"""A copy of the project whose tiny study runs on a cluster, slowly enough to be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster

sys.path.insert(0, str(Path(__file__).parents[1]))
from project import Project

from pipeline import contracts

# Three sizes, so three trunks and as many SLURM jobs; six cells.
GRID = {
    "sizes": [{"n_layer": 1, "d_model": width, "n_head": 1} for width in (8, 16, 24)],
    "tokens": [25600, 51200],
}
RUNS = "results/tiny/runs.parquet"  # a target without fits and figures
LOOP = "pipeline/training/loop.py"
STEP = "loss = self.learner.step("
CLOCKS = {
    "seconds", "own_seconds", "tokens_per_second", "peak_memory", "restarts", "lost_seconds",
    "interruptions", "finished_at", "host",
}  # fmt: skip


@dataclass
class Study:
    """A project, and the cluster that its jobs run on; none where it is run without a scheduler."""

    project: Project
    cluster: Cluster | None

    @classmethod
    def make(
        cls, folder: Path, cluster: Cluster | None, step_seconds: float = 0.0, **config: Any
    ) -> Study:
        """``step_seconds``: sleep in each training step, which changes no number."""
        project = Project.make(folder)
        project.configure({"grid": GRID, **config})
        if step_seconds:
            replace(folder / LOOP, STEP, f"time.sleep({step_seconds}); {STEP}")
        return cls(project, cluster)

    @property
    def folder(self) -> Path:
        return self.project.folder

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start ``snakemake --profile slurm`` in a process group of its own."""
        return self.project.start(
            "snakemake", "--profile", "slurm", "--submitit-status-seconds", "4", *arguments,
            **{**self.cluster.environment(), **variables},
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str], timeout: float = 240) -> tuple[int, str]:
        """Its exit status and all that it printed; killed with its group where it takes long."""
        try:
            printed, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"still running:\n{process.communicate()[0]}") from None
        return process.returncode, printed

    def run(self, *arguments: str, **variables: str) -> str:
        """Run to a good end; returns what it printed."""
        status, printed = self.end(self.start(*arguments, **variables))
        assert status == 0, printed
        return printed

    def jobs(self, rule: str = "train", *states: str) -> list[dict[str, str]]:
        """The jobs of a rule in the scheduler's queue, those of this study alone."""
        found = [job for job in self.cluster.jobs(*states) if job["name"] == rule]
        tags = {path.name for path in self.submissions()}
        return [job for job in found if job["comment"] in tags]

    def submissions(self) -> list[Path]:
        return list((self.folder / ".snakemake/submitit/submissions").glob("*"))

    def wait_for_training(self, trunks: int = 3) -> list[dict[str, str]]:
        """Wait until so many trunks have left a checkpoint; their living jobs."""
        self.cluster.wait_until(
            lambda: len(list(self.folder.glob("results/state/trunks/*/rolling.ckpt"))) >= trunks,
            180,
        )
        return sorted(self.jobs("train", "RUNNING"), key=lambda job: job["id"])

    def rows(self) -> list[dict[str, Any]]:
        return contracts.read(self.folder / RUNS, contracts.RUNS).to_pylist()

    def numbers(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Runs and curves without what a clock decides."""
        curves = contracts.read(self.folder / "results/tiny/curves.parquet", contracts.CURVES)
        return (
            [{k: v for k, v in row.items() if k not in CLOCKS} for row in self.rows()],
            curves.drop_columns(["seconds"]).to_pylist(),
        )

    def outcomes(self) -> list[str]:
        """How the jobs of all submissions ended."""
        found = [path.glob("outcome-*.json") for path in self.submissions()]
        return sorted(json.loads(p.read_text())["ended"] for paths in found for p in paths)


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that occurs in a file."""
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def undisturbed(folder: Path) -> Study:
    """The same study run on this machine without a scheduler."""
    study = Study.make(folder, None)
    status, printed = study.project.snakemake(RUNS)
    assert status == 0, printed
    return study
