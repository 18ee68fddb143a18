# The experiments behind the config, and what the rules share: paths, code inputs, definitions.
import atexit
import json
import re
import shlex
import sys
from pathlib import Path

from pipeline import claims, endings, sources
from pipeline.cells import parts
from pipeline import experiments
from pipeline.study import fitted
from pipeline.cells import digest
from pipeline.config import ConfigError, read
from pipeline.study.design import write_definitions
from pipeline.figures import FIGURES, TABLES
from pipeline.laws import LAWS, named
from pipeline.planning.budget import Unit

RESULTS = Path("results")
CELL_FILES = ("run.parquet", "curve.parquet", "evaluation.parquet")
FIT_FILES = ("parameters.parquet", "bootstrap.parquet", "points.parquet", "card.json")
IMPORT_FILES = ("runs.parquet", "evaluations.parquet", "tasks.parquet", "import.json")

# Jobs run the interpreter that snakemake runs in, also where no environment is activated. Trainings on
# this machine end with snakemake; on others they outlive it.
ENDS = f"JOB_PARENT={'$PPID' if workflow.is_main_process else ''} "
shell.prefix(f'export {ENDS}PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; ')


def refuse(files, error):
    """End with what is wrong in a sentence; an exception would name this file and its lines."""
    print(f"error: {', '.join(map(str, files))}: {error}", file=sys.stderr)
    raise SystemExit(1)


# Read before Snakemake reads it, which takes a key given twice and names no line of a fault.
for file in workflow.overwrite_configfiles or ["config.yaml"]:
    try:
        read(file)
    except ConfigError as error:
        refuse([file], error)

# A study is one whole file: the default one is not mixed into one given by --configfile.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


try:
    # One study, or several experiments of it: name -> Experiment.
    EXPERIMENTS = experiments.resolved(config, RESULTS)
except ConfigError as error:
    refuse(workflow.configfiles, error)

# What is trained and read, of all experiments together: experiments share cells and texts.
CELLS = experiments.cells(EXPERIMENTS.values())
CORPORA = experiments.corpora(EXPERIMENTS.values())
EVALUATION_TEXTS = experiments.texts(EXPERIMENTS.values())
# Figure -> the experiments that draw it.
DRAWN = experiments.figures(EXPERIMENTS)
# The paper that is replicated, if any; its figures, and what is read of each experiment for them.
PAPER = experiments.replicated(EXPERIMENTS)
PAPER_FIGURES = experiments.paper_figures(EXPERIMENTS)
if workflow.is_main_process and (lacking := experiments.lacking(EXPERIMENTS)):
    print(f"note: {lacking}", file=sys.stderr)
# What its claims are measured from, by experiment.
COMPARED = experiments.compared(EXPERIMENTS)
SEVERAL = "experiments" in config
WHOLE = next(iter(EXPERIMENTS)).partition("/")[0]  # the study that the experiments are of
COMPARISON = [f"results/{WHOLE}/comparison.parquet"] if PAPER and SEVERAL else []
TRAINING = next(iter(EXPERIMENTS.values())).study.config["training"]
# How training runs here: resources and not params, since it changes no result. A profile sets
# them with set-resources.
MACHINE = {
    **{key: str(TRAINING[key]) for key in ("device", "checkpoint_seconds")},
    "gpus": 0,  # of one training, on each node; a process for each
    "nodes": 1,
    "across": "",  # the command that starts another on each of several nodes
    "patience": 600,  # seconds to wait where a process of an earlier run may still train
}
# Cell key -> the part that trains it, or has trained it.
PARTS = parts.planned(CELLS.values(), RESULTS)
PARTS_BY_KEY = {part.key: part for part in PARTS.values()}


FIRST = 10**18  # a priority above all of by_flops


onstart:
    for one in EXPERIMENTS.values():
        write_definitions(one.study, RESULTS)
    # Snakemake's default limit of 100 jobs a second wakes its scheduler every second anew for each
    # job that has ever ended: after some hundreds of jobs that takes half a core. No job here is so
    # short that the limit counts; one that was asked for stays.
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    if workflow.local_exec:
        # A training that was killed goes on from its checkpoint; what fails twice has failed.
        workflow.get_rule("train").restart_times = max(1, workflow.execution_settings.retries)


