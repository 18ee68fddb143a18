# Stage 2: tokens -> trained cells. A trunk's job trains all its missing cells in one process; a
# cell's job publishes what was trained, or trains a cell that has no trunk.


def tokens(wildcards):
    """The manifests of the training corpus and of the texts that finished cells are scored on."""
    corpus = f"results/corpora/{STUDY.corpus.key}"
    texts = [f"{corpus}/evaluation/{text.key}/manifest.parquet" for text in STUDY.evaluation]
    return {"corpus": f"{corpus}/manifest.parquet", "texts": texts}


def ledger(wildcards):
    """The ledger of the part that trains a cell; nothing for a cell without a trunk."""
    part = PARTS.get(wildcards.cell)
    return f"results/trunks/{part.trunk}/{part.key}.json" if part else []


def part_cells(wildcards):
    """The cells of a part."""
    return PARTS_BY_KEY[wildcards.trunk, wildcards.part].cells


def by_flops(wildcards):
    """The priority of a cell or part, so that the longest start first."""
    cells = part_cells(wildcards) if "part" in wildcards.keys() else [wildcards.cell]
    known = [STUDY.by_key[cell] for cell in cells if cell in STUDY.by_key]
    return int(max((cell.flops_exact for cell in known), default=0) / 1e6)


rule train_trunk:
    input:
        unpack(tokens),
    output:
        "results/trunks/{trunk}/{part}.json",
    log:
        "logs/train_trunk/{trunk}/{part}.log",
    priority: by_flops
    params:
        specs=lambda w: [f"results/cells/{cell}/spec.json" for cell in part_cells(w)],
        device=STUDY.config["training"]["device"],
        seconds=STUDY.config["training"]["checkpoint_seconds"],
    shell:
        "python -m pipeline.train trunk --specs {params.specs} --corpus {input.corpus} "
        "--state results/state --out {output} --threads {threads} --device {params.device} "
        "--checkpoint-seconds {params.seconds} > {log} 2>&1"


rule train_cell:
    input:
        unpack(tokens),
        ledger,
    output:
        "results/cells/{cell}/run.parquet",
        "results/cells/{cell}/curve.parquet",
        "results/cells/{cell}/evaluation.parquet",
    log:
        "logs/train_cell/{cell}.log",
    priority: by_flops
    params:
        device=STUDY.config["training"]["device"],
        seconds=STUDY.config["training"]["checkpoint_seconds"],
    shell:
        "python -m pipeline.train cell --spec results/cells/{wildcards.cell}/spec.json "
        "--corpus {input.corpus} --state results/state --out results/cells/{wildcards.cell} "
        "--threads {threads} --device {params.device} "
        "--checkpoint-seconds {params.seconds} > {log} 2>&1"
