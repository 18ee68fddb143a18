import json
import random
from dataclasses import replace

import pytest
from test_cells_cell import CELL

from pipeline import provenance
from pipeline.cells import Cell, durations, parts
from pipeline.cells.parts import Part


def cell(tokens: int, **changes) -> Cell:
    """CELL with another length."""
    steps = tokens // 1024
    spec = {**CELL.spec(), "tokens": steps * 1024, "steps": steps, "cooldown_steps": steps // 5}
    return Cell.from_spec({**spec, **changes})


def alone(tokens: int, **changes) -> Cell:
    """One without a trunk."""
    return cell(tokens, schedule="cosine", cooldown_steps=0, **changes)


def many(count: int = 40, **changes) -> list[Cell]:
    """Trunks of two cells, which take about 5 s each, and as many lone cells of about 2 to 3 s."""
    trunks = [cell(n, seed=seed, **changes) for seed in range(count) for n in (120_000, 170_000)]
    lone = [60_000 + 1024 * (seed % 40) for seed in range(count)]
    return trunks + [alone(n, seed=seed, **changes) for seed, n in enumerate(lone)]


def seconds(training) -> float:
    stages = durations.stages(training)
    return sum(durations.seconds(*stage, "fp32") for stage in stages)


def record(results, part: Part) -> None:
    """Leave the ledger of a part, as training it does."""
    path = results / "trainings" / f"{part.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": list(part.cells)}))
    for key in part.cells:
        (results / "cells" / key).mkdir(parents=True, exist_ok=True)
        (results / "cells" / key / "spec.json").touch()


# --- what is recorded -------------------------------------------------------------------------


def test_at_first_all_cells_of_a_trunk_are_one_part(tmp_path):
    cells = [cell(1_000_000), cell(2_000_000)]
    found = parts.planned(cells, tmp_path)
    assert {frozenset(part.cells) for part in found.values()} == {frozenset(c.key for c in cells)}


def test_a_new_token_count_is_a_part_of_its_own(tmp_path):
    old = [cell(1_000_000), cell(3_000_000)]
    first = parts.planned(old, tmp_path)[old[0].key]
    record(tmp_path, first)
    new = cell(2_000_000)
    found = parts.planned([*old, new], tmp_path)
    assert found[old[0].key] == found[old[1].key] == first
    assert found[new.key].cells == (new.key,)


def test_a_removed_token_count_changes_no_part(tmp_path):
    cells = [cell(1_000_000), cell(2_000_000)]
    first = parts.planned(cells, tmp_path)[cells[0].key]
    record(tmp_path, first)
    assert parts.planned(cells[:1], tmp_path) == {cells[0].key: first}


def test_a_part_whose_cells_were_deleted_is_no_record(tmp_path):
    old, new = cell(1_000_000), cell(2_000_000)
    part = parts.planned([old, new], tmp_path)[old.key]
    record(tmp_path, part)
    (tmp_path / "cells" / old.key / "spec.json").unlink()
    assert parts.planned([new], tmp_path)[new.key].cells == (new.key,)


@pytest.mark.parametrize("content", ["", "[]", '{"cells": ["other"]}'])
def test_a_damaged_ledger_is_no_record(tmp_path, content):
    cells = [cell(1_000_000)]
    part = parts.planned(cells, tmp_path)[cells[0].key]
    record(tmp_path, part)
    (tmp_path / "trainings" / f"{part.key}.json").write_text(content)
    assert parts.planned(cells, tmp_path) == {cells[0].key: part}


def test_a_study_that_goes_on_keeps_all_of_its_parts(tmp_path):
    """Whatever order they end in, what is still to be trained is packed as it was at first."""
    cells = many()
    first = parts.planned(cells, tmp_path)
    made = sorted(set(first.values()), key=lambda part: part.key)
    assert len(made) < 80
    random.Random(0).shuffle(made)
    for part in made:
        record(tmp_path, part)
        assert parts.planned(cells, tmp_path) == first