onerror:
    if workflow.local_exec:
        failed, running = (
            [(job.rule.name, Path(file)) for job in jobs for file in job.log]
            for jobs in (workflow.scheduler.failed, workflow.scheduler.running)
        )
        # At exit: behind the many lines of Snakemake itself.
        atexit.register(print, endings.last_words(failed, running), file=sys.stderr)


# A process for each GPU, and one where there is none.
PROCESSES = "--gpus {resources.gpus} --nodes {resources.nodes} --across '{resources.across}' "


def of(wildcards):
    """The experiment of a rule that is there for each of them."""
    return EXPERIMENTS[wildcards.study]


def modules(*names):
    """Source files of some modules and of all they import: a real edit of one reruns the rule."""
    return sources.closure(Path(workflow.basedir), names)


def law_modules(stage, laws):
    """The modules of a stage that uses some laws, and of these."""
    return modules(stage, *(LAWS[named(law)].module for law in laws))


def cell_tables(study):
    """The files of all cells of an experiment."""
    return expand(
        "results/cells/{cell}/{file}", cell=EXPERIMENTS[study].study.by_key, file=CELL_FILES
    )


def import_tables(study):
    """The files of the tables that an experiment imports."""
    pattern = f"results/{study}/imports/{{table}}/{{file}}"
    return expand(pattern, table=EXPERIMENTS[study].imports, file=IMPORT_FILES)


def other_places(study):
    """Where the aggregate also finds runs, or what is known of them: option -> place."""
    found, places = EXPERIMENTS[study].study, {}
    if found.regression:
        places["regression"] = f"results/{study}/regression"
    if found.synthetic:
        places["corpus"] = f"results/corpora/{found.corpus.key}/corpus.json"
    return places


def other_files(study):
    """The files in those places."""
    places = other_places(study)
    files = [places["corpus"]] if "corpus" in places else []
    if "regression" in places:
        files += [f"{places['regression']}/{table}.parquet" for table in ("runs", "known")]
    return files


def tokens(wildcards):
    """The manifests of the corpus of a cell or part, and of the texts that it is scored on."""
    keys = part_cells(wildcards) if "part" in wildcards.keys() else [wildcards.cell]
    asked = [CELLS[key] for key in keys if key in CELLS]
    corpus = f"results/corpora/{asked[0].corpus}"
    texts = dict.fromkeys(text for cell in asked for text in cell.evaluate)
    return {
        "corpus": f"{corpus}/manifest.parquet",
        "texts": [f"{corpus}/evaluation/{text}/manifest.parquet" for text in texts],
        "tokenizer": [f"{corpus}/tokenizer.json"] if any(cell.tasks for cell in asked) else [],
    }


def ledger(wildcards):
    """The ledger of the part that trains a cell."""
    return f"results/trainings/{PARTS[wildcards.cell].key}.json"


def one_of(names):
    """A wildcard that is one of some names; of none, it is nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def part_cells(wildcards):
    """The cells of a part."""
    return PARTS_BY_KEY[wildcards.part].cells


def by_flops(wildcards):
    """The priority of a cell or part, so that the longest start first."""
    keys = part_cells(wildcards) if "part" in wildcards.keys() else [wildcards.cell]
    return int(sum(CELLS[key].flops_exact for key in keys if key in CELLS) / 1e6)


def fit_keys(*names):
    """The options of a stage for some keys of the config's section ``fit``."""

    def options(wildcards):
        section = of(wildcards).study.config["fit"]
        return " ".join(
            f"--{name.replace('_', '-')} {section[name]}"
            for name in names
            if section[name] is not None
        )

    return options


# How a comparison of experiments resamples: as the first of them.
RESAMPLING = " ".join(
    f"--{key} {next(iter(EXPERIMENTS.values())).study.config['fit'][key]}"
    for key in ("bootstraps", "level", "seed")
)
# The options of a stage that fits laws.
fit_options = fit_keys(
    "params",
    "flops",
    "tokens",
    "loss",
    "objective",
    "delta",
    "asymmetry",
    "weights",
    "bootstrap",
    "bootstraps",
    "level",
    "seed",
)


def further(wildcards):
    """The table, beside the runs, that a law is fitted to: of other texts or of tasks."""
    return [f"results/{wildcards.study}/{table}.parquet" for table in fitted.tables(wildcards.law)]


