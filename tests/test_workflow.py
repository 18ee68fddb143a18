"""The real workflow on tiny cells: what a change reruns, and what a kill leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time

import pytest
from project import TINY, Project

from pipeline import contracts
from pipeline.figures import FIGURES
from pipeline.planning.folder import recipe_beside

pytestmark = pytest.mark.workflow

RUNS = "results/tiny/runs.parquet"  # a target without fits and figures
# Everything after training, by rule.
LAWS = 5
AFTER = {
    "aggregate_runs": 1, "fit_law": LAWS, "backtest_laws": 1, "predict_optimum": 1,
    "allocate_budgets": 1, "fit_sensitivity": 1, "plan_budgets": 1, "measure_critical_batch": 1,
    "judge_tasks": 1,
    "index_figures": 1, "all": 1,
}  # fmt: skip
# These need tasks or several batch sizes.
ELSEWHERE = ("tasks", "task_curves", "critical_batch", "batch_fronts")
SHOWN = [name for name in FIGURES if name not in ELSEWHERE]
DRAWN = {f"draw_{name}": 1 for name in SHOWN}


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> tuple[Project, str]:
    """A project whose tiny study has run once; and all that it told."""
    project = Project.make(tmp_path_factory.mktemp("finished"))
    status, printed = project.snakemake("--verbose")
    assert status == 0, printed
    return project, printed


@pytest.fixture(scope="module")
def finished(first_run) -> Project:
    """The project that has run once; tests leave it as they found it."""
    return first_run[0]


@pytest.fixture
def unchanged(finished):
    """The finished project; a test's edits of its sources and config are undone."""
    before = {
        path: path.read_bytes()
        for folder in ("pipeline", "workflow")
        for path in (finished.folder / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    yield finished
    for path, content in before.items():
        if path.read_bytes() != content:
            path.write_bytes(content)
    finished.configure({})


def curves(project: Project) -> list[dict]:
    """The rows of all curves, less what depends on the clock."""
    rows = contracts.read(project.folder / "results/tiny/curves.parquet", contracts.CURVES)
    return rows.drop_columns(["seconds"]).to_pylist()


def losses(project: Project) -> dict[str, float]:
    rows = contracts.read(project.folder / "results/tiny/runs.parquet", contracts.RUNS).to_pylist()
    return {row["cell"]: row["loss"] for row in rows}


def test_one_command_makes_everything(finished):
    figures = finished.folder / "figures" / "tiny"
    for name in SHOWN:
        assert (figures / f"{name}.svg").stat().st_size > 5000
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (figures / "index.html").read_text()
    runs = contracts.read(finished.folder / "results/tiny/runs.parquet", contracts.RUNS).to_pylist()
    assert len(runs) == 6
    assert all(run["status"] == "finished" and 0 < run["loss"] < 6 for run in runs)


def test_the_scheduler_looks_for_jobs_once_for_each_that_ends(first_run):
    """Its own limit of the rate of jobs would wake it every second for each job that ever ended."""
    _, printed = first_run
    ended = len(re.findall(r"^Finished jobid: ", printed, re.M))
    assert ended > 40
    assert len(re.findall(r"^Ready jobs:", printed, re.M)) <= ended + 3


def test_the_plan_notes_the_recipe_that_a_command_goes_by(finished):
    recipe, origin = recipe_beside(finished.folder / "results/tiny/fits")
    assert (recipe.context, recipe.vocab_size, recipe.batch["tokens"]) == (16, 280, 256)
    assert "recipe of the study whose fits these are (context 16, vocabulary 280," in origin


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_a_touch_reruns_nothing(unchanged):
    for folder in ("pipeline", "workflow", "results"):
        for path in (unchanged.folder / folder).rglob("*"):
            if path.is_file() and path.suffix != ".svg":
                os.utime(path)
    assert unchanged.planned() == {}


def test_an_edited_figure_is_drawn_anew_and_no_other(unchanged):
    path = unchanged.folder / "pipeline/figures/residuals.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert unchanged.planned() == {"draw_residuals": 1, "index_figures": 1, "all": 1}


def test_an_edited_law_is_fitted_anew_with_what_uses_it(unchanged):
    path = unchanged.folder / "pipeline/laws/power_tokens.py"
    path.write_text(path.read_text() + "\n# edited\n")
    planned = unchanged.planned()
    assert planned.pop("fit_law") == 1
    assert "publish_cell" not in planned
    assert {rule for rule in planned if rule.startswith("draw_")} == {
        "draw_loss_vs_tokens", "draw_exponents", "draw_backtest", "draw_residuals",
        "draw_isoflop", "draw_frontier", "draw_sensitivity", "draw_plan",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("pipeline/figures/index.html.j2", {"index_figures"}),
        ("workflow/report/workflow.rst", {"index_figures"}),
        ("workflow/report/iso_loss.rst", {"index_figures"}),
        ("pipeline/figures/isoloss.mplstyle", {*DRAWN, "index_figures"}),
    ],
)
def test_an_edited_style_template_or_caption_is_seen(unchanged, name, rules):
    path = unchanged.folder / name
    path.write_text(path.read_text() + "\n")
    assert set(unchanged.planned()) == {*rules, "all"}


def test_how_training_runs_is_no_part_of_what_it_computes(unchanged):
    unchanged.configure({"training": {"checkpoint_seconds": 99}})
    assert unchanged.planned() == {}


def test_a_changed_training_module_retrains_nothing(unchanged):
    for name in ("train.py", "models/transformer.py"):
        path = unchanged.folder / "pipeline" / name
        path.write_text(path.read_text() + "\n# edited\n")
    assert unchanged.planned() == {}


def test_a_new_token_count_trains_its_cells_only(unchanged, tmp_path):
    more = {"grid": {"tokens": [10240, 12800, 15360, 20480]}}
    unchanged.configure(more)
    assert unchanged.planned() == {"train": 2, "publish_cell": 2, **AFTER, **DRAWN}
    before = unchanged.digests("results/cells/*/*.parquet")
    parts = unchanged.digests("results/trainings/*.json")
    kept = unchanged.digests("results/state/trunks/*/at-*")
    old = losses(unchanged)
    status, printed = unchanged.snakemake(RUNS)
    assert status == 0, printed
    after = unchanged.digests("results/cells/*/*.parquet")
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2 * 3
    assert unchanged.digests("results/trainings/*.json").items() >= parts.items()
    assert unchanged.digests("results/state/trunks/*/at-*").items() >= kept.items()
    new = losses(unchanged)
    assert {cell: new[cell] for cell in old} == old
    assert unchanged.planned().keys() & {"train", "publish_cell"} == set()
    # A branch added later equals one that was trained with the others.
    fresh = Project.make(tmp_path)
    fresh.configure(more)
    status, printed = fresh.snakemake(RUNS)
    assert status == 0, printed
    assert losses(fresh) == new
    # Taking it back trains nothing either.
    unchanged.configure({})
    assert unchanged.planned() == {**AFTER, **DRAWN}
    assert unchanged.snakemake(RUNS)[0] == 0
    assert losses(unchanged) == old
    assert unchanged.planned() == {}


def test_where_no_record_tells_who_trained_what_is_finished_is_published_as_it_is(unchanged):
    ledgers = unchanged.folder / "results/trainings"
    shutil.rmtree(ledgers)
    assert unchanged.planned() == {}
    targets = [f"results/cells/{cell}/run.parquet" for cell in losses(unchanged)]
    for table in targets:
        (unchanged.folder / table).unlink()
    kept = unchanged.digests("results/state/cells/*/done/*")
    before = losses(unchanged)
    planned = unchanged.planned()
    assert (planned["train"], planned["publish_cell"]) == (2, 6)
    status, printed = unchanged.snakemake(RUNS, *targets)
    assert status == 0, printed
    assert unchanged.digests("results/state/cells/*/done/*") == kept
    assert {json.loads(path.read_text())["cpu_seconds"] for path in ledgers.iterdir()} == {0}
    assert losses(unchanged) == before
    assert unchanged.planned() == {}


def test_small_trainings_share_a_process_and_one_stopped_keeps_what_is_finished(tmp_path):
    """Ten seeds of one tiny size are packed; a kill on the way moves none to another part."""
    project = Project.make(tmp_path)
    source = project.folder / "pipeline/cells/parts.py"
    shares, fewer = "\nSHARES = 16\n", "\nSHARES = 4\n"  # a limit of two and a half of them
    assert shares in source.read_text()
    source.write_text(source.read_text().replace(shares, fewer))
    grid = {"sizes": TINY["grid"]["sizes"][:1], "tokens": [2560], "seeds": list(range(10))}
    project.configure({"grid": grid, "fit": {"laws": []}})
    planned = project.planned()
    assert (planned["train"], planned["publish_cell"]) == (5, 10)
    process = project.start("snakemake", "--cores", "2", RUNS)
    wait_for(project, "results/trainings/*.json", process)
    kill_all(process)
    done = project.digests("results/trainings/*.json")
    assert 0 < len(done) < 5
    assert project.snakemake("--unlock")[0] == 0
    assert 5 - len(done) <= project.planned()["train"] <= 5
    status, printed = project.snakemake(RUNS)
    assert status == 0, printed
    ledgers = project.digests("results/trainings/*.json")
    assert len(ledgers) == 5
    assert set(ledgers) >= set(done)
    assert {len(json.loads(content)["trainings"]) for _, content in ledgers.values()} == {2}
    assert len(losses(project)) == 10


def test_a_changed_learning_rate_of_one_size_retrains_that_size(unchanged):
    sizes = [
        {"n_layer": 1, "d_model": 8, "n_head": 1, "lr": 0.01},
        {"n_layer": 1, "d_model": 16, "n_head": 2},
    ]
    unchanged.configure({"grid": {"sizes": sizes}})
    assert unchanged.planned() == {"train": 1, "publish_cell": 3, **AFTER, **DRAWN}


def test_a_changed_exclusion_retrains_nothing(unchanged):
    unchanged.configure({"exclude": {"min_steps": 50}})
    planned = unchanged.planned()
    assert "publish_cell" not in planned
    assert planned["aggregate_runs"] == 1


def test_the_report_holds_every_figure(finished):
    status, printed = finished.snakemake("--report", "report.html")
    assert status == 0, printed
    report = (finished.folder / "report.html").read_text()
    assert all(FIGURES[name].title in report for name in SHOWN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": {}}, "grids: {} is an unknown key; did you mean 'grid'?"),
        ({"grid": {"tokens": [1e9, 2e9, 3e9]}}, "is more than the"),
        ({"fit": {"laws": ["kaplam"]}}, "did you mean 'kaplan'?"),
        (
            {"grid": {"tokens": [10240, 20480]}, "fit": {"laws": ["kaplan"]}},
            "fit.laws[0]: 'kaplan' has 4 parameters and needs 5 runs",
        ),
        ({"figures": ["iso_los"]}, "did you mean 'iso_loss'?"),
        ({"corpus": {"sources": [{"files": "nothing.txt"}]}}, "'nothing.txt' names no file"),
    ],
)
def test_a_bad_config_is_refused_before_any_job(unchanged, changes, message):
    unchanged.configure(changes)
    status, printed = unchanged.snakemake()
    assert status != 0
    assert message in printed
    assert "config.yaml" in printed
    assert not re.search(r"Traceback|WorkflowError|\.smk", printed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: tiny\ntitle: a\nstudy: other\n", "'study' is a key of line 1 and again of line 3"),
        ("study: tiny\ntitle: [a\n", "is not valid YAML in line 3"),
    ],
)
def test_a_config_that_snakemake_misreads_is_refused_with_its_lines(unchanged, text, message):
    (unchanged.folder / "config.yaml").write_text(text)
    status, printed = unchanged.snakemake("-n")
    assert status != 0
    assert "error: config.yaml: " in printed
    assert message in printed


