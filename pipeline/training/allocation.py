"""Keeping freed memory in the process. Standard library only."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (malloc.h) and the values set for them, in bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
SERVED_FROM_HEAP = 1 << 25  # the largest that glibc takes
KEPT_ON_HEAP = 1 << 30


def keep_freed_memory() -> bool:
    """Ask the C library to reuse freed memory instead of returning it to the system.

    Every step allocates the same few arrays of some MB. By default glibc may map each anew, and
    the faults on their pages can cost more than the arithmetic of a small model. Returns whether
    the C library agreed; where it knows no such request nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, SERVED_FROM_HEAP) and mallopt(M_TRIM_THRESHOLD, KEPT_ON_HEAP)
    )
