"""Merge sort of whole numbers, one comparison a step.

Sorted lists stand in a queue, at first one of each number: the first two are merged, the result goes to the
end, until one list is left. Merge t so takes the lists 2t and 2t + 1, where the first n are the numbers and list
n + j is what merge j made. A step sees the first numbers of the two lists and takes the smaller one; the last
number of a merge goes over by itself. Merging a and b numbers thus takes a + b - 1 steps whatever the numbers
are: where one list is used up early, the steps that are left take from the other. The number of steps is known
beforehand, and the plan is a DAG: merges that do not need each other run side by side.

Two designs of its steps. In `lines` the model is told the rules of a merge and answers the side and the number. In
`questions` it is asked for the smallest number of a list of the two, with a bare number as answer: it compares, the
code knows which list that number heads.

`done` compares the list with Python's sorted one; nothing that judges a single reply knows it.

Not covered: more than 10,000 numbers (the state, and with it the digest of each step, grows with them).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, Segment, TaskError, View, bare

MOST = 10_000

_RULES = """\
You carry out one comparison of a merge sort: two sorted lists become one, the smallest number first.

Below are the first numbers of both lists, or none for a list that is used up. Take the smaller number.
If they are equal, take {equal}. If one list is used up, take from the other.
Answer with exactly two lines and nothing else, the list you take from and the number you take:
take = <left or right>
number = <the number>

