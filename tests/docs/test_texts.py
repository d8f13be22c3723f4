"""docs/kit/texts.py: what programs read has every page of the navigation, in its order."""

from __future__ import annotations

import pytest

from texts import first, full, short

NAV = [{"Start": "index.md"}, {"How-to": [{"Cut": "how-to/cut.md"}, {"Pay": "pay.md"}]}]
PAGES = {
    "index.md": "# Maker\n\nIt votes. It is slow.",
    "how-to/cut.md": "# Cut\n\n| a |\n\nCut [small](x.md).",
    "pay.md": "# Pay",
}


def test_the_short_text_has_a_line_a_page():
    """Each page stands under its group, with a link and its first sentence."""
    assert short("maker", "Long tasks.", NAV, PAGES).splitlines() == [
        "# maker", "", "> Long tasks.", "", "## Start", "", "- [Start](index.html): It votes.", "", "## How-to", "",
        "- [Cut](how-to/cut.html): Cut small.", "- [Pay](pay.html): ",
    ]  # fmt: skip


def test_the_full_text_has_every_page():
    """All pages follow each other, each under the name of its file."""
    text = full(NAV, PAGES)
    assert [text.index(PAGES[page]) for page in PAGES] == sorted(text.index(PAGES[page]) for page in PAGES)
    assert text.startswith("<!-- index.md -->")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# A\n```\ncode\n```\n\nWhat `x.y` is: a thing. More.", "What `x.y` is: a thing."),
        ("# A\n![a](b.svg)\n\n- item\n\nWords over\ntwo lines.", "Words over two lines."),
        ("", ""),
    ],
)
def test_the_first_sentence_is_one_of_the_text(text: str, sentence: str):
    """Headings, code, lists and pictures are passed over."""
    assert first(text) == sentence
