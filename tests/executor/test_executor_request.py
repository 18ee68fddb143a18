"""Resources of a rule -> sbatch options, and what is refused by name."""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_submitit.request import (
    RESOURCES,
    SET_BY,
    extra_options,
    request,
)
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_interface_common.exceptions import WorkflowError


def sbatch(threads=1, **resources):
    return request("fold", {"runtime": 60, **resources}, threads).sbatch()


def refusal(known=(), threads=1, **resources) -> str:
    with pytest.raises(WorkflowError) as refused:
        request("fold", {"runtime": 60, **resources}, threads, known)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "option", "written"),
    [
        ("mem_mb", 4000, "mem", "4000M"),
        ("mem_mb_per_cpu", 500, "mem-per-cpu", "500M"),
        ("cpus_per_task", 6, "cpus-per-task", 6),
        ("gpus", 2, "gpus-per-node", 2),
        ("gpu", 2, "gpus-per-node", 2),
        ("gres", "gpu:a100:2", "gres", "gpu:a100:2"),
        ("nodes", 3, "nodes", 3),
        ("tasks", 8, "ntasks", 8),
        ("tasks_per_node", 4, "ntasks-per-node", 4),
        ("constraint", "a100&ib", "constraint", "a100&ib"),
        ("qos", "long", "qos", "long"),
        ("reservation", "course", "reservation", "course"),
        ("slurm_partition", "gpu", "partition", "gpu"),
        ("slurm_account", "lab", "account", "lab"),
        ("slurm_extra", "--exclude=n1", "exclude", "n1"),
    ],
)
def test_a_resource_becomes_its_option(name, value, option, written):
    assert sbatch(**{name: value})[option] == written
    assert sbatch().get(option) != written


def test_every_resource_has_a_test_or_is_none_of_sbatch():
    mapped = {mark.args[1][i][0] for mark in test_a_resource_becomes_its_option.pytestmark
              for i in range(len(mark.args[1]))}  # fmt: skip
    assert set(RESOURCES) - mapped == {"runtime", "gpu_model", "jobs_per_allocation"}


def test_a_rule_that_asks_for_little():
    assert sbatch() == {"cpus-per-task": 1, "nodes": 1, "ntasks-per-node": 1}


def test_the_time_limit_is_the_runtime():
    assert request("fold", {"runtime": 90}, 1).minutes == 90


def test_threads_are_the_cpus_unless_these_are_given():
    assert sbatch(threads=4)["cpus-per-task"] == 4
    assert sbatch(threads=4, cpus_per_task=2)["cpus-per-task"] == 2


def test_a_model_of_gpu_is_asked_for_as_gres():
    options = sbatch(gpus=2, gpu_model="h100")
    assert options["gres"] == "gpu:h100:2"
    assert "gpus-per-node" not in options


def test_tasks_replace_the_one_task_per_node():
    assert "ntasks-per-node" not in sbatch(tasks=4)


def test_memory_per_cpu_replaces_the_memory_that_snakemake_always_gives():
    options = sbatch(mem_mb=1000, mem_mb_per_cpu=300)
    assert options["mem-per-cpu"] == "300M"
    assert "mem" not in options


def test_empty_values_are_not_given():
    empty = {"slurm_partition": "", "qos": None, "gpus": 0, "slurm_extra": ""}
    assert sbatch(**empty) == sbatch()


@pytest.mark.parametrize("name", ["jobs_per_allocation", "mem_mb", "nodes", "runtime", "tasks"])
def test_nothing_but_gpus_may_be_zero(name):
    with pytest.raises(WorkflowError, match=f"{name} is 0; give a whole number of at least 1"):
        sbatch(**{name: 0})


@pytest.mark.parametrize("name", ["cpus_per_gpu", "tasks_per_gpu", "mpi", "clusters"])
def test_what_the_stock_plugin_has_and_this_one_not_is_refused(name):
    with pytest.raises(WorkflowError, match=f"{name} is not supported; use "):
        sbatch(**{name: "x"})


@given(st.sampled_from(["nodes", "tasks", "mem_mb", "cpus_per_task", "gpus", "runtime"]),
       st.integers(1, 10**6))  # fmt: skip
def test_numbers_may_come_as_strings(name, value):
    assert request("r", {"runtime": 60, name: str(value)}, 1) == request(
        "r", {"runtime": 60, name: value}, 1
    )


def test_resources_of_others_are_not_the_schedulers():
    assert sbatch(disk_mb=1000, tmpdir="/tmp", patience=600, _nodes=1, _cores=2) == sbatch()


def test_an_allocation_that_jobs_share_has_its_gpus_once():
    asked = request("r", {"runtime": 5, "gpus": 1, "mem_mb": 100, "cpus_per_task": 2}, 1)
    options = asked.shared_by(3).sbatch()
    assert (options["gpus-per-node"], options["mem"], options["cpus-per-task"]) == (1, "300M", 6)
    assert asked.shared_by(1) == asked


