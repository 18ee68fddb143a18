# Stages 4 and 5: runs -> fitted laws -> predictions.

# The tables, beside the runs, that some law of the study is fitted to.
FURTHER = sorted({table for law in ON_RUNS for table in fitted.tables(law)})


rule fit_law:
    input:
        runs=fitted_rows,
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


rule fit_sensitivity:
    input:
        runs="results/{study}/runs.parquet",
        further=[f"results/{STUDY.name}/{table}.parquet" for table in FURTHER],
        fits=[f"results/{STUDY.name}/fits/{law}/card.json" for law in ON_RUNS],
        code=modules("pipeline.sensitivity", *(LAWS[named(law)].module for law in ON_RUNS)),
    output:
        "results/{study}/sensitivity.parquet",
    log:
        "logs/{study}/fit_sensitivity.log",
    localrule: True
    params:
        fits=[f"results/{STUDY.name}/fits/{law}" for law in ON_RUNS],
        further=[f"--{table} results/{STUDY.name}/{table}.parquet" for table in FURTHER],
    shell:
        "python -m pipeline.sensitivity --fits {params.fits} --runs {input.runs} {params.further} "
        "--out {output} > {log} 2>&1"


rule backtest_laws:
    input:
        runs="results/{study}/runs.parquet",
        code=modules("pipeline.backtest", *(LAWS[law].module for law in LOSS_LAWS)),
    output:
        "results/{study}/backtest.parquet",
        "results/{study}/ranking.parquet",
        "results/{study}/headline.json",
    log:
        "logs/{study}/backtest_laws.log",
    localrule: True
    params:
        laws=LOSS_LAWS,
        options=fit_options(),
        axes=STUDY.config["backtest"]["axes"],
        ladder=STUDY.config["backtest"]["ladder"],
        bootstraps=STUDY.config["backtest"]["bootstraps"],
    shell:
        "python -m pipeline.backtest --laws {params.laws} --runs {input.runs} {params.options} "
        "--bootstraps {params.bootstraps} --axes {params.axes} --ladder {params.ladder} "
        "--out results/{wildcards.study} > {log} 2>&1"


rule allocate_budgets:
    input:
        runs="results/{study}/runs.parquet",
        curves="results/{study}/curves.parquet",
        fits=[f"results/{STUDY.name}/fits/{law}/card.json" for law in PLANNED],
        code=modules("pipeline.allocate", *(LAWS[law].module for law in PLANNED)),
    output:
        "results/{study}/optima.parquet",
        "results/{study}/allocations.parquet",
    log:
        "logs/{study}/allocate_budgets.log",
    localrule: True
    params:
        approaches=TAKEN,
        options=fit_keys("params", "flops", "loss", "bootstraps", "level", "seed", "noise"),
        fits=[f"results/{STUDY.name}/fits/{law}" for law in PLANNED],
    shell:
        "python -m pipeline.allocate --approaches {params.approaches} --runs {input.runs} "
        "--curves {input.curves} --fits {params.fits} {params.options} "
        "--out results/{wildcards.study} > {log} 2>&1"


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
