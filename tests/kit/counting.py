"""A task that counts, for tests of steps that do not decide: answers may be wrong unnoticed, or against the rules."""

from __future__ import annotations

GOAL = 12


class Counting:
    """Counts to twelve by asking for one more; the state is all numbers so far; one below 0 is against the rules."""

    name = "counting"
    steps: int | None = GOAL

    def initial_state(self) -> tuple[int, ...]:
        return ()

    def prompt(self, state: tuple[int, ...], step: int) -> str:
        return f"after {step}"

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: tuple[int, ...], action: int) -> bool:
        return action >= 0

    def apply(self, state: tuple[int, ...], action: int) -> tuple[int, ...]:
        return (*state, action)

    def done(self, state: tuple[int, ...]) -> bool:
        return state == tuple(range(1, GOAL + 1))

    def answer(self, state: tuple[int, ...]) -> int:
        return len(state)