# -- refusals: each names the rule, the resource, the value and the cure


def test_a_missing_runtime_is_refused():
    with pytest.raises(WorkflowError, match=r"rule fold: the resource runtime is missing.*"
                       r"--default-resources runtime=240"):  # fmt: skip
        request("fold", {"mem_mb": 1}, 1)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"gpus": 1, "gres": "gpu:1"}, "gpus=1 and gres='gpu:1' both ask for GPUs; keep one"),
        ({"gpus": 1, "gpu": 1}, "the resources gpu and gpus mean the same; keep gpus"),
        ({"gpus": 1, "gpu_model": "h100", "gres": "gpu:a100:1"}, "keep one of them"),
        ({"gpu_model": "h100"}, "gpu_model='h100' without gpus; set gpus, too"),
        ({"slurm_partiton": "gpu"}, "slurm_partiton is not known; did you mean slurm_partition?"),
        ({"slurm_constraint": "x"}, "slurm_constraint is not known; did you mean constraint?"),
        ({"slurm_" + "q" * 20: 1}, "q is not known; known are runtime, mem_mb, "),
        ({"jobs_per_allocation": 4, "nodes": 2},
         "jobs_per_allocation=4 on nodes=2: jobs share one node only; set nodes to 1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(resources, told):
    message = refusal(**resources)
    assert message.startswith("rule fold: ")
    assert told in message


COUNTS = ["runtime", "cpus_per_task", "nodes", "tasks", "tasks_per_node", "mem_mb",
          "mem_mb_per_cpu", "jobs_per_allocation"]  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", ["four", "1.5", 1.5, -1, True, float("inf"), float("nan"), [2]])
def test_what_is_no_whole_number_is_refused(name, value):
    told = f"rule fold: the resource {name} is {value!r}; give a whole number of at least 1"
    assert refusal(**{name: value}) == told


def test_fewer_than_no_gpus_are_refused():
    assert "gpus is -1; give a whole number of at least 0" in refusal(gpus=-1)


# -- slurm_extra


@pytest.mark.parametrize("option", sorted(SET_BY))
def test_an_option_that_is_set_elsewhere_is_refused(option):
    message = refusal(slurm_extra=f"--{option}=x")
    assert message.startswith(f"rule fold: slurm_extra='--{option}=x': --{option} is forbidden")
    assert message.endswith(f"use {SET_BY[option]}")


def test_the_cures_are_real():
    cures = " ".join(SET_BY.values())
    assert set(re.findall(r"the resource (\w+)", cures)) <= set(RESOURCES)
    settings = {field.name.replace("_", "-") for field in dataclasses.fields(ExecutorSettings)}
    assert set(re.findall(r"--submitit-([a-z-]+)", cures)) <= settings


@pytest.mark.parametrize("text", ["-p gpu", "-pgpu", "gpu", "--=x", "--Exclude=n1", "- x", "---x"])
def test_what_is_no_long_option_is_refused(text):
    assert "is no long option; write options as --name=value" in refusal(slurm_extra=text)


def test_an_option_that_sbatch_lacks_is_refused():
    message = refusal(known={"exclude", "nice"}, slurm_extra="--exclud=n1")
    assert "sbatch has no option --exclud; did you mean --exclude?" in message
    assert "sbatch has no option --zzz" in refusal(known={"nice"}, slurm_extra="--zzz")


def test_an_open_quote_is_refused():
    assert "cannot be split into words" in refusal(slurm_extra="--exclude='n1")


def test_flags_and_values():
    text = "--exclusive --exclude n1,n2 --mail-type=END --nice=-5 --license='a b'"
    assert dict(extra_options("fold", text)) == {
        "exclusive": True, "exclude": "n1,n2", "mail-type": "END", "nice": "-5", "license": "a b"
    }  # fmt: skip


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True).filter(lambda n: n not in SET_BY)
# A value may begin with a dash or hold spaces, quotes and equals signs where it is written after =.
VALUES = st.one_of(st.just(True), st.text(min_size=1, max_size=20))


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_options_are_read_as_they_were_written(options):
    words = [f"--{n}" if v is True else shlex.quote(f"--{n}={v}") for n, v in options.items()]
    assert dict(extra_options("fold", " ".join(words), set(options))) == options


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.randoms())
def test_the_order_of_options_makes_no_other_array(options, random):
    words = [f"--{n}" if v is True else shlex.quote(f"--{n}={v}") for n, v in options.items()]
    shuffled = random.sample(words, len(words))
    assert extra_options("r", " ".join(words)) == extra_options("r", " ".join(shuffled))
