"""The bookkeeping of the measurement by kind; its figures need a real model, and are no test."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.task.load import builtin_tasks

spec = importlib.util.spec_from_file_location("kinds_script", Path(__file__).parent / "kinds.py")
kinds: Any = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = kinds
spec.loader.exec_module(kinds)


def test_all_tasks_with_such_a_design_are_asked():
    """Each bundled task but the template to copy has the design, and is in the table."""
    assert sorted(kinds.TASKS) == [name for name in builtin_tasks() if name != "template"]


@pytest.mark.parametrize("name", kinds.TASKS)
def test_states_are_of_their_kind(name):
    """So many states of each kind, all of the right path, the same each time; fewer only where there are no more."""
    task = maker.load_task(name, **kinds.TASKS[name], design="questions")
    found, whole = kinds.states(task, 5), kinds.states(task, 10**6)
    assert found == kinds.states(task, 5)
    for kind, drawn in found.items():
        assert len(drawn) == min(5, len(whole[kind])) and {task.kind(state, step) for state, step in drawn} == {kind}


def test_a_reply_is_right_wrong_or_flagged():
    """The task's parser and flags come first; then the right answer decides."""
    task = maker.load_task("addition", x=7, y=8, design="questions")
    state = task.initial_state()
    told = {"15": "right", "14": "wrong", "99": "flagged", "It is 15.": "flagged", "": "flagged"}
    assert {reply: kinds.verdict(task, state, 0, reply) for reply in told} == told


def test_what_was_asked_is_not_asked_again(tmp_path, monkeypatch):
    """Each reply stands in the file; more draws ask the rest alone, and the table counts them with an interval."""
    monkeypatch.setattr(kinds, "FOLDER", tmp_path)
    monkeypatch.setitem(kinds.TASKS, "addition", {"x": 34, "y": 57})
    seeds = []

    def answer(model: str, prompt: str, seed: int, *_: object) -> dict[str, str]:
        seeds.append(seed)
        one, other = map(int, prompt.split("?", maxsplit=1)[0].removeprefix("What is ").split(" + "))
        return {"reply": "none" if seed == 2 else str(one + other)}

    monkeypatch.setattr(kinds, "ask", answer)
    kinds.measure("http://127.0.0.1:1/v1#tiny", "addition", 2)
    kinds.measure("http://127.0.0.1:1/v1#tiny", "addition", 3)
    assert sorted(seeds) == [0, 0, 1, 1, 2, 2]
    assert [json.loads(line)["right"] for line in (tmp_path / "kinds.jsonl").read_text().splitlines()].count("11") > 0
    assert list(kinds.table())[2:] == [
        "| tiny | addition | digits | 2 of 3 | 0.09 to 0.99 | 0 | 1 |",
        "| tiny | addition | carry | 2 of 3 | 0.09 to 0.99 | 0 | 1 |",
    ]
