"""The plan stage: answers in text, JSON and Parquet, refusals with a sentence, errors with a cure."""

import json
import math
import shutil

import numpy as np
import pytest
from law_data import TOY_LOSSES, TOY_TOKENS, TRUTH, arrays
from test_fit import fitted, table

from pipeline import contracts
from pipeline.conventions import Convention
from pipeline.laws import law
from pipeline.laws.band import read
from pipeline.plan import main

LARGEST = 6.0 * max(TOY_LOSSES) * max(TOY_TOKENS)
RATE = 0.01  # of the made-up backtest


def backtest_rows(name, rate=RATE):
    """Errors of exactly the rate times ln f, of either sign, nothing of them noise."""
    size = max(TOY_LOSSES)
    for i, factor in enumerate((2.0, 4.0, 10.0, 30.0)):
        error, observed = (-1) ** i * rate * math.log(factor), TOY_LOSSES[size][i]
        yield {
            "law": name, "axis": "flops", "cutoff": 1e12, "cell": f"N{size}-D{TOY_TOKENS[i]}",
            "params": size, "tokens": TOY_TOKENS[i], "flops": 6.0 * size * TOY_TOKENS[i],
            "extrapolation": factor, "observed": observed,
            "predicted": observed * math.exp(-error), "low": None, "high": None, "level": 0.9, "error": 1.0,
            "covered": True, "compared": True, "points": 9, "status": "converged",
        }  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Fits of two laws of N and D and of one other, a backtest and a headline."""
    runs = table(tmp_path_factory.mktemp("study") / "runs.parquet")
    for name in ("power_tokens", "kaplan", "chinchilla"):
        assert fitted(runs, name)[0] == 0
    rows = [*backtest_rows("kaplan"), *backtest_rows("chinchilla", 3 * RATE)]
    contracts.write(runs.parent / "backtest.parquet", rows, contracts.BACKTEST)
    told = {"law": "kaplan", "reason": "least error on larger runs."}
    (runs.parent / "headline.json").write_text(json.dumps(told))
    return runs.parent


@pytest.fixture
def asked(study, tmp_path, capsys):
    """Ask the planner; gives exit status, JSON value, printed text and errors."""

    def ask(*options, law="kaplan"):
        chosen = ["--law", law] if law else []
        path = tmp_path / "plan.json"
        path.unlink(missing_ok=True)
        out = ["--json", str(path)]
        code = main(["--fits", str(study / "fits"), *chosen, *out, *map(str, options)])
        told = capsys.readouterr()
        value = json.loads(path.read_text()) if path.exists() else None
        return code, value, told.out, told.err

    return ask


def quantities(value, index=0):
    return value["plans"][index]["quantities"]


def test_a_budget_becomes_the_laws_optimum(study, asked):
    code, value, text, _ = asked("--flops", 2e14)
    assert code == 0
    saved = read(study / "fits" / "kaplan")
    best = law("kaplan").optimum(arrays(saved.values), np.array(2e14))
    found = quantities(value)
    for name in ("params", "tokens", "loss"):
        assert found[name]["value"] == pytest.approx(float(getattr(best, name)), rel=1e-6)
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    level = saved.card["bootstrap"].get("percentiles", saved.level)
    drawn = law("kaplan").optimum(saved.replicates, np.array(2e14))
    for name in ("params", "tokens"):
        ends = np.quantile(getattr(drawn, name), [0.5 - level / 2, 0.5 + level / 2])
        assert (found[name]["low"], found[name]["high"]) == pytest.approx(tuple(ends), rel=1e-6)
    assert found["loss"]["extrapolation"] == pytest.approx(2e14 / LARGEST)
    assert value["plans"][0]["points"] == 28
    assert value["plans"][0]["bottleneck"] == "compute-limited"
    assert "loss" in text
    assert "28 runs, 90% intervals" in text


def test_every_unit_asks_the_same_question(asked):
    speed = ["--gpu", "h100", "--mfu", 0.4]
    hours = 1e15 / (0.4 * 989e12) / 3600
    answers = [
        asked("--flops", 1e15, *speed)[1],
        asked("--pf-days", 1e15 / 8.64e19)[1],
        asked("--gpu-hours", hours, *speed)[1],
        asked("--money", 2.0 * hours, *speed, "--price-per-gpu-hour", 2)[1],
        asked(
            "--gpu-hours",
            hours,
            "--tokens-per-second",
            1e4,
            "--measured-params",
            0.4 * 989e12 / 6e4,
        )[1],
    ]
    sizes = [quantities(value)["params"]["value"] for value in answers]
    assert sizes == pytest.approx([sizes[0]] * 5, rel=1e-7)
    assert quantities(answers[3])["money"]["value"] == pytest.approx(2.0 * hours, rel=1e-6)
    assert quantities(answers[2])["gpu_hours"]["value"] == pytest.approx(hours, rel=1e-6)


def test_a_target_loss_and_its_budget_agree(asked):
    _, by_budget, _, _ = asked("--flops", 1e15)
    goal = quantities(by_budget)["loss"]["value"]
    _, by_loss, _, _ = asked("--target-loss", goal)
    found, expected = quantities(by_loss), quantities(by_budget)
    assert found["flops"]["value"] == pytest.approx(1e15, rel=1e-6)
    assert found["flops"]["low"] < 1e15 < found["flops"]["high"]
    assert found["params"]["value"] == pytest.approx(expected["params"]["value"], rel=1e-6)


def test_a_cap_alone_asks_for_the_run_that_fills_it(study, asked):
    values = arrays(read(study / "fits" / "kaplan").values)
    for cap, name in (("--max-params", "params"), ("--max-tokens", "tokens")):
        found = quantities(asked(cap, 5e6)[1])
        assert found[name]["value"] == pytest.approx(5e6, rel=1e-6)
        best = law("kaplan").optimum(values, np.array(found["flops"]["value"]))
        assert float(getattr(best, name)) == pytest.approx(5e6, rel=1e-5)
    for cap, limited in (("--max-params", "model-limited"), ("--max-tokens", "data-limited")):
        assert asked(cap, 5e6)[1]["plans"][0]["bottleneck"] == f"{limited}, by the cap"
    both = quantities(asked("--max-params", 1e6, "--max-tokens", 1e7)[1])
    assert (both["params"]["value"], both["tokens"]["value"]) == pytest.approx((1e6, 1e7), rel=1e-6)


def test_what_a_target_loss_costs_has_the_doubt_of_its_compute(asked):
    machine = ("--gpu", "h100", "--mfu", 0.4, "--price-per-gpu-hour", 2)
    found = quantities(asked("--target-loss", 2.6, *machine)[1])
    for name in ("pf_days", "gpu_hours", "days", "money"):
        for end in ("low", "high"):
            share = found[name][end] / found[name]["value"]
            assert share == pytest.approx(found["flops"][end] / found["flops"]["value"], rel=1e-9)
    assert quantities(asked("--flops", 1e15, *machine)[1])["money"]["low"] is None


def test_money_for_inference_is_told_apart(asked):
    machine = ("--gpu", "h100", "--mfu", 0.4, "--price-per-gpu-hour", 2)
    found = quantities(asked("--money", 1e-3, "--inference-tokens", 1e8, *machine)[1])
    served = found["inference_flops"]["value"] / (0.4 * 989e12) / 3600
    assert found["inference_gpu_hours"]["value"] == pytest.approx(served, rel=1e-9)
    assert found["inference_money"]["value"] == pytest.approx(2 * served, rel=1e-9)
    assert found["total_money"]["value"] == pytest.approx(1e-3, rel=1e-6)
    assert "price_2x_by_steps" not in found  # eq. B.16 asks of the best size for training alone


def test_a_model_that_no_gpu_holds_says_how_many_do(asked):
    tight = ("--gpu-memory", 5e7, "--mfu", 0.4, "--peak-flops", 1e12)
    recipe = ("--recipe", '{"vocab_size": 512, "context": 32, "aspect": 32, "head_width": 16}')
    _, value, text, _ = asked("--flops", 3e15, *tight, *recipe)
    found = quantities(value)
    least = found["least_gpus"]["value"]
    assert least > 1
    days = found["gpu_hours"]["value"] / least / 24
    told = " ".join(text.split())
    assert f"take {least:.0f} GPUs or more, which would train for {days:.3g} days" in told
    enough = asked("--flops", 3e15, *tight, *recipe, "--gpus", int(least))[2]
    assert "do not fit" not in enough


def test_a_token_cap_makes_the_run_limited_by_data(asked):
    _, value, text, _ = asked("--flops", 1e15, "--max-tokens", 1e6)
    assert quantities(value)["tokens"]["value"] == pytest.approx(1e6)
    assert value["plans"][0]["bottleneck"] == "data-limited"
    assert "Bottleneck: data-limited." in text


def test_distinct_tokens_that_the_law_does_not_take_are_said(asked):
    _, value, text, _ = asked("--flops", 1e14, "--unique-tokens", 1e6)
    plain = quantities(asked("--flops", 1e14)[1])
    assert quantities(value)["params"] == plain["params"]
    told = " ".join(text.split())
    assert "kaplan does not take unique tokens" in told
    assert "muennighoff" in told


def test_distinct_tokens_that_repeat_raise_the_loss_of_a_law_that_takes_them(
    study, tmp_path, capsys
):
    """Muennighoff et al. 2023: a hundred epochs of few tokens are worth far less than fresh ones."""
    fits, losses = tmp_path / "fits", []
    fits.mkdir()
    made_up(fits, "muennighoff", TRUTH["muennighoff"])
    points = contracts.read(study / "fits" / "kaplan" / "points.parquet", contracts.POINTS)
    contracts.write(fits / "muennighoff" / "points.parquet", points, contracts.POINTS)
    out = tmp_path / "plan.json"
    for more in ([], ["--unique-tokens", "1e5"]):
        ask = ["--fits", str(fits), "--law", "muennighoff", "--flops", "1e14", *more]
        assert main([*ask, "--json", str(out)]) == 0
        losses.append(quantities(json.loads(out.read_text()))["loss"]["value"])
    assert "does not take" not in capsys.readouterr().out
    assert losses[1] > 1.05 * losses[0]


def test_compute_that_would_raise_the_loss_is_left(study, tmp_path, capsys):
    """A penalty for repeats: ten times the compute of the best run there is buys the same run."""
    fits, out, found = tmp_path / "fits", tmp_path / "plan.json", []
    fits.mkdir()
    made_up(fits, "overfit_penalty", TRUTH["overfit_penalty"])
    points = contracts.read(study / "fits" / "kaplan" / "points.parquet", contracts.POINTS)
    contracts.write(fits / "overfit_penalty" / "points.parquet", points, contracts.POINTS)
    ask = ["--fits", str(fits), "--law", "overfit_penalty", "--unique-tokens", "1e9"]
    far = ["--supported", "1e9", "--refuse-beyond", "1e9", "--json", str(out)]
    for flops in ("1e19", "1e20", "1e21"):
        assert main([*ask, *far, "--flops", flops]) == 0
        found.append(json.loads(out.read_text())["plans"][0])
    few, more, most = (plan["quantities"] for plan in found)
    assert few["flops"]["value"] == pytest.approx(1e19, rel=1e-6)
    assert more["flops"]["value"] == pytest.approx(most["flops"]["value"], rel=1e-3)
    assert more["flops"]["value"] < 1e20
    assert most["loss"]["value"] == pytest.approx(more["loss"]["value"], rel=1e-9)
    assert [plan["bottleneck"] for plan in found[1:]] == ["limited by distinct tokens"] * 2
    assert "only fresh tokens lower it" in " ".join(capsys.readouterr().out.split())


def test_inference_takes_its_share_of_the_budget(asked):
    found = quantities(asked("--flops", 1e15, "--inference-tokens", 1e8)[1])
    spent = found["flops"]["value"] + found["inference_flops"]["value"]
    assert spent == pytest.approx(1e15, rel=1e-9)


def test_the_recipe_of_a_study_gives_shape_rate_batch_and_steps(asked):
    _, value, text, _ = asked("--flops", 1e15, "--study", "config.yaml")
    found = quantities(value)
    assert found["shape_params"]["value"] == pytest.approx(found["params"]["value"], rel=0.01)
    assert found["lr"]["value"] == pytest.approx(0.2 / found["d_model"]["value"])
    assert found["batch_tokens"]["value"] == 1024
    assert found["steps"]["value"] == math.ceil(found["tokens"]["value"] / 1024)
    assert "not measured" not in text
    _, value, text, _ = asked("--flops", 1e15)
    assert "Batch: not measured" in text
    assert "Learning rate: not measured" in text
    assert "lr" not in quantities(value)
    assert (
        quantities(asked("--flops", 1e15, "--batch-tokens", 500)[1])["batch_tokens"]["value"] == 500
    )


def test_the_recipe_of_the_study_that_was_fitted_is_taken_and_told(study, tmp_path, capsys):
    (tmp_path / "fits").symlink_to(study / "fits")
    ask = ["--fits", str(tmp_path / "fits"), "--law", "kaplan", "--flops", "1e15"]

    def told(*options):
        assert main([*ask, *options]) == 0
        return " ".join(capsys.readouterr().out.split())

    default = "shaped by default (context 2048, vocabulary 50257, aspect 128, heads of 128)"
    assert default in told()
    told("--recipe", "{}", "--json", str(tmp_path / "plan.json"))  # a study that trains nothing
    assert default in told()
    # As the workflow leaves it, which gives the recipe itself.
    plan, again = tmp_path / "plan.json", tmp_path / "again.json"
    assert "whose fits these are" not in told("--study", "config.yaml", "--json", str(plan))
    words = "recipe of the study whose fits these are (context 32, vocabulary 512, aspect 32, heads"
    assert words in told("--json", str(again))
    assert json.loads(again.read_text()) == json.loads(plan.read_text())
    assert quantities(json.loads(again.read_text()))["batch_tokens"]["value"] == 1024
    # Another recipe that is asked for counts.
    assert "context 2048" not in told("--recipe", "{}", "--json", str(again))
    assert "batch_tokens" not in quantities(json.loads(again.read_text()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "this is no plan"),
        ('{"recipe": {"aspect": -1}}', "aspect: -1 breaks the limit"),
        ('{"recipe": 3}', "is no JSON object"),
    ],
)
def test_a_plan_whose_recipe_cannot_be_read_is_named(study, tmp_path, capsys, content, message):
    (tmp_path / "fits").symlink_to(study / "fits")
    (tmp_path / "plan.json").write_text(content)
    ask = ["--fits", str(tmp_path / "fits"), "--law", "kaplan", "--flops", "1e15"]
    assert main(ask) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path}/plan.json: ")
    assert message in error
    assert error.endswith("make it again, or give --study\n")
    assert main([*ask, "--study", "config.yaml"]) == 0


def test_a_backtest_widens_the_loss_by_its_error_at_this_distance(study, asked):
    plain = quantities(asked("--flops", 10 * LARGEST)[1])["loss"]
    tested = quantities(
        asked("--flops", 10 * LARGEST, "--backtest", study / "backtest.parquet")[1]
    )["loss"]
    form = 1.6448536 * RATE * math.log(10)
    above = math.hypot(math.log(plain["high"] / plain["value"]), form)
    assert math.log(tested["high"] / tested["value"]) == pytest.approx(above, rel=1e-6)
    run, table = ("--params", 1e5, "--tokens", 1e6), study / "backtest.parquet"
    assert asked(*run)[1]["loss"] == asked(*run, "--backtest", table)[1]["loss"]


def test_far_out_other_laws_count_and_farther_nothing_does(study, asked):
    other = law("chinchilla").optimum(
        arrays(read(study / "fits" / "chinchilla").values), np.array(100 * LARGEST)
    )
    near = quantities(asked("--flops", 100 * LARGEST, "--supported", 200)[1])["params"]
    far = quantities(asked("--flops", 100 * LARGEST)[1])["params"]
    assert far["low"] == pytest.approx(min(near["low"], float(other.params)), rel=1e-6)
    assert far["high"] == pytest.approx(max(near["high"], float(other.params)), rel=1e-6)
    assert (far["low"], far["high"]) != (near["low"], near["high"])
    # Whatever a backtest says of the laws closer by.
    table = ("--backtest", study / "backtest.parquet")
    assert quantities(asked("--flops", 100 * LARGEST, *table)[1])["params"] == far
    code, value, text, _ = asked("--flops", 1001 * LARGEST)
    assert code == 2
    assert value["plans"][0]["quantities"] == {}
    assert "Refused:" in text
    assert "train larger runs first" in value["plans"][0]["refusal"]
    assert quantities(asked("--flops", 1001 * LARGEST, "--refuse-beyond", 2000)[1])


def test_one_law_alone_far_out_gives_no_interval(study, tmp_path, capsys):
    alone = tmp_path / "fits"
    alone.mkdir()
    (alone / "kaplan").symlink_to(study / "fits" / "kaplan")
    out = tmp_path / "plan.parquet"
    assert main(["--fits", str(alone), "--flops", str(100 * LARGEST), "--out", str(out)]) == 0
    rows = {row["quantity"]: row for row in contracts.read(out, contracts.PLAN).to_pylist()}
    assert rows["loss"]["low"] is rows["params"]["high"] is None
    assert "one law alone gives no interval" in capsys.readouterr().out


def test_without_a_question_multiples_of_the_largest_run_are_planned(study, tmp_path, capsys):
    out = tmp_path / "plan.parquet"
    headline = ["--headline", str(study / "headline.json")]
    assert main(["--fits", str(study / "fits"), *headline, "--out", str(out)]) == 0
    rows = contracts.read(out, contracts.PLAN).to_pylist()
    assert {row["law"] for row in rows} == {"kaplan"}
    flops = [row["value"] for row in rows if row["quantity"] == "flops"]
    assert flops == pytest.approx([10 * LARGEST, 100 * LARGEST, 1000 * LARGEST])
    assert "The backtest chose kaplan: least error" in " ".join(capsys.readouterr().out.split())


def test_without_a_headline_the_best_description_is_taken_and_doubted(study, tmp_path, capsys):
    (tmp_path / "headline.json").write_text('{"law": null, "reason": "No run was larger."}')
    for more in ([], ["--headline", str(tmp_path / "headline.json")]):
        assert main(["--fits", str(study / "fits"), "--flops", "1e14", *more]) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert "kaplan describes its own runs best" in told
        assert "says little about larger ones" in told
    assert "No run was larger" in told


@pytest.mark.parametrize("headline", ["kaplan", None])
def test_each_fit_is_read_once(study, tmp_path, monkeypatch, headline):
    (tmp_path / "headline.json").write_text(json.dumps({"law": headline, "reason": "Told."}))
    seen = []
    monkeypatch.setattr(
        "pipeline.planning.folder.read", lambda at: seen.append(at.name) or read(at)
    )
    of = ["--fits", str(study / "fits"), "--headline", str(tmp_path / "headline.json")]
    assert main([*of, "--flops", str(LARGEST)]) == 0
    assert sorted(seen) == ["chinchilla", "kaplan", "power_tokens"]


@pytest.mark.parametrize(
    ("options", "bottleneck"),
    [
        (("--params", 1e5, "--tokens", 1e8), "model-limited"),
        (("--params", 1e6, "--flops", 6e12), "data-limited"),
        (("--tokens", 1e8, "--flops", 6e13), "model-limited"),
        (("--params", 1e6, "--tokens", 1e7), "compute-limited"),  # in balance
        (("--params", 1e6, "--tokens", 1e7, "--flops", 1e13), "compute-limited"),
        (("--params", 1e5, "--tokens", 1e8, "--flops", 1e20), "model-limited"),
    ],
)
def test_the_loss_of_a_given_run(study, asked, options, bottleneck):
    code, value, text, _ = asked(*options)
    assert code == 0
    given = dict(zip(options[::2], options[1::2]))
    n = given.get("--params", given.get("--flops", 0) / 6 / given.get("--tokens", 1))
    d = min(given.get("--tokens", math.inf), given.get("--flops", math.inf) / 6 / n)
    expected = read(study / "fits" / "kaplan").predict(params=np.array([n]), tokens=np.array([d]))
    assert value["loss"]["value"] == pytest.approx(expected[0], rel=1e-12)
    assert value["loss"]["low"] < expected[0] < value["loss"]["high"]
    assert value["bottleneck"] == bottleneck
    assert bottleneck in text


def test_a_given_run_too_far_out_is_refused(asked):
    code, value, text, _ = asked("--params", 1e12, "--tokens", 1e7)
    assert code == 2
    assert value["loss"]["value"] is None
    assert "Refused: The run lies" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--flops", 1e15, "--money", 5), "--flops and --money: give the budget in one way"),
        (("--money", 5), "--money: 5.0 needs the speed of a GPU; add --mfu with --gpu"),
        (("--flops", -1), "--flops: -1.0 is not positive"),
        (("--flops", 1e15, "--max-params", 0), "--max-params 0: take one or more"),
        (("--flops", 1e15, "--inference-tokens", -5), "--inference-tokens -5"),
        (("--flops", 1e15, "--gpus", 0), "--gpus: 0 is not positive"),
        (("--flops", 1e15, "--supported", 50, "--refuse-beyond", 10), "1 <= supported <= refused"),
        (("--flops", 1e15, "--recipe", "{"), "--recipe"),
        (("--flops", 1e15, "--recipe", "[3]"), "--recipe: recipe: [3] is no JSON object"),
        (("--flops", 1e15, "--recipe", '{"width": 3}'), "width: 3 is an unknown key; did you mean"),
        (("--flops", 1e15, "--recipe", '{"aspect": "x"}'), "aspect: 'x' is not of type number"),
        (("--flops", 1e15, "--recipe", '{"aspect": -1}'), "aspect: -1 breaks the limit"),
        (("--flops", 1e15, "--recipe", '{"aspect": NaN}'), "NaN is no number"),
        (("--flops", 1e15, "--recipe", '{"head_width": 2.5}'), "head_width: 2.5 is not of type"),
        (("--flops", 1e15, "--recipe", '{"vocab_size": null}'), "vocab_size: None is not of type"),
        (("--flops", 1e15, "--recipe", '{"batch": 7}'), "batch: 7 is not of type object"),
        (("--flops", 1e15, "--recipe", '{"batch": {"rule": "power"}}'), "lacks coefficient"),
        (
            ("--flops", 1e15, "--recipe", '{"learning_rate": {"rule": "widht"}}'),
            "learning_rate.rule: 'widht' is not a known choice; did you mean 'width'?",
        ),
        (("--flops", 1e15, "--study", "nowhere.yaml"), "nowhere.yaml"),
        (("--flops", 1e15, "--batch-tokens", 1e-9), "--batch-tokens 1e-09: take one or more"),
        (("--flops", 1e15, "--batch-tokens", "nan"), "--batch-tokens nan: take one or more"),
        (("--flops", 1e15, "--batch-tokens", 1e15), "tokens in all; take fewer for a step"),
        (("--flops", 1e15, "--fold", 1e300), "--fold 1e+300: take at most 1e+06"),
        (("--flops", "-1e15"), "--flops: -1000000000000000.0 is not positive"),
        (("--money", "-2.5e3"), "--money: -2500.0 is not positive"),
        (("--params", 1e6), "two or three of"),
        (("--params", 1e6, "--flops", 1e15, 1e16), "give one amount"),
        (("--inference-tokens", 1e9, "--target-loss", 0), "--target-loss: 0.0 is not positive"),
    ],
)
def test_an_impossible_question_is_an_error_in_one_line(asked, options, message):
    code, _, _, err = asked(*options)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_the_status_tells_whether_there_is_any_plan(asked, tmp_path):
    """A table takes a refusal for its answer: a study asks for what it asks."""
    far = 1001 * LARGEST
    assert asked("--flops", far)[0] == asked("--flops", far, 2 * far)[0] == 2
    assert asked("--flops", LARGEST, far)[0] == 0
    assert asked("--flops", far, "--out", tmp_path / "plan.parquet")[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("power_tokens", "does not split a budget"), ("farthest", "holds no fit of it")],
)
def test_a_law_that_cannot_plan_is_refused(asked, name, message):
    code, _, _, err = asked("--flops", 1e15, law=name)
    assert code == 2
    assert message in err


def test_a_folder_without_fits_is_refused(study, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for fits, message in (
        (
            tmp_path / "none",
            "none: there is no such folder; give the one that holds a study's fits",
        ),
        (tmp_path / "empty", "empty: this folder holds no fit; make some with python -m"),
        (study / "fits" / "kaplan", f"the folder of one law; give the one above, {study / 'fits'}"),
    ):
        assert main(["--fits", str(fits), "--flops", "1e15"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: --fits ")
        assert message in said
    assert main(["--fits", str(tmp_path / "none"), "--laws"]) == 2
    assert "No law of N and D" in capsys.readouterr().out


def test_a_law_of_the_datasets_tokens_plans_nothing_for_its_own_reason(study, tmp_path, capsys):
    """Not for a poor fit: it may be the very fit of the best law, whose D no budget pays for."""
    shutil.copytree(study / "fits" / "kaplan", tmp_path / "fits" / "kaplan")
    path, out = tmp_path / "fits" / "kaplan" / "card.json", tmp_path / "plan.parquet"
    card = json.loads(path.read_text())
    card["convention"]["tokens"] = "unique_tokens"
    path.write_text(json.dumps(card))
    ask = ["--fits", str(tmp_path / "fits"), "--flops", "1e13"]
    headline = ["--headline", str(study / "headline.json")]
    assert main([*ask, *headline, "--out", str(out)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith(
        "kaplan was fitted to the tokens of datasets (fit.tokens: unique_tokens)"
    )
    assert "well enough" not in told
    assert len(contracts.read(out, contracts.PLAN)) == 0
    assert main([*ask, "--law", "kaplan"]) == 2
    assert "--law kaplan: it was fitted to the tokens of datasets" in capsys.readouterr().err
    # A workflow knows it before there is any fit, and says so.
    given = ["--fits", str(tmp_path / "none"), "--laws", "--unplanned", "No budget pays for D."]
    assert main([*given, *headline, "--out", str(out)]) == 0
    assert capsys.readouterr().out == "No budget pays for D.\n"


def test_a_study_that_trains_nothing_has_no_recipe(asked):
    code, value, text, _ = asked("--flops", 1e15, "--study", "studies/imported.yaml")
    assert code == 0
    assert value == asked("--flops", 1e15)[1]
    assert "Learning rate: not measured" in text


def test_a_loss_below_the_floor_is_refused_in_words(tmp_path, study, asked):
    code, value, text, _ = asked("--target-loss", 1e-9)
    assert code == 2
    assert "Refused" in text
    assert value["plans"][0]["refusal"]


def test_a_fit_of_too_few_runs_is_no_ground_for_a_plan(tmp_path, capsys):
    rows = contracts.read(table(tmp_path / "all.parquet"), contracts.RUNS).to_pylist()[:2]
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    fitted(tmp_path / "runs.parquet", "kaplan")
    capsys.readouterr()
    assert main(["--fits", str(tmp_path / "fits"), "--law", "kaplan", "--flops", "1e15"]) == 2
    assert "2 runs are too few" in capsys.readouterr().err
    out = tmp_path / "plan.parquet"
    assert main(["--fits", str(tmp_path / "fits"), "--flops", "1e15", "--out", str(out)]) == 0
    assert "is fitted well enough to plan with" in capsys.readouterr().out
    assert contracts.read(out, contracts.PLAN).num_rows == 0


def test_rows_keep_the_contract_and_text_is_what_was_printed(study, tmp_path, capsys):
    out, text = tmp_path / "plan.parquet", tmp_path / "deep" / "plan.txt"
    arguments = ["--fits", str(study / "fits"), "--law", "kaplan", "--flops", "1e14", "1e15"]
    assert main([*arguments, "--out", str(out), "--text", str(text)]) == 0
    assert text.read_text() == capsys.readouterr().out
    rows = contracts.read(out, contracts.PLAN).to_pylist()
    assert {row["asked"] for row in rows} == {"flops = 1e+14", "flops = 1e+15"}
    for row in rows:
        assert row["low"] is None or row["low"] <= row["high"]


def made_up(folder, name, values, replicates=20):
    """A fit of a law with given parameters, on disk."""
    stored = [
        {"law": name, "parameter": key, "value": value, "low": None, "high": None, "level": 0.9,
         "status": "converged", "reason": "Given.", "objective": 0.0, "starts": 1, "points": 9}
        for key, value in values.items()
    ]  # fmt: skip
    drawn = [
        {"replicate": i, "parameter": key, "value": value}
        for i in range(replicates)
        for key, value in values.items()
    ]
    contracts.write(folder / name / "parameters.parquet", stored, contracts.PARAMETERS)
    contracts.write(folder / name / "bootstrap.parquet", drawn, contracts.BOOTSTRAP)
    card = {"law": name, "status": "converged", "convention": Convention().card}
    (folder / name / "card.json").write_text(json.dumps(card))


def test_fitted_laws_of_settings_give_rate_and_batch(study, tmp_path):
    """Li et al. 2025: lr = 1.79 N^-.713 D^.307 and B = .58 D^.571."""
    fits, out = tmp_path / "fits", tmp_path / "plan.json"
    fits.mkdir()
    (fits / "kaplan").symlink_to(study / "fits" / "kaplan")
    made_up(fits, "step_law_lr", {"c": 1.79, "alpha": 0.713, "beta": 0.307})
    made_up(fits, "step_law_batch", {"c": 0.58, "beta": 0.571})
    ask = ["--fits", str(fits), "--law", "kaplan", "--flops", "1e13", "--json", str(out)]
    assert main(ask) == 0
    found = quantities(json.loads(out.read_text()))
    n, d = found["params"]["value"], found["tokens"]["value"]
    assert found["lr"]["value"] == pytest.approx(1.79 * n**-0.713 * d**0.307, rel=1e-9)
    assert found["batch_tokens"]["value"] == pytest.approx(0.58 * d**0.571, rel=1e-9)
    growth = found["fold_tokens"]["value"] ** 0.571
    assert found["fold_batch"]["value"] == pytest.approx(growth, rel=1e-9)


def test_fits_headlines_and_backtests_of_other_runs_are_refused(study, asked, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    runs = table(other / "runs.parquet", loss=9.0)
    assert fitted(runs, "chinchilla")[0] == 0
    fits = tmp_path / "fits"
    fits.mkdir()
    (fits / "kaplan").symlink_to(study / "fits" / "kaplan")
    (fits / "chinchilla").symlink_to(other / "fits" / "chinchilla")
    ask = ["--fits", str(fits), "--flops", "1e14"]
    assert main([*ask, "--law", "kaplan"]) == 2
    assert "chinchilla was fitted to other runs than kaplan" in capsys.readouterr().err
    assert main([*ask, "--law", "kaplan", "--laws", "kaplan"]) == 0
    told = {"law": "kaplan", "reason": "Best.", "runs_sha256": "0" * 64}
    (tmp_path / "headline.json").write_text(json.dumps(told))
    ask = ["--fits", str(study / "fits"), "--flops", "1e14"]
    assert main([*ask, "--headline", str(tmp_path / "headline.json")]) == 2
    assert "chosen on other runs" in capsys.readouterr().err
    rows = [row | {"observed": 9.0} for row in backtest_rows("kaplan")]
    contracts.write(tmp_path / "backtest.parquet", rows, contracts.BACKTEST)
    code, _, _, err = asked("--flops", 1e14, "--backtest", tmp_path / "backtest.parquet")
    assert code == 2
    assert "none of the runs behind the fit of kaplan" in err


def test_a_split_that_the_runs_do_not_determine_is_said(study, tmp_path, capsys):
    shutil.copytree(study / "fits" / "kaplan", tmp_path / "fits" / "kaplan")
    path = tmp_path / "fits" / "kaplan" / "card.json"
    ask = ["--fits", str(tmp_path / "fits"), "--law", "kaplan", "--flops", "1e13"]
    assert main(ask) == 0
    assert "do not determine how a budget splits" not in " ".join(capsys.readouterr().out.split())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"allocation": None}))
    assert main(ask) == 0
    assert "do not determine how a budget splits" in " ".join(capsys.readouterr().out.split())


def test_fits_of_batch_and_steps_tell_batch_split_and_stopping(study, tmp_path, capsys):
    """Kaplan et al. 2020: B_crit at loss 3 is 1.07e6 tokens; B grows by the loss's own power."""
    fits = tmp_path / "fits"
    fits.mkdir()
    (fits / "kaplan").symlink_to(study / "fits" / "kaplan")
    made_up(fits, "critical_batch", {"B": 2e8, "alpha_B": 0.21})
    made_up(fits, "kaplan_steps", {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76})
    out = tmp_path / "plan.json"
    assert (
        main(["--fits", str(fits), "--law", "kaplan", "--flops", "1e13", "--json", str(out)]) == 0
    )
    found = quantities(json.loads(out.read_text()))
    loss = found["loss"]["value"]
    assert found["batch_tokens"]["value"] == pytest.approx(
        1.07e6 * (3 / loss) ** (1 / 0.21), rel=0.01
    )
    growth = found["fold_loss"]["value"] ** (-1 / 0.21)
    assert found["fold_batch"]["value"] == pytest.approx(growth, rel=1e-9)
    assert found["fold_steps"]["value"] * growth == pytest.approx(
        found["fold_tokens"]["value"], rel=1e-9
    )
    # B.16 for half and twice the size: (N/Neff) [1 + (aS/aN)(1 - (Neff/N)^aN)]^(-1/aS).
    for name, factor in (("price_0.5x_by_steps", 0.5), ("price_2x_by_steps", 2.0)):
        inner = 1 + 0.76 / 0.077 * (1 - factor**-0.077)
        assert found[name]["value"] == pytest.approx(factor * inner ** (-1 / 0.76), rel=1e-9)
    saved = read(study / "fits" / "kaplan")
    n = found["params"]["value"]
    there, ever = (saved.predict(params=np.array([n]), tokens=np.array([d]))[0]
                   for d in (found["tokens"]["value"], 1e40))  # fmt: skip
    bound = 2.1e3 / (there - ever) ** (1 / 0.76)
    assert found["earliest_stop"]["value"] == pytest.approx(bound, rel=1e-6)
