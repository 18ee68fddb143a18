"""Jobs -> allocations -> submissions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_submitit.submission import parts


def test_what_is_left_over_is_a_submission_of_its_own():
    assert list(parts("abcdefg", 3, 10)) == [[["a", "b", "c"], ["d", "e", "f"]], [["g"]]]
    assert list(parts("abcde", 1, 2)) == [[["a"], ["b"]], [["c"], ["d"]], [["e"]]]


@given(st.lists(st.integers()), st.integers(1, 9), st.integers(1, 9))
def test_every_job_is_in_one_allocation(jobs, together, most):
    found = list(parts(jobs, together, most))
    assert [job for part in found for pack in part for job in pack] == jobs
    for part in found:
        assert len(part) <= most
        assert len({len(pack) for pack in part}) == 1
        assert len(part[0]) <= together
