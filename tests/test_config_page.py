from pathlib import Path

from pipeline.config import page

ROOT = Path(__file__).parents[1]


def test_the_page_of_keys_is_current():
    assert (ROOT / "docs" / "config.md").read_text() == page.reference()
