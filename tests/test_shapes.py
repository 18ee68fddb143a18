import math

import pytest

from pipeline import shapes
from pipeline.accounting import Shape, non_embedding_params


@pytest.mark.parametrize(
    "target", [768, 1e3, 1.5e3, 2e3, 3e3, 5e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 1e9, 1e10, 1e11]
)  # fmt: skip
def test_a_solved_shape_meets_its_target_within_a_percent(target):
    shape = shapes.solve(target, aspect=32, head_width=16, max_layers=96)
    assert shape is not None
    assert abs(non_embedding_params(shape) / target - 1) <= 0.01
    assert shape.d_model % shape.n_head == 0
    assert 2 <= shape.d_ff / shape.d_model <= 8


def test_heads_are_the_divisor_nearest_to_what_is_wanted():
    for d_model in [*range(1, 130), 2048, 3072]:
        divisors = [h for h in range(1, d_model + 1) if d_model % h == 0]
        for width in (1, 7, 64):
            wanted = max(1.0, d_model / width)
            nearest = min(divisors, key=lambda h: (abs(math.log(h / wanted)), h))
            assert shapes.heads(d_model, width) == nearest


def test_the_aspect_is_followed_where_there_is_room():
    wide = shapes.solve(1e8, aspect=128, head_width=64, max_layers=96)
    deep = shapes.solve(1e8, aspect=16, head_width=64, max_layers=96)
    assert wide.d_model / wide.n_layer == pytest.approx(128, rel=0.35)
    assert deep.d_model / deep.n_layer == pytest.approx(16, rel=0.35)
    assert wide.n_layer < deep.n_layer


def test_a_target_out_of_reach_has_no_shape():
    assert shapes.solve(5, aspect=32, head_width=16, max_layers=96) is None
    assert shapes.solve(1e13, aspect=32, head_width=16, max_layers=2) is None


@pytest.mark.parametrize(
    ("d_model", "width", "count"), [(8, 16, 1), (64, 16, 4), (96, 24, 4), (100, 16, 5)]
)
def test_heads_divide_the_width(d_model, width, count):
    assert shapes.heads(d_model, width) == count


def test_the_shapes_of_kaplan_2020_figure_5_have_one_size():
    """Aspect ratios over a factor of 40 and feed-forward ratios over 16, at 50M and at 100k."""
    for target, low in ((5e7, 16), (1e5, 1)):
        for aspect in (low, 4 * low, 40 * low):
            shape = shapes.solve(target, aspect, head_width=16, max_layers=207)
            assert non_embedding_params(shape) / target == pytest.approx(1, abs=0.01)
            assert shape.d_model / shape.n_layer == pytest.approx(aspect, rel=0.5)
        for ratio in (0.5, 1, 4, 8):
            shape = shapes.solve(target, 8 * low, 16, 207, ff_ratio=ratio)
            assert non_embedding_params(shape) / target == pytest.approx(1, abs=0.01)
            assert shape.d_ff / shape.d_model == pytest.approx(ratio, rel=0.35)


@pytest.mark.parametrize("target", [2048, 3e4, 1e5, 3e5, 1e6, 1e7, 1e8, 1e9])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_an_lstm_meets_its_target_by_its_width(target, layers):
    shape = shapes.solve(target, 1e-9, 16, layers, "lstm")  # the least aspect: all layers allowed
    assert abs(8 * shape.n_layer * shape.d_model**2 / target - 1) <= 0.01
    assert (shape.n_layer == layers) or target < 1e5
    wide = shapes.solve(target, 1e9, 16, layers, "lstm")
    assert wide.n_layer <= shape.n_layer


def test_a_recurrent_transformer_has_the_shape_of_its_distinct_layers():
    plain = shapes.solve(1e6, 32, 16, 96)
    again = shapes.solve(1e6, 32, 16, 96, "recurrent", 3)
    assert again == Shape(plain.n_layer, plain.d_model, plain.d_ff, plain.n_head, "recurrent", 3)
    assert again.depth == 3 * plain.n_layer
    assert shapes.solve(1e6, 32, 16, 96, "transformer", 3) == plain
