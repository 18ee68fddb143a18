"""Approaches 1 and 2: CPU seconds, bias on known surfaces beside approach 3, and coverage.

    python benchmarks/isoflop.py speed --table porian_isoflops.csv [--turns 5] [--bootstraps 1000]
    python benchmarks/isoflop.py bias
    python benchmarks/isoflop.py coverage [--tables 200]

speed: every recipe of one text in the table of Porian et al. 2024 (arXiv:2406.19146; columns
dataset, hparams, warmup, decay, param_count, split, C, N, D, loss), from the runs to the exponents
and their intervals, CPU seconds of this process (set OMP_NUM_THREADS=1), median of turns.

bias: runs without noise on surfaces with known optima, five budgets from 1e17 to 1e21 FLOP with 15
sizes each (the design of Czech et al. 2026, arXiv:2603.22339), as grids get wider, lie off the
optimum by a constant factor, or drift off it; the error of D* extrapolated to 1e24 FLOP, percent.

coverage: how often the 90 % interval of the exponent holds the truth, on tables of runs with noise;
that of N* at one budget, with and without the kind "form", as its nine sizes reach further; and
those of exponents by kind and of all kinds together, on grids around the optima and off them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from pipeline.approaches.allocation import Allocation, Options
from pipeline.approaches.budgets import budgets
from pipeline.approaches.envelope import curves, envelope
from pipeline.approaches.isoflop import METHODS, parabola
from pipeline.approaches.minima import isoflop
from pipeline.laws import law
from pipeline.laws.base import Floats, Runs, SurfaceLaw
from pipeline.laws.estimate import Options as FitOptions
from pipeline.laws.estimate import fit
from pipeline.laws.objective import Objective

RECIPES = (
    ("base", "long", "kaplan", "kaplan", "train"),
    ("base", "long", "kaplan", "standard", "val"),
    ("base", "short", "kaplan", "standard", "val"),
    ("base", "short", "chinchilla", "standard", "val"),
    ("tuned", "short", "const", "standard", "val"),
)
NOISE = {"rw": 0.002, "owt2": 0.01}  # nats/token between seeds, as the authors' code takes it
SURFACES = {
    "symmetric": {"E": 1.69, "A": 400.0, "alpha": 0.31, "B": 400.0, "beta": 0.31},
    "Hoffmann et al.": {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28},
    "asymmetric": {"E": 1.69, "A": 400.0, "alpha": 0.465, "B": 400.0, "beta": 0.155},
}
BUDGETS, SIZES, TARGET = np.geomspace(1e17, 1e21, 5), 15, 1e24
# Noise, reach of the sizes, their number, and their centre over N*, of the exponents by kind.
KINDS = ((0.003, 4.0, 7, 1.0), (0.01, 4.0, 7, 1.0), (0.003, 4.0, 7, 2.0), (0.02, 8.0, 9, 1.0))
DESIGNS = {"centred": (1.0, 1.0), "3x off": (3.0, 3.0), "drift to 3x": (1.0, 3.0)}


def table_of(params: Floats, tokens: Floats, flops: Floats, loss: Floats) -> Runs:
    """A table of runs from columns (n,)."""
    columns = {"params": params, "tokens": tokens, "flops": flops, "loss": loss}
    return Runs(tuple(map(str, range(len(params)))), columns)


def design(surface: str, width: float, offset: tuple[float, float], sizes: int = SIZES) -> Runs:
    """IsoFLOP runs without noise, ``width`` to both sides of D*, moved off it by a factor."""
    form = law("chinchilla")
    assert isinstance(form, SurfaceLaw)
    values = {name: np.asarray(value) for name, value in SURFACES[surface].items()}
    best = form.optimum(values, BUDGETS)
    shift = np.geomspace(*offset, len(BUDGETS))
    around = np.geomspace(1 / width, width, sizes)
    tokens = (best.tokens * shift)[:, None] * around
    flops = np.broadcast_to(BUDGETS[:, None], tokens.shape).ravel()
    tokens = tokens.ravel()
    params = flops / (6 * tokens)
    return table_of(
        params, tokens, flops, form.predict(values, {"params": params, "tokens": tokens})
    )


def extrapolated(found: Allocation) -> float:
    """D* at the target, from the line through the optima."""
    best = found.exponent("tokens")
    return float(np.exp(best.level) * (TARGET / best.reference) ** best.value)


def third(runs: Runs, bootstraps: int = 0) -> tuple[float, tuple[float, float] | None, float]:
    """Approach 3: the exponent of N*, its interval, and D* at the target."""
    form = law("chinchilla")
    assert isinstance(form, SurfaceLaw)
    found = fit(form, runs, FitOptions(objective=Objective(0.01), bootstraps=bootstraps))
    values = {name: np.asarray(value) for name, value in found.values.items()}
    alpha, beta = found.values["alpha"], found.values["beta"]
    tokens = float(form.optimum(values, np.asarray(TARGET)).tokens)
    drawn = found.replicates
    ends = None
    if bootstraps:
        a = drawn["beta"] / (drawn["alpha"] + drawn["beta"])
        low, high = np.quantile(a, [0.05, 0.95])
        ends = float(low), float(high)
    return beta / (alpha + beta), ends, tokens


def methods(runs: Runs) -> Iterator[tuple[str, float]]:
    """D* at the target by every approach."""
    found, how = budgets(runs), Options(bootstraps=0)
    whole = METHODS["isoflop_parabola"]._replace(minima=partial(parabola, window=SIZES))
    yield "parabola, all sizes", extrapolated(isoflop("isoflop_parabola", found, how, whole))
    yield "parabola", extrapolated(isoflop("isoflop_parabola", found, how))
    yield "Akima", extrapolated(isoflop("isoflop_akima", found, how))
    yield "approach 3", third(runs)[2]


def bias() -> None:
    form = law("chinchilla")
    assert isinstance(form, SurfaceLaw)
    print("error of D* at 1e24 FLOP, percent; sizes from 1/k to k times the centre")
    print(f"{'surface':<17}{'design':<13}{'k':>4}"
          f"{'parabola, all sizes':>21}{'parabola':>10}{'Akima':>8}{'approach 3':>12}")  # fmt: skip
    for surface in SURFACES:
        values = {name: np.asarray(value) for name, value in SURFACES[surface].items()}
        truth = float(form.optimum(values, np.asarray(TARGET)).tokens)
        for name, offset in DESIGNS.items():
            for width in (4.0, 8.0, 16.0):
                runs = design(surface, width, offset)
                errors = [100 * (tokens / truth - 1) for _, tokens in methods(runs)]
                print(f"{surface:<17}{name:<13}{width:>4g}{errors[0]:>21.2f}{errors[1]:>10.2f}"
                      f"{errors[2]:>8.2f}{errors[3]:>12.4f}")  # fmt: skip


def recipes(path: str, text: str) -> Iterator[Runs]:
    """The runs of each recipe of a text."""
    table = pd.read_csv(path)
    keys = ["dataset", "hparams", "warmup", "decay", "param_count", "split"]
    for recipe in RECIPES:
        rows = table[(table[keys] == [text, *recipe]).all(axis=1)]
        yield table_of(*(rows[c].to_numpy(float) for c in ("N", "D", "C", "loss")))


def speed(path: str, turns: int, count: int) -> None:
    print(f"{count} resamples of every kind, CPU seconds of all five recipes")
    for text, noise in NOISE.items():
        tables = list(recipes(path, text))
        how = Options(bootstraps=count, level=0.95, noise=noise)
        for name in ("isoflop_akima", "isoflop_parabola", "envelope"):
            spent = []
            for _ in range(turns):
                begun = time.process_time()
                if name == "envelope":
                    found = [envelope(curves(runs), how) for runs in tables]
                else:
                    found = [isoflop(name, budgets(runs), how) for runs in tables]
                spent.append(time.process_time() - begun)
            print(f"{text:<6}{name:<18}{statistics.median(spent):>7.3f} s")
            for recipe, one in zip(RECIPES, found):
                best = one.exponent("params")
                ends = "  ".join(
                    f"{kind} {r.low:.3f}-{r.high:.3f}"
                    for kind, r in best.resampled.items()
                    if r.low is not None
                )
                print(f"      {'/'.join(recipe):<36}{best.value:.3f}  {ends}")


def coverage(tables: int, noise: float) -> None:
    """Exponents of the surface of Hoffmann et al. on centred grids of nine sizes."""
    clean = design("Hoffmann et al.", 4.0, (1.0, 1.0), sizes=9)
    truth = 0.28 / (0.34 + 0.28)
    inside: dict[str, list[bool]] = {}
    error: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for _ in range(tables):
        loss = clean.loss + noise * rng.standard_normal(len(clean))
        runs = table_of(clean.params, clean.tokens, clean.flops, loss)
        found, how = budgets(runs), Options(bootstraps=400, noise=noise)
        for name in ("isoflop_parabola", "isoflop_akima"):
            best = isoflop(name, found, how).exponent("params")
            error.setdefault(name, []).append(best.value - truth)
            for kind, r in best.resampled.items():
                if r.low is not None and r.high is not None:
                    inside.setdefault(f"{name}, {kind}", []).append(r.low <= truth <= r.high)
        value, ends, _ = third(runs, 200)
        error.setdefault("approach 3", []).append(value - truth)
        if ends:
            inside.setdefault("approach 3, cases", []).append(ends[0] <= truth <= ends[1])
    print(f"{tables} tables of {len(clean)} runs, noise {noise} nats/token")
    for name, misses in error.items():
        print(f"{name:<26} a: bias {np.mean(misses):+.4f}, standard deviation {np.std(misses):.4f}")
    for name, holds in inside.items():
        print(f"{name:<26} holds the truth in {100 * np.mean(holds):.0f} % of {len(holds)}")


def optimum_coverage(tables: int, noise: float, sizes: int = 9) -> None:
    """N* of one budget on the surface of Hoffmann et al., on grids out to 4, 8 and 16 times it."""
    form = law("chinchilla")
    assert isinstance(form, SurfaceLaw)
    values = {name: np.asarray(value) for name, value in SURFACES["Hoffmann et al."].items()}
    flops = 1e20
    best = float(form.optimum(values, np.asarray(flops)).params)
    alone = METHODS["isoflop_parabola"]._replace(wider=None)
    print(f"N* of one budget, {tables} tables of {sizes} sizes, noise {noise} nats/token")
    for width in (4.0, 8.0, 16.0):
        params = best * np.geomspace(1 / width, width, sizes)
        tokens = flops / (6 * params)
        loss = form.predict(values, {"params": params, "tokens": tokens})
        for name, method in (("parabola alone", alone), ("with form", METHODS["isoflop_parabola"]),
                             ("Akima", METHODS["isoflop_akima"])):  # fmt: skip
            rng, held, spans = np.random.default_rng(5), 0, []
            for seed in range(tables):
                noisy = loss + noise * rng.standard_normal(sizes)
                runs = table_of(params, tokens, np.full(sizes, flops), noisy)
                how = Options(bootstraps=200, noise=noise, seed=seed)
                (found,) = isoflop(name, budgets(runs), how, method).optima
                ends = found.intervals["params"]
                if ends:
                    held += ends[0] <= best <= ends[1]
                    spans.append(np.log(ends[1] / ends[0]))
            print(f"  to {width:>2g} x N*  {name:<15} {100 * held / tables:>4.0f} %  "
                  f"width {np.mean(spans):.2f} in ln N, {tables - len(spans)} without")  # fmt: skip


def kinds_coverage(tables: int) -> None:
    """Exponents by kind of resampling, and by what holds all kinds, as studies report them."""
    form = law("chinchilla")
    assert isinstance(form, SurfaceLaw)
    values = {name: np.asarray(value) for name, value in SURFACES["Hoffmann et al."].items()}
    flops, truth = np.geomspace(1e18, 1e21, 5)[:, None], 0.28 / (0.34 + 0.28)
    best = form.optimum(values, flops).params
    print(f"exponents of five budgets, {tables} tables; shares that hold the truth, width of all")
    for name in ("isoflop_parabola", "isoflop_akima"):
        for noise, width, sizes, off in KINDS:
            params = (best * off * np.geomspace(1 / width, width, sizes)).ravel()
            tokens = np.repeat(flops.ravel(), sizes) / (6 * params)
            clean = form.predict(values, {"params": params, "tokens": tokens})
            for known in (True, False):
                held: dict[str, list[bool]] = {}
                widths = []
                for seed in range(tables):
                    loss = clean + noise * np.random.default_rng(seed).standard_normal(len(clean))
                    runs = table_of(params, tokens, 6 * params * tokens, loss)
                    given = Options(bootstraps=300, noise=noise if known else None, seed=seed)
                    found = isoflop(name, budgets(runs), given).exponent("params")
                    ends = {k: (r.low, r.high) for k, r in found.resampled.items()}
                    if not ends or None in {end for pair in ends.values() for end in pair}:
                        continue
                    low, high = zip(*ends.values())
                    ends["all"] = min(low), max(high)
                    widths.append(max(high) - min(low))
                    for kind, (a, b) in ends.items():
                        held.setdefault(kind, []).append(a <= truth <= b)
                how = "known" if known else "unknown"
                line = f"{name:<17}{noise:<6g}{sizes} to {width:g} x {off:g} N*, noise {how}:"
                if widths:
                    shares = (f"{kind} {np.mean(inside):.2f}" for kind, inside in held.items())
                    line += f" {'  '.join(shares)}  width {np.mean(widths):.3f},"
                print(f"{line} {tables - len(widths)} without", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    fast = commands.add_parser("speed")
    fast.add_argument("--table", required=True)
    fast.add_argument("--turns", type=int, default=5)
    fast.add_argument("--bootstraps", type=int, default=1000)
    commands.add_parser("bias")
    covers = commands.add_parser("coverage")
    covers.add_argument("--tables", type=int, default=200)
    covers.add_argument("--noise", type=float, default=0.005)
    arguments = parser.parse_args()
    if arguments.command == "speed":
        speed(arguments.table, arguments.turns, arguments.bootstraps)
    elif arguments.command == "bias":
        bias()
    else:
        coverage(arguments.tables, arguments.noise)
        optimum_coverage(arguments.tables, 0.003)
        kinds_coverage(arguments.tables)


if __name__ == "__main__":
    main()
