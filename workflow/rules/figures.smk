# Stage 6: tables and fits -> figures, their page, and the items of `snakemake --report`.

FIT_FILES = ("parameters.parquet", "bootstrap.parquet", "points.parquet", "card.json")


def fits(laws):
    """The fit files of some laws of the study."""
    return [f"results/{STUDY.name}/fits/{law}/{file}" for law in laws for file in FIT_FILES]


localrules:
    *(f"draw_{name}" for name in DRAWN),
    index_figures,


for name in DRAWN:
    laws = FIGURES[name].laws_among(FITTED)

    rule:
        name:
            f"draw_{name}"
        input:
            **{table: f"results/{STUDY.name}/{table}.parquet" for table in FIGURES[name].tables},
            fits=fits(laws),
            code=modules(f"pipeline.figures.{name}", *(LAWS[law] for law in laws)),
        output:
            report(
                f"figures/{STUDY.name}/{name}.svg",
                caption=f"../report/{name}.rst",
                category=FIGURES[name].category,
                labels={"figure": FIGURES[name].title},
            ),
            f"figures/{STUDY.name}/{name}.png",
        log:
            f"logs/{STUDY.name}/draw_{name}.log",
        params:
            tables=[
                f"--{table} results/{STUDY.name}/{table}.parquet" for table in FIGURES[name].tables
            ],
            fits=f"--fits results/{STUDY.name}/fits" if laws else "",
            module=f"pipeline.figures.{name}",
        shell:
            "python -m {params.module} {params.tables} {params.fits} --out {output[0]} > {log} 2>&1"


rule index_figures:
    input:
        expand("figures/{{study}}/{figure}.svg", figure=DRAWN),
        captions=[f"{workflow.basedir}/workflow/report/{name}.rst" for name in DRAWN],
        runs="results/{study}/runs.parquet",
        predictions="results/{study}/predictions.parquet",
        fits=fits(FITTED),
        code=modules("pipeline.figures.index"),
    output:
        "figures/{study}/index.html",
    log:
        "logs/{study}/index_figures.log",
    params:
        title=STUDY.title,
        laws=FITTED,
        figures=[f"figures/{STUDY.name}/{name}.svg" for name in DRAWN],
    shell:
        "python -m pipeline.figures.index --title {params.title:q} --runs {input.runs} "
        "--predictions {input.predictions} --fits results/{wildcards.study}/fits "
        "--laws {params.laws} --figures {params.figures} --out {output} > {log} 2>&1"
