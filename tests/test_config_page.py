from pathlib import Path

from pipeline import config_page

ROOT = Path(__file__).parents[1]


def test_the_page_of_keys_is_current():
    assert (ROOT / "docs" / "config.md").read_text() == config_page.reference()