def test_deleted_figures_are_drawn_again(unchanged):
    deleted = [
        unchanged.folder / "figures/tiny" / name for name in ("iso_loss.svg", "residuals.png")
    ]
    for path in deleted:
        path.unlink()
    again = {"draw_iso_loss": 1, "draw_residuals": 1, "index_figures": 1, "all": 1}
    assert unchanged.planned() == again
    assert unchanged.snakemake()[0] == 0
    assert all(path.exists() for path in deleted)


def test_a_truncated_table_is_named_and_mended_by_deleting_it(unchanged):
    """Each kind of table, in a cell of its own; one run mends the three."""
    cells = [unchanged.folder / "results/cells" / cell for cell in sorted(losses(unchanged))]
    paths = [
        cell / f"{table}.parquet" for cell, table in zip(cells, ("run", "curve", "evaluation"))
    ]
    whole = [path.read_bytes() for path in paths]
    for path, content in zip(paths, whole):
        path.write_bytes(content[:-30])
        (unchanged.folder / RUNS).unlink(missing_ok=True)
        status, printed = unchanged.snakemake(RUNS)
        assert status != 0
        assert f"{path.relative_to(unchanged.folder)}: not a readable Parquet file" in printed
        said = printed.splitlines()[-2:]
        kept = "What is finished is kept; the same command goes on from there."
        assert said[0] == f"1 job failed. {kept}"
        assert said[1].startswith("  aggregate_runs: error: ")
        assert said[1].endswith("(logs/tiny/aggregate_runs.log)")
        path.write_bytes(content)
    for path in paths:
        path.unlink()
    assert unchanged.snakemake(RUNS)[0] == 0
    assert [path.read_bytes() for path in paths] == whole
    assert unchanged.planned() == {}


