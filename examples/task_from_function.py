"""A task from a function: what Python can do in one step, a model does step by step, each step voted on.

Run it here, or as `maker run examples/task_from_function.py:collatz --start 27 --model oracle:p=0.9 --k 4`.
"""

from collections.abc import Callable

import maker


class Repeat:
    """Apply `function` to a whole number until it is `goal`. The state is the number."""

    steps = None  # only the goal tells when it is over

    def __init__(self, function: Callable[[int], int], start: int, goal: int) -> None:
        self.function, self.start, self.goal = function, start, goal
        self.name = function.__name__
        self.parameters = {"start": start, "goal": goal}

    def initial_state(self) -> int:
        return self.start

    def prompt(self, state: int, step: int) -> str:
        return f"{self.function.__doc__}\nThe number is {state}. Answer with the next number alone."

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return action > 0

    def apply(self, state: int, action: int) -> int:
        return action

    def done(self, state: int) -> bool:
        return state == self.goal

    def answer(self, state: int) -> int:
        return state

    def truth(self, state: int, step: int) -> int:
        """Only simulated models and `wrong` use this."""
        return self.function(state)


def collatz(start: int = 27) -> Repeat:
    """Return the task of walking from a number to 1."""

    def next_number(number: int) -> int:
        """Halve an even number; of an odd one take three times it, and one more."""
        return number // 2 if number % 2 == 0 else 3 * number + 1

    return Repeat(next_number, start, goal=1)


if __name__ == "__main__":
    result = maker.run_sync(collatz(27), model="oracle:p=0.9", k=4)
    print(f"27 reached {result.answer} in {result.steps} steps and {result.samples} samples (simulated model)")
