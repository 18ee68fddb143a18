# Several experiments -> their page; of a replication, the paper's figures and claims, too.

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


if COMPARISON:

    rule compare_claims:
        input:
            read_of_experiments(COMPARED),
            code=law_modules("pipeline.compare", paper_laws(COMPARED))
            + modules(*claims.modules(PAPER)),
        output:
            COMPARISON,
        log:
            f"logs/{WHOLE}/compare_claims.log",
        localrule: True
        params:
            paper=PAPER,
            study=f"results/{WHOLE}",
            options=RESAMPLING,
        shell:
            "python -m pipeline.compare --paper {params.paper} --study {params.study} "
            "{params.options} --out {output} > {log} 2>&1"


if SEVERAL:

    rule index_experiments:
        input:
            runs=expand("results/{study}/runs.parquet", study=EXPERIMENTS),
            comparison=COMPARISON,
            figures=expand(f"figures/{WHOLE}/{{figure}}.svg", figure=PAPER_FIGURES),
            captions=expand(
                f"{workflow.basedir}/workflow/report/{PAPER}/{{figure}}.rst", figure=PAPER_FIGURES
            ),
            code=modules("pipeline.figures.overview"),
        output:
            f"figures/{WHOLE}/index.html",
        log:
            f"logs/{WHOLE}/index_experiments.log",
        localrule: True
        params:
            title=config.get("title") or WHOLE,
            study=f"results/{WHOLE}",
            names=[name.partition("/")[2] for name in EXPERIMENTS],
            titles=[one.study.title for one in EXPERIMENTS.values()],
            paper=f"--paper {PAPER} --comparison {COMPARISON[0]}" if COMPARISON else "",
        shell:
            "python -m pipeline.figures.overview --title {params.title:q} --study {params.study} "
            "--experiments {params.names} --titles {params.titles:q} {params.paper} "
            "--figures {input.figures} --out {output} > {log} 2>&1"
