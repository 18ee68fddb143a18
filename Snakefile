# Table of contents: what the targets are; the rules of each stage stand in workflow/rules.
from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/import.smk"
include: "workflow/rules/regression.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/batch.smk"
include: "workflow/rules/tasks.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/paper.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        pages=expand("figures/{study}/index.html", study=EXPERIMENTS),
        # All that the pages are made of stands here too, so that what was deleted is made again.
        figures=[
            f"figures/{study}/{figure}.{ending}"
            for study, one in EXPERIMENTS.items()
            for figure in one.figures
            for ending in ("svg", "png")
        ],
        paper=expand(
            f"figures/{WHOLE}/{{figure}}.{{ending}}", figure=PAPER_FIGURES, ending=("svg", "png")
        ),
        comparison=COMPARISON,
        overview=f"figures/{WHOLE}/index.html" if SEVERAL else [],
        tables=expand("results/{study}/{table}.parquet", study=EXPERIMENTS, table=TABLES),
        fits=[file for study, one in EXPERIMENTS.items() for file in fits(study, one.fitted)],
        cells=expand("results/cells/{cell}/{file}", cell=CELLS, file=CELL_FILES),
    localrule: True
