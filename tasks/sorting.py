"""Merge sort of whole numbers, one comparison a step.

Sorted lists stand in a queue, at first one of each number: the first two are merged, the result goes to the
end, until one list is left. Merge t so takes the lists 2t and 2t + 1, where the first n are the numbers and list
n + j is what merge j made. A step sees the first numbers of the two lists and takes the smaller one; the last
number of a merge goes over by itself. Merging a and b numbers thus takes a + b - 1 steps whatever the numbers
are: where one list is used up early, the steps that are left take from the other. The number of steps is known
beforehand, and the plan is a DAG: merges that do not need each other run side by side.

`done` compares the list with Python's sorted one; nothing that judges a single reply knows it.

Not covered: more than 10,000 numbers (the state, and with it the digest of each step, grows with them).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, Segment, TaskError, View

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


class Sorting:
    """Merge sort, smallest first.

    numbers: what to sort, 2 to 10,000 whole numbers. Or size and data_seed: that many numbers from 0 up to 10 times
    as many, drawn at random; 10 with seed 0 when nothing is given.
    """

    name = "sorting"

    def __init__(self, numbers: list[int] | None = None, size: int | None = None, data_seed: int | None = None) -> None:
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

    # -- the task ------------------------------------------------------------------------------

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
        """Return the state with the number moved over; the last number left in a merge goes along."""
        merge, runs, left, right, merged = self._opened(state)
        if action.side == "left":
            left = left[1:]
        else:
            right = right[1:]
        merged = (*merged, action.number)
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
