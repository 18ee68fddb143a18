from test_parts import alone, cell

from pipeline import trunks


def test_a_training_is_a_trunk_with_its_branches_or_a_lone_cell():
    long, short, other = cell(2_000_000), cell(1_000_000), cell(1_000_000, seed=1)
    lone = [alone(1_000_000), alone(2_000_000)]
    cells = [lone[0], long, other, short, lone[1]]
    assert trunks.trainings(cells) == [[lone[0]], [long, short], [other], [lone[1]]]
    assert trunks.by_trunk(cells) == {long.trunk: [short, long], other.trunk: [other]}
