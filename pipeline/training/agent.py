"""torch's launcher on one node, which leaves it to the processes how to end at a signal.

python -m pipeline.training.agent --nodes M --processes N --endpoint HOST:PORT --name NAME
    --folder DIR --threads N -- ARGUMENTS OF pipeline.train
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.training.interruption import StopRequest
from pipeline.training.launch import STATUS, STOP, Nodes


def run(nodes: Nodes, copies: Sequence[str]) -> int:
    """Start this node's processes and wait for the end of all nodes'; 0 when they ended well."""
    os.environ.setdefault("OMP_NUM_THREADS", str(nodes.threads))
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config: dict[str, Any] = {
        "min_nodes": nodes.nodes, "max_nodes": nodes.nodes, "nproc_per_node": nodes.processes,
        "run_id": nodes.name, "rdzv_backend": "c10d", "rdzv_endpoint": nodes.endpoint,
        "max_restarts": 0, "monitor_interval": 0.1,
        "logs_specs": DefaultLogsSpecs(log_dir=str(nodes.folder)),
        # By itself the launcher would end the processes at SIGTERM and SIGINT, after 30 s by force.
        "signals_to_handle": "SIGQUIT",
    }  # fmt: skip
    known = {field.name for field in fields(LaunchConfig)}  # not all versions know the last
    launch = elastic_launch(
        LaunchConfig(**{key: value for key, value in config.items() if key in known}),
        sys.executable,
    )
    try:
        launch("-m", "pipeline.train", *copies)
    except ChildFailedError as error:
        if not (nodes.folder / STATUS).exists():
            print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.training.agent", description=__doc__)
    for option, kind in (("nodes", int), ("processes", int), ("endpoint", str), ("name", str),
                         ("folder", Path), ("threads", int)):  # fmt: skip
        parser.add_argument(f"--{option}", type=kind, required=True)
    parser.add_argument("copies", nargs=argparse.REMAINDER)
    given = vars(parser.parse_args())
    copies = given.pop("copies")
    nodes = Nodes(**given)
    StopRequest(nodes.folder / STOP, announces=True).listen()
    return run(nodes, copies[1:] if copies[:1] == ["--"] else copies)


if __name__ == "__main__":
    sys.exit(main())