def wait_for(project: Project, pattern: str, process, seconds: float = 120) -> None:
    """Until a file appears; fails where the process ends before."""
    deadline = time.monotonic() + seconds
    while not list(project.folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.005)


def kill_all(process) -> None:
    """kill -9 of snakemake and of every job it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_trainings_end_with_their_snakemake_and_the_next_run_goes_on(tmp_path):
    """Ctrl-C, then kill -9 of snakemake alone, whose training must not hold up the next run."""
    project, target = Project.make(tmp_path), "results/tiny/runs.parquet"
    few = {"sizes": [TINY["grid"]["sizes"][0]], "tokens": [51200]}
    project.configure({"grid": few, "fit": {"laws": []}})
    loop = project.folder / "pipeline/training/loop.py"
    step = "loss = self.learner.step("
    assert step in loop.read_text()
    loop.write_text(loop.read_text().replace(step, f"time.sleep(0.02); {step}"))

    process = project.start("snakemake", "--cores", "2", target)
    wait_for(project, "results/state/trunks/*/rolling.ckpt", process)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert re.fullmatch(
        r"Interrupted\. 1 training stopped with a checkpoint \(logs/train/\S+\.log\); "
        r"the same command goes on from there\.",
        printed.splitlines()[-1],
    )
    [log] = (project.folder / "logs/train").glob("*.log")
    log.unlink()
    with project.start("snakemake", "--cores", "2", target) as process:
        wait_for(project, "logs/train/*.log", process)
        while "resuming from" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert project.snakemake("--unlock")[0] == 0
    status, printed = project.snakemake(target)
    assert status == 0, printed
    table = contracts.read(project.folder / target, contracts.RUNS)
    assert table["interruptions"].to_pylist() == ["SIGINT,SIGHUP"]


def test_after_a_kill_training_goes_on_bit_for_bit(tmp_path):
    """snakemake and its jobs are killed with -9 in mid-training, several times."""
    longer = {"grid": {"tokens": [102400, 204800]}, "fit": {"laws": []}}
    whole, killed = (Project.make(tmp_path / name) for name in ("whole", "killed"))
    for project in (whole, killed):
        project.configure(longer)
    assert whole.snakemake(RUNS)[0] == 0
    for pattern in ("results/state/trunks/*/rolling.ckpt", "results/state/trunks/*/at-*.ckpt"):
        process = killed.start("snakemake", "--cores", "2", RUNS)
        wait_for(killed, pattern, process)
        time.sleep(0.3)
        kill_all(process)
        assert killed.snakemake("--unlock")[0] == 0
    status, printed = killed.snakemake(RUNS)
    assert status == 0, printed
    assert losses(killed) == losses(whole)
    assert curves(killed) == curves(whole)
    table = contracts.read(killed.folder / "results/tiny/runs.parquet", contracts.RUNS)
    assert max(table["restarts"].to_pylist()) >= 1


# Kills its own process, once, just before a file of that name takes its place.
SABOTAGE = """
import os, pathlib, signal
name = os.environ.get("KILL_BEFORE")
if name:
    replace = pathlib.Path.replace
    def sabotaged(self, target):
        marker = pathlib.Path("killed-" + name)
        if pathlib.Path(target).name == name and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)
    pathlib.Path.replace = sabotaged
