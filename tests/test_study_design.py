import json
import os
from collections import Counter

import pytest

from pipeline import config
from pipeline.config import ConfigError
from pipeline.study import design, listing

SMALL = {
    "study": "small",
    "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
    "grid": {"sizes": [{"n_layer": 2, "d_model": 32, "n_head": 2}, 1e5], "tokens": ["1e6", 2e6]},
}


def study(**changes):
    """SMALL with whole sections merged in, as a Study."""
    merged = json.loads(json.dumps(SMALL))
    for section, values in changes.items():
        merged[section] = {**merged.get(section, {}), **values}
    return design.study(config.complete(merged))


def test_sizes_are_crossed_with_tokens_and_seeds():
    found = study(grid={"seeds": [0, 1]})
    assert len(found.cells) == 2 * 2 * 2
    assert {cell.seed for cell in found.cells} == {0, 1}
    assert len(found.trunks) == 4
    assert all(len(cells) == 2 for cells in found.trunks.values())
    assert [c.tokens for c in next(iter(found.trunks.values()))] == [977 * 1024, 1953 * 1024]


def test_tokens_per_parameter_and_budgets():
    merged = json.loads(json.dumps(SMALL))
    del merged["grid"]["tokens"]
    merged["grid"]["tokens_per_param"] = [40]
    for cell in design.study(config.complete(merged)).cells:
        assert cell.tokens / cell.params == pytest.approx(40, rel=0.01)
    del merged["grid"]["tokens_per_param"]
    merged["grid"]["budgets"] = ["1e12"]
    for cell in design.study(config.complete(merged)).cells:
        assert cell.flops_6nd == pytest.approx(1e12, rel=0.01)
    merged["grid"]["budget_convention"] = "exact"
    for cell in design.study(config.complete(merged)).cells:
        assert cell.flops_exact == pytest.approx(1e12, rel=0.01)
    merged["grid"]["max_tokens"] = 10
    with pytest.raises(ConfigError, match="holds no cell"):
        design.study(config.complete(merged))


def test_one_study_holds_several_families_and_contexts():
    shape = {"n_layer": 2, "d_model": 32}
    sizes = [
        {**shape, "n_head": 2}, {**shape, "family": "lstm"}, {"params": 1e5, "family": "lstm"},
        {**shape, "n_head": 2, "family": "recurrent"},
        {**shape, "n_head": 2, "family": "recurrent", "reuse": 4, "dropout": 0.1},
        {**shape, "n_head": 32, "context": 8, "ff_ratio": 0.5}, {"params": 1e5, "aspect": 2},
    ]  # fmt: skip
    found = study(model={"reuse": 2}, grid={"sizes": sizes, "tokens": [1e6]}).cells
    told = [
        ("transformer", 1, 24576, 128, 0.0), ("lstm", 1, 16384, 128, 0.0),
        ("lstm", 1, 99856, 128, 0.0),  # 2 layers of 79 come within 0.2 %
        ("recurrent", 2, 24576, 128, 0.0), ("recurrent", 4, 24576, 128, 0.1),
        ("transformer", 1, 10240, 8, 0.0),
    ]  # fmt: skip
    assert [(c.family, c.reuse, c.params, c.context, c.dropout) for c in found[:6]] == told
    assert (found[5].d_ff, found[5].n_head, found[1].d_ff, found[1].n_head) == (16, 32, 0, 0)
    assert found[6].d_model / found[6].n_layer < 4
    assert len({cell.trunk for cell in found}) == 7
    printed = listing.table(study(model={"reuse": 2}, grid={"sizes": sizes, "tokens": [1e6]}).cells)
    for word in ("2x32(lstm)", "2x32(ff128,h2,x4)", "2x32(ff16,h32)"):
        assert word in printed


def test_families_are_crossed_with_batches_rates_schedules_and_datasets():
    sizes = [{"n_layer": 2, "d_model": 32, "family": "lstm", "context": 64},
             {"n_layer": 1, "d_model": 32, "family": "recurrent", "reuse": 2, "dropout": 0.1}]  # fmt: skip
    axes = {"batches": [256, 512], "rates": [1.0, 2.0], "unique_tokens": [1e5, None]}
    schedules = [{"name": "constant"}, {"name": "cosine"}]
    grid = {"sizes": sizes, **axes, "schedules": schedules, "tokens": [1e6], "seeds": [0, 1]}
    found = study(grid=grid).cells
    assert len({cell.key for cell in found}) == len(found) == 2**6
    models = Counter((c.family, c.reuse, c.context, c.dropout) for c in found)
    assert models == {("lstm", 1, 64, 0.0): 32, ("recurrent", 2, 128, 0.1): 32}
    for name in ("batch_tokens", "lr", "schedule", "unique_tokens", "seed"):
        assert set(Counter((c.family, getattr(c, name)) for c in found).values()) == {16}


