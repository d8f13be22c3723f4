"""The task of the golden journals. Never change this file: its bytes are part of their fingerprints."""

from __future__ import annotations


class Count:
    """Counts to twelve; every step adds one."""

    name = "golden-count"
    steps = 12

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"{state} + 1 ="

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return 0 <= action < 100

    def apply(self, state: int, action: int) -> int:
        return action

    def done(self, state: int) -> bool:
        return state == 12

    def answer(self, state: int) -> int:
        return state
