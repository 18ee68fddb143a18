# Stage 6: tables and fits -> figures, their page, and the items of `snakemake --report`.

# A figure is a rule of its own name, so that `snakemake -n` says which ones are drawn.
for name in DRAWN:
    laws = FIGURES[name].laws_among(FITTED)

    rule:
        name:
            f"draw_{name}"
        input:
            **table_files(name),
            fits=fits(laws),
            code=modules(f"pipeline.figures.{name}", *(LAWS[named(law)].module for law in laws)),
        output:
            drawing=reported(name),
            bitmap=f"figures/{STUDY.name}/{name}.png",
        log:
            f"logs/{STUDY.name}/draw_{name}.log",
        localrule: True
        params:
            module=f"pipeline.figures.{name}",
            tables=[f"--{table} {path}" for table, path in table_files(name).items()],
            fits=f"--fits results/{STUDY.name}/fits --laws {' '.join(laws)}" if laws else "",
        shell:
            "python -m {params.module} {params.tables} {params.fits} --out {output.drawing} > {log} 2>&1"


rule index_figures:
    input:
        expand("figures/{{study}}/{figure}.svg", figure=DRAWN),
        captions=[f"{workflow.basedir}/workflow/report/{name}.rst" for name in (*DRAWN, "workflow")],
        runs="results/{study}/runs.parquet",
        predictions="results/{study}/predictions.parquet",
        ranking="results/{study}/ranking.parquet",
        plan="results/{study}/plan.parquet",
        known="results/{study}/known.parquet",
        fits=fits(FITTED),
        code=modules("pipeline.figures.index"),
    output:
        "figures/{study}/index.html",
    log:
        "logs/{study}/index_figures.log",
    localrule: True
    params:
        title=STUDY.title,
        laws=FITTED,
        headings=digest([(FIGURES[name].title, FIGURES[name].category) for name in DRAWN]),
        figures=[f"figures/{STUDY.name}/{name}.svg" for name in DRAWN],
    shell:
        "python -m pipeline.figures.index --title {params.title:q} --runs {input.runs} "
        "--predictions {input.predictions} --ranking {input.ranking} --plan {input.plan} --known {input.known} "
        "--fits results/{wildcards.study}/fits --laws {params.laws} "
        "--figures {params.figures} --out {output} > {log} 2>&1"