def test_a_family_of_the_whole_study():
    found = study(model={"family": "lstm"}, grid={"sizes": [{"n_layer": 4, "d_model": 16}, 1e6]})
    assert {cell.family for cell in found.cells} == {"lstm"}
    assert found.cells[0].params == 8 * 4 * 16**2


def test_a_budget_pays_for_every_use_of_a_weight():
    merged = json.loads(json.dumps(SMALL))
    shape = {"n_layer": 2, "d_model": 32, "n_head": 2}
    merged["grid"] = {"sizes": [shape, {**shape, "family": "recurrent", "reuse": 4}],
                      "budgets": ["4e11"]}  # fmt: skip
    plain, again = design.study(config.complete(merged)).cells
    assert plain.tokens / again.tokens == pytest.approx(4, rel=0.01)
    assert again.flops_6nd == pytest.approx(4e11, rel=0.01)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "width", "hidden": 0.32, "embedding": 0.64}, (0.01, 0.02)),
        ({"rule": "fixed", "value": 0.003}, (0.003, 0.003)),
        ({"rule": "power", "coefficient": 2.0, "exponent": -0.5}, (2 / 24576**0.5,) * 2),
        # Kaplan et al. 2020, eq. D.1, at N = 24576.
        ({"rule": "kaplan"}, (0.00182872, 0.00182872)),
    ],
)
def test_learning_rate_rules(rule, expected):
    cell = study(training={"learning_rate": rule}).cells[0]
    assert (cell.lr, cell.lr_embedding) == pytest.approx(expected, rel=1e-4)


def test_datasets_are_crossed_with_sizes_and_tokens():
    found = study(grid={"unique_tokens": ["5e5", None, 2e6]})
    assert len(found.cells) == 2 * 2 * 3
    assert [cell.unique_tokens for cell in found.cells[:3]] == [500_000, None, 2_000_000]
    # One dataset, or none, is what it was without the list.
    plain = {cell.key for cell in study().cells}
    assert plain == {cell.key for cell in found.cells if cell.unique_tokens is None}
    one = study(grid={"unique_tokens": 5e5}).cells
    assert {c.key for c in one} == {c.key for c in found.cells if c.unique_tokens == 500_000}
    assert len(found.trunks) == 2 * 3


def test_an_overfitting_grid_with_early_stopping():
    training = {"schedule": {"name": "cosine", "warmup_steps": 100}, "early_stopping": 5,
                "evaluate_every": 100}  # fmt: skip
    found = study(grid={"unique_tokens": [1e5, 1e6]}, training=training, model={"dropout": 0.1})
    assert len(found.cells) == 2 * 2 * 2
    assert {(c.patience, c.evaluate_every, c.dropout) for c in found.cells} == {(5, 100, 0.1)}
    assert found.trunks == {}


def test_schedules_are_crossed_with_all_cells():
    schedules = [
        {"name": "wsd"}, {"name": "wsd", "cooldown": 0.5}, {"name": "constant", "peak": 0.5},
        {"name": "polynomial", "power": 2}, {"name": "exponential", "final": 0.01},
        {"name": "inverse_sqrt"}, {"name": "linear", "warmup_steps": 200},
    ]  # fmt: skip
    found = study(grid={"schedules": schedules})
    assert len(found.cells) == 2 * 2 * 7
    first = found.cells[:7]
    assert first[0].key == study().cells[0].key
    assert [c.cooldown_steps for c in first] == [195, 488, 0, 0, 0, 0, 0]
    assert first[2].lr == first[0].lr / 2
    assert first[2].lr_embedding == first[0].lr_embedding / 2
    assert (first[3].schedule_power, first[4].final_lr, first[6].warmup_steps) == (2.0, 0.01, 200)
    assert first[0].trunk == first[1].trunk


