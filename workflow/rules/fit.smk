# Stages 4 and 5: runs -> fitted laws -> predictions.


rule fit_law:
    input:
        runs="results/{study}/runs.parquet",
        further=further,
        code=lambda w: modules("pipeline.fit", LAWS[named(w.law)].module),
    output:
        expand("results/{{study}}/fits/{{law}}/{file}", file=FIT_FILES),
    log:
        "logs/{study}/fit_law/{law}.log",
    localrule: True
    params:
        options=fit_options(),
        further=lambda w: [f"--{Path(table).stem} {table}" for table in further(w)],
    shell:
        "python -m pipeline.fit --law {wildcards.law} --runs {input.runs} "
        "{params.further} {params.options} "
        "--out results/{wildcards.study}/fits/{wildcards.law} > {log} 2>&1"


rule predict_optimum:
    input:
        runs="results/{study}/runs.parquet",
        fits=[f"results/{STUDY.name}/fits/{law}/card.json" for law in PLANNED],
        code=modules("pipeline.predict", *(LAWS[law].module for law in PLANNED)),
    output:
        "results/{study}/predictions.parquet",
    log:
        "logs/{study}/predict_optimum.log",
    localrule: True
    params:
        fits=[f"results/{STUDY.name}/fits/{law}" for law in PLANNED],
        budgets=" ".join(["--budgets", *map(repr, BUDGETS)]) if BUDGETS else "",
    shell:
        "python -m pipeline.predict --fits {params.fits} --runs {input.runs} {params.budgets} "
        "--out {output} > {log} 2>&1"