def test_a_grown_study_packs_its_new_cells_and_leaves_the_others_where_they_are(tmp_path):
    old = many()
    first = parts.planned(old, tmp_path)
    for part in set(first.values()):
        record(tmp_path, part)
    new = [cell(150_000, seed=seed) for seed in range(40)]
    found = parts.planned([*old, *new], tmp_path)
    assert {key: found[key] for key in first} == first
    packs = {found[one.key] for one in new}
    assert {key for pack in packs for key in pack.cells} == {one.key for one in new}
    assert len(packs) < 40


# --- packing ----------------------------------------------------------------------------------


def test_packs_hold_every_training_once_and_whole():
    cells = many()
    trainings = [training for pack in parts.packed(cells) for training in pack]
    assert sorted(c.key for training in trainings for c in training) == sorted(c.key for c in cells)
    trunks = [training for training in trainings if training[0].trunk]
    assert len(trunks) == 40
    assert all(len({c.trunk for c in training}) == 1 for training in trunks)


def test_trunks_and_lone_cells_share_processes_up_to_the_limit():
    packs = parts.packed(many())
    total = [sum(map(seconds, pack)) for pack in packs]
    limit = sum(total) / parts.SHARES
    assert limit < parts.PACK_SECONDS
    assert max(total) <= limit
    assert any(len({training[0].trunk is None for training in pack}) == 2 for pack in packs)
    # First fit leaves at most one pack that is not more than half full.
    assert sum(taken <= limit / 2 for taken in total) <= 1


def test_a_process_is_given_no_more_than_its_limit():
    packs = parts.packed(many(200))
    total = [sum(map(seconds, pack)) for pack in packs]
    assert parts.PACK_SECONDS == 40 < sum(total) / parts.SHARES
    assert 35 < max(total) <= 40
    assert len(packs) < sum(total) / 40 + 2


def test_what_takes_longer_than_the_limit_stays_alone_and_moves_no_other():
    small = many(200)
    large = [cell(30_000_000, seed=1000 + seed) for seed in range(5)]
    assert seconds(large[:1]) > parts.PACK_SECONDS
    packs = parts.packed([*large, *small])
    assert [[c] for c in sorted(large, key=lambda c: c.key)] == [one for [one] in packs[:5]]
    assert packs[5:] == parts.packed(small)


@pytest.mark.parametrize("count", [1, 6, 16, 31])
def test_few_trainings_are_not_packed(count):
    """Two of up to 31 equal ones are more than a sixteenth of all."""
    assert len(parts.packed([alone(60_000, seed=seed) for seed in range(count)])) == count


def test_packs_depend_on_no_order_and_on_no_machine(monkeypatch):
    cells = many(precision="auto")
    packs = []
    for precision in ("fp32", "bf16"):
        monkeypatch.setattr(provenance, "cpu_precision", lambda told=precision: told)
        random.Random(precision).shuffle(cells)
        packs.append(parts.packed(cells))
    assert packs[0] == packs[1]


@pytest.mark.parametrize(
    "changes",
    [{"corpus": "prose-1"}, {"evaluate": ("code-1",)}, {"precision": "bf16"}, {"tasks": ("top1",)}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_needs_other_inputs_or_precision_shares_no_process(changes):
    plain, other = many(), [replace(c, seed=c.seed + 100, **changes) for c in many()]
    packs = parts.packed([*plain, *other])
    assert len(packs) < 80
    for pack in packs:
        assert len({c.seed < 100 for training in pack for c in training}) == 1


def test_cells_of_a_trunk_stay_together_whatever_they_are_scored_on():
    """They share what is trained; their process has the texts of both."""
    short = [cell(120_000, seed=seed) for seed in range(40)]
    scored = [replace(cell(170_000, seed=seed), evaluate=("code-1",)) for seed in range(40)]
    packs = parts.packed([*short, *scored])
    assert all(len(training) == 2 for pack in packs for training in pack)
    assert len(packs) < 40
