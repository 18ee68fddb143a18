"""Jobs that end badly: each is told by its name, the others are unharmed, and a rerun heals."""

from __future__ import annotations

from study import LOOP, RUNS, STEP, Study, replace


def healed(study: Study, reference) -> bool:
    study.run(RUNS)
    return study.numbers() == reference.numbers()


def test_scancel(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "cancelled", cluster, 0.05)
    process = study.start(RUNS)
    victim = study.wait_for_training()[0]["id"]
    cluster.run("scancel", victim)
    status, printed = study.end(process)
    assert status == 1
    assert f"Job {victim} (train)" in printed
    assert "was cancelled (scancel)" in printed
    assert study.outcomes().count("succeeded") == 4  # corpus, evaluation text, two trunks
    assert healed(study, reference)


def test_a_crashing_cell(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "crashed", cluster)
    loop, crash = study.folder / LOOP, 'assert cell.d_model != 16, "a crash of this test"; '
    replace(loop, STEP, crash + STEP)
    status, printed = study.end(study.start(RUNS))
    assert status == 1
    assert "failed: its command ended with status 1" in printed
    assert "a crash of this test" in printed
    assert ".snakemake/submitit/submissions/train-" in printed
    assert study.outcomes().count("succeeded") == 4
    replace(loop, crash, "")
    assert healed(study, reference)


def test_out_of_memory(make_cluster, tmp_path, reference):
    cluster = make_cluster(memory="cgroup", nodes=2)
    study = Study.make(tmp_path / "memory", cluster)
    loop, hog = study.folder / LOOP, "hog = b'x' * (3 * 10**9 if cell.d_model == 16 else 1); "
    replace(loop, STEP, hog + STEP)
    resources = ("--set-resources", "train:mem_mb=2000")
    status, printed = study.end(study.start(RUNS, *resources))
    assert status == 1
    assert "ran out of memory: mem_mb is 2000; raise it." in printed
    assert study.outcomes().count("succeeded") == 4
    replace(loop, hog, "")
    assert healed(study, reference)


def test_a_node_is_lost(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "lost", cluster, 0.1)
    process = study.start(RUNS, "--set-resources", "train:cpus_per_task=16")
    victim = study.wait_for_training()[0]
    try:
        cluster.kill_node(victim["nodes"])
        status, printed = study.end(process)
    finally:
        cluster.revive_node(victim["nodes"])
    assert status == 0, printed
    assert f"Job {victim['id']} (train): node_failure; turn 2" in printed
    assert study.numbers() == reference.numbers()
    states = [row["State"] for row in cluster.accounting([victim["id"]])]
    assert states == ["NODE_FAIL", "COMPLETED"]
    told = [row["interruptions"] for row in study.rows() if row["restarts"]]
    assert told
    assert set(told) == {"node_failure"}
