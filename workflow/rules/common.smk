# The study behind the config, and what the rules share: paths, code inputs, definitions.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pipeline import sources, trunks
from pipeline.cells import digest
from pipeline.config import ConfigError, choose, complete
from pipeline.design import check_corpus, study, write_definitions
from pipeline.figures import FIGURES, drawable
from pipeline.laws import LAWS

RESULTS = Path("results")

# Jobs run the interpreter that snakemake runs in, also where no environment is activated.
shell.prefix(f"export PATH={Path(sys.executable).parent}:$PATH; ")

try:
    STUDY = study(complete(config))
    check_corpus(STUDY, RESULTS)
    FITTED = choose("fit.laws", STUDY.config["fit"]["laws"], LAWS)
    DRAWN = choose("figures", STUDY.config.get("figures"), drawable(FITTED, bool(STUDY.evaluation)))
except ConfigError as error:
    raise WorkflowError(f"{', '.join(map(str, workflow.configfiles))}: {error}") from None

EVALUATION_TEXTS = {text.key: text for text in STUDY.evaluation}
# Cell key -> the part of its trunk that trains it, or has trained it.
PARTS = trunks.parts(STUDY, RESULTS)
PARTS_BY_KEY = {(part.trunk, part.key): part for part in PARTS.values()}


onstart:
    write_definitions(STUDY, RESULTS)


def modules(*names):
    """Source files of some modules and of all they import: a real edit of one reruns the rule."""
    return sources.closure(Path(workflow.basedir), names)


wildcard_constraints:
    study=STUDY.name,
    corpus=STUDY.corpus.key,
    cell="[^/]+",
    trunk="[^/]+",
    part="[0-9a-f]+",
    law="[a-z0-9_]+",
