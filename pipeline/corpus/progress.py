"""Progress on standard error: a bar on a terminal, a few quiet lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

SECONDS = 10.0  # between two lines of a log
_Item = TypeVar("_Item")


def say(message: str) -> None:
    """One line on standard error."""
    print(message, file=sys.stderr, flush=True)


def shown(
    items: Iterable[_Item], label: str, size: Callable[[_Item], int], total: int | None = None
) -> Iterator[_Item]:
    """``items`` unchanged, while their bytes are counted for the reader; ends with the speed."""
    done, started, told = 0, time.monotonic(), time.monotonic()
    bar = tqdm(total=total, desc=label, unit="B", unit_scale=True, disable=None, leave=False)
    with bar:
        for item in items:
            yield item
            step = size(item)
            done += step
            bar.update(step)
            if bar.disable and time.monotonic() - told > SECONDS:
                told = time.monotonic()
                share = f" of {total / 1e6:.1f}" if total else ""
                say(f"{label}: {done / 1e6:.1f}{share} MB")
    seconds = max(time.monotonic() - started, 1e-9)
    say(f"{label}: {done / 1e6:.1f} MB in {seconds:.1f} s ({done / 1e6 / seconds:.1f} MB/s)")
