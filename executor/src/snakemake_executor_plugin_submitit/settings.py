"""Settings of the executor: ``--submitit-<name>`` on the command line, or in a profile."""

import signal
from dataclasses import dataclass, field

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

CLUSTERS = ("slurm", "local", "debug")
MOST_LEAD = 65535  # seconds (man sbatch, --signal)
INTERRUPTS = ("cancel", "detach")

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    # sbatch and submitit pass the environment on; in the command it would lie on disk in the open.
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    cluster: str = field(
        default="slurm",
        metadata={
            "help": "Where jobs run: 'slurm'; 'local', processes of this machine; 'debug', in "
            "this process, one after the other.",
            "choices": CLUSTERS,
        },
    )
    signal: str = field(
        default="USR2",
        metadata={"help": "Signal that announces the end of a turn to the commands of a job."},
    )
    signal_lead: int = field(
        default=120,
        metadata={"help": "Seconds before the time limit at which the signal is sent."},
    )
    turns: int = field(
        default=20,
        metadata={
            "help": "Turns of one job at most: its first, and each that follows a preemption, a "
            "time limit or a node failure."
        },
    )
    on_interrupt: str = field(
        default="cancel",
        metadata={
            "help": "What Ctrl-C does with living jobs: 'cancel', or 'detach', which leaves them "
            "running; the same command later takes them up again.",
            "choices": INTERRUPTS,
        },
    )
    array_size: int = field(
        default=1000,
        metadata={
            "help": "Most jobs of one job array; the cluster's MaxArraySize bounds it, too. "
            "1 submits every job alone."
        },
    )
    submissions_per_second: float = field(
        default=5.0, metadata={"help": "Most submissions per second; an array counts once."}
    )
    status_seconds: int = field(
        default=60,
        metadata={
            "help": "Most seconds between two looks at the scheduler's queue. Finished jobs are "
            "seen earlier, by the files they leave."
        },
    )
    freeze: str = field(
        default="",
        metadata={
            "help": "Files and folders, separated by spaces, that are copied when Snakemake "
            "starts; jobs run with the copy, whatever is edited meanwhile. Name the Snakefile "
            "and all it includes and imports."
        },
    )


def check(settings: ExecutorSettings) -> None:
    """Refuse settings that make no sense; raises WorkflowError naming option, value and cure."""
    if settings.cluster not in CLUSTERS:
        _refuse("cluster", settings.cluster, f"is none of {', '.join(CLUSTERS)}")
    if settings.on_interrupt not in INTERRUPTS:
        _refuse("on-interrupt", settings.on_interrupt, f"is none of {', '.join(INTERRUPTS)}")
    if f"SIG{settings.signal}" not in signal.Signals.__members__:
        _refuse("signal", settings.signal, "is no signal; write it as USR2")
    if settings.signal in ("KILL", "STOP"):
        _refuse("signal", settings.signal, "cannot be handled by a command; take USR2")
    least = {"signal_lead": 10, "turns": 1, "array_size": 1, "status_seconds": 1}
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            option = name.replace("_", "-")
            _refuse(option, getattr(settings, name), f"is less than {bound}")
    if settings.signal_lead > MOST_LEAD:
        _refuse("signal-lead", settings.signal_lead, f"is more than sbatch's {MOST_LEAD} s")
    if not settings.submissions_per_second > 0:
        _refuse("submissions-per-second", settings.submissions_per_second, "is not positive")


def _refuse(option: str, value: object, fault: str) -> None:
    raise WorkflowError(f"--submitit-{option}: {value!r} {fault}.")
