"""The folder of fits that a plan is made from."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from pipeline.laws import LAWS
from pipeline.laws.band import SavedFit, read
from pipeline.planning.shape import Recipe


class Fits:
    """The fits of a folder: their ``keys`` in the registry's order, and each, read only once.

    ``among`` leaves other keys out.
    """

    def __init__(self, folder: Path, among: Collection[str] | None = None) -> None:
        found = {path.parent.name for path in folder.glob("*/card.json")}
        found &= found if among is None else set(among)
        self.folder = folder
        self.keys = [*(name for name in LAWS if name in found), *sorted(found - set(LAWS))]
        self._read: dict[str, SavedFit] = {}

    def __getitem__(self, key: str) -> SavedFit:
        """The fit of a key; raises ContractError where a file of it is missing or broken."""
        if key not in self._read:
            self._read[key] = read(self.folder / key)
        return self._read[key]


def recipe_beside(fits: Path) -> tuple[Recipe, str]:
    """The recipe that the study of a folder of fits was last planned with, and where it is from.

    It stands in the plan.json beside the fits; without one there, as where a study trains nothing,
    it is the default. Raises ValueError where it cannot be read.
    """
    path = fits.absolute().parent / "plan.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(told, dict):
            raise ValueError("this is no plan")
        given = told.get("recipe")
        recipe = None if given is None else Recipe.given(json.dumps(given))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; make it again, or give --study") from None
    if recipe is None:
        default = Recipe()
        return default, (
            f"No study tells its recipe: the model is shaped by default ({default.words}). Give "
            "--study, the config of a study, to shape it as that one does."
        )
    return recipe, (
        "Shape, learning rate and batch follow the recipe of the study whose fits these are "
        f"({recipe.words}); --study takes that of another."
    )


def refuse_without_fits(fits: Path) -> None:
    """Raise ValueError where there is no such folder, or one without the fit of any law."""
    if not fits.is_dir():
        raise ValueError(
            f"--fits {fits}: there is no such folder; give the one that holds a study's fits, such "
            "as results/toy/fits"
        )
    if (fits / "card.json").exists():
        raise ValueError(
            f"--fits {fits}: this is the folder of one law; give the one above, {fits.parent}, and "
            f"--law {fits.name}"
        )
    if not Fits(fits).keys:
        raise ValueError(
            f"--fits {fits}: this folder holds no fit; make some with python -m pipeline.fit"
        )
