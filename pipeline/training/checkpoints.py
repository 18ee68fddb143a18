"""Checkpoints: a line of JSON, then float32 arrays; written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.files import atomic
from pipeline.training.inputs import InputError

FORMAT = 1


class CheckpointError(InputError):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """A state of training: ``progress`` (JSON values) and flat float32 ``arrays`` of one length."""

    progress: dict[str, Any]
    arrays: list[Tensor]


def save(
    path: str | Path, identity: Mapping[str, str], progress: Mapping[str, Any],
    arrays: Sequence[Tensor],
) -> None:  # fmt: skip
    """Write a checkpoint atomically, with a digest over all that follows the first line."""
    bodies = [np.ascontiguousarray(array.numpy(), "<f4") for array in arrays]
    digest = hashlib.sha256()
    for body in bodies:
        digest.update(body.data)
    header = {
        "format": FORMAT, "identity": dict(identity), "progress": dict(progress),
        "lengths": [len(body) for body in bodies], "sha256": digest.hexdigest(),
    }  # fmt: skip
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        for body in bodies:
            file.write(body.data)


def load(path: str | Path, identity: Mapping[str, str]) -> Checkpoint:
    """Read a checkpoint of the training ``identity``.

    Raises CheckpointError where the file is missing, cut short, altered, or of another training.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            line = file.readline()
            body = bytearray(file.read())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        header = json.loads(line)
        stamp, lengths, digest = header["identity"], header["lengths"], header["sha256"]
        progress, version = header["progress"], header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its first line is no checkpoint header") from error
    if version != FORMAT:
        raise CheckpointError(f"{path}: has format {version}, expected {FORMAT}")
    for name, value in identity.items():
        if stamp.get(name) != value:
            raise CheckpointError(f"{path}: its {name} is {stamp.get(name)!r}, not {value!r}")
    if len(body) != 4 * sum(lengths):
        raise CheckpointError(f"{path}: holds {len(body)} bytes of {4 * sum(lengths)}, cut short")
    if hashlib.sha256(body).hexdigest() != digest:
        raise CheckpointError(f"{path}: its bytes do not match their digest")
    flat = torch.from_numpy(np.frombuffer(body, "<f4"))
    return Checkpoint(progress, list(flat.split(lengths)))


def step(path: str | Path) -> int:
    """The step of a checkpoint by its first line alone; -1 where it cannot be told."""
    try:
        with Path(path).open("rb") as file:
            return int(json.loads(file.readline())["progress"]["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
