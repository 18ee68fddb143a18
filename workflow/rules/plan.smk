# Stage 7: fitted laws and the backtest -> what each budget should buy.


rule plan_budgets:
    input:
        headline="results/{study}/headline.json",
        backtest="results/{study}/backtest.parquet",
        fits=lambda w: fits(w.study, of(w).read_by_plans),
        code=lambda w: law_modules("pipeline.plan", of(w).read_by_plans),
    output:
        table="results/{study}/plan.parquet",
        json="results/{study}/plan.json",
        text="results/{study}/plan.txt",
    log:
        "logs/{study}/plan_budgets.log",
    localrule: True
    params:
        laws=lambda w: of(w).read_by_plans,
        unplanned=lambda w: of(w).unplanned,
        options=plan_options,
        recipe=recipe,
    shell:
        "python -m pipeline.plan --fits results/{wildcards.study}/fits --laws {params.laws} "
        "--unplanned={params.unplanned:q} "
        "--headline {input.headline} --backtest {input.backtest} --recipe {params.recipe:q} "
        "{params.options} --out {output.table} --json {output.json} --text {output.text} "
        "> {log} 2>&1"


rule plan:
    input:
        expand("results/{study}/plan.txt", study=EXPERIMENTS),
    localrule: True
