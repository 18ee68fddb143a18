"""What the workflow makes of a config: its experiments, each a study with its laws and figures.

Standard library only, as every parse of the Snakefile does this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.approaches import APPROACHES, applicable
from pipeline.cells import Cell
from pipeline.claims import PAPERS as CLAIMED
from pipeline.config import ConfigError, choose, experiments
from pipeline.corpus.definition import Corpus
from pipeline.figures import FIGURES, drawable, kaplan2020
from pipeline.figures.paper import PaperFigure
from pipeline.findings.needs import Needs
from pipeline.imports.definition import Import
from pipeline.laws import LAWS, SURFACES, named
from pipeline.planning.budget import Asked, asked
from pipeline.planning.words import OF_DATASETS
from pipeline.study import fitted
from pipeline.study.design import Study, check_corpus, study

PAPERS = {"kaplan2020": kaplan2020.FIGURES}
READ_BY_PLANS = ("critical_batch", "kaplan_steps")  # the batch, and wrong sizes and early stops


@dataclass(frozen=True)
class Experiment:
    """A study, the laws that it fits, the ways to allocate that it takes, the figures it draws."""

    study: Study
    fitted: tuple[str, ...]
    approaches: tuple[str, ...]
    figures: tuple[str, ...]
    question: Asked | None  # what to plan for

    @property
    def budgets(self) -> list[float]:
        """FLOP to plan for; none for target losses, whose compute the fits tell."""
        return self.question.flops if self.question else []

    @property
    def on_runs(self) -> list[str]:
        """Laws fitted to the runs as they ended, not to what the critical batch makes of them."""
        return [law for law in self.fitted if fitted.rows(self.study, law) == "runs"]

    @property
    def loss_laws(self) -> list[str]:
        """Laws of the loss of the runs themselves, and not of their other texts or tasks."""
        return [law for law in self.on_runs if LAWS[named(law)].target == "loss"]

    @property
    def surfaces(self) -> list[str]:
        """Laws of N and D, which predict and plan; none where they have no plan to make."""
        return [] if self.unplanned else [law for law in self.fitted if law in SURFACES]

    @property
    def unplanned(self) -> str:
        """Why no law predicts and plans, a sentence; empty where some law does."""
        laws = [law for law in self.fitted if law in SURFACES]
        if not laws:
            return f"fit.laws has no law of N and D to plan with; add one of {', '.join(SURFACES)}."
        if self.study.config["fit"]["tokens"] != "tokens":
            return f"{laws[0]} {OF_DATASETS}"
        if any(cell.reuse > 1 for cell in self.study.cells):
            return (
                "Some models apply their layers more than once (reuse), so that a run costs more "
                "than 6 N D, which plans take it to cost; leave these models out to plan."
            )
        return ""

    @property
    def read_by_plans(self) -> list[str]:
        """Laws that plans are made from."""
        return [law for law in self.fitted if law in (*self.surfaces, *READ_BY_PLANS)]

    @property
    def further(self) -> list[str]:
        """The tables, beside the runs, that some law is fitted to."""
        return sorted({table for law in self.on_runs for table in fitted.tables(law)})

    @property
    def imports(self) -> dict[str, Import]:
        return {item.name: item for item in self.study.imports}


def experiment(config: Mapping[str, Any]) -> Experiment:
    """The experiment of one completed config; raises ConfigError where it makes no sense."""
    found = study(config)
    laws = fitted.laws(found)
    # Imported runs may hold isoFLOP curves; where they do not, the table of optima says so.
    isoflop = bool(found.imports) or "budgets" in config.get("grid", {})
    chosen = config["fit"]["allocations"]
    ways = applicable(isoflop) if chosen is None else chosen
    approaches = choose("fit.allocations", ways, APPROACHES)
    known = drawable(
        laws, bool(found.texts), bool(found.cells), approaches, found.measures_batches,
        found.follows_tasks,
    )  # fmt: skip
    if config["fit"]["tokens"] != "tokens":  # such laws have no optimum to draw
        known = [name for name in known if FIGURES[name].category != "Plan"]
    figures = choose("figures", config.get("figures"), known)
    return Experiment(found, tuple(laws), tuple(approaches), tuple(figures), asked(config["plan"]))


def resolved(config: Mapping[str, Any], results: Path) -> dict[str, Experiment]:
    """Name -> experiment of a whole config, one or several, whose texts are there.

    Raises ConfigError, naming the experiment, on a value that makes no sense or on experiments
    that do not go together.
    """
    found = defined(config)
    check_texts(found, results)
    return found


def defined(config: Mapping[str, Any]) -> dict[str, Experiment]:
    """The same, whether or not there are the texts to train on."""
    found = {}
    for name, full in experiments(config).items():
        with _named(name):
            found[name] = experiment(full)
    _refuse_other_machines(found)
    _refuse_unknown_corrections(found)
    return found


def check_texts(found: Mapping[str, Experiment], results: Path) -> None:
    """Raise ConfigError where texts are not there, or too short as far as that is known."""
    for name, one in found.items():
        with _named(name):
            check_corpus(one.study, results)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Names the experiment in a ConfigError, if it is one of several."""
    try:
        yield
    except ConfigError as error:
        within = name.partition("/")[2]
        raise (error.within(f"experiments.{within}") if within else error) from None


