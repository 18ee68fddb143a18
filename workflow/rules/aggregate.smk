# Stage 3: trained cells and imported runs -> the tables of the study.


rule aggregate_runs:
    input:
        cells=lambda w: cell_tables(w.study),
        imports=lambda w: import_tables(w.study),
        others=lambda w: other_files(w.study),
        code=modules("pipeline.aggregate"),
    output:
        "results/{study}/runs.parquet",
        "results/{study}/curves.parquet",
        "results/{study}/text_curves.parquet",
        "results/{study}/task_curves.parquet",
        "results/{study}/evaluations.parquet",
        "results/{study}/tasks.parquet",
        "results/{study}/known.parquet",
    log:
        "logs/{study}/aggregate_runs.log",
    localrule: True
    params:
        # design.json is written before the first job; its digest here makes a change count.
        design=lambda w: digest(of(w).study.card),
        others=lambda w: [f"--{name} {place}" for name, place in other_places(w.study).items()],
    shell:
        "python -m pipeline.aggregate results/{wildcards.study}/design.json "
        "--cells results/cells {params.others} --out results/{wildcards.study} > {log} 2>&1"
