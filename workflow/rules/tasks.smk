# Stage 5: errors on tasks along the curves -> which of them the loss predicts.


rule judge_tasks:
    input:
        runs="results/{study}/runs.parquet",
        curves="results/{study}/task_curves.parquet",
        code=modules("pipeline.saturation"),
    output:
        "results/{study}/saturation.parquet",
    log:
        "logs/{study}/judge_tasks.log",
    localrule: True
    params:
        options=fit_keys("bootstraps", "level", "seed"),
    shell:
        "python -m pipeline.saturation --runs {input.runs} --curves {input.curves} "
        "{params.options} --out {output} > {log} 2>&1"
