"""A cell neither runs in a spreadsheet nor drives a terminal, and a number stays one."""

from __future__ import annotations

import pytest

from maker.task.cells import harmless


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", "\tx", "\rx", "=\n"])
def test_a_formula_is_quoted(text: str) -> None:
    """Whatever begins as a formula gets a quote before it."""
    assert harmless(text).startswith("'")


@pytest.mark.parametrize("text", ["-1", "+2.5", "-.5e-3", "7", "a=b", "", "two\nlines\tand a tab"])
def test_numbers_and_plain_text_stay(text: str) -> None:
    """A signed number is no formula, and text keeps its lines."""
    assert harmless(text) == text


def test_control_characters_are_written_out() -> None:
    """No byte that drives a terminal is left."""
    assert harmless("a\x1b[2J\x00\x9b") == r"a\x1b[2J\x00\x9b"
