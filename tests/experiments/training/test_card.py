"""The card's tables: each edition has its own place, and paths held out are measured by themselves."""

import pytest

from maker.experiments.training.card import tables, written

CARD = "a\n<!-- measured neural-1: written by maker.experiments.training.card -->\nold\n<!-- end of measured -->\nb\n"


def test_tables_go_between_the_marks_of_their_edition():
    """All else in the card stays; an edition that has no marks is an error, not a card written over."""
    card = written(CARD, "neural-1", ["new", ""])
    assert (
        "old" not in card
        and "\nnew\n" in card
        and card.startswith("a\n")
        and card.endswith("<!-- end of measured -->\nb\n")
    )
    assert written(card, "neural-1", ["new", ""]) == card
    with pytest.raises(ValueError, match="neural-2"):
        written(CARD, "neural-2", [])


def test_the_path_held_out_has_a_table_of_its_own():
    """The first edition is measured on the path of 20 disks, and on the other towers in one table."""
    lines = tables("neural", 2, 2, [1.0], 0)
    assert sum("of the 1,048,575 steps of the 20-disk path" in line for line in lines) == 1
    assert [line.split("|")[1].strip() for line in lines if line.startswith("|")][-17:] == list(map(str, range(3, 20)))
