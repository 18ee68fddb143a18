# Stages 3 and 5: runs at several batch sizes -> the critical batch size, and what it makes of runs.


rule measure_critical_batch:
    input:
        runs="results/{study}/runs.parquet",
        curves="results/{study}/curves.parquet",
        code=modules("pipeline.critical_batch"),
    output:
        batches="results/{study}/critical_batches.parquet",
        levels="results/{study}/levels.parquet",
        replicates="results/{study}/level_replicates.parquet",
    log:
        "logs/{study}/measure_critical_batch.log",
    localrule: True
    params:
        losses=asked_losses,
        levels=lambda w: of(w).study.config["critical_batch"]["count"],
        options=fit_keys("bootstraps", "level", "seed"),
    shell:
        "python -m pipeline.critical_batch --runs {input.runs} --curves {input.curves} "
        "{params.losses} --count {params.levels} {params.options} "
        "--out {output.batches} --levels {output.levels} --replicates {output.replicates} "
        "> {log} 2>&1"


rule correct_runs:
    input:
        runs="results/{study}/runs.parquet",
        curves="results/{study}/curves.parquet",
        fit=lambda w: f"{batch_fit(w)}/card.json",
        code=modules("pipeline.corrected"),
    output:
        "results/{study}/corrected.parquet",
    log:
        "logs/{study}/correct_runs.log",
    localrule: True
    params:
        fit=batch_fit,
        rows=lambda w: of(w).study.config["critical_batch"]["rows"],
        options=fit_keys("params", "flops", "tokens", "loss"),
    shell:
        "python -m pipeline.corrected --runs {input.runs} --curves {input.curves} "
        "--fit {params.fit} --rows {params.rows} "
        "{params.options} --out {output} > {log} 2>&1"
