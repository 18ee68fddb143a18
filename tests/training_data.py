"""A small tokenized text, cells on it, and the commands on them, for the tests of training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.cells import Cell
from pipeline.files import write_json
from pipeline.train import main
from pipeline.training.inputs import read_corpus, read_texts
from pipeline.training.interruption import Stopped, StopRequest

VOCAB = 32
CELL = Cell(
    corpus="noise-0", family="transformer", n_layer=2, d_model=16, d_ff=64, n_head=2,
    context=16, vocab_size=VOCAB, dropout=0.0, tokens=40 * 64, unique_tokens=None,
    batch_tokens=64, steps=40, lr=0.0125, lr_embedding=0.02, schedule="wsd", warmup_steps=4,
    cooldown_steps=8, final_lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, clip=1.0,
    precision="fp32", seed=0, recipe=1, evaluations_per_octave=1, evaluate=(),
)  # fmt: skip


def cell(**changes: Any) -> Cell:
    """The small cell with some fields changed; ``steps`` brings its tokens along."""
    if "steps" in changes:
        changes.setdefault("tokens", changes["steps"] * CELL.batch_tokens)
    return replace(CELL, **changes)


def chain(length: int, seed: int) -> np.ndarray:
    """Symbols of which each follows its predecessor by +1 or +2 (equally likely) nine times in
    ten, else is uniform: something to learn at any size."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(length) < 0.9, rng.integers(1, 3, length),
                     rng.integers(0, VOCAB, length))  # fmt: skip
    return np.cumsum(steps) % VOCAB


def write_corpus(folder: Path, splits: dict[str, list[np.ndarray]], name: str = "noise",
                 key: str = "noise-0", vocab: int = VOCAB) -> Path:  # fmt: skip
    """Write shards, manifest and corpus.json as the corpus stage does; returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, tokens, digest = [], {}, hashlib.sha256()
    for split, shards in splits.items():
        tokens[split] = sum(map(len, shards))
        for index, ids in enumerate(shards):
            file = f"{split}-{index:05d}.bin"
            (folder / file).write_bytes(ids.astype("<u2").tobytes())
            sha = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            digest.update(sha.encode())
            rows.append({
                "corpus": key, "shard": file, "split": split, "documents": 1, "tokens": len(ids),
                "bytes": 2 * len(ids), "bytes_per_token": 2.0, "dtype": "uint16", "sha256": sha,
                "tokenizer": "none", "vocab_size": vocab,
            })  # fmt: skip
    contracts.write(folder / "manifest.parquet", rows, contracts.MANIFEST)
    write_json(folder / "corpus.json", {
        "key": key, "name": name, "vocab_size": vocab, "dtype": "uint16",
        "data_sha256": digest.hexdigest(), "tokens": tokens,
        "bytes": {split: 2 * count for split, count in tokens.items()},
    })  # fmt: skip
    return folder / "manifest.parquet"


def make_corpus(folder: Path, train: int = 8000, seed: int = 0) -> Path:
    """A corpus of a chain: two training shards, a validation split and one text to score on."""
    whole = chain(train, seed)
    manifest = write_corpus(folder, {
        "train": [whole[: train // 3], whole[train // 3 :]],
        "validation": [chain(500, seed + 1)], "test": [chain(300, seed + 2)],
    })  # fmt: skip
    write_corpus(folder / "evaluation" / "other-1", {"evaluation": [chain(400, seed + 3) // 2]},
                 name="other", key="other-1")  # fmt: skip
    return manifest


def write_spec(results: Path, made: Cell) -> Path:
    """spec.json in the cell's folder."""
    path = results / "cells" / made.key / "spec.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made.spec()), encoding="utf-8")
    return path


CLOCKS = {"seconds", "own_seconds", "tokens_per_second", "peak_memory", "restarts", "finished_at",
          "lost_seconds", "interruptions"}  # fmt: skip
LONG = {"unique_tokens": 5000, "evaluate": ("other-1",)}


class Results:
    """A results folder with a corpus and some cells, and the two commands on it."""

    def __init__(self, root: Path, *cells: Cell):
        self.root, self.state = root, root / "state"
        self.manifest = root / "corpus" / "manifest.parquet"
        if not self.manifest.exists():
            make_corpus(root / "corpus")
        self.cells = cells
        self.specs = [write_spec(root, made) for made in cells]

    def common(self, seconds):
        return ["--corpus", str(self.manifest), "--state", str(self.state), "--device", "cpu",
                "--checkpoint-seconds", str(seconds)]  # fmt: skip

    def part_arguments(self, seconds=60.0):
        ledger = self.root / "trainings" / "part.json"
        specs = [str(spec) for spec in self.specs]
        return ["part", "--specs", *specs, "--out", str(ledger), *self.common(seconds)]

    def cell_arguments(self, index=0, seconds=60.0):
        spec = self.specs[index]
        return ["cell", "--spec", str(spec), "--out", str(spec.parent), *self.common(seconds)]

    def part(self, expected=0):
        assert main(self.part_arguments()) == expected
        return self

    def publish(self, expected=0):
        for index in range(len(self.cells)):
            assert main(self.cell_arguments(index)) == expected
        return self

    def read(self, index=0):
        """Run row, curve and evaluation rows, without what a clock decides."""
        folder = self.specs[index].parent
        tables = (contracts.RUN, contracts.CURVE, contracts.EVALUATION)
        run, curve, evaluation = (
            contracts.read(folder / f"{schema.metadata[b'contract'].decode()}.parquet", schema)
            for schema in tables
        )
        keep = [{k: v for k, v in row.items() if k not in CLOCKS}
                for row in run.to_pylist() + curve.to_pylist()]  # fmt: skip
        return keep, evaluation.to_pylist()

    def run(self, index=0):
        return contracts.read(self.specs[index].parent / "run.parquet", contracts.RUN).to_pylist()[
            0
        ]


class After(StopRequest):
    """Asks to stop when training has looked at it so often, once after each step."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    @property
    def signal(self):
        self.looks -= 1
        return SIGTERM if self.looks <= 0 else None


def train_in_turns(results: Results, steps: int) -> int:
    """Train the cells, stopped after every few steps and gone on with; how often it was stopped."""
    from pipeline.training.loop import Machine
    from pipeline.training.session import train

    corpus, turns = read_corpus(results.manifest), 0
    while True:
        machine = Machine("cpu", stop=After(steps), log=lambda _: None)
        try:
            train(results.cells, corpus, read_texts(corpus, results.cells), results.state, machine)
        except Stopped:
            turns += 1
        else:
            return turns


def three(**changes):
    changes = {"evaluate": ("other-1",), **changes}
    return [cell(steps=s, cooldown_steps=s // 5, **changes) for s in (20, 40, 80)]


def record(state: Path, place: str) -> dict:
    """The record of a turn at the trunk or at a cell; without one, of nothing."""
    found = [json.loads(path.read_text()) for path in state.glob(f"{place}/*/turn.json")]
    return found[0] if found else {"turn": None, "seconds": 0.0}
