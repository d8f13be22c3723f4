"""Blocks World: blocks on three stacks are put into a new order on the first, one at a time.

Blocks 1 to n/2 stand on stack 0 and the others on stack 1, upwards; stack 2 is empty. The goal is all on stack 0, the
two halves in turn from their tops down: of eight blocks [8, 4, 7, 3, 6, 2, 5, 1]. Only the top block of a stack moves.
The shortest solution has 2n - 1 moves: stack 0 goes to stack 1, but its last block to stack 2; the others follow it
there, the right way up; then stacks 1 and 2 are dealt out in turn. Each move follows from the tops of the stacks and
from how many blocks stand on each.

Two designs of its steps. In `lines` a step is a move by that strategy, answered with the move and the tops after it. In
`questions` a step is a list of numbers: which is the last one, or the smallest. The model reads which block is on top
and which half it belongs to; the code knows whose turn it is, and moves the block that was named.

Not covered: other starting positions and goals, and more than 1,000 blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, TaskError, bare

MOST = 1000
SHOWN = 3  # blocks of a stack, from the top

_RULES = """\
You carry out one move of a Blocks World puzzle: one move, no planning ahead.

Rules: blocks 1 to {n} stand on stacks 0, 1 and 2. Only the top block of a stack can move, onto another \
stack.

Strategy:
1. If stack 2 is empty and stack 0 is not, the top block of stack 0 moves: to stack 1, or to stack 2 if it is \
the only one on stack 0.
2. If not, and the top block of stack 1 is {half} or less, it moves to stack 2.
3. If neither, a block moves to stack 0: from stack 1 if the number of blocks on stack 0 is even, from stack 2 if it \
is odd. If that stack is empty, from the other.

Answer with exactly two lines and nothing else: the block with the stacks it leaves and goes to, and the top block of \
each stack after the move (0 for an empty stack):
move = [block, from, to]
tops = [top of 0, top of 1, top of 2]

Below are, for each stack, how many blocks stand on it and the highest of them, the top block last.
"""

_NUMBER = r"(?:0|[1-9][0-9]{0,3})"
_MOVE, _TOPS = (Line(name, rf"\[{_NUMBER}, ?{_NUMBER}, ?{_NUMBER}\]") for name in ("move", "tops"))
_QUESTIONS = {
    "look-up": "What is the last number in this list?",
    "compare": "What is the smallest number in this list?",
}

Stacks = tuple[tuple[int, ...], ...]
Move = tuple[int, int, int]


class BlocksAnswer(NamedTuple):
    """What the model writes: its move (block, from, to), and the top block that it says each stack has after it."""

    move: Move
    tops: tuple[int, int, int]


class _Blocks:
    """The blocks, their goal and the known way, the same in both designs; a state is the stacks, bottom first."""

    name = "blocks"
    designs: ClassVar = {
        "lines": "a move a step by the rules of a strategy, with the tops after it",
        "questions": "one question a move: the last number in a list, or the smallest",
    }

    def __init__(self, n: int) -> None:
        if n % 2 or not 2 <= n <= MOST:
            raise TaskError(f"blocks: n = {n}: give an even number from 2 to 1,000")
        self.n, self.half = n, n // 2
        self.steps: int = 2 * n - 1
        self.parameters: dict[str, Any] = {"n": n}
        self.goal = tuple(self.n - at // 2 if at % 2 == 0 else self.half - at // 2 for at in range(n))

    def initial_state(self) -> Stacks:
        """Return the lower half on stack 0, the upper half on stack 1."""
        return self.state_at(0)

    def done(self, state: Stacks) -> bool:
        """Say whether all stand on stack 0 in the order that was asked for."""
        return state[0] == self.goal

    def answer(self, state: Stacks) -> list[list[int]]:
        """Return the stacks as lists."""
        return [list(stack) for stack in state]

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the moves into segments whose entry states are known in closed form."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> Stacks:
        """Return the state before a move of the shortest solution."""
        half = self.half
        lower, upper = tuple(range(1, half + 1)), tuple(range(half + 1, self.n + 1))
        if step < half:
            return lower[: half - step], upper + lower[: half - step - 1 : -1], ()
        if step < 2 * half:
            over = step - half + 1
            return (), upper + lower[: over - 1 : -1], lower[:over]
        placed = step - 2 * half + 1
        return self.goal[:placed], upper[: half - (placed + 1) // 2], lower[: half - placed // 2]

    def strategy(self, state: Stacks) -> Move:
        """Return the move that the prompt's three rules give."""
        first, second, third = state
        if not third and first:
            return first[-1], 0, 1 if len(first) > 1 else 2
        if second and second[-1] <= self.half:
            return second[-1], 1, 2
        source = 1 if second and (len(first) % 2 == 0 or not third) else 2
        return state[source][-1], source, 0


