"""Four puzzles of growing size, whose moves, rules and shortest way are those of the bundled tasks.

A `Puzzle` plays moves on a task's own states, and says in words what a model is told: the rules, the goal, the state,
and the algorithm, which is the strategy of the task's prompt. A move is a JSON list.

Not covered: who is asked, and how (`asking.py`), and what became of it (`runs.py`).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from maker.experiments.gap.reading import Move, moves_in
from maker.task.load import load_task


class _Form(NamedTuple):
    """What differs from puzzle to puzzle. shape: of a move, with an example. wrong: a move that is never allowed."""

    parameter: str
    title: str
    goal: str
    shape: str
    wrong: Move


FORMS = {
    "hanoi": _Form(
        "disks", "Towers of Hanoi", "all disks stand on peg 2", "[disk, from_peg, to_peg], such as [3, 1, 2]", (1, 0, 0)
    ),
    "checkers": _Form(
        "n",
        "Checker Jumping",
        "all B stand on the left and all R on the right",
        '["R or B", from_place, to_place], such as ["R", 4, 5]',
        ("R", 0, 0),
    ),
    "river": _Form(
        "pairs",
        "River Crossing",
        "everybody is on the right bank",
        'who is in the boat, such as ["a1", "A1"]',
        ("a1", "a1"),
    ),
    "blocks": _Form(
        "n",
        "Blocks World",
        "stack 0 holds {goal}, from the bottom to the top",
        "[block, from_stack, to_stack], such as [5, 2, 0]",
        (1, 0, 0),
    ),
}


class Puzzle:
    """One puzzle of one size.

    name: of FORMS. size: as the task counts it. task: states and rules; asked: its design of one operation a step.
    moves: of the shortest way.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        self.form = FORMS[name]
        self.task: Any = load_task(name, **{self.form.parameter: size})
        self.asked: Any = load_task(name, **{self.form.parameter: size}, design="questions")
        self.moves = self.task.steps or 0  # all four know theirs
        self.start: Any = self.task.initial_state()
        told = self.task.prompt(self.start, 0).split("\n\n")
        self.rules, self.algorithm = (
            next(part for part in told if part.startswith(word)) for word in ("Rules", "Strategy")
        )
        self.goal = self.form.goal.format(goal=[*getattr(self.task, "goal", ())])

    def shown(self, state: Any) -> str:
        """Say how things stand, with what the algorithm needs of the move before."""
        if self.name == "checkers":
            return f'last = "{state.last}" (the colour that moved last)\nrow = "{self.task.answer(state)}"'
        if self.name == "blocks":
            return f"stacks = {self.task.answer(state)} (each from the bottom to the top)"
        told = str(self.task.prompt(state, 0)).rpartition("\n\n")[2].partition("\n")[2]
        return f"{told} (each peg from the bottom to the top)" if self.name == "hanoi" else told

    def played(self, state: Any, move: Move) -> Any:
        """Return the state after a move, None where the rules do not allow it."""
        action = self.task.truth(self.start, 0)._replace(move=move)
        return self.task.apply(state, action) if self.task.legal(state, action) else None

    def right(self, state: Any) -> Move:
        """Return the move of the algorithm, on or off the shortest way."""
        move: Move = self.task.truth(state, 0).move
        return move

    def wrong(self, state: Any) -> list[Move]:
        """Return the other moves that the rules allow, and one that they do not."""
        right = self.right(state)
        return [*(one.move for one in self.task.rivals(state, 0) if one.move not in (right, ())), self.form.wrong]

    def place(self, state: Any) -> Any:
        """Return how things stand, whatever moved last: what it means to come back to a position."""
        if self.name == "river":
            return state.left, state.here
        return str(self.task.answer(state))

    def solved(self, state: Any) -> bool:
        """Say whether the goal is reached."""
        return bool(self.task.done(state))

    def read(self, text: str) -> list[Move | None]:
        """Return the moves that a text holds; None stands for a list that is no move."""
        return moves_in(self.name, text)


def written(move: Move) -> str:
    """Write a move as a model would."""
    return json.dumps(move)
