"""Run `snakemake --lint` and fail on every finding but the one that does not apply here."""

import re
import subprocess
import sys

# All rules run in the one environment that requirements.lock pins.
NOT_OURS = "Specify a conda environment or container for each rule."


def findings(report: str) -> list[str]:
    """The findings of a lint report, each with the rule or file it is about."""
    found, place = [], ""
    for line in report.splitlines():
        if line.startswith("Lints for "):
            place = line.removeprefix("Lints for ").rstrip(":")
        elif finding := re.match(r"    \* (.*?):?$", line):
            found.append(f"{place}: {finding[1]}")
    return [finding for finding in found if NOT_OURS not in finding]


def main() -> int:
    run = subprocess.run(["snakemake", "--lint"], capture_output=True, text=True)
    report = run.stdout + run.stderr
    if "Lints for " not in report:
        print(report, file=sys.stderr)
        return 1
    found = findings(report)
    print("\n".join(found) or "snakemake --lint: nothing to mend")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