"""
WRITTEN = [
    "train-00000.bin", "tokenizer.json", "corpus.json", "manifest.parquet", "run.parquet",
    "curve.parquet", "evaluation.parquet", "runs.parquet", "curves.parquet", "parameters.parquet",
    "bootstrap.parquet", "points.parquet", "card.json", "predictions.parquet", "allocation.svg",
    "allocation.png", "index.html",
]  # fmt: skip


def test_a_kill_while_a_file_is_written_leaves_no_half_file(finished, tmp_path):
    project = Project.make(tmp_path)
    project.configure({"fit": {"laws": ["kaplan"]}, "figures": ["allocation"]})
    (project.folder / "sitecustomize.py").write_text(SABOTAGE)
    for name in WRITTEN:
        # A training writes it and is started once more; the run then ends behind the trainings.
        retried = name == "run.parquet"
        until = ["--until", "train"] if retried else []
        status, printed = project.snakemake(*until, KILL_BEFORE=name)
        assert (project.folder / f"killed-{name}").exists(), f"{name} was not written: {printed}"
        assert (status == 0) == retried, name
        assert ("Trying to restart job" in printed) == retried, name
    status, printed = project.snakemake()
    assert status == 0, printed
    assert losses(project) == {
        c: loss for c, loss in losses(finished).items() if c in losses(project)
    }
    assert curves(project) == [r for r in curves(finished) if r["cell"] in losses(project)]
    assert project.planned() == {}


def test_a_second_snakemake_is_refused(tmp_path):
    project = Project.make(tmp_path)
    project.configure({"grid": {"tokens": [102400, 204800]}, "fit": {"laws": []}})
    first = project.start("snakemake", "--cores", "1", RUNS)
    wait_for(project, "results/state/trunks/*", first)
    status, printed = project.snakemake(RUNS)
    assert status != 0
    assert re.search(r"cannot be locked|LockException", printed)
    printed, _ = first.communicate(timeout=120)
    assert first.returncode == 0, printed


def test_a_folder_with_a_space_in_its_name_works(tmp_path):
    project = Project.make(tmp_path / "my study")
    status, printed = project.snakemake(RUNS)
    assert status == 0, printed
