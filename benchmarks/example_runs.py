"""Write studies/example_runs.csv: sixty made-up runs, in the units that people keep them in.

    python benchmarks/example_runs.py > studies/example_runs.csv

Six budgets, ten sizes each. The loss follows a law of the form of Hoffmann et al. 2022 with the
constants below and half a per cent of noise; two other texts follow it along straight lines, a task
along a sigmoid. So what a fit should find is known. No model was trained.
"""

from __future__ import annotations

import csv
import sys

import numpy as np

SEED = 20260101
TRUTH = {"E": 1.72, "A": 420.0, "alpha": 0.345, "B": 1500.0, "beta": 0.365}
NOISE = 0.005  # of the logarithm of the loss
BUDGETS = (1e19, 3e19, 1e20, 3e20, 1e21, 3e21)  # FLOP
SPREAD = np.geomspace(0.2, 5.0, 10)  # sizes over the square root of C / 120
TEXTS = {"code_loss": (-0.35, 0.72), "encyclopedia_loss": (0.1, 0.98)}  # offset, slope
TASK = {"floor": 0.25, "ceiling": 0.92, "slope": 4.0, "middle": 2.45}
ATTENTION = 1.05  # exact FLOP over 6 N D
PF_DAY = 8.64e19


def rounded(value: float) -> float:
    """A number to three significant digits, as people write them."""
    return float(f"{value:.3g}")


def loss(params: float, tokens: float) -> float:
    """The true loss, nats/token."""
    return TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]


def rows() -> list[dict[str, object]]:
    """The sixty runs, cheapest budget first."""
    noise = np.random.default_rng(SEED)
    found = []
    for budget in BUDGETS:
        for factor in SPREAD:
            millions = rounded(factor * np.sqrt(budget / 120) / 1e6)
            billions = rounded(budget / (6 * millions * 1e6) / 1e9)
            params, tokens = millions * 1e6, billions * 1e9
            own = loss(params, tokens) * np.exp(NOISE * noise.standard_normal())
            row: dict[str, object] = {
                "run": f"sweep-{len(found) + 1:02d}",
                "params_millions": f"{millions:g}",
                "tokens_billions": f"{billions:g}",
                "compute_pf_days": f"{ATTENTION * 6 * params * tokens / PF_DAY:.4g}",
                "learning_rate": f"{rounded(0.9 * params**-0.3):g}",
                "seed": 0,
                "val_loss": f"{own:.4f}",
            }
            for text, (offset, slope) in TEXTS.items():
                row[text] = f"{offset + slope * own + 0.004 * noise.standard_normal():.4f}"
            rise = 1 / (1 + np.exp(TASK["slope"] * (own - TASK["middle"])))
            accuracy = TASK["floor"] + (TASK["ceiling"] - TASK["floor"]) * rise
            row["quiz_accuracy"] = f"{100 * accuracy + 0.4 * noise.standard_normal():.1f}"
            found.append(row)
    return found


def main() -> None:
    table = rows()
    writer = csv.DictWriter(sys.stdout, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)


if __name__ == "__main__":
    main()
