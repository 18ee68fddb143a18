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

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slurm")


@pytest.fixture(scope="module")
def make_cluster() -> Iterator[Callable[..., Cluster]]:
    """Start a cluster with Cluster's options; all end with the module.

    A machine without SLURM skips the test that asks, but fails it where CI is set: a machine that
    is there to test must not pass without a test.
    """
    with ExitStack() as clusters:

        def make(**options: Any) -> Cluster:
            wanted = {key: options[key] for key in ("accounting", "gpus") if key in options}
            if missing := lack(**wanted):
                (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
            if options.get("memory") == "cgroup" and (missing := lack_of_control_groups()):
                pytest.skip(missing)
            return clusters.enter_context(Cluster(**options))

        yield make


@pytest.fixture(scope="module")
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Four nodes of 16 cores and 4 GPUs each, with accounting."""
    return make_cluster()
