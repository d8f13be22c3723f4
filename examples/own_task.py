"""A task of your own: add up a list of numbers, one addition a step.

Run it here, or as `maker run examples/own_task.py:Total --numbers 3,1,4 --model oracle:p=0.9`.
"""

import json

import maker


class Total:
    """State: the sum so far and how many numbers are in it."""

    name = "total"

    def __init__(self, numbers: list[int] | None = None) -> None:
        self.numbers = numbers or [31, 41, 59, 26]
        self.steps = len(self.numbers)
        self.parameters = {"numbers": self.numbers}

    def initial_state(self) -> tuple[int, int]:
        return (0, 0)

    def prompt(self, state: tuple[int, int], step: int) -> str:
        return f"Add {self.numbers[step]} to {state[0]}. Answer with the sum alone."

    def parse(self, text: str) -> int:
        value = json.loads(text)
        if type(value) is not int:
            raise ValueError("not a whole number")
        return value

    def legal(self, state: tuple[int, int], action: int) -> bool:
        return True

    def apply(self, state: tuple[int, int], action: int) -> tuple[int, int]:
        return (action, state[1] + 1)

    def done(self, state: tuple[int, int]) -> bool:
        return state[1] == len(self.numbers)

    def answer(self, state: tuple[int, int]) -> int:
        return state[0]

    def truth(self, state: tuple[int, int], step: int) -> int:
        """Only simulated models and `wrong` use this; with a real model you may leave it out."""
        return state[0] + self.numbers[step]


if __name__ == "__main__":
    result = maker.run_sync(Total(), model="oracle:p=0.9", k=4)
    print(f"{result.answer} in {result.steps} steps and {result.samples} samples (simulated model)")