left: {left}
right: {right}"""

_TAKE, _NUMBER = Line("take", "left|right"), Line("number", Line.INTEGER)
_EXAMPLES = (([52, 417], "52"), ([803, 96], "96"))
_OTHER = {"left": "right", "right": "left"}


class Take(NamedTuple):
    """The answer of a step: the side, "left" or "right", and its first number."""

    side: str
    number: int


class SortingState(NamedTuple):
    """All that a step needs.

    merge: its number. runs: lists that merges have made and none has taken yet, the oldest first. left, right: what is
    left of the two lists, both empty before the first step of a merge. merged: what came of them so far.
    """

    merge: int = 0
    runs: tuple[tuple[int, ...], ...] = ()
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()


class _Merges:
    """The merges of some numbers: states and plan, the same in every design."""

    name = "sorting"
    designs: ClassVar = {
        "lines": "the rules of a merge, the side and the number on two lines",
        "questions": "the smallest number of a list of two, a bare number as answer",
    }

    def __init__(self, numbers: list[int] | None, size: int | None, data_seed: int | None) -> None:
        if numbers is not None and (size is not None or data_seed is not None):
            raise TaskError("sorting: give either numbers, or size and data_seed, not both")
        if numbers is None:
            size, data_seed = 10 if size is None else size, data_seed or 0
            if not 2 <= size <= MOST:
                raise TaskError(f"sorting: size = {size}: give 2 to 10,000")
            drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
            numbers = [int(drawn.random() * 10 * size) for _ in range(size)]
            self.parameters: dict[str, object] = {"size": size, "data_seed": data_seed}
        else:
            self.parameters = {"numbers": list(numbers)}
        if not 2 <= len(numbers) <= MOST:
            raise TaskError(f"sorting: {len(numbers)} numbers: give 2 to 10,000, as in --numbers 3,1,2")
        if any(abs(number) >= 10**100 for number in numbers):
            raise TaskError("sorting: give numbers of at most 100 digits")
        self.numbers = tuple(numbers)
        self._ends = list(accumulate(_merge_steps(len(numbers))))  # by merge, the step after its last one
        self.steps: int = self._ends[-1]

    def initial_state(self) -> SortingState:
        """Return the state before the first merge."""
        return SortingState()

    def _opened(self, state: SortingState) -> SortingState:
        """Return the state with the lists of its merge in hand."""
        if state.left or state.right:
            return state
        runs = deque(state.runs)
        left, right = (
            (self.numbers[place],) if place < len(self.numbers) else runs.popleft()
            for place in (2 * state.merge, 2 * state.merge + 1)
        )
        return SortingState(state.merge, tuple(runs), left, right)

    def _taken(self, state: SortingState, side: str) -> SortingState:
        """Return the state with a side's first number moved over; the last number left in a merge goes along."""
        merge, runs, left, right, merged = self._opened(state)
        if side == "left":
            number, left = left[0], left[1:]
        else:
            number, right = right[0], right[1:]
        merged = (*merged, number)
        if len(left) + len(right) > 1:
            return SortingState(merge, runs, left, right, merged)
        return SortingState(merge + 1, (*runs, merged + left + right))

    def done(self, state: SortingState) -> bool:
        """Say whether one list is left and it is sorted."""
        return state == SortingState(len(self.numbers) - 1, (tuple(sorted(self.numbers)),))

    def answer(self, state: SortingState) -> list[int]:
        """Return the sorted list."""
        return list(state.runs[-1])

    # -- decomposition -------------------------------------------------------------------------

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Return a segment for each merge, after the merges that made its lists; `segments` does not change that."""
        return Plan([self._segment(merge) for merge in range(len(self._ends))])

    def _segment(self, merge: int) -> Segment:
        """Return a merge: it begins at once with numbers, or when the merges before it are done with what they made."""
        after = tuple(made for made in (2 * merge - len(self.numbers), 2 * merge + 1 - len(self.numbers)) if made >= 0)
        start = self._ends[merge - 1] if merge else 0

        def join(exits: Sequence[SortingState]) -> SortingState:
            return SortingState(merge, tuple(state.runs[-1] for state in exits))

        if after:
            return Segment(merge, start, self._ends[merge], after=after, join=join)
        return Segment(merge, start, self._ends[merge], lambda _step: SortingState(merge), after=())


class Sorting(_Merges):
    """Merge sort, smallest first.

    numbers: what to sort, 2 to 10,000 whole numbers. Or size and data_seed: that many numbers from 0 up to 10 times
    as many, drawn at random; 10 with seed 0 when nothing is given. design: see `designs`.
    """

    def __new__(
        cls, numbers: list[int] | None = None, size: int | None = None, data_seed: int | None = None,
        design: str = "lines",
    ) -> Any:  # fmt: skip
        """Return a task of the design that is asked for."""
        return Asked(numbers, size, data_seed) if design == "questions" else super().__new__(cls)

    def __init__(
        self, numbers: list[int] | None = None, size: int | None = None, data_seed: int | None = None,
        design: Literal["lines", "questions"] = "lines",
    ) -> None:  # fmt: skip
        super().__init__(numbers, size, data_seed)

    def prompt(self, state: SortingState, step: int) -> str:
        """Return the first numbers of both lists; no step needs more."""
        _, _, left, right, _ = self._opened(state)
        return _asked(left, right, "left")

    def paraphrases(self, state: SortingState, step: int) -> list[View]:
        """Return the question as it is, and with the two lists exchanged."""
        _, _, left, right, _ = self._opened(state)
        return [View(_asked(left, right, "left"), str), View(_asked(right, left, "right"), self._exchanged)]

    def _exchanged(self, text: str) -> str:
        side, number = self.parse(text)
        return self.render(Take(_OTHER[side], number))

    def parse(self, text: str) -> Take:
        """Read `take = left` or `right`, and `number = N`. Raises Ambiguous or ValueError for anything else."""
        return Take(_TAKE.read(text), _NUMBER.number(text))

    def legal(self, state: SortingState, action: Take) -> bool:
        """Say whether the number is the first one of the list it is taken from."""
        _, _, left, right, _ = self._opened(state)
        return (left if action.side == "left" else right)[:1] == (action.number,)

    def apply(self, state: SortingState, action: Take) -> SortingState:
        """Return the state with the number moved over."""
        return self._taken(state, action.side)

    def check(self, actions: Iterable[Take]) -> str | None:
        """Replay the merges from their ends, a path of its own; return a complaint or None."""
        return check_takes(self.numbers, actions)

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: SortingState, step: int) -> Take:
        """Return the smaller of the first numbers, on or off the path."""
        _, _, left, right, _ = self._opened(state)
        if left and (not right or left[0] <= right[0]):
            return Take("left", left[0])
        return Take("right", right[0])

    def render(self, answer: Take) -> str:
        """Write an answer as a model would."""
        return f"take = {answer.side}\nnumber = {answer.number}"

    def rivals(self, state: SortingState, step: int) -> list[Take]:
        """Return the other list's number: no flag can catch it. Of a list that is used up none can be taken."""
        side, number = self.truth(state, step)
        _, _, left, right, _ = self._opened(state)
        source = right if side == "left" else left
        return [Take(_OTHER[side], source[0] if source else number)]


