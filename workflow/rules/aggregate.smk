# Stage 3: trained cells and imported runs -> the tables of the study.


rule aggregate_runs:
    input:
        CELL_TABLES,
        IMPORT_TABLES,
        **OTHER_SOURCES,
        code=modules("pipeline.aggregate"),
    output:
        "results/{study}/runs.parquet",
        "results/{study}/curves.parquet",
        "results/{study}/text_curves.parquet",
        "results/{study}/evaluations.parquet",
        "results/{study}/tasks.parquet",
        "results/{study}/known.parquet",
    log:
        "logs/{study}/aggregate_runs.log",
    localrule: True
    params:
        # design.json is written before the first job; its digest here makes a change count.
        design=digest(STUDY.card),
        others=[f"--{name} {place}" for name, place in OTHER_PLACES.items()],
    shell:
        "python -m pipeline.aggregate results/{wildcards.study}/design.json "
        "--cells results/cells {params.others} --out results/{wildcards.study} > {log} 2>&1"
