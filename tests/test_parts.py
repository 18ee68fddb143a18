import json

import pytest
from test_cells import CELL

from pipeline import trunks
from pipeline.cells import Cell
from pipeline.trunks import Part


def cell(tokens: int, **changes) -> Cell:
    """CELL with another length."""
    steps = tokens // 1024
    spec = {**CELL.spec(), "tokens": steps * 1024, "steps": steps, "cooldown_steps": steps // 5}
    return Cell.from_spec({**spec, **changes})


def record(results, part: Part) -> None:
    """Leave the ledger of a part, as training it does."""
    path = results / "trunks" / part.trunk / f"{part.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": list(part.cells)}))
    for key in part.cells:
        (results / "cells" / key).mkdir(parents=True, exist_ok=True)
        (results / "cells" / key / "spec.json").touch()


def planned(cells, results):
    return trunks.planned(cells[0].trunk, cells, results)


def test_at_first_all_cells_are_one_part(tmp_path):
    cells = [cell(1_000_000), cell(2_000_000)]
    parts = planned(cells, tmp_path)
    assert {part.cells for part in parts.values()} == {tuple(c.key for c in cells)}


def test_a_new_token_count_is_a_part_of_its_own(tmp_path):
    old = [cell(1_000_000), cell(3_000_000)]
    first = planned(old, tmp_path)[old[0].key]
    record(tmp_path, first)
    new = cell(2_000_000)
    parts = planned([*old, new], tmp_path)
    assert parts[old[0].key] == parts[old[1].key] == first
    assert parts[new.key].cells == (new.key,)


def test_a_removed_token_count_changes_no_part(tmp_path):
    cells = [cell(1_000_000), cell(2_000_000)]
    first = planned(cells, tmp_path)[cells[0].key]
    record(tmp_path, first)
    assert planned(cells[:1], tmp_path) == {cells[0].key: first}


def test_a_part_whose_cells_were_deleted_is_no_record(tmp_path):
    old, new = cell(1_000_000), cell(2_000_000)
    part = planned([old, new], tmp_path)[old.key]
    record(tmp_path, part)
    (tmp_path / "cells" / old.key / "spec.json").unlink()
    assert planned([new], tmp_path)[new.key].cells == (new.key,)


@pytest.mark.parametrize("content", ["", "[]", '{"cells": ["other"]}'])
def test_a_damaged_ledger_is_no_record(tmp_path, content):
    cells = [cell(1_000_000)]
    part = planned(cells, tmp_path)[cells[0].key]
    record(tmp_path, part)
    (tmp_path / "trunks" / part.trunk / f"{part.key}.json").write_text(content)
    assert planned(cells, tmp_path) == {cells[0].key: part}
