from test_cells_parts import alone, cell

from pipeline.cells import durations, trunks


def test_a_training_is_a_trunk_with_its_branches_or_a_lone_cell():
    long, short, other = cell(2_000_000), cell(1_000_000), cell(1_000_000, seed=1)
    lone = [alone(1_000_000), alone(2_000_000)]
    cells = [lone[0], long, other, short, lone[1]]
    assert trunks.trainings(cells) == [[lone[0]], [long, short], [other], [lone[1]]]
    assert trunks.by_trunk(cells) == {long.trunk: [short, long], other.trunk: [other]}


def test_lone_cells_that_differ_in_what_they_are_scored_on_are_one_training():
    one, other = alone(1_000_000), alone(1_000_000, evaluate=("code-1",))
    assert one.key != other.key
    assert trunks.trainings([one, other]) == [[one, other]]
    assert list(durations.stages([one, other])) == [(one, one.steps)]
