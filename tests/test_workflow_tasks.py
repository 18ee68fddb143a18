"""What the workflow plans for a study that scores its models on tasks."""

from __future__ import annotations

import pytest
from project import Project

pytestmark = pytest.mark.workflow


def test_tasks_are_judged_and_drawn_where_curves_have_them(tmp_path):
    project = Project.make(tmp_path / "tasks")
    project.configure({
        "evaluation": {"tasks": ["top1", "induction"]},
        "fit": {"laws": ["kaplan", "task_sigmoid@top1"]},
    })  # fmt: skip
    planned = project.planned()
    assert (planned["judge_tasks"], planned["draw_task_curves"], planned["draw_tasks"]) == (1, 1, 1)
    status, printed = project.snakemake("-n", "-p")
    assert status == 0
    assert "--law task_sigmoid@top1" in printed
    assert "--tasks results/tiny/tasks.parquet" in printed
    project.configure({"evaluation": {"tasks": ["top1"], "tasks_along": False}})
    assert "draw_task_curves" not in project.planned()
    project.configure({"evaluation": {"tasks": ["brackets"]}})
    status, printed = project.snakemake("-n")
    assert status != 0
    assert "evaluation.tasks[0]: 'brackets' does not fit into a context of 16" in printed