def fitted_rows(wildcards):
    """The table whose rows a law is fitted to."""
    return f"results/{wildcards.study}/{fitted.rows(of(wildcards).study, wildcards.law)}.parquet"


def target_replicates(wildcards):
    """The table of what the rows that a law is fitted to become on resamples, if they do."""
    tables = fitted.replicates(of(wildcards).study, wildcards.law)
    return [f"results/{wildcards.study}/{table}.parquet" for table in tables]


def plan_options(wildcards):
    """The options of the planner, from the config's section of that name."""
    one, lists = of(wildcards), [unit.key for unit in Unit]
    given = [
        f"--{key.replace('_', '-')} {value}"
        for key, value in one.study.config["plan"].items()
        if key not in lists and value is not None
    ]
    if one.question is not None:
        given += [one.question.unit.option, *map(repr, one.question.amounts)]
    return " ".join(given)


def recipe(wildcards):
    """How an experiment shapes and trains its models; nothing where it trains none."""
    study = of(wildcards).study
    if not study.cells:
        return "{}"
    model, training = study.config["model"], study.config["training"]
    shape = {key: value for key, value in model.items() if key != "dropout"}
    rules = {key: training[key] for key in ("learning_rate", "batch")}
    return json.dumps({**shape, **rules, "vocab_size": study.cells[0].vocab_size}, sort_keys=True)


def fits(study, laws):
    """The fit files of some laws of an experiment."""
    return [f"results/{study}/fits/{law}/{file}" for law in laws for file in FIT_FILES]


def cards(chosen):
    """The cards of some laws of an experiment; ``chosen`` picks them from it."""
    return lambda w: [f"results/{w.study}/fits/{law}/card.json" for law in chosen(of(w))]


def folders(chosen):
    """The folders of the fits of some laws of an experiment; ``chosen`` picks them from it."""
    return lambda w: [f"results/{w.study}/fits/{law}" for law in chosen(of(w))]


def figure_laws(name):
    """The laws that a figure is drawn from, as a function of the wildcards."""
    return lambda wildcards: FIGURES[name].laws_among(of(wildcards).fitted)


def planned_budgets(wildcards):
    """The FLOP to predict for, as an option; none where there are none."""
    budgets = of(wildcards).budgets
    return " ".join(["--budgets", *map(repr, budgets)]) if budgets else ""


def asked_losses(wildcards):
    """The losses at which batch sizes are compared, as an option; none where they are chosen."""
    losses = of(wildcards).study.losses
    return " ".join(["--losses", *map(repr, losses)]) if losses else ""


def batch_fit(wildcards):
    """The folder of the fitted B_crit(L) that corrects runs: their own, or of another experiment."""
    other = of(wildcards).study.corrected_by
    study = f"{wildcards.study.partition('/')[0]}/{other}" if other else wildcards.study
    return f"results/{study}/fits/critical_batch"


def reported(name):
    """The drawing of a figure, an item of the report with its caption and category."""
    figure = FIGURES[name]
    drawing, caption = f"figures/{{study}}/{name}.svg", f"../report/{name}.rst"
    labels = {"figure": figure.title}
    if len(EXPERIMENTS) > 1:
        labels = {"experiment": "{study}", **labels}
    return report(drawing, caption=caption, category=figure.category, labels=labels)


def drawn(study):
    """The drawings of an experiment."""
    return [f"figures/{study}/{name}.svg" for name in EXPERIMENTS[study].figures]


def read_of_experiments(needs):
    """The tables and fits that a figure of the paper is drawn from."""
    tables = [
        f"results/{study}/{table}.parquet" for study, of in needs.items() for table in of.tables
    ]
    laws = {study: of.laws_among(EXPERIMENTS[study].fitted) for study, of in needs.items()}
    return [*tables, *(file for study, of in laws.items() for file in fits(study, of))]


def paper_laws(needs):
    """The laws that a figure of the paper is drawn from."""
    return [law for study, of in needs.items() for law in of.laws_among(EXPERIMENTS[study].fitted)]


wildcard_constraints:
    study=one_of(EXPERIMENTS),
    corpus=one_of(CORPORA),
    text=one_of(EVALUATION_TEXTS),
    table=one_of({name for one in EXPERIMENTS.values() for name in one.imports}),
    cell="[^/]+",
    part="[0-9a-f]+",
    law=one_of({law for one in EXPERIMENTS.values() for law in one.fitted}),
