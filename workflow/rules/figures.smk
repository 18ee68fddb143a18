# Stage 6: tables and fits -> figures, their page, and the items of `snakemake --report`.


# A figure is a rule of its own name, so that `snakemake -n` says which ones are drawn.
for name, studies in DRAWN.items():

    rule:
        name:
            f"draw_{name}"
        input:
            **{table: f"results/{{study}}/{table}.parquet" for table in FIGURES[name].tables},
            fits=lambda w, laws=figure_laws(name): fits(w.study, laws(w)),
            code=lambda w, name=name, laws=figure_laws(name): law_modules(
                f"pipeline.figures.{name}", laws(w)
            ),
        output:
            drawing=reported(name),
            bitmap=f"figures/{{study}}/{name}.png",
        log:
            f"logs/{{study}}/draw_{name}.log",
        wildcard_constraints:
            study=one_of(studies),
        localrule: True
        params:
            module=f"pipeline.figures.{name}",
            tables=" ".join(
                f"--{table} results/{{study}}/{table}.parquet" for table in FIGURES[name].tables
            ),
            fits=lambda w, laws=figure_laws(name): (
                f"--fits results/{w.study}/fits --laws {' '.join(laws(w))}" if laws(w) else ""
            ),
        shell:
            "python -m {params.module} {params.tables} {params.fits} --out {output.drawing} > {log} 2>&1"


rule index_figures:
    input:
        figures=lambda w: drawn(w.study),
        captions=lambda w: [
            f"{workflow.basedir}/workflow/report/{name}.rst"
            for name in (*of(w).figures, "workflow")
        ],
        runs="results/{study}/runs.parquet",
        predictions="results/{study}/predictions.parquet",
        ranking="results/{study}/ranking.parquet",
        plan="results/{study}/plan.parquet",
        known="results/{study}/known.parquet",
        fits=lambda w: fits(w.study, of(w).fitted),
        code=modules("pipeline.figures.index"),
    output:
        "figures/{study}/index.html",
    log:
        "logs/{study}/index_figures.log",
    localrule: True
    params:
        title=lambda w: of(w).study.title,
        laws=lambda w: of(w).fitted,
        headings=lambda w: digest([(FIGURES[n].title, FIGURES[n].category) for n in of(w).figures]),
    shell:
        "python -m pipeline.figures.index --title {params.title:q} --runs {input.runs} "
        "--predictions {input.predictions} --ranking {input.ranking} --plan {input.plan} --known {input.known} "
        "--fits results/{wildcards.study}/fits --laws {params.laws} "
        "--figures {input.figures} --out {output} > {log} 2>&1"