class Asked(_Merges):
    """The design `questions`: the answer of a step is the smaller one of two numbers."""

    def __init__(
        self, numbers: list[int] | None, size: int | None, data_seed: int | None, design: str = "questions"
    ) -> None:
        super().__init__(numbers, size, data_seed)
        self.parameters["design"] = design

    def _heads(self, state: SortingState) -> list[int]:
        _, _, left, right, _ = self._opened(state)
        return [*left[:1], *right[:1]]

    def kind(self, state: SortingState, step: int) -> str:
        """Return whether two numbers are compared, or one list is used up."""
        return "compare" if len(self._heads(state)) == 2 else "only one left"

    def prompt(self, state: SortingState, step: int) -> Any:
        """Return the first numbers of the lists that have any; no step needs more."""
        return _question(self._heads(state))

    def paraphrases(self, state: SortingState, step: int) -> list[View]:
        """Return the question with its numbers in either order."""
        heads = self._heads(state)
        return [View(_question(heads), str), View(_question(heads[::-1]), str)]

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text))

    def legal(self, state: SortingState, action: int) -> bool:
        """Say whether the number is the first one of a list."""
        return action in self._heads(state)

    def apply(self, state: SortingState, action: int) -> SortingState:
        """Return the state with the number moved over, of equal ones the left one."""
        _, _, left, _, _ = self._opened(state)
        return self._taken(state, "left" if left[:1] == (action,) else "right")

    def check(self, actions: Iterable[int]) -> str | None:
        """Replay the merges from their ends, a path of its own; return a complaint or None."""
        return check_takes(self.numbers, (Take("", number) for number in actions))

    def truth(self, state: SortingState, step: int) -> int:
        """Return the smaller of the first numbers, on or off the path."""
        return min(self._heads(state))

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: SortingState, step: int) -> list[int]:
        """Return the larger number: no flag can catch it. Where there is none, a number that no list begins with."""
        heads = self._heads(state)
        return [max(heads)] if min(heads) != max(heads) else [heads[0] + 1]


def check_takes(numbers: Sequence[int], takes: Iterable[Take]) -> str | None:
    """Say what is wrong with the numbers taken, or None if they sort the list by the merges of the queue.

    Independent of `Sorting`: it keeps the lists the other way round, pops from their ends, and compares each
    finished merge with Python's sorted one.
    """
    queue = deque([number] for number in numbers)
    given = iter(takes)
    count = 0
    while len(queue) > 1:
        sides = {"left": queue.popleft(), "right": queue.popleft()}
        wanted = sorted(sides["left"] + sides["right"])
        for number in wanted[:-1]:
            take = next(given, None)
            if take is None:
                return f"{count} answers are too few"
            side, taken = take
            if not side:  # then the number says which list is meant, of equal ones the left one
                side = "left" if sides["left"][-1:] == [taken] else "right"
            if taken != number or not sides[side] or sides[side].pop() != number:
                return f"answer {count} takes {taken} from the {side}, the smallest number is {number}"
            count += 1
        queue.append(wanted[::-1])
    return None if next(given, None) is None else f"there are answers after the {count} of the sort"


def _merge_steps(size: int) -> list[int]:
    """Return the steps of each merge of so many numbers: one fewer than the numbers in its two lists."""
    lengths = [1] * size
    for merge in range(size - 1):
        lengths.append(lengths[2 * merge] + lengths[2 * merge + 1])
    return [length - 1 for length in lengths[size:]]


def _asked(left: tuple[int, ...], right: tuple[int, ...], equal: str) -> str:
    return _RULES.format(equal=equal, left=left[0] if left else "none", right=right[0] if right else "none")


def _question(numbers: list[int]) -> Any:
    """Return what is asked, after two examples of how it is answered: without them small models err more."""
    told = [*_EXAMPLES, (numbers, None)]
    return [
        {"role": role, "content": text}
        for listed, smallest in told
        for role, text in (("user", f"What is the smallest number in this list? {listed}"), ("assistant", smallest))
        if text is not None
    ]
