"""A copy of the project in a folder of its own, with a study of tiny cells that runs in seconds."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
WORDS = ["sea", "ship", "wind", "night", "star", "song", "heart", "stone", "river", "gold", "dream"]

TINY: dict[str, Any] = {
    "study": "tiny",
    "corpus": {
        "name": "words",
        "sources": [{"files": "texts/train.txt"}],
        "block_bytes": 1024,
        "deduplicate": False,
        "validation_bytes": 4000,
        "test_bytes": 4000,
        "tokenizer": {"vocab_size": 280},
    },
    "evaluation": {
        "corpora": [{"name": "other", "sources": [{"files": "texts/other.txt"}]}],
        "bytes": 4000,
    },
    "model": {"context": 16},
    "grid": {
        "sizes": [
            {"n_layer": 1, "d_model": 8, "n_head": 1},
            {"n_layer": 1, "d_model": 16, "n_head": 2},
        ],
        "tokens": [10240, 15360, 20480],  # six cells, which the law of five parameters needs
    },
    "training": {
        "batch": {"tokens": 256},
        "schedule": {"warmup_steps": 4},
        "precision": "fp32",
        "device": "cpu",
        "checkpoint_seconds": 0.05,
    },
    "fit": {
        "bootstraps": 20,
        "allocations": ["envelope", "isoflop_parabola", "isoflop_akima"],
    },
}


def verse(seed: int, lines: int) -> str:
    """Lines of random words."""
    rng = random.Random(seed)
    return "".join(" ".join(rng.choices(WORDS, k=7)) + f" {i}\n" for i in range(lines))


@dataclass
class Project:
    """A folder that holds a copy of the project."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "workflow", "pipeline", "profiles"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name)  # with what is compiled of it
            else:
                shutil.copy(source, folder / name)
        (folder / "slurm").symlink_to("profiles/slurm")
        (folder / "texts").mkdir()
        (folder / "texts" / "train.txt").write_text(verse(1, 12000))
        (folder / "texts" / "other.txt").write_text(verse(2, 800).upper())
        project = cls(folder)
        project.configure({})
        return project

    def configure(self, changes: dict[str, dict[str, Any]]) -> None:
        """Write config.yaml: the tiny study with some sections' keys changed."""
        config = {
            key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value
            for key, value in TINY.items()
        }
        config |= {key: value for key, value in changes.items() if key not in TINY}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def environment(self, **variables: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder), **variables}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command in the folder, in a process group of its own."""
        return subprocess.Popen(
            arguments, cwd=self.folder, env=self.environment(**variables), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def snakemake(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run snakemake; its exit status and all it printed."""
        process = self.start("snakemake", "--cores", "2", *arguments, **variables)
        try:
            printed, _ = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, printed

    def planned(self) -> dict[str, int]:
        """Rule -> number of jobs that a run would start."""
        status, printed = self.snakemake("--dry-run")
        assert status == 0, printed
        if "Nothing to be done" in printed:
            return {}
        table = printed.split("Job stats:")[1].split("total")[0]
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, re.M)}

    def digests(self, pattern: str) -> dict[str, tuple[int, bytes]]:
        """Path -> modification time and content of the files that match."""
        paths = sorted(path for path in self.folder.glob(pattern) if path.is_file())
        return {
            str(p.relative_to(self.folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in paths
        }
