# Stage 1: text -> tokens. What all trainings wait for comes before any of them.


rule tokenize_corpus:
    input:
        lambda wildcards: CORPORA[wildcards.corpus].files,
    output:
        manifest="results/corpora/{corpus}/manifest.parquet",
        card="results/corpora/{corpus}/corpus.json",
        tokenizer="results/corpora/{corpus}/tokenizer.json",
    log:
        "logs/tokenize_corpus/{corpus}.log",
    priority: FIRST
    threads: 2
    shell:
        "python -m pipeline.corpus tokenize results/corpora/{wildcards.corpus}/definition.json "
        "--out {output.manifest} --workers {threads} > {log} 2>&1"


rule tokenize_evaluation:
    input:
        lambda wildcards: EVALUATION_TEXTS[wildcards.text].files,
        tokenizer="results/corpora/{corpus}/tokenizer.json",
    output:
        manifest="results/corpora/{corpus}/evaluation/{text}/manifest.parquet",
        card="results/corpora/{corpus}/evaluation/{text}/corpus.json",
    log:
        "logs/tokenize_evaluation/{corpus}/{text}.log",
    priority: FIRST
    shell:
        "python -m pipeline.corpus evaluation "
        "results/corpora/{wildcards.corpus}/evaluation/{wildcards.text}/definition.json "
        "--tokenizer {input.tokenizer} --out {output.manifest} --workers {threads} > {log} 2>&1"
