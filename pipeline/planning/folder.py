"""The folder of fits that a plan is made from."""

from __future__ import annotations

from pathlib import Path

from pipeline.planning.evidence import stored


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
    if not stored(fits):
        raise ValueError(
            f"--fits {fits}: this folder holds no fit; make some with python -m pipeline.fit"
        )