class Blocks(_Blocks):
    """Blocks World with n blocks.

    n: an even number from 2 to 1,000. design: see `designs`.
    """

    def __new__(cls, n: int = 8, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(n) if design == "questions" else super().__new__(cls)

    def __init__(self, n: int = 8, design: Literal["lines", "questions"] = "lines") -> None:
        super().__init__(n)
        self._head = _RULES.format(n=n, half=self.half)

    def prompt(self, state: Stacks, step: int) -> str:
        """Return the prompt; last come the stacks' heights and their highest blocks."""
        return self._head + "\n".join(
            f"stack {at}: {len(stack)} block{'s' * (len(stack) != 1)}, {[*stack[-SHOWN:]]}"
            for at, stack in enumerate(state)
        )

    def parse(self, text: str) -> BlocksAnswer:
        """Read `move = [8, 1, 0]` and `tops = [8, 3, 0]`; strict, in linear time.

        Raises Ambiguous for several distinct answers, ValueError for none or for any other form.
        """
        move, tops = (tuple(json.loads(line.read(text))) for line in (_MOVE, _TOPS))
        return BlocksAnswer(move, tops)

    def legal(self, state: Stacks, action: BlocksAnswer) -> bool:
        """Say whether the block is on top of its stack and goes to another one."""
        block, source, target = action.move
        return source != target and source < 3 and target < 3 and state[source][-1:] == (block,)

    def apply(self, state: Stacks, action: BlocksAnswer) -> Stacks:
        """Return the stacks after the move; the claimed tops do not count."""
        return moved(state, action.move)

    def agrees(self, action: BlocksAnswer, next_state: Stacks) -> bool:
        """Say whether the claimed tops are those that the move left."""
        return action.tops == _tops(next_state)

    def check(self, actions: Iterable[BlocksAnswer]) -> str | None:
        """Replay the moves on what each block stands on, a path of its own; return a complaint or None."""
        return check_moves(self.n, (action.move for action in actions))

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: Stacks, step: int) -> BlocksAnswer:
        """Return what the strategy does here, on or off the shortest path."""
        move = self.strategy(state)
        return BlocksAnswer(move, _tops(moved(state, move)))

    def render(self, answer: BlocksAnswer) -> str:
        """Write an answer as a model would."""
        return f"move = {[*answer.move]}\ntops = {[*answer.tops]}"

    def rivals(self, state: Stacks, step: int) -> list[BlocksAnswer]:
        """Return the other moves that the rules allow, with the tops they leave: no flag can catch them."""
        right = self.strategy(state)
        return [BlocksAnswer(move, _tops(moved(state, move))) for move in moves_of(state) if move != right]