def test_texts_along_the_curve_are_named():
    texts = [{"name": n, "sources": [{"package": n}]} for n in ("code", "bible")]
    found = study(evaluation={"corpora": texts, "along": ["bible"]})
    assert found.cells[0].along == (found.evaluation[1].key,)
    assert found.cells[0].evaluate == tuple(text.key for text in found.evaluation)
    with pytest.raises(
        ConfigError, match=r"evaluation\.along\[0\]: 'bibel' .*did you mean 'bible'"
    ):
        study(evaluation={"corpora": texts, "along": ["bibel"]})


def test_one_size_can_have_its_own_learning_rate_and_batch():
    own = {"n_layer": 2, "d_model": 32, "n_head": 2, "lr": 0.5, "batch_tokens": 2048}
    changed = study(grid={"sizes": [own, 1e5]})
    before = study()
    assert {c.key for c in before.cells[2:]} == {c.key for c in changed.cells[2:]}
    assert changed.cells[0].lr == 0.5
    assert changed.cells[0].steps == 488


def test_batch_by_a_power_of_the_size_is_whole_sequences():
    cells = study(training={"batch": {"rule": "power", "coefficient": 10, "exponent": 0.5}}).cells
    assert cells[0].batch_tokens == 12 * 128
    assert cells[0].tokens == cells[0].steps * cells[0].batch_tokens


def test_batch_sizes_are_scanned_with_their_own_tokens_and_rates():
    batches = [256, {"batch_tokens": 512, "tokens": [5e5], "rates": [0.5, 3.0]}]
    found = study(grid={"sizes": [1e5], "batches": batches, "rates": [1.0, 2.0]}).cells
    before = study(grid={"sizes": [1e5]}).cells[0]
    lr = found[0].lr
    assert lr == before.lr
    assert [(c.batch_tokens, c.tokens, round(c.lr / lr, 9)) for c in found] == [
        (256, 3906 * 256, 1), (256, 7812 * 256, 1), (256, 3906 * 256, 2), (256, 7812 * 256, 2),
        (512, 977 * 512, 0.5), (512, 977 * 512, 3),
    ]  # fmt: skip
    assert found[4].lr_embedding / before.lr_embedding == 0.5
    merged = json.loads(json.dumps(SMALL))
    merged["grid"] = {"sizes": [1e5], "batches": batches[1:]}  # the batch gives the tokens
    assert [c.batch_tokens for c in design.study(config.complete(merged)).cells] == [512, 512]


def test_one_rate_of_one_leaves_every_cell_as_it_was():
    own = {"n_layer": 2, "d_model": 32, "n_head": 2, "lr": 1, "batch_tokens": 2048}
    scanned = {key: value for key, value in own.items() if key != "batch_tokens"}
    plain = study(grid={"sizes": [own]}).cells
    assert [c.key for c in study(grid={"sizes": [own], "rates": [1.0]}).cells] == [
        c.key for c in plain
    ]
    batches = study(grid={"sizes": [scanned], "batches": [2048]}).cells
    assert [c.key for c in batches] == [c.key for c in plain]


