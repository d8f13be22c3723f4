"""The command line says what it always said: help, and what it tells of the golden journals."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1] / "golden"
PINS = json.loads((HERE / "cli.json").read_text())


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("golden_cli", HERE / "cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cli = _script()
laid_out = pytest.mark.skipif(
    cli.versions() != PINS["versions"], reason="another typer or rich lays texts out otherwise"
)


def test_every_command_and_journal_is_pinned(tmp_path: Path) -> None:
    """No command and no golden journal is without its pin."""
    assert set(cli.COMMANDS) == set(PINS["help"])
    assert cli.journals() == sorted(PINS["journals"]) == sorted(PINS["texts"])
    listed = cli.call("--help")["out"].split("Commands:")[1].split("\n")
    assert {line.split()[0] for line in listed if line[:2] == "  " and line[2:3].isalpha()} == set(PINS["help"]) - {""}


@laid_out
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_is_what_it_was(tmp_path: Path, command: str) -> None:
    """The help of each command, and of all, is the same text."""
    assert cli.helps(command, tmp_path) == PINS["help"][command]


@laid_out
@pytest.mark.parametrize("name", cli.journals())
def test_a_person_is_told_the_same(tmp_path: Path, name: str) -> None:
    """What show, revote and verify print of a golden journal is the same text."""
    assert cli.texts(name, tmp_path) == PINS["texts"][name]


@pytest.mark.parametrize("name", cli.journals())
def test_a_program_is_told_the_same(tmp_path: Path, name: str) -> None:
    """What each command that takes a journal says of a golden one with --json is the same, exit code included."""
    assert cli.of_journal(name, tmp_path) == PINS["journals"][name]


def test_the_rest_is_what_it_was(tmp_path: Path) -> None:
    """A run, its resume and report, a tree, the lists and what mistakes bring are said as before."""
    now = cli.others(tmp_path)
    for what, said in PINS["others"].items():
        assert now[what] == said, what
