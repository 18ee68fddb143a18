# Stages 4 and 5: runs -> fitted laws -> predictions.


rule fit_law:
    input:
        runs=fitted_rows,
        further=further,
        replicates=target_replicates,
        code=lambda w: modules("pipeline.fit", LAWS[named(w.law)].module),
    output:
        expand("results/{{study}}/fits/{{law}}/{file}", file=FIT_FILES),
    log:
        "logs/{study}/fit_law/{law}.log",
    localrule: True
    params:
        options=fit_options,
        further=lambda w: [f"--{Path(table).stem} {table}" for table in further(w)],
        replicates=lambda w: [f"--target-replicates {table}" for table in target_replicates(w)],
    shell:
        "python -m pipeline.fit --law {wildcards.law} --runs {input.runs} "
        "{params.further} {params.replicates} {params.options} "
        "--out results/{wildcards.study}/fits/{wildcards.law} > {log} 2>&1"


rule fit_sensitivity:
    input:
        runs="results/{study}/runs.parquet",
        further=lambda w: [f"results/{w.study}/{table}.parquet" for table in of(w).further],
        fits=cards(lambda one: one.on_runs),
        code=lambda w: law_modules("pipeline.sensitivity", of(w).on_runs),
    output:
        "results/{study}/sensitivity.parquet",
    log:
        "logs/{study}/fit_sensitivity.log",
    localrule: True
    params:
        fits=folders(lambda one: one.on_runs),
        further=lambda w: [f"--{t} results/{w.study}/{t}.parquet" for t in of(w).further],
    shell:
        "python -m pipeline.sensitivity --fits {params.fits} --runs {input.runs} {params.further} "
        "--out {output} > {log} 2>&1"


rule backtest_laws:
    input:
        runs="results/{study}/runs.parquet",
        code=lambda w: law_modules("pipeline.backtest", of(w).loss_laws),
    output:
        "results/{study}/backtest.parquet",
        "results/{study}/ranking.parquet",
        "results/{study}/headline.json",
    log:
        "logs/{study}/backtest_laws.log",
    localrule: True
    params:
        laws=lambda w: of(w).loss_laws,
        options=fit_options,
        axes=lambda w: of(w).study.config["backtest"]["axes"],
        ladder=lambda w: of(w).study.config["backtest"]["ladder"],
        bootstraps=lambda w: of(w).study.config["backtest"]["bootstraps"],
    shell:
        "python -m pipeline.backtest --laws {params.laws} --runs {input.runs} {params.options} "
        "--bootstraps {params.bootstraps} --axes {params.axes} --ladder {params.ladder} "
        "--out results/{wildcards.study} > {log} 2>&1"


rule allocate_budgets:
    input:
        runs="results/{study}/runs.parquet",
        curves="results/{study}/curves.parquet",
        fits=cards(lambda one: one.surfaces),
        code=lambda w: law_modules("pipeline.allocate", of(w).surfaces),
    output:
        "results/{study}/optima.parquet",
        "results/{study}/allocations.parquet",
    log:
        "logs/{study}/allocate_budgets.log",
    localrule: True
    params:
        approaches=lambda w: of(w).approaches,
        options=fit_keys(
            "params", "flops", "tokens", "loss", "bootstraps", "level", "seed", "noise"
        ),
        fits=folders(lambda one: one.surfaces),
    shell:
        "python -m pipeline.allocate --approaches {params.approaches} --runs {input.runs} "
        "--curves {input.curves} --fits {params.fits} {params.options} "
        "--out results/{wildcards.study} > {log} 2>&1"


rule predict_optimum:
    input:
        runs="results/{study}/runs.parquet",
        fits=cards(lambda one: one.surfaces),
        code=lambda w: law_modules("pipeline.predict", of(w).surfaces),
    output:
        "results/{study}/predictions.parquet",
    log:
        "logs/{study}/predict_optimum.log",
    localrule: True
    params:
        fits=folders(lambda one: one.surfaces),
        budgets=planned_budgets,
    shell:
        "python -m pipeline.predict --fits {params.fits} --runs {input.runs} {params.budgets} "
        "--out {output} > {log} 2>&1"
