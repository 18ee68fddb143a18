# Stage 7: fitted laws and the backtest -> what each budget should buy.
import json

PLAN_FILES = ("plan.parquet", "plan.json", "plan.txt")
# Beside laws of N and D: the batch, and what L(N, S) says of wrong sizes and of stopping early.
READ = [law for law in FITTED if law in (*SURFACES, "critical_batch", "kaplan_steps")]


def plan_options():
    """The options of the planner, from the config's section of that name."""
    asked = {key: value for key, value in STUDY.config["plan"].items() if key != "budgets"}
    given = [
        f"--{key.replace('_', '-')} {value}" for key, value in asked.items() if value is not None
    ]
    return " ".join(given + (["--flops", *map(repr, BUDGETS)] if BUDGETS else []))


def recipe():
    """How the study shapes and trains its models; nothing where it trains none."""
    if not STUDY.cells:
        return "{}"
    model, training = STUDY.config["model"], STUDY.config["training"]
    shape = {key: model[key] for key in ("aspect", "head_width", "max_layers", "context")}
    rules = {key: training[key] for key in ("learning_rate", "batch")}
    return json.dumps({**shape, **rules, "vocab_size": STUDY.cells[0].vocab_size}, sort_keys=True)


rule plan:
    input:
        headline=f"results/{STUDY.name}/headline.json",
        backtest=f"results/{STUDY.name}/backtest.parquet",
        fits=fits(READ),
        code=modules("pipeline.plan", *(LAWS[named(law)].module for law in READ)),
    output:
        expand(f"results/{STUDY.name}/{{file}}", file=PLAN_FILES),
    log:
        f"logs/{STUDY.name}/plan.log",
    localrule: True
    params:
        laws=READ,
        options=plan_options(),
        recipe=recipe(),
        folder=f"results/{STUDY.name}",
    shell:
        "python -m pipeline.plan --fits {params.folder}/fits --laws {params.laws} "
        "--headline {input.headline} --backtest {input.backtest} --recipe {params.recipe:q} "
        "{params.options} --out {params.folder}/plan.parquet --json {params.folder}/plan.json "
        "--text {params.folder}/plan.txt > {log} 2>&1"
