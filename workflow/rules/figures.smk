# Stage 6: tables and fits -> figures, their page, and the items of `snakemake --report`.

FIT_FILES = ("parameters.parquet", "bootstrap.parquet", "points.parquet", "card.json")


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


# A figure is a rule of its own name, so that `snakemake -n` says which ones are drawn.
for name in DRAWN:
    laws = FIGURES[name].laws_among(FITTED)

    rule:
        name:
            f"draw_{name}"
        input:
            **table_files(name),
            fits=fits(laws),
            code=modules(f"pipeline.figures.{name}", *(LAWS[law] for law in laws)),
        output:
            reported(name),
            f"figures/{STUDY.name}/{name}.png",
        log:
            f"logs/{STUDY.name}/draw_{name}.log",
        localrule: True
        params:
            module=f"pipeline.figures.{name}",
            tables=[f"--{table} {path}" for table, path in table_files(name).items()],
            fits=f"--fits results/{STUDY.name}/fits" if laws else "",
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
    localrule: True
    params:
        title=STUDY.title,
        laws=FITTED,
        figures=[f"figures/{STUDY.name}/{name}.svg" for name in DRAWN],
    shell:
        "python -m pipeline.figures.index --title {params.title:q} --runs {input.runs} "
        "--predictions {input.predictions} --fits results/{wildcards.study}/fits "
        "--laws {params.laws} --figures {params.figures} --out {output} > {log} 2>&1"
