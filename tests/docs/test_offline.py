"""docs/kit/offline.py: it finds what a site fetches from elsewhere, and links that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from offline import complaints

SOUND = '<a href="#here">here</a><h1 id="here">x</h1><a href="https://example.org">out</a>'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", []),
        ('<script src="https://cdn.example.org/x.js"></script>', ["fetches https://cdn.example.org/x.js"]),
        ('<img src="gone.png">', ["links to gone.png, which is not there"]),
        ('<a href="other.html#gone">x</a>', ["links to other.html#gone, a place that is not there"]),
        ('<a href="other.html#there">x</a>', []),
    ],
)
def test_a_page_that_needs_more_than_the_site_is_told(tmp_path: Path, body: str, told: list[str]):
    """A foreign script, a missing file and a missing place are complaints; links out are none."""
    (tmp_path / "index.html").write_text(SOUND + body)
    (tmp_path / "other.html").write_text('<p id="there">')
    assert complaints(tmp_path) == [f"index.html: {line}" for line in told]
