from dataclasses import MISSING, fields, replace

import pytest

from pipeline.cells import Cell, digest, short

CELL = Cell(
    corpus="text-0", family="transformer", n_layer=2, d_model=64, d_ff=256, n_head=4, context=128,
    vocab_size=512, dropout=0.0, tokens=1_000_448, unique_tokens=None, batch_tokens=1024,
    steps=977, lr=0.003, lr_embedding=0.02, schedule="wsd", warmup_steps=50, cooldown_steps=195,
    final_lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, clip=1.0, precision="fp32", seed=0,
    recipe=1, evaluations_per_octave=1, evaluate=(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(768, "768"), (1536, "1.5k"), (98304, "98k"), (999_999, "1.0M"), (2e6, "2.0M"), (1.5e9, "1.5B"),
     (23e9, "23B"), (4e12, "4.0T")],
)  # fmt: skip
def test_counts_as_eyes_read_them(value, text):
    assert short(value) == text


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_spec_defines_its_cell():
    assert Cell.from_spec(CELL.spec()) == CELL
    assert Cell.from_spec(CELL.spec()).key == CELL.key
    with pytest.raises(TypeError):
        Cell.from_spec({**CELL.spec(), "colour": 1})


def test_the_key_is_readable_and_stays_what_it_was():
    # A changed key would orphan every finished cell: change it only together with the recipe.
    assert CELL.key == "N98k-D1.0M-s0-7e335b3e59"


@pytest.mark.parametrize("field", [f.name for f in fields(Cell)])
def test_every_field_is_part_of_the_key(field):
    value = getattr(CELL, field)
    other = {int: 3, float: 0.5, str: "x", tuple: ("y",), type(None): 5}[type(value)]
    if field == "family":
        other = "lstm"
    if field == "betas":
        other = (0.5, 0.5)
    assert replace(CELL, **{field: other}).key != CELL.key


def test_a_field_at_its_default_is_no_part_of_the_spec():
    late = {f.name: f.default for f in fields(Cell) if f.default is not MISSING}
    assert late.keys().isdisjoint(CELL.spec())
    assert set(late) >= {"optimizer", "patience", "along"}
    stopped = replace(CELL, patience=3, along=("code-1",))
    assert stopped.spec() == {**CELL.spec(), "patience": 3, "along": ["code-1"]}
    assert Cell.from_spec(stopped.spec()) == stopped


def test_what_is_evaluated_does_not_retrain():
    scored = replace(CELL, evaluate=("code-1",))
    assert scored.key != CELL.key
    assert scored.state == CELL.state
    assert scored.trunk == CELL.trunk


def test_cells_share_a_trunk_when_only_their_length_differs():
    longer = replace(CELL, tokens=2_000_896, steps=1954, cooldown_steps=391)
    assert longer.trunk == CELL.trunk
    assert longer.state != CELL.state
    for change in ({"lr": 0.1}, {"seed": 1}, {"d_ff": 128}, {"batch_tokens": 2048}):
        assert replace(CELL, **change).trunk != CELL.trunk
    assert replace(CELL, schedule="cosine").trunk is None


def test_counts():
    assert CELL.params == 98304
    assert CELL.params_total == 98304 + (512 + 128) * 64 + 5 * 64
    assert CELL.flops_6nd == 6 * 98304 * 1_000_448
    assert CELL.stable_steps == 782


def test_a_later_field_at_its_default_is_no_part_of_the_spec():
    assert "reuse" not in CELL.spec()
    again = replace(CELL, family="recurrent", reuse=2)
    assert again.spec()["reuse"] == 2
    assert Cell.from_spec(again.spec()) == again
    assert Cell.from_spec(CELL.spec()).reuse == 1


def test_counts_of_a_cell_that_uses_its_weights_again():
    again = replace(CELL, family="recurrent", reuse=2)
    assert (again.params, again.params_total) == (CELL.params, CELL.params_total)
    assert again.flops_6nd == 2 * CELL.flops_6nd
