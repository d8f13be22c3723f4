"""`maker show`: what a journal holds."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from maker.audit import summarise
from maker.commands.shared import JournalFile, Json, print_json
from maker.errors import JournalError
from maker.screen import print_rows, safe
from maker.solve_audit import Recheck, is_solve, recheck

SHOWN = 60  # characters of a text in the tree


def show(
    journal: JournalFile,
    tree: Annotated[
        bool, typer.Option("--tree", help="The problems of a solve, each under the one it is for.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a journal holds, without running any task code."""
    summary = summarise(journal)
    solve = _checked(journal) if tree or is_solve(summary) else None
    said = (solve.audit.summary if solve else summary).as_json()
    if as_json:
        print_json({**said, **_numbers(solve)} if solve else said)
        return
    shown = {key: value for key, value in said.items() if value is not None and key not in ("answer", "parameters")}
    shown["task"] = f"{said['task']} {said['parameters'] or ''}"
    if solve:
        del shown["segments"]
        shown["answer"] = said["answer"] or "open"
        shown |= {role: _counted(counts) for role, counts in solve.roles.items()}
    if not tree:
        print_rows([(key, safe(str(value))) for key, value in shown.items()], str(journal))
    elif solve:
        for line in tree_lines(solve):
            sys.stdout.write(line + "\n")


def _checked(journal: Path) -> Recheck:
    """Read a solve back. Raises JournalError for one that does not hold together, TaskError for no solve."""
    solve = recheck(journal)
    if solve.audit.problem is not None:
        raise JournalError(f"{journal}: {solve.audit.problem}. Restore a copy, or start a new journal.")
    return solve


def _counted(counts: Counter[str]) -> str:
    said = f"{counts['decisions']:,} decisions, {counts['valid']:,} votes, {counts['flagged']:,} flagged"
    return said if counts else "not asked"


def _numbers(solve: Recheck) -> dict[str, object]:
    return {"roles": {role: dict(counts) for role, counts in solve.roles.items()}, "tree": solve.tree.as_json()}


def tree_lines(solve: Recheck, number: int = 1, first: str = "", rest: str = "") -> Iterator[str]:
    """Yield a problem and its parts, a line each: number, problem, answer, how it came about."""
    node = solve.tree.node(number)
    parts = sorted(solve.tree.graph.predecessors(number))
    how = (
        f"compose: {_short(node.split['compose'])}" if node.split else "atomic" if node.decomposed else "not decomposed"
    )
    answer = "..." if node.answer is None else _short(node.answer)
    yield f"{first}{number}  {_short(node.problem)} = {answer}  ({how}; {solve.samples[number]} samples)"
    for part in parts:
        last = part == parts[-1]
        yield from tree_lines(solve, part, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _short(text: str) -> str:
    """Return a text on one line of bounded length, harmless to a terminal."""
    line = " ".join(text.split())
    return safe(line if len(line) <= SHOWN else line[: SHOWN - 3] + "...").replace("\\[", "[")
