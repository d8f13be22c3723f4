"""A task without a truth, for tests of what is graded by agreement."""

from __future__ import annotations


class Adding:
    """Adds one at each step; no truth and no plan, so that there is only agreement to grade by."""

    name = "adding"

    def __init__(self, steps: int = 200, *, known: bool = True) -> None:
        self.goal = steps
        self.steps: int | None = steps if known else None

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"{state} + 1 ="

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return 0 <= action <= self.goal

    def apply(self, state: int, action: int) -> int:
        return state + 1

    def done(self, state: int) -> bool:
        return state >= self.goal

    def answer(self, state: int) -> int:
        return state
