# The experiments of a replication -> the paper's figures.

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