class Asked(_Blocks):
    """The design `questions`: the answer of a step is a block, and the code moves it."""

    def __init__(self, n: int, design: str = "questions") -> None:
        super().__init__(n)
        self.parameters["design"] = design

    def kind(self, state: Stacks, step: int) -> str:
        """Return whether a list's last number is looked up, or two numbers are compared."""
        return "compare" if state[2] and not state[0] and state[1] else "look-up"

    def _list(self, state: Stacks) -> list[int]:
        """Return the list that is asked about: the top of stack 1 with the largest lower block, or a stack's top."""
        if self.kind(state, 0) == "compare":
            return [state[1][-1], self.half]
        return [*state[self.strategy(state)[1]][-SHOWN:]]

    def prompt(self, state: Stacks, step: int) -> str:
        """Return one question about a short list."""
        return f"{_QUESTIONS[self.kind(state, step)]} {self._list(state)} Answer with the number alone."

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text, "[1-9][0-9]{0,3}"))

    def legal(self, state: Stacks, action: int) -> bool:
        """Say whether it is in the list."""
        return action in self._list(state)

    def apply(self, state: Stacks, action: int) -> Stacks:
        """Return the stacks after the move that the answer means; a block that is not on top stays where it is."""
        if self.kind(state, 0) == "compare":
            return moved(state, (state[1][-1], 1, 2 if action == state[1][-1] else 0))
        block, source, target = self.strategy(state)
        return moved(state, (block, source, target)) if action == block else state

    def check(self, actions: Iterable[int]) -> str | None:
        """Compare every answer with where the blocks belong, a path of its own; return a complaint or None."""
        return check_numbers(self.n, actions)

    def truth(self, state: Stacks, step: int) -> int:
        """Return the right answer, on or off the shortest path."""
        asked = self._list(state)
        return min(asked) if self.kind(state, step) == "compare" else asked[-1]

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: Stacks, step: int) -> list[int]:
        """Return the other numbers of the list; where there is none, the next number, which is flagged."""
        right = self.truth(state, step)
        return [number for number in self._list(state) if number != right] or [right + 1]


def check_moves(n: int, moves: Iterable[Move]) -> str | None:
    """Say what is wrong with a whole sequence of moves, or None if it reaches the goal in 2n - 1 moves.

    Independent of `Blocks`: it keeps what each block stands on and what lies on top, and shares no code with it.
    """
    below = {block: block - 1 if block - 1 not in (0, n // 2) else 0 for block in range(1, n + 1)}
    top = {0: n // 2, 1: n, 2: 0}
    count = 0
    for block, source, target in moves:
        if source not in top or target not in top or source == target or not block or top[source] != block:
            return f"move {count}: block {block} cannot go from stack {source} to stack {target}"
        top[source], below[block], top[target] = below[block], top[target], block
        count += 1
    order, block = [], top[0]
    while block:
        order.append(block)
        block = below[block]
    if order != [at // 2 + 1 + (n // 2 if at % 2 else 0) for at in range(n)]:
        return f"after {count} moves the blocks do not stand on stack 0 in the order asked for"
    return None if count == 2 * n - 1 else f"{count} moves, the shortest solution has {2 * n - 1}"


def check_numbers(n: int, numbers: Iterable[int]) -> str | None:
    """Say what is wrong with the answers, or None if all are right and reach the goal; independent of `Asked`."""
    half = n // 2
    down = list(range(half, 0, -1))
    up = [*range(2, half + 1), half]  # the last comparison is with an upper block
    dealt = [half - at // 2 if at % 2 == 0 else n - (at + 1) // 2 for at in range(n - 1)]
    right = [*down, *up, *dealt]
    given = list(numbers)
    for count, (said, due) in enumerate(zip(given, right, strict=False)):
        if said != due:
            return f"question {count}: {said} is said, {due} is due"
    return None if len(given) == len(right) else f"{len(given)} answers to {len(right)} questions"


def moves_of(state: Stacks) -> list[Move]:
    """Return every move that the rules allow."""
    return [
        (state[source][-1], source, target)
        for source in range(3)
        for target in range(3)
        if source != target and state[source]
    ]


def moved(state: Stacks, move: Move) -> Stacks:
    """Return the stacks after a move of a top block."""
    block, source, target = move
    after = list(state)
    after[source] = after[source][:-1]
    after[target] = (*after[target], block)
    return tuple(after)


def _tops(state: Stacks) -> tuple[int, int, int]:
    """Return the top block of each stack, 0 for an empty one."""
    first, second, third = (stack[-1] if stack else 0 for stack in state)
    return first, second, third
