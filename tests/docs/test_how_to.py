"""Concepts and how-to pages: each term once, tables that follow from the theory, measured figures, real output."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maker import theory
from maker.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"
TERMS = (
    "Step", "State", "Design", "Kind", "Segment", "Draw", "Sample", "Red flag", "Ballot", "Wave", "Margin",
    "Table of margins", "Tally", "Verdict", "Undecided", "Lost step", "Ladder", "p", "v", "rho", "Effective votes",
    "Target", "Feasible", "Calibration", "Journal", "Epoch", "Chain", "Head", "Budget",
)  # fmt: skip
MEASURED = re.compile(r"\| (\d+ of \d+) \| (0\.\d\d to \d\.\d\d) \|")


def rows(page: str, heads: int) -> list[list[str]]:
    """Return the rows of the tables of a page that have so many cells."""
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == heads]


def test_every_term_is_told_once():
    """The page of concepts has the field's words, each with a text of its own."""
    sections = re.findall(r"^## (.+)\n(.+)", (DOCS / "concepts.md").read_text(), re.MULTILINE)
    assert tuple(term for term, _ in sections) == TERMS
    assert all(len(text.split()) > 5 for _, text in sections)


def test_the_table_of_k_follows_from_the_theory():
    """Each cell is what `k_min` and `expected_votes` say."""
    head, *table = rows("how-to/k-and-budgets.md", 4)
    table = [row for row in table if row[0].startswith(".")]
    steps = [int(cell.removesuffix(" steps").replace(",", "")) for cell in head[1:]]
    assert len(table) == 6
    for p, *cells in table:
        for number, cell in zip(steps, cells, strict=True):
            k = theory.k_min(float(p), number, 0.95)
            assert cell == f"k = {k}, {theory.expected_votes(float(p), k):.1f} votes"


def test_the_table_of_single_replies_is_arithmetic():
    """Each cell is p to the power of the steps."""
    head, *table = rows("how-to/when-not.md", 4)
    steps = [int(cell.removesuffix(" steps").replace(",", "")) for cell in head[1:]]
    for p, *cells in table:
        told = [f"{float(p.removeprefix('p = ')) ** number:.3f}".removeprefix("0") for number in steps]
        assert cells == told


@pytest.mark.parametrize("page", ["how-to/cut-a-task.md"])
def test_every_figure_was_measured(page: str):
    """Each count with its interval stands on the page that says how it was measured."""
    found = MEASURED.findall((DOCS / page).read_text())
    measured = set(MEASURED.findall((DOCS / "proof.md").read_text()))
    assert len(found) >= 8
    assert set(found) - measured == set()


def blocks() -> list[Any]:
    """Return the commands of how-to pages with the lines that they say are printed."""
    found = []
    for page in sorted((DOCS / "how-to").glob("*.md")):
        for command, output in re.findall(r"```console\n\$ (maker .*)\n((?:.*\n)*?)```", page.read_text()):
            found.append(pytest.param(command, output.splitlines(), id=f"{page.stem}: {command[:30]}"))
    return found


@pytest.mark.parametrize(("command", "lines"), blocks())
def test_a_command_prints_what_the_page_shows(command: str, lines: list[str]):
    """Every line that a page shows is printed by the command above it."""
    said = CliRunner().invoke(app, shlex.split(command)[1:]).output.splitlines()
    assert [line for line in lines if line != "..." and line not in said] == []
