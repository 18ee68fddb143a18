"""Shapes, learning rates and batches of a planned model; its cost and memory."""

import math

import pytest

from pipeline import accounting, config, shapes
from pipeline.accounting import Shape
from pipeline.planning import cost, shape
from pipeline.planning.budget import Machine
from pipeline.planning.shape import Recipe
from pipeline.study import design


@pytest.mark.parametrize("params", [1e5, 3e7, 1.3e9, 7e10, 5e11])
def test_a_shape_has_the_planned_size_as_it_is_counted(params):
    without = shape.planned(params, Recipe(), "params")
    assert accounting.non_embedding_params(without) == pytest.approx(params, rel=shapes.TOLERANCE)
    recipe = Recipe(vocab_size=512, context=64)
    whole = shape.planned(params, recipe, "params_total")
    assert accounting.total_params(whole, 512, 64) == pytest.approx(params, rel=shapes.TOLERANCE)


@pytest.mark.parametrize("counted", ["params", "params_total"])
def test_a_large_feed_forward_width_is_a_multiple_of_64(counted):
    sizes = [10 ** (9.5 + i / 20) for i in range(40)]
    found = [shape.planned(params, Recipe(), counted) for params in sizes]
    assert [one.d_ff % 64 for one in found] == [0] * 40
    whole = {
        "params": accounting.non_embedding_params,
        "params_total": lambda one: accounting.total_params(one, 50257, 2048),
    }[counted]
    for params, one in zip(sizes, found):
        assert whole(one) == pytest.approx(params, rel=shapes.TOLERANCE)


def test_a_size_smaller_than_its_embeddings_has_no_shape():
    assert shape.planned(1e5, Recipe(), "params_total") is None
    assert shape.planned(1e12, Recipe(max_layers=2), "params") is None


def test_a_study_gives_its_own_shape_rule_rate_and_batch():
    """The toy study's largest cell, planned again from its size."""
    completed = config.load("config.yaml")
    cell = max(design.study(completed).cells, key=lambda c: c.params)
    recipe = Recipe.of(completed, cell.vocab_size)
    rate, why = shape.learning_rate(recipe, cell.shape)
    assert rate == cell.lr
    assert "width" in why
    assert shape.batch_tokens(recipe, cell.params)[0] == cell.batch_tokens


def test_a_rule_beyond_its_range_says_so():
    recipe = Recipe(learning_rate={"rule": "kaplan"})
    rate, why = shape.learning_rate(recipe, Shape(120, 16384, 65536, 128))
    assert math.isnan(rate)
    assert "take another rule" in why
    assert shape.learning_rate(Recipe(), Shape(2, 8, 32, 1)) is None
    assert shape.batch_tokens(Recipe(), 1e9) is None


def test_a_batch_rule_is_rounded_to_whole_sequences():
    """Porian et al. 2024's rule of thumb in power form: a coefficient times N^(2/3)."""
    recipe = Recipe(context=2048, batch={"rule": "power", "coefficient": 1.44, "exponent": 2 / 3})
    batch, _ = shape.batch_tokens(recipe, 108e6)
    assert batch % 2048 == 0
    assert batch == pytest.approx(1.44 * 108e6 ** (2 / 3), abs=1024)


def test_the_bill_of_a_run():
    """1e21 FLOP at 4e14 FLOP/s are 694.4 GPU-hours: 86.8 h on 8 GPUs, 1736 at 2.5 an hour."""
    bill = cost.bill(1e21, Machine(4e14, 2.5, 80e9, 8))
    assert bill.gpu_hours == pytest.approx(694.444, rel=1e-5)
    assert bill.days == pytest.approx(694.444 / 8 / 24, rel=1e-5)
    assert bill.money == pytest.approx(1736.11, rel=1e-5)
    assert math.isnan(cost.bill(1e21, Machine()).gpu_hours)
    assert math.isnan(cost.bill(1e21, Machine(4e14)).money)


def test_states_of_a_7_5_billion_model_take_120_gigabytes():
    """Rajbhandari et al. 2020, fig. 1: 120 GB, and 1.9 GB when shared by 64 GPUs."""
    known = cost.memory(Shape(32, 4096, 16384, 32), 7.5e9, 50257, 1024, Machine(gpus=64))
    assert known.states == pytest.approx(120e9 / 64, rel=1e-9)
    assert math.isnan(known.least_gpus)


def test_activations_of_a_layer_are_34_s_b_h():
    """Korthikanti et al. 2022, table 2, with the attention scores computed again: 34 s b h."""
    one, two = (cost.activations(Shape(layers, 1024, 4096, 16), 0, 2048, 4) for layers in (1, 2))
    assert two - one == pytest.approx(34 * 2048 * 4 * 1024)
    head = cost.activations(Shape(1, 1024, 4096, 16), 50000, 2048) - one / 4
    assert head == pytest.approx(4 * 2048 * 50000)


def test_the_fewest_gpus_hold_the_states_beside_the_activations():
    model, memory = Shape(32, 4096, 16384, 32), 80e9
    used = cost.activations(model, 50257, 2048)
    found = cost.memory(model, 6.4e9, 50257, 2048, Machine(memory=memory))
    assert found.least_gpus == math.ceil(16 * 6.4e9 / (memory - used))
    assert cost.memory(model, 6.4e9, 50257, 2048, Machine(memory=1e9)).least_gpus == math.inf


def test_a_recipe_given_as_json_keeps_its_own_defaults_and_fills_in_those_of_its_rules():
    found = Recipe.given('{"aspect": 64, "learning_rate": {"hidden": 0.1}, "batch": {}}')
    assert (found.aspect, found.context) == (64, Recipe().context)
    assert found.learning_rate == {"rule": "width", "hidden": 0.1, "embedding": 0.64}
    assert found.batch == {"rule": "fixed", "tokens": 1024}
    assert Recipe.given("{}") == Recipe()
