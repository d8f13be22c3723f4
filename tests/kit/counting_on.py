"""A task in a file, for workers of other processes, which make it again: it counts on by one, in stretches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import maker
from maker import Plan


class Counting:
    """Counts from 0, one more a step; every segment knows its entry."""

    name = "counting-on"

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.parameters: dict[str, Any] = {"steps": steps}

    def plan(self, segments: int = 6) -> Plan[int]:
        return Plan.chain(self.steps, int, segments)

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"What is {state} + 1?"

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return True

    def apply(self, state: int, action: int) -> int:
        return state + 1

    def done(self, state: int) -> bool:
        return state == self.steps

    def answer(self, state: int) -> int:
        return state


def counting(steps: int) -> maker.Task:
    """Return the task as it is loaded from its file."""
    return maker.load_task(f"{Path(__file__)}:Counting", steps=steps)
