"""How far a training has come: all of it but its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class Progress:
    """All of a training but its arrays. ``rows`` are rows of contracts.CURVE."""

    step: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    loss_sum: float = 0.0  # nats/token, over the steps since the last row
    loss_steps: int = 0
    noise: list[float] = field(default_factory=lambda: [0.0] * 3)  # as noise.columns takes them
    seconds: float = 0.0  # of updates, without evaluations and checkpoints
    trunk_seconds: float = 0.0  # those of the trunk up to the branch point
    interruptions: list[dict[str, Any]] = field(default_factory=list)  # as turns.Turn tells

    @property
    def own_seconds(self) -> float:
        """Seconds of updates of this trunk, or of this branch alone."""
        return self.seconds - self.trunk_seconds

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Progress:
        """Progress from a file's JSON; files of an earlier format only count the restarts."""
        known = dict(values)
        restarts = range(known.pop("restarts", 0))
        early = [{"turn": f"early-{i}", "cause": "unknown", "lost_seconds": 0.0} for i in restarts]
        return cls(**{"interruptions": early, **known})


@dataclass
class Snapshot:
    """A training held in memory, to go on from after a branch."""

    progress: Progress
    arrays: list[Tensor]
