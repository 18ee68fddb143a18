# Instead of training: polynomials fitted to a target whose exponents are known -> runs of the study.


rule fit_polynomials:
    input:
        code=modules("pipeline.regress"),
    output:
        "results/{study}/regression/runs.parquet",
        "results/{study}/regression/known.parquet",
    log:
        "logs/{study}/fit_polynomials.log",
    localrule: True
    params:
        # definition.json is written before the first job; its digest here makes a change count.
        definition=lambda w: digest(of(w).study.regression.card),
    shell:
        "python -m pipeline.regress results/{wildcards.study}/regression/definition.json "
        "--study {wildcards.study} --out results/{wildcards.study}/regression > {log} 2>&1"
