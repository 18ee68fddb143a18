# Stage 2: tokens -> trained cells. A part's job trains all its missing cells in one process, and a
# light job for each cell publishes what was trained.


rule train:
    input:
        unpack(tokens),
    output:
        "results/trainings/{part}.json",
    log:
        "logs/train/{part}.log",
    priority: by_flops
    resources:
        **MACHINE,
    params:
        specs=lambda w: [f"results/cells/{cell}/spec.json" for cell in part_cells(w)],
    shell:
        "python -m pipeline.train part --specs {params.specs} --corpus {input.corpus} "
        "--state results/state --out {output} --threads {threads} --device {resources.device} "
        "--checkpoint-seconds {resources.checkpoint_seconds} --patience {resources.patience} "
        f"{PROCESSES}"
        "> {log} 2>&1"


rule publish_cell:
    input:
        unpack(tokens),
        ledger,
    output:
        expand("results/cells/{{cell}}/{file}", file=CELL_FILES),
    log:
        "logs/publish_cell/{cell}.log",
    priority: by_flops
    localrule: True
    shell:
        "python -m pipeline.train cell --spec results/cells/{wildcards.cell}/spec.json "
        "--corpus {input.corpus} --state results/state --out results/cells/{wildcards.cell} "
        "> {log} 2>&1"