def test_the_critical_batch_is_measured_at_losses_given_or_chosen():
    scan = {"grid": {"batches": [128, 256, 512, 1024]}}
    assert not study(**scan).measures_batches
    assert study(**scan, critical_batch={"measure": True}).losses is None
    assert study(**scan, critical_batch={"measure": True, "losses": ["3.5", 3]}).losses == [
        3.5,
        3.0,
    ]
    with pytest.raises(ConfigError, match=r"critical_batch\.losses\[1\]: -3 is not positive"):
        study(critical_batch={"losses": [3.5, -3]})
    with pytest.raises(
        ConfigError, match=r"critical_batch\.losses\[0\]: '0' is not positive; give nats"
    ):
        study(**scan, critical_batch={"measure": True, "losses": ["0"]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critical_batch": {"measure": True}},
         r"critical_batch\.measure: True needs 4 batch sizes .* no model has more than 1; give 4 grid\.batches"),
        ({"critical_batch": {"measure": True}, "grid": {"batches": [256, 512, 1024]}},
         r"critical_batch\.measure: True needs 4 .* no model has more than 3; give 4 grid\.batches or more"),
        ({"critical_batch": {"measure": True}, "grid": {"batches": [128, 256, 512, 1024]},
          "training": {"schedule": {"name": "cosine"}}},
         r"critical_batch\.measure: True needs points .* peak learning rate, which cosine never holds; "
         r"set training\.schedule\.name to constant or wsd, or leave it out"),
        # Only three batch sizes of these have a schedule whose curves count.
        ({"critical_batch": {"measure": True},
          "grid": {"batches": [128, 256, 512], "schedules": [{"name": "cosine"}, {"name": "constant"}]}},
         r"critical_batch\.measure: True needs 4 .* no model has more than 3"),
        # Each of these four batch sizes is that of another model.
        ({"critical_batch": {"measure": True}, "grid": {"sizes": [
            {"n_layer": n, "d_model": 32, "n_head": 2, "batch_tokens": 128 * n} for n in (1, 2, 3, 4)]}},
         r"critical_batch\.measure: True needs 4 .* no model has more than 1"),
        ({"grid": {"batches": [256, 1000]}}, r"grid\.batches\[1\]\.batch_tokens: 1000 is no multiple"),
        ({"grid": {"sizes": [{"params": 1e5, "context": 24}], "batches": [240, 256]}},
         r"grid\.batches\[1\]\.batch_tokens: 256 is no multiple of grid\.sizes\[0\]\.context = 24"),
        ({"grid": {"sizes": [{"params": 1e5, "batch_tokens": 256}], "batches": [256, 512]}},
         r"grid\.sizes\[0\]\.batch_tokens: 256 is given beside grid\.batches"),
        ({"grid": {"batches": [{"batch_tokens": 256, "tokens": [0]}]}},
         r"grid\.batches\[0\]\.tokens\[0\]: 0 is not positive"),
        ({"grid": {"sizes": [{"n_layer": 2, "d_model": 32, "n_head": 3}]}},
         r"sizes\[0\]\.n_head: 3 does not divide d_model = 32"),
        ({"grid": {"sizes": [{"n_layer": 2}]}}, "lacks d_model"),
        ({"grid": {"sizes": [{"n_layer": 2, "d_model": 8, "reuse": 2}]}},
         r"sizes\[0\]\.reuse: 2 means nothing in the family transformer"),
        ({"grid": {"sizes": [{"n_layer": 2, "d_model": 8, "n_head": 2, "family": "lstm"}]}},
         r"sizes\[0\]\.n_head: 2 means nothing in the family lstm"),
        *(({"model": {"family": "lstm"}, "grid": {"sizes": [{**size, name: 2}]}},
           rf"sizes\[0\]\.{name}: 2 means nothing in the family lstm; leave it out, or take")
          for size in ({"n_layer": 2, "d_model": 8}, {"params": 1e5})
          for name in ("d_ff", "n_head", "ff_ratio", "head_width")),
        *(({"grid": {"sizes": [{"n_layer": 2, "d_model": 8, name: 3, given: 2}]}},
           rf"sizes\[0\]\.{name}: 3 has no use beside {given}; leave one of them out")
          for name, given in (("aspect", "n_layer"), ("max_layers", "n_layer"), ("ff_ratio", "d_ff"),
                              ("head_width", "n_head"))),
        ({"grid": {"sizes": [{"n_layer": 2, "d_model": 8, "family": "lstm", "max_layers": 9}]}},
         r"sizes\[0\]\.max_layers: 9 has no use beside n_layer"),
        ({"model": {"reuse": 2}}, r"model\.reuse: 2 is used by no size"),
        ({"grid": {"sizes": [{"n_layer": 2, "d_model": 8, "context": 24}]}},
         r"1024 is no multiple of grid\.sizes\[0\]\.context = 24; take 1032"),
        ({"grid": {"sizes": [{"params": 1e5, "n_layer": 2}]}}, "both params and n_layer"),
        ({"grid": {"sizes": [3]}}, "met within 1 % by no shape"),
        ({"grid": {"sizes": [1e5, 1e5]}}, "is defined twice"),
        ({"grid": {"tokens": [1e6, 1.0001e6]}}, "is defined twice"),
        ({"grid": {"unique_tokens": 0}}, r"grid\.unique_tokens: 0 is less than 1"),
        ({"grid": {"unique_tokens": [None, 0]}}, r"grid\.unique_tokens\[1\]: 0 is less than 1"),
        ({"grid": {"unique_tokens": [5e5, 500_000]}}, "is defined twice"),
        ({"training": {"early_stopping": 3}},
         r"schedule\.name: 'wsd' does not go with training\.early_stopping"),
        ({"grid": {"schedules": [{"name": "linear"}, {"name": "exponential"}]}},
         r"schedules\[1\]\.final: 0 is never reached by exponential"),
        ({"training": {"schedule": {"name": "cosine", "power": 2}}},
         r"schedule\.power: 2 has no use under cosine; take polynomial"),
        ({"grid": {"tokens": [0]}}, r"grid\.tokens\[0\]: 0 is not positive"),
        ({"grid": {"budgets": [1e15]}}, "give exactly one of"),
        ({"grid": {"tokens": [3e4]}}, r"warmup_steps: 50 leaves no step after warmup.*29 steps"),
        ({"training": {"batch": {"tokens": 1.024e9}}},
         r"grid\.tokens\[0\]: 1000000\.0 is not even one step, which takes 1024000000 tokens; take more "
         r"tokens, or a smaller batch \(training\.batch"),
        ({"training": {"batch": {"tokens": 1000}}}, r"1000 is no multiple of model\.context = 128"),
        ({"training": {"batch": {"rule": "power"}}}, "lacks coefficient"),
        ({"training": {"learning_rate": {"rule": "fixed"}}}, "lacks value"),
        ({"corpus": {"tokenizer": {"vocab_size": 300, "name": "gpt2"}}}, "makes two choices"),
        ({"corpus": {"tokenizer": {"file": "none.json"}}}, "none.json' is no readable"),
        ({"corpus": {"sources": [{"package": "poetry", "files": "a.txt"}]}}, "names 2 kinds"),
        ({"corpus": {"sources": [{"synthetic": {}}, {"package": "code"}]}}, "cannot be mixed"),
        ({"corpus": {"sources": [{"synthetic": {}}], "tokenizer": {"vocab_size": 300}}}, "no use"),
        ({"corpus": {"validation_bytes": 0}}, r"corpus\.validation_bytes: 0 is less than 1"),
        ({"corpus": {"sources": [{"synthetic": {}}]},
          "evaluation": {"corpora": [{"name": "a", "sources": [{"package": "code"}]}]}},
         r"evaluation\.corpora\[0\]: 'a' is text, which a model of a synthetic"),
        ({"evaluation": {"corpora": [{"name": "a", "sources": [{"package": "code"}]}] * 2}},
         "repeats a name"),
        ({"evaluation": {"corpora": [{"name": "a", "sources": [{"synthetic": {}}]}]}}, "is not text"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_key(changes, message):
    with pytest.raises(ConfigError, match=message):
        study(**changes)


def test_a_whole_number_with_a_point_is_the_number():
    """The cells, and the keys that they have, are those of 1024."""
    whole, pointed = (study(training={"batch": {"tokens": value}}) for value in (1024, 1.024e3))
    assert [cell.key for cell in pointed.cells] == [cell.key for cell in whole.cells]


def test_a_study_cannot_take_a_folder_of_the_results():
    with pytest.raises(ConfigError, match="study: 'cells'"):
        design.study(config.complete({**SMALL, "study": "cells"}))


def test_tokens_beyond_the_corpus_are_refused_as_soon_as_they_are_known(tmp_path):
    with pytest.raises(ConfigError, match=r"grid\.tokens: .* more than the 121,800,000"):
        design.check_corpus(study(grid={"tokens": [2e8]}), tmp_path)
    found = study()
    design.check_corpus(found, tmp_path)
    card = tmp_path / "corpora" / found.corpus.key / "corpus.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"tokens": {"train": 1_500_000}}))
    with pytest.raises(ConfigError, match="more than the 1,500,000 training tokens"):
        design.check_corpus(found, tmp_path)
    with pytest.raises(ConfigError) as refused:
        design.check_corpus(study(grid={"unique_tokens": 1.6e6}), tmp_path)
    assert str(refused.value).startswith("grid.unique_tokens: 1600000 is more than")
    assert "set grid.unique_tokens" not in str(refused.value)
    design.check_corpus(study(grid={"unique_tokens": 1e6}), tmp_path)


def test_definitions_are_written_once(tmp_path):
    found = study(evaluation={"corpora": [{"name": "a", "sources": [{"package": "code"}]}]})
    design.write_definitions(found, tmp_path)
    files = sorted(p for p in tmp_path.rglob("*.json"))
    assert len(files) == len(found.cells) + 3
    before = {path: path.stat().st_mtime_ns for path in files}
    design.write_definitions(found, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    spec = json.loads((tmp_path / "cells" / found.cells[0].key / "spec.json").read_text())
    assert design.Cell.from_spec(spec) == found.cells[0]


def test_files_of_a_source_are_found_by_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        (tmp_path / "texts" / name).write_text("x")
    found = study(corpus={"sources": [{"files": ["texts/*.txt", "texts/**/c.txt"]}]})
    assert found.corpus.files == [
        os.path.join("texts", "a.txt"), os.path.join("texts", "b.txt"),
        os.path.join("texts", "deep", "c.txt"),
    ]  # fmt: skip


def test_the_vocabulary_of_an_existing_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2}]}))
    assert study(corpus={"tokenizer": {"file": str(path)}}).cells[0].vocab_size == 3
    assert study(corpus={"tokenizer": {"name": "gpt2"}}).cells[0].vocab_size == 50257
    synthetic = [{"synthetic": {"symbols": 40}}]
    assert study(corpus={"sources": synthetic}).cells[0].vocab_size == 40


