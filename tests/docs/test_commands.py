"""docs/kit/commands.py: every command and every option is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import cell, page

HELP = json.loads((Path(__file__).parents[1] / "golden" / "cli.json").read_text())["help"]
TEXT = page()


@pytest.mark.parametrize("command", sorted(set(HELP) - {""}))
def test_every_option_of_help_is_on_the_page(command: str):
    """What `maker COMMAND --help` offers stands in the section of the command, a row each."""
    section = TEXT.split(f"## `maker {command}`\n")[1].split("\n## ")[0]
    offered = set(re.findall(r"^  (--[\w-]+)", HELP[command]["out"], re.MULTILINE)) - {"--help"}
    rows = re.findall(r"^\| `([^`]*)` \|", section, re.MULTILINE)
    assert offered <= {name for row in rows for name in row.split(", ")}
    assert len(rows) == len(set(rows))


def test_the_commands_are_those_of_help():
    """No command is left out, and none is told that there is not."""
    assert set(re.findall(r"^## `maker ([\w-]+)`$", TEXT, re.MULTILINE)) == set(HELP) - {""}


def test_a_bar_does_not_end_a_cell():
    """A cell holds what would end it."""
    assert cell("a|b <c>") == r"a\|b &lt;c>"
