"""The request to the C library, in a process of its own: it cannot be taken back."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from pipeline.training.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import numpy
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for warm in range(3):
    numpy.ones(500_000)
before = faults()
for again in range(50):
    numpy.ones(500_000)
print(faults() - before)
"""


def page_faults(how):
    command = [sys.executable, "-c", CODE, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_repeated_arrays_touch_no_new_pages():
    # 4 MB are 977 pages; faulting them in anew 50 times would be about 49,000.
    assert page_faults("kept") < 2_000
