"""submitit's executor for SLURM, with this package's entry point in its jobs."""

from __future__ import annotations

import shlex

import submitit


class LightExecutor(submitit.SlurmExecutor):
    """Writes and submits the batch script of a job or an array."""

    @property
    def _submitit_command_str(self) -> str:
        return f"{self.python} -u -m {__package__}.job {shlex.quote(str(self.folder))}"
