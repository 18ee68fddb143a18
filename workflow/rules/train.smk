# Stage 2: tokens -> trained cells. A trunk's job trains all its missing cells in one process, and
# a light job for each cell publishes what was trained. A cell without a trunk trains alone.


rule train_trunk:
    input:
        unpack(tokens),
    output:
        "results/trunks/{trunk}/{part}.json",
    log:
        "logs/train_trunk/{trunk}/{part}.log",
    priority: by_flops
    resources:
        **MACHINE,
    params:
        specs=lambda w: [f"results/cells/{cell}/spec.json" for cell in part_cells(w)],
    shell:
        "python -m pipeline.train trunk --specs {params.specs} --corpus {input.corpus} "
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
    wildcard_constraints:
        cell=among([cell.key for cell in CELLS.values() if cell.trunk]),
    priority: by_flops
    localrule: True
    shell:
        "python -m pipeline.train cell --spec results/cells/{wildcards.cell}/spec.json "
        "--corpus {input.corpus} --state results/state --out results/cells/{wildcards.cell} "
        "> {log} 2>&1"


rule train_cell:
    input:
        unpack(tokens),
    output:
        expand("results/cells/{{cell}}/{file}", file=CELL_FILES),
    log:
        "logs/train_cell/{cell}.log",
    wildcard_constraints:
        cell=among([cell.key for cell in CELLS.values() if not cell.trunk]),
    priority: by_flops
    resources:
        **MACHINE,
    shell:
        "python -m pipeline.train cell --spec results/cells/{wildcards.cell}/spec.json "
        "--corpus {input.corpus} --state results/state --out results/cells/{wildcards.cell} "
        "--threads {threads} --device {resources.device} "
        "--checkpoint-seconds {resources.checkpoint_seconds} --patience {resources.patience} "
        f"{PROCESSES}"
        "> {log} 2>&1"
