"""The cluster does what a real one does to jobs, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import daemons
import pytest
from cluster import Cluster
from daemons import wait_until
from keeper import CGROUPS

LIVING = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED")


@pytest.fixture
def quiet(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with all nodes free before and after."""
    yield cluster
    cluster.run("scancel", "--user=root")
    cluster.wait_until(lambda: not cluster.jobs(*LIVING))


def submit(cluster: Cluster, script: str, *options: str) -> str:
    """Submit a batch script; its job id."""
    return cluster.run(
        "sbatch", "--parsable", "--output=/dev/null", "--time=10", *options, "--wrap", script
    ).strip()


def job(cluster: Cluster, name: str) -> dict[str, str]:
    (found,) = [job for job in cluster.jobs() if job["id"] == name]
    return found


def states(cluster: Cluster, *jobs: str) -> list[str]:
    return [job(cluster, name)["state"] for name in jobs]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def processes(*texts: str) -> list[str]:
    """Commands of the processes that have all texts in their command line and environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It may have ended, or be hidden from this user.
            words = ((process / name).read_bytes() for name in ("cmdline", "environ"))
            command, environment = (word.replace(b"\0", b" ").decode() for word in words)
            if all(text in command + environment for text in texts):
                found.append(command)
    return found


def test_every_job_of_an_array_gets_a_gpu_of_its_own(quiet: Cluster, tmp_path: Path) -> None:
    script = f"echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES >> {tmp_path}/gpus; sleep 100"
    array = submit(quiet, script, "--array=0-19", "--gres=gpu:1", "--comment=a | b")
    quiet.wait_until(lambda: len(lines(tmp_path / "gpus")) == 16)
    assert sorted(lines(tmp_path / "gpus")) == [
        f"node{n} {g}" for n in (1, 2, 3, 4) for g in range(4)
    ]
    tasks = [task for task in quiet.jobs() if task["array"] == array]
    assert Counter(task["state"] for task in tasks) == {"RUNNING": 16, "PENDING": 4}
    assert {task["id"] for task in tasks} == {f"{array}_{i}" for i in range(20)}
    assert {task["comment"] for task in tasks} == {"a | b"}


def test_the_record_counts_an_array_once(quiet: Cluster) -> None:
    accepted, asked = quiet.submissions(), quiet.requests()["type"]["REQUEST_SUBMIT_BATCH_JOB"]
    array = submit(quiet, "true", "--array=0-2", "--partition=cpu")
    with pytest.raises(RuntimeError, match="invalid partition"):
        submit(quiet, "true", "--partition=nowhere")
    assert quiet.submissions() == accepted + 1
    requests = quiet.requests()
    assert requests["type"]["REQUEST_SUBMIT_BATCH_JOB"] == asked + 2
    assert requests["user"]["root"] >= sum(requests["type"].values()) - 20

    def completed() -> list[dict[str, str]]:
        return [row for row in quiet.accounting([array]) if row["State"] == "COMPLETED"]

    quiet.wait_until(lambda: len(completed()) == 3)
    assert {row["JobID"] for row in completed()} == {f"{array}_{i}" for i in range(3)}
    assert {row["JobID"] for row in quiet.accounting()} >= {row["JobID"] for row in completed()}


def test_a_requeued_job_runs_again_within_seconds(quiet: Cluster, tmp_path: Path) -> None:
    name = submit(quiet, f"echo $SLURM_RESTART_COUNT >> {tmp_path}/turns; sleep 100")
    quiet.wait_until(lambda: len(lines(tmp_path / "turns")) == 1)
    quiet.run("scontrol", "requeue", name)
    quiet.wait_until(lambda: len(lines(tmp_path / "turns")) == 2, timeout=10)
    assert lines(tmp_path / "turns") == ["", "1"]
    assert job(quiet, name)["restarts"] == "1"
    quiet.wait_until(lambda: len(quiet.accounting([name])) == 2)
    assert quiet.accounting([name])[0]["State"] == "REQUEUED"
    assert len(quiet.accounting([name], duplicates=False)) == 1


def test_preemption_warns_a_step_and_requeues_its_job(quiet: Cluster, tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.write_text(
        f"trap 'date +%s >> {tmp_path}/warned' USR2; trap '' TERM\n"
        f"echo >> {tmp_path}/turns; until [ -e {tmp_path}/enough ]; do sleep 0.1; done\n"
    )
    options = "--nodes=4", "--exclusive", "--signal=USR2@30"
    victim = submit(quiet, f"srun bash {step}", *options)
    quiet.wait_until(lambda: len(lines(tmp_path / "turns")) == 4)
    winner = submit(quiet, "sleep 100", "--partition=high", "--nodes=4", "--exclusive")
    quiet.wait_until(lambda: len(lines(tmp_path / "warned")) == 4, timeout=10)
    quiet.wait_until(lambda: states(quiet, winner, victim) == ["RUNNING", "PENDING"], timeout=40)
    assert job(quiet, victim)["restarts"] == "1"
    quiet.wait_until(lambda: quiet.accounting([victim])[0]["State"] == "PREEMPTED")
    quiet.run("scancel", winner)
    quiet.wait_until(lambda: len(lines(tmp_path / "turns")) == 8)
    (tmp_path / "enough").touch()
    quiet.wait_until(lambda: states(quiet, victim) == ["COMPLETED"])


def test_a_dead_node_takes_its_processes_along_and_its_job_moves(quiet: Cluster) -> None:
    orphan = f"sleep {os.getpid()}.25"
    script = f"(setsid {orphan} &); srun sleep 100"
    lost, stays = (submit(quiet, script, "--gres=gpu:4") for _ in range(2))
    ours = str(quiet.folder)
    steps = [f"slurmstepd: [{name}.0]" for name in (lost, stays)]
    quiet.wait_until(lambda: len(processes(orphan)) == 2)
    quiet.wait_until(lambda: all(processes(ours, step) for step in steps))
    node = job(quiet, lost)["nodes"]
    quiet.kill_node(node)
    assert not processes(ours, f"SLURMD_NODENAME={node} ")
    assert [len(processes(ours, step)) for step in steps] == [0, 1]
    assert len(processes(orphan)) == 1
    quiet.wait_until(lambda: job(quiet, lost)["restarts"] == "1", timeout=40)
    assert quiet.node_states()[node] == "down*"
    quiet.wait_until(lambda: states(quiet, lost, stays) == ["RUNNING"] * 2)
    assert job(quiet, lost)["nodes"] != node
    assert job(quiet, stays)["restarts"] == "0"
    quiet.wait_until(lambda: quiet.accounting([lost])[0]["State"] == "NODE_FAIL")
    quiet.revive_node(node)
    assert quiet.node_states()[node] == "idle"


def test_a_controller_that_comes_back_knows_its_jobs(quiet: Cluster, tmp_path: Path) -> None:
    runs = submit(quiet, f"srun bash -c 'echo >> {tmp_path}/started; sleep 100'")
    waits = submit(quiet, "true", "--hold")
    # An srun that has no step yet would end with the controller.
    quiet.wait_until(lambda: lines(tmp_path / "started"))
    quiet.stop_controller()
    assert "DOWN" in quiet.run("scontrol", "ping", check=False)
    quiet.start_controller()
    assert states(quiet, runs, waits) == ["RUNNING", "PENDING"]
    quiet.run("scontrol", "release", waits)
    quiet.wait_until(lambda: states(quiet, runs, waits) == ["RUNNING", "COMPLETED"])
    quiet.wait_until(lambda: "unknown" not in quiet.node_states().values())


def test_without_accounting_the_queue_alone_tells(make_cluster: Callable[..., Cluster]) -> None:
    bare = make_cluster(accounting=False, nodes=1, gpus=0, extra=["MaxArraySize=7"])
    name = submit(bare, "true", "--array=0-6")
    bare.wait_until(lambda: {task["state"] for task in bare.jobs()} == {"COMPLETED"})
    assert len(bare.jobs()) == 7
    with pytest.raises(RuntimeError, match="accounting storage is disabled"):
        bare.accounting([name])
    with pytest.raises(RuntimeError, match="Invalid job array"):
        submit(bare, "true", "--array=0-7")
    assert bare.submissions() == 1


def test_a_job_over_its_memory_is_killed(make_cluster: Callable[..., Cluster]) -> None:
    limited = make_cluster(accounting=False, nodes=1, memory="cgroup")
    take = f"exec {sys.executable} -c \"held = b'1' * 2**{{}}; import time; time.sleep({{}})\""
    greedy = submit(limited, take.format(29, 100), "--mem=200M")
    modest = submit(limited, take.format(26, 0), "--mem=200M")
    ends = lambda: states(limited, greedy, modest) == ["OUT_OF_MEMORY", "COMPLETED"]  # noqa: E731
    limited.wait_until(ends)
    limited.stop()
    assert not list(CGROUPS.glob("*/slurm_node1"))


def test_nothing_is_left_after_stop() -> None:
    left = f"sleep {os.getpid()}.5"
    with Cluster(nodes=1, gpus=1) as cluster:
        submit(cluster, f"env --ignore-environment setsid {left} & srun sleep 100")
        cluster.wait_until(lambda: processes(left) and len(cluster.run("squeue", "-hs")) > 0)
        folder = cluster.folder
        assert len(processes(str(folder))) > 6
    assert not processes(str(folder))
    assert not processes(left)
    assert not folder.exists()


def test_a_killed_test_leaves_nothing(quiet: Cluster) -> None:
    """Also: two clusters live side by side, each with its own first job."""
    first = submit(quiet, "sleep 100")
    started = (
        "from cluster import Cluster\n"
        "import time\n"
        "cluster = Cluster(accounting=False, nodes=1)\n"
        "cluster.start()\n"
        "cluster.run('sbatch', '--output=/dev/null', '--wrap', 'sleep 100')\n"
        "cluster.wait_until(lambda: cluster.jobs('RUNNING'))\n"
        "print(cluster.folder, flush=True)\n"
        "time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", started],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout
        folder = Path(test.stdout.readline().strip())
        assert (folder / "slurm.conf").exists()
        os.kill(test.pid, signal.SIGKILL)
    wait_until(lambda: not folder.exists() and not processes(str(folder)), timeout=10)
    quiet.wait_until(lambda: states(quiet, first) == ["RUNNING"])


def test_a_missing_slurm_skips_but_fails_where_ci_is_set(
    make_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "PATH", "/nowhere")
    packages = "apt-get install mariadb-server munge slurm-client slurmctld slurmd slurmdbd$"
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=packages):
        make_cluster()
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=packages):
        make_cluster()


def test_a_machine_that_refuses_devices_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    assert re.search(r"mknod is refused .* --cap-add=MKNOD", daemons.lack())
    assert not daemons.lack(gpus=0)
