# The study behind the config, and what the rules share: paths, code inputs, definitions.
import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pipeline import fitted, sources, trunks
from pipeline.approaches import APPROACHES, applicable
from pipeline.cells import digest
from pipeline.config import ConfigError, choose, complete
from pipeline.design import check_corpus, study, write_definitions
from pipeline.figures import FIGURES, TABLES, drawable
from pipeline.laws import LAWS, SURFACES, named
from pipeline.planning.budget import Unit, asked

RESULTS = Path("results")
CELL_FILES = ("run.parquet", "curve.parquet", "evaluation.parquet")
FIT_FILES = ("parameters.parquet", "bootstrap.parquet", "points.parquet", "card.json")

# Jobs run the interpreter that snakemake runs in, also where no environment is activated.
shell.prefix(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; ')

try:
    STUDY = study(complete(config))
    check_corpus(STUDY, RESULTS)
    FITTED = fitted.laws(STUDY)
    QUESTION = asked(STUDY.config["plan"])
    # FLOP to plan for; none for target losses, whose compute the fits tell.
    BUDGETS = QUESTION.flops if QUESTION else []
    # Imported runs may hold isoFLOP curves; where they do not, the table of optima says so.
    ISOFLOP = bool(STUDY.imports) or "budgets" in STUDY.config.get("grid", {})
    CHOSEN = STUDY.config["fit"]["allocations"]
    TAKEN = choose("fit.allocations", applicable(ISOFLOP) if CHOSEN is None else CHOSEN, APPROACHES)
    LOSSES, SCANNED = STUDY.losses, STUDY.measures_batches
    DRAWABLE = drawable(FITTED, bool(STUDY.texts), bool(STUDY.cells), TAKEN, SCANNED)
    DRAWN = choose("figures", STUDY.config.get("figures"), DRAWABLE)
except ConfigError as error:
    raise WorkflowError(f"{', '.join(map(str, workflow.configfiles))}: {error}") from None

CELL_TABLES = expand("results/cells/{cell}/{file}", cell=STUDY.by_key, file=CELL_FILES)
IMPORTS = {item.name: item for item in STUDY.imports}
IMPORT_FILES = ("runs.parquet", "evaluations.parquet", "tasks.parquet", "import.json")
IMPORT_TABLES = expand(
    "results/{study}/imports/{table}/{file}", study=STUDY.name, table=IMPORTS, file=IMPORT_FILES
)
# Where the aggregate also finds runs, or what is known of them: option -> place, and its files.
OTHER_PLACES, OTHER_SOURCES = {}, {}
if STUDY.regression:
    OTHER_PLACES["regression"] = f"results/{STUDY.name}/regression"
    OTHER_SOURCES["regression"] = [
        f"{OTHER_PLACES['regression']}/{table}.parquet" for table in ("runs", "known")
    ]
if STUDY.synthetic:
    OTHER_PLACES["corpus"] = f"results/corpora/{STUDY.corpus.key}/corpus.json"
    OTHER_SOURCES["corpus"] = OTHER_PLACES["corpus"]
# Laws fitted to the runs as they ended, and not to what the critical batch makes of them.
ON_RUNS = [law for law in FITTED if fitted.rows(STUDY, law) == "runs"]
# Laws of the loss of the runs themselves, and not of their other texts or tasks.
LOSS_LAWS = [law for law in ON_RUNS if LAWS[named(law)].target == "loss"]
PLANNED = [law for law in FITTED if law in SURFACES]
# What plans are made from: also the batch, and what L(N, S) says of wrong sizes and stopping early.
READ = [law for law in FITTED if law in (*SURFACES, "critical_batch", "kaplan_steps")]
EVALUATION_TEXTS = {text.key: text for text in STUDY.evaluation}
# How training runs here: resources and not params, since it changes no result. A profile sets
# them with set-resources.
MACHINE = {
    **{key: str(STUDY.config["training"][key]) for key in ("device", "checkpoint_seconds")},
    "gpus": 0,  # of one training, on each node; a process for each
    "nodes": 1,
    "across": "",  # the command that starts another on each of several nodes
    "patience": 0,  # seconds to wait where a lost node's process may still train
}
# Cell key -> the part of its trunk that trains it, or has trained it.
PARTS = trunks.parts(STUDY, RESULTS)
PARTS_BY_KEY = {(part.trunk, part.key): part for part in PARTS.values()}


onstart:
    write_definitions(STUDY, RESULTS)


# A process for each GPU, and one where there is none.
PROCESSES = "--gpus {resources.gpus} --nodes {resources.nodes} --across '{resources.across}' "


def modules(*names):
    """Source files of some modules and of all they import: a real edit of one reruns the rule."""
    return sources.closure(Path(workflow.basedir), names)


def tokens(wildcards):
    """The manifests of the training corpus and of the texts that finished cells are scored on."""
    corpus = f"results/corpora/{STUDY.corpus.key}"
    texts = [f"{corpus}/evaluation/{text.key}/manifest.parquet" for text in STUDY.evaluation]
    return {"corpus": f"{corpus}/manifest.parquet", "texts": texts}


def ledger(wildcards):
    """The ledger of the part that trains a cell of a trunk."""
    part = PARTS[wildcards.cell]
    return f"results/trunks/{part.trunk}/{part.key}.json"


def one_of(names):
    """A wildcard that is one of some names; of none, it is nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def among(cells):
    """What the wildcard of a rule for some of the study's cells may be."""
    if len(cells) == len(STUDY.cells) > 0:
        return "[^/]+"
    return one_of(cells)


def part_cells(wildcards):
    """The cells of a part."""
    return PARTS_BY_KEY[wildcards.trunk, wildcards.part].cells


def by_flops(wildcards):
    """The priority of a cell or part, so that the longest start first."""
    cells = part_cells(wildcards) if "part" in wildcards.keys() else [wildcards.cell]
    known = [STUDY.by_key[cell] for cell in cells if cell in STUDY.by_key]
    return int(max((cell.flops_exact for cell in known), default=0) / 1e6)


def fit_keys(*names):
    """The options of a stage for some keys of the config's section ``fit``."""
    section = STUDY.config["fit"]
    return " ".join(
        f"--{name.replace('_', '-')} {section[name]}" for name in names if section[name] is not None
    )


def fit_options(*further):
    """The options of a stage that fits laws."""
    shared = (
        "params",
        "flops",
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
    return fit_keys(*shared, *further)


def further(wildcards):
    """The table, beside the runs, that a law is fitted to: of other texts or of tasks."""
    return [f"results/{STUDY.name}/{table}.parquet" for table in fitted.tables(wildcards.law)]


def fitted_rows(wildcards):
    """The table whose rows a law is fitted to."""
    return f"results/{STUDY.name}/{fitted.rows(STUDY, wildcards.law)}.parquet"


def plan_options():
    """The options of the planner, from the config's section of that name."""
    lists = [unit.key for unit in Unit]
    given = [
        f"--{key.replace('_', '-')} {value}"
        for key, value in STUDY.config["plan"].items()
        if key not in lists and value is not None
    ]
    if QUESTION is not None:
        given += [QUESTION.unit.option, *map(repr, QUESTION.amounts)]
    return " ".join(given)


def recipe():
    """How the study shapes and trains its models; nothing where it trains none."""
    if not STUDY.cells:
        return "{}"
    model, training = STUDY.config["model"], STUDY.config["training"]
    shape = {key: value for key, value in model.items() if key != "dropout"}
    rules = {key: training[key] for key in ("learning_rate", "batch")}
    return json.dumps({**shape, **rules, "vocab_size": STUDY.cells[0].vocab_size}, sort_keys=True)


def fits(laws):
    """The fit files of some laws of the study."""
    return [f"results/{STUDY.name}/fits/{law}/{file}" for law in laws for file in FIT_FILES]


def reported(name):
    """The drawing of a figure, an item of the report with its caption and category."""
    figure = FIGURES[name]
    drawing, caption = f"figures/{STUDY.name}/{name}.svg", f"../report/{name}.rst"
    labels = {"figure": figure.title}
    return report(drawing, caption=caption, category=figure.category, labels=labels)


def table_files(name):
    """Table -> file, for the tables that a figure is drawn from."""
    return {table: f"results/{STUDY.name}/{table}.parquet" for table in FIGURES[name].tables}


wildcard_constraints:
    study=STUDY.name,
    corpus=STUDY.corpus.key if STUDY.corpus else "(?!)",
    table=one_of(IMPORTS),
    cell="[^/]+",
    trunk="[^/]+",
    part="[0-9a-f]+",
    law=one_of(FITTED),
