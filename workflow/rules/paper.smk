# The experiments of a replication -> the paper's figures.

PAPER = experiments.replicated(EXPERIMENTS)
# Figure of the paper -> what is read of each experiment.
PAPER_FIGURES = experiments.paper_figures(EXPERIMENTS)
WHOLE = next(iter(EXPERIMENTS)).partition("/")[0]  # the study that the experiments are of


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


for name, needs in PAPER_FIGURES.items():

    rule:
        name:
            f"draw_{PAPER}_{name}"
        input:
            read_of_experiments(needs),
            code=law_modules(f"pipeline.figures.{PAPER}.{name}", paper_laws(needs)),
        output:
            drawing=report(
                f"figures/{WHOLE}/{name}.svg",
                caption=f"../report/{PAPER}/{name}.rst",
                category="The paper's figures",
                labels={"figure": experiments.PAPERS[PAPER][name].title},
            ),
            bitmap=f"figures/{WHOLE}/{name}.png",
        log:
            f"logs/{WHOLE}/draw_{name}.log",
        localrule: True
        params:
            module=f"pipeline.figures.{PAPER}.{name}",
            study=f"results/{WHOLE}",
        shell:
            "python -m {params.module} --study {params.study} --out {output.drawing} > {log} 2>&1"
