"""Threads are set before any library counts them; tests run side by side."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