def test_a_study_of_imported_runs_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.csv").write_text("N,D,loss\n1e8,2e9,3\n")
    item = {"name": "ours", "file": "ours.csv", "evaluations": {"code": "code"}}
    found = design.study(config.complete({"study": "alone", "runs": [item]}))
    assert (found.corpus, found.cells, found.trunks) == (None, (), {})
    assert found.texts == ["code"]
    assert found.card["imports"] == ["ours"]
    design.check_corpus(found, tmp_path)
    design.write_definitions(found, tmp_path)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")}
    assert written == {"alone/design.json", "alone/imports/ours/definition.json"}


def test_tasks_are_part_of_the_cells_and_can_be_fitted_to():
    plain = study().cells[0]
    found = study(evaluation={"tasks": ["top1", "brackets"]}, model={"context": 32})
    assert found.cells[0].tasks == found.cells[0].tasks_along == ("top1", "brackets")
    assert found.tasks == ["top1", "brackets"]
    assert found.follows_tasks
    ended = study(evaluation={"tasks": ["top1"], "tasks_along": False})
    assert (ended.cells[0].tasks, ended.cells[0].tasks_along) == (("top1",), ())
    assert ended.cells[0].state == plain.state  # asked when it is finished: nothing is retrained
    assert not ended.follows_tasks
    assert not study().follows_tasks
    assert "tasks" not in plain.spec()
    assert type(plain).from_spec(found.cells[0].spec()) == found.cells[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"tasks": ["brackets"]}, "model": {"context": 16}},
         r"evaluation\.tasks\[0\]: 'brackets' does not fit into a context of 16 tokens; take a model.context of 20"),
        ({"evaluation": {"tasks": ["top1", "arithmetik"]}},
         r"evaluation\.tasks\[1\]: 'arithmetik' is not known here; did you mean 'arithmetic'"),
        ({"corpus": {"sources": [{"practice": {"bytes": 0}}]}}, r"practice\.bytes: 0 is less than 1"),
        ({"corpus": {"sources": [{"practice": {}, "package": "code"}]}}, "names 2 kinds of source"),
    ],
)  # fmt: skip
def test_tasks_and_practice_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        study(**changes)


def test_practice_text_bounds_the_tokens_as_other_text_does(tmp_path):
    practice = {
        "sources": [{"practice": {"bytes": 1e5}}, {"practice": {"bytes": "2e5", "seed": 1}}]
    }
    found = study(corpus=practice, grid={"tokens": [299_008]})
    design.check_corpus(found, tmp_path)
    with pytest.raises(ConfigError, match="more than the 300,128 training tokens"):
        design.check_corpus(study(corpus=practice, grid={"tokens": [400_000]}), tmp_path)


def test_another_text_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = {"corpora": [{"name": "b", "sources": [{"files": "nor/this.txt"}]}]}
    with pytest.raises(
        ConfigError, match=r"^evaluation.corpora\[0\].sources\[0\].files: 'nor/this"
    ):
        design.check_corpus(study(evaluation=other), tmp_path)
