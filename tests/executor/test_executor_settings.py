"""Settings that make no sense are refused by option and value."""

from __future__ import annotations

import pytest
from snakemake_executor_plugin_submitit.settings import ExecutorSettings, check
from snakemake_interface_common.exceptions import WorkflowError


def test_the_defaults_are_accepted():
    check(ExecutorSettings())


@pytest.mark.parametrize(
    "setting",
    [
        {"cluster": "local"}, {"cluster": "debug"}, {"on_interrupt": "detach"}, {"signal": "USR1"},
        {"signal_lead": 10}, {"turns": 1}, {"array_size": 1}, {"status_seconds": 1},
        {"submissions_per_second": 0.01}, {"freeze": "a b"},
    ],
)  # fmt: skip
def test_the_least_and_the_other_choices_are_accepted(setting):
    check(ExecutorSettings(**setting))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"cluster": "pbs"}, "--submitit-cluster: 'pbs' is none of slurm, local, debug."),
        ({"on_interrupt": "stay"}, "--submitit-on-interrupt: 'stay' is none of cancel, detach."),
        ({"signal": "SIGUSR2"}, "--submitit-signal: 'SIGUSR2' is no signal; write it as USR2."),
        ({"signal": "10"}, "--submitit-signal: '10' is no signal"),
        ({"signal": "_IGN"}, "--submitit-signal: '_IGN' is no signal"),
        ({"signal": "KILL"}, "--submitit-signal: 'KILL' cannot be handled by a command"),
        ({"signal": "STOP"}, "--submitit-signal: 'STOP' cannot be handled by a command"),
        ({"signal_lead": 9}, "--submitit-signal-lead: 9 is less than 10."),
        ({"turns": 0}, "--submitit-turns: 0 is less than 1."),
        ({"array_size": 0}, "--submitit-array-size: 0 is less than 1."),
        ({"status_seconds": 0}, "--submitit-status-seconds: 0 is less than 1."),
        ({"submissions_per_second": 0.0}, "--submitit-submissions-per-second: 0.0 is not positive"),
        ({"submissions_per_second": float("nan")}, "nan is not positive"),
    ],
)
def test_refusals(setting, told):
    with pytest.raises(WorkflowError) as refused:
        check(ExecutorSettings(**setting))
    assert told in str(refused.value)
