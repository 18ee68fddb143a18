"""What a whole study costs beyond the training itself.

    python benchmarks/overhead.py [--configfile studies/quick.yaml] [--cores 4] [--processors 2]

Runs the study from cold results in a folder of its own and prints its wall time, its CPU seconds
by rule, and the overhead share: the wall time beyond the CPU seconds of training divided by the
processors, as a share of the wall time. Training counts updates and the evaluations along them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cpu_seconds() -> float:
    """CPU seconds of all finished children of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--configfile", default="config.yaml", help="study to run (%(default)s)")
    parser.add_argument("--cores", type=int, default=4, help="snakemake --cores (%(default)s)")
    parser.add_argument("--processors", type=int, default=os.cpu_count(), help="%(default)s")
    parser.add_argument("--keep", type=Path, help="copy results and figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("Snakefile", "workflow", "pipeline", "profiles", "config.yaml", "studies"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = ["snakemake", "--cores", str(arguments.cores), "--quiet", "all"]
        begun, cpu = time.monotonic(), cpu_seconds()
        subprocess.run(
            [*command, "--configfile", arguments.configfile], cwd=folder, check=True,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        )  # fmt: skip
        wall, cpu = time.monotonic() - begun, cpu_seconds() - cpu
        ledgers = [json.loads(p.read_text()) for p in folder.glob("results/trainings/*.json")]
        if arguments.keep:
            for part in ("results", "figures", "logs"):
                shutil.copytree(folder / part, arguments.keep / part, dirs_exist_ok=True)
    training = sum(ledger["cpu_seconds"] for ledger in ledgers)
    ideal = training / arguments.processors
    print(f"cells                      {sum(len(ledger['cells']) for ledger in ledgers):>8}")
    print(f"wall time                  {wall:>8.1f} s")
    print(f"CPU time in all            {cpu:>8.1f} s")
    print(f"CPU time of training       {training:>8.1f} s")
    print(f"training / processors      {ideal:>8.1f} s  ({arguments.processors} processors)")
    print(f"overhead share of the wall {1 - ideal / wall:>8.1%}")
    print(f"wall over training         {wall / ideal - 1:>8.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
