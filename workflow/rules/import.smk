# Instead of training, or beside it: tables of runs that others made -> runs of the study.


rule import_table:
    input:
        table=lambda w: of(w).imports[w.table].file,
        code=modules("pipeline.import_runs"),
    output:
        expand("results/{{study}}/imports/{{table}}/{file}", file=IMPORT_FILES),
    log:
        "logs/{study}/import_table/{table}.log",
    localrule: True
    resources:
        # No param: another law changes no import, it is only refused early where it cannot be.
        needs=lambda w: " ".join(fitted.needs(of(w).fitted)),
    params:
        # definition.json is written before the first job; its digest here makes a change count.
        definition=lambda w: digest(of(w).imports[w.table].card),
    shell:
        "python -m pipeline.import_runs "
        "--definition results/{wildcards.study}/imports/{wildcards.table}/definition.json "
        "--needs {resources.needs} "
        "--out results/{wildcards.study}/imports/{wildcards.table}/runs.parquet > {log} 2>&1"
