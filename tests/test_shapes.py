import pytest

from pipeline import shapes
from pipeline.accounting import non_embedding_params


@pytest.mark.parametrize(
    "target", [768, 1e3, 1.5e3, 2e3, 3e3, 5e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 1e9, 1e10, 1e11]
)  # fmt: skip
def test_a_solved_shape_meets_its_target_within_a_percent(target):
    shape = shapes.solve(target, aspect=32, head_width=16, max_layers=96)
    assert shape is not None
    assert abs(non_embedding_params(shape) / target - 1) <= 0.01
    assert shape.d_model % shape.n_head == 0
    assert 2 <= shape.d_ff / shape.d_model <= 8


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
