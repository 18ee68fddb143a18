"""Threads are set before any library counts them; tests run side by side."""

import os
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def own_signals():
    """The commands listen to signals; pytest wants its own back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)
