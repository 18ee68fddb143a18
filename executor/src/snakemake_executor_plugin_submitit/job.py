"""What a SLURM job starts: submitit's entry point, a tenth of a second lighter.

submitit imports numpy, where there is any, before it loads a job: for functions that use it. The
runner does not, and every job would pay for it.
"""

import sys

sys.modules["numpy"] = None  # type: ignore[assignment]

from submitit.core.submission import submitit_main  # noqa: E402

if __name__ == "__main__":
    submitit_main()
