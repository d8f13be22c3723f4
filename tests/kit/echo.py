"""A task whose answer is the whole text: what a reply says is what is counted, hostile or not."""

from __future__ import annotations


class Echo:
    """Says something at each of its steps. ask: the prompt of all of them."""

    name = "echo"

    def __init__(self, steps: int = 12, ask: str = "Say something.") -> None:
        self.steps = steps
        self._ask = ask

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return self._ask

    def parse(self, text: str) -> str:
        return text

    def legal(self, state: int, action: str) -> bool:
        return True

    def apply(self, state: int, action: str) -> int:
        return state + 1

    def done(self, state: int) -> bool:
        return state == self.steps

    def answer(self, state: int) -> object:
        return state
