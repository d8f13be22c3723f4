"""The tasks of the pinned journals. Never change this file: its bytes are part of their fingerprints."""

from __future__ import annotations

import enum
from typing import Any

from pydantic import BaseModel

import maker


class Count:
    """Counts to `steps`; every step adds one. It has all that a ladder can ask for."""

    name = "pinned-count"

    def __init__(self, steps: int = 12) -> None:
        self.steps = steps
        self.parameters = {"steps": steps}

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"{state} + 1 ="

    def paraphrases(self, state: int, step: int) -> list[maker.View]:
        return [
            maker.View(f"What follows {state}?", str),
            maker.View(f"Minus what follows {state}?", lambda text: text.removeprefix("-")),
        ]

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return 0 <= action < 1000

    def apply(self, state: int, action: int) -> int:
        return action

    def finer(self, state: int, step: int) -> Digits:
        return Digits(state + 1)

    def sound(self, state: int) -> bool:
        return state < 900

    def render(self, action: int) -> str:
        return str(action)

    def done(self, state: int) -> bool:
        return state == self.steps

    def answer(self, state: int) -> int:
        return state


class Digits:
    """One number, digit by digit: the finer steps of one step of `Count`."""

    name = "pinned-digits"

    def __init__(self, number: int) -> None:
        self.text = str(number)
        self.steps = len(self.text)

    def initial_state(self) -> str:
        return ""

    def prompt(self, state: str, step: int) -> str:
        return f"digit {step} of {self.text}?"

    def parse(self, text: str) -> str:
        return str(int(text))

    def legal(self, state: str, action: str) -> bool:
        return len(action) == 1

    def apply(self, state: str, action: str) -> str:
        return state + action

    def done(self, state: str) -> bool:
        return len(state) == self.steps

    def answer(self, state: str) -> int:
        return int(state)


class Until(Count):
    """Counts until it is done: only `done` knows when."""

    name = "pinned-until"

    def __init__(self) -> None:
        super().__init__(7)
        self.steps = None  # type: ignore[assignment]

    def done(self, state: int) -> bool:
        return state == 7


class Chain:
    """A walk whose every state is known beforehand, so that it can be cut into segments; it has a truth."""

    name = "pinned-chain"

    def __init__(self, steps: int = 40) -> None:
        self.steps = steps
        self.parameters = {"steps": steps}

    def plan(self, segments: int = 1024) -> maker.Plan:
        return maker.Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> list[int]:
        return [step, step * (step - 1) // 2 % 1009]

    def initial_state(self) -> list[int]:
        return [0, 0]

    def prompt(self, state: list[int], step: int) -> str:
        return f"({state[1]} + {state[0]}) mod 1009 ="

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: list[int], action: int) -> bool:
        return 0 <= action < 1009

    def apply(self, state: list[int], action: int) -> list[int]:
        return [state[0] + 1, action]

    def truth(self, state: list[int], step: int) -> int:
        return (state[1] + state[0]) % 1009

    def rivals(self, state: list[int], step: int) -> list[int]:
        return [(state[1] + state[0] + 1) % 1009, (state[1] + state[0] + 2) % 1009]

    def render(self, action: int) -> str:
        return str(action)

    def done(self, state: list[int]) -> bool:
        return state == self.state_at(self.steps)

    def answer(self, state: list[int]) -> int:
        return state[1]


class Branches:
    """Branches that join: two roots, a join of one, a join of two, and a join whose entry is known beforehand."""

    name = "pinned-branches"
    shape = ((3, ()), (2, ()), (4, (0,)), (1, (0, 1)), (3, (2, 3)), (2, (4,)))
    known = (5,)

    def __init__(self) -> None:
        self.steps = sum(length for length, _ in self.shape)
        self.parameters = {"shape": [[length, list(after)] for length, after in self.shape]}

    def plan(self, segments: int = 0) -> maker.Plan:
        made, start = [], 0
        for index, (length, after) in enumerate(self.shape):
            enter = (lambda _, i=index: self.entry(i)) if index in self.known or not after else None
            join = (lambda exits, i=index: self.join(i, exits)) if after else None
            made.append(maker.Segment(index, start, start + length, enter, after, join))
            start += length
        return maker.Plan(made)

    def join(self, index: int, exits: Any) -> list[int]:
        return [index, 0, (sum(exit_[2] for exit_ in exits) + index) % 1009]

    def entry(self, index: int) -> list[int]:
        after = self.shape[index][1]
        return self.join(index, [self.exit(i) for i in after]) if after else [index, 0, 7 * index]

    def exit(self, index: int) -> list[int]:
        state = self.entry(index)
        for _ in range(self.shape[index][0]):
            state = self.apply(state, self.truth(state, 0))
        return state

    def initial_state(self) -> list[int]:
        return [0, 0, 0]

    def prompt(self, state: list[int], step: int) -> str:
        return f"{state}"

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: list[int], action: int) -> bool:
        return 0 <= action < 1009

    def apply(self, state: list[int], action: int) -> list[int]:
        return [state[0], state[1] + 1, action]

    def truth(self, state: list[int], step: int) -> int:
        return (state[2] * 31 + 17 * state[0] + state[1] + 1) % 1009

    def render(self, action: int) -> str:
        return str(action)

    def done(self, state: list[int]) -> bool:
        return state == self.exit(len(self.shape) - 1)

    def answer(self, state: list[int]) -> int:
        return state[2]


class Colour(enum.Enum):
    """A value with a name."""

    RED = 1
    BLUE = 2


class Forms(Count):
    """Its states and actions have every form that a value may have."""

    name = "pinned-forms"
    values = (
        None, True, 1, 1.0, "1", b"\x00\xff", Colour.BLUE, frozenset({1, "a", 2.5}), {1: "x", "1": "y"}, (1, [2]),
        "\ud83d", {"deep": [{"er": {"est": -0.0}}]},
    )  # fmt: skip

    def initial_state(self) -> Any:
        return {"at": 0, "was": []}

    def prompt(self, state: Any, step: int) -> str:
        return f"value {step}?"

    def parse(self, text: str) -> Any:
        return self.values[int(text)]

    def legal(self, state: Any, action: Any) -> bool:
        return True

    def apply(self, state: Any, action: Any) -> Any:
        return {"at": state["at"] + 1, "was": [*state["was"], action]}

    def sound(self, state: Any) -> bool:
        return True

    def done(self, state: Any) -> bool:
        return state["at"] == self.steps

    def answer(self, state: Any) -> int:
        return state["at"]


class Size(BaseModel):
    """An answer of a map."""

    width: int
    unit: str = "cm"


def folded(answer: str) -> Any:
    """Return what an answer of a map is counted by."""
    return {"first": answer[:1].casefold(), "length": len(answer)}


def bracketed(text: str) -> list[str]:
    """Read a reply of a map."""
    return text.strip("<>").split("|")


def wide(size: Size) -> bool:
    """Return whether a size is wide."""
    return size.width > 10
