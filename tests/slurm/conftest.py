"""Clusters for the tests of this folder, which SLURM's absence skips (but fails where CI is set)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from daemons import lack, lack_of_control_groups
from study import Study, undisturbed

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slurm")


def require_slurm(**wanted: Any) -> None:
    """Skip the test on a machine without SLURM, but fail it where CI is set: a machine that is
    there to test must not pass without a test."""
    if missing := lack(**wanted):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study whose numbers all others must give, undisturbed."""
    require_slurm()
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def make_cluster() -> Iterator[Callable[..., Cluster]]:
    """Start a cluster with Cluster's options, where there is SLURM; all end with the module."""
    with ExitStack() as clusters:

        def make(**options: Any) -> Cluster:
            require_slurm(**{k: options[k] for k in ("accounting", "gpus") if k in options})
            if options.get("memory") == "cgroup" and (missing := lack_of_control_groups()):
                pytest.skip(missing)
            return clusters.enter_context(Cluster(**options))

        yield make


@pytest.fixture(scope="module")
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Four nodes of 16 cores and 4 GPUs each, with accounting."""
    return make_cluster()
