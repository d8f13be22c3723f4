"""Concepts and how-to pages: each term once, tables that follow from the theory, measured figures, real output."""

from __future__ import annotations

import re
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from batching import BatchServer, Plan
from followed import DOCS, Reader, commands_of, files_of, tutorial_reply
from maker import theory
from maker.testing import FaultServer, ScriptedModel, calling

TERMS = (
    "Step", "State", "Design", "Kind", "Segment", "Draw", "Sample", "Red flag", "Ballot", "Wave", "Margin",
    "Table of margins", "Tally", "Verdict", "Undecided", "Lost step", "Ladder", "p", "v", "rho", "Effective votes",
    "Target", "Feasible", "Calibration", "Journal", "Epoch", "Chain", "Head", "Budget",
)  # fmt: skip
NEEDS = {"notebooks": "pandas", "telemetry": "opentelemetry.sdk"}
MEASURED = re.compile(r"\| (\d+ of \d+) \| (0\.\d\d to \d\.\d\d) \|")


def friendly(body: dict[str, Any]) -> str:
    """Answer as the page on batches has it."""
    return "no" if "Broke" in str(body["messages"]) else "yes"


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


def test_the_examples_of_cost_are_computed():
    """Each cell is what the equations make of p, v, the tokens and the prices that the page tells."""
    text = (DOCS / "how-to" / "cost-examples.md").read_text()
    prices = [(float(i), float(o)) for i, o in re.findall(r"at \$([\d.]+) and \$([\d.]+) \|", text)]
    table = [row for row in rows("how-to/cost-examples.md", 6) if row[0].startswith(".")]
    assert len(prices) == len(table) == 3
    for p, k, samples, *costs in table:
        need = theory.expected_cost(float(p), int(k), 1_000, 1, 0.95)
        assert (int(k), samples) == (theory.k_min(float(p), 1_000, 0.95), f"{need:,.0f}")
        assert costs == [f"${need * (300 * i + 20 * o) / 1e6:.2f}" for i, o in prices]


def test_the_votes_of_better_and_worse_models_are_computed():
    """Each row says the votes of a step in a thousand, and what share of the best one's price they are worth."""
    table = [row for row in rows("how-to/pick-a-model.md", 3) if row[0].startswith(".")]
    votes = [theory.expected_votes(float(p), theory.k_min(float(p), 1_000, 0.95)) for p, *_ in table]
    assert [row[1:] for row in table] == [[f"{vote:.1f}", f"{votes[0] / vote:.1f}"] for vote in votes]


@pytest.mark.parametrize("page", ["how-to/cut-a-task.md"])
def test_every_figure_was_measured(page: str):
    """Each count with its interval stands on the page that says how it was measured."""
    found = MEASURED.findall((DOCS / page).read_text())
    measured = set(MEASURED.findall((DOCS / "proof.md").read_text()))
    assert len(found) >= 8
    assert set(found) - measured == set()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_every_command_prints_what_its_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the page's order and an empty folder, each command prints every line that is shown under it."""
    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("maker.log._listener", None)  # a page may turn telemetry on
    text = page.read_text()
    by_page = {"batch": BatchServer(friendly, repeat(Plan(looks=0)))}
    with by_page.get(page.stem) or FaultServer(tutorial_reply(), models=["small"]) as server:
        reader = Reader(text, server)
        assert [missing for command in commands_of(text) if (missing := reader.missing(*command))] == []
    for name in files_of(text):
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_answers_one_question_on_two_screens(page: Path):
    """No page is longer than a hundred lines, and each file of it is run or imported."""
    text = page.read_text()
    assert len(text.splitlines()) <= 100
    run = " ".join(command for command, _ in commands_of(text))
    assert [name for name in files_of(text) if name not in run and f"from {name[:-3]} import" not in text] == []


def test_the_page_on_agents_does_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """Its turn calls what won and prints what it says; a journaled decision is taken from the file again."""
    monkeypatch.chdir(tmp_path)
    turn, decision = re.findall(r"```python\n(.*?)```", (DOCS / "agents.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(turn + decision, names)
    message = names["next_turn"]("How many nuts?", ScriptedModel([calling(("look_up", {"item": "nuts"}))]))
    assert [capsys.readouterr().out.strip()] == re.findall(r"print\(.*\)  # (.*)", turn)
    assert message["role"] == "assistant" and message["tool_calls"][0]["function"]["name"] == "look_up"
    model = ScriptedModel(["yes"])
    assert [names["go_on"]("Is there more?", model, 1).answer for _ in range(2)] == [True, True]
    assert len(model.requests) == 3