def _refuse_other_machines(found: Mapping[str, Experiment]) -> None:
    """Where training runs is one setting for all experiments, as they share cells."""
    for key in ("device", "checkpoint_seconds"):
        values = {name: e.study.config["training"][key] for name, e in found.items()}
        if len(set(values.values())) > 1:
            raise ConfigError(
                f"training.{key}", values, "differs between experiments that share cells",
                "give it once, outside of experiments",
            )  # fmt: skip


def _refuse_unknown_corrections(found: Mapping[str, Experiment]) -> None:
    """Raise ConfigError where the critical batch is asked of an experiment without it."""
    for name, one in found.items():
        other = one.study.corrected_by
        if other is None:
            continue
        place = f"{name.partition('/')[2]}.critical_batch.of".lstrip(".")
        measured = [e.partition("/")[2] for e, x in found.items() if "critical_batch" in x.fitted]
        if one.study.measures_batches:
            raise ConfigError(place, other, "is given beside measure", "leave one of them out")
        if other not in measured:
            cure = f"choose from {', '.join(measured)}"
            if not measured:
                cure = (
                    f"add an experiment {other} with critical_batch.measure and that law, or leave "
                    "out critical_batch.of and the laws that need it"
                )
            fault = "is no experiment that fits the law critical_batch"
            raise ConfigError(place, other, fault, cure)
        own, law = one.study, found[f"{name.partition('/')[0]}/{other}"].study
        if (own.corpus and own.corpus.key) != (law.corpus and law.corpus.key):
            raise ConfigError(place, other, "trains on another text or tokenizer, whose losses are "
                              "not these", "take one of the same corpus")  # fmt: skip
        if own.config["fit"]["loss"] != law.config["fit"]["loss"]:
            raise ConfigError(place, other, "fits another loss", "give both the same fit.loss")


def cells(found: Iterable[Experiment]) -> dict[str, Cell]:
    """Key -> cell of all experiments, each once."""
    return {key: cell for one in found for key, cell in one.study.by_key.items()}


def corpora(found: Iterable[Experiment]) -> dict[str, Corpus]:
    """Key -> corpus of all experiments."""
    return {one.study.corpus.key: one.study.corpus for one in found if one.study.corpus}


def texts(found: Iterable[Experiment]) -> dict[str, Corpus]:
    """Key -> text that models are scored on, of all experiments."""
    return {text.key: text for one in found for text in one.study.evaluation}


def figures(found: Mapping[str, Experiment]) -> dict[str, list[str]]:
    """Figure -> names of the experiments that draw it, in the registry's order."""
    by_name = {name: [e for e, one in found.items() if name in one.figures] for name in FIGURES}
    return {name: drawn for name, drawn in by_name.items() if drawn}


def paper_figures(found: Mapping[str, Experiment]) -> dict[str, dict[str, Needs]]:
    """Figure of the replicated paper -> what is read of each experiment, by its full name.

    Only those that these experiments allow.
    """
    registry: Mapping[str, PaperFigure] = PAPERS.get(replicated(found) or "", {})
    full = {name.partition("/")[2]: name for name in found}
    fits = {name: found[full[name]].fitted for name in full}
    drawn = {name: figure.drawn_from(fits) for name, figure in registry.items()}
    return {
        name: {full[experiment]: needs for experiment, needs in read.items()}
        for name, read in drawn.items() if read is not None
    }  # fmt: skip


def compared(found: Mapping[str, Experiment]) -> dict[str, Needs]:
    """What the claims of the replicated paper are measured from, by experiment's full name."""
    paper = replicated(found)
    full = {name.partition("/")[2]: name for name in found}
    fits = {name: found[full[name]].fitted for name in full}
    read = CLAIMED[paper].read_from(fits) if paper else {}
    return {full[name]: needs for name, needs in read.items()}


def replicated(found: Mapping[str, Experiment]) -> str | None:
    """The paper whose claims are compared with the experiments, if any."""
    paper: str | None = next(iter(found.values())).study.config.get("replicates")
    return paper


def lacking(found: Mapping[str, Experiment]) -> str:
    """What of the replicated paper these experiments leave out, in sentences; empty if nothing."""
    paper = replicated(found)
    if paper is None:
        return ""
    there = {name.partition("/")[2] for name in found}
    absent = [name for name in CLAIMED[paper].reads if name not in there]
    drawn, registry = paper_figures(found), PAPERS.get(paper, {})
    undrawn = [name for name in registry if name not in drawn]
    told = []
    if absent:
        told.append(
            f"Claims of {paper} that are measured in {', '.join(absent)} are not compared: there "
            "is no such experiment."
        )
    if undrawn:
        told.append(
            f"Of the figures of {paper}, {len(undrawn)} of {len(registry)} lack an experiment or a "
            f"law and are not drawn: {', '.join(undrawn)}."
        )
    return " ".join(told)
