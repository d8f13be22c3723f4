"""Towers of Hanoi: the task of the published million-step run.

The state is `HanoiState(stacks, previous)`: three stacks listed bottom to top, and the previous
move. One step is one move; the shortest solution of D disks has 2^D - 1 of them and carries the
tower from peg 0 to peg 2. The strategy is the iterative one: in turn, disk 1 goes one peg on
(clockwise for an even number of disks, counter-clockwise for an odd one, else the tower lands on
the wrong peg), and the only legal move that leaves disk 1 alone is made.

An action is the whole answer, `HanoiAnswer(move, next_state)`; only its move is ever applied, the
claimed next state is compared. A bare move (disk, from, to) is taken as well where an action is.

Three designs of its steps (`style` is the older name of the choice). `full` says the rules and the strategy in words
and wants the whole move; `compact` gives the bare facts, for the bundled model, which was trained on nothing else.
`questions` asks for one bare number: where disk 1 goes ("What is 2 + 1?", peg 3 being peg 0), or the smaller one of the
other pegs' top disks. There the model counts and compares; whose turn it is, which way disk 1 goes, and the list of
disks are the code's. An empty peg counts as a disk larger than all.

Not covered: starting positions other than the full tower on peg 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Ambiguous, Plan, TaskError, View, bare

Stacks = tuple[tuple[int, ...], ...]
Move = tuple[int, int, int]

GOAL = 2  # the peg where the tower must end

_RULES = """\
You carry out one move of a Towers of Hanoi solution: one move, no planning ahead.

Rules: there are three pegs, 0, 1 and 2, and {disks} disks; disk 1 is the smallest, disk {disks} the largest.
A move takes the top disk of one peg to another peg. A disk never lies on a smaller one.

Strategy: if the previous move did not move disk 1 (or there was no previous move), move disk 1 one peg {way}.
If the previous move moved disk 1, make the only legal move that does not involve disk 1.

Answer with exactly two lines and nothing else, the move and the stacks after it, bottom to top:
move = [disk, from_peg, to_peg]
next_state = [[disks of peg 0], [disks of peg 1], [disks of peg 2]]

Below are the previous move (an empty list at the start) and the stacks now, each bottom to top.
"""
_WAYS = {True: "clockwise (0 -> 1 -> 2 -> 0)", False: "counter-clockwise (0 -> 2 -> 1 -> 0)"}

# Every `move =` must be followed by three integers, every `next_state =` by three lists of them; an
# occurrence that is not is found as "". No nesting, so linear in the text.
_MOVE = re.compile(r"move\s*=\s*(\[[\d\s]+,[\d\s]+,[\d\s]+\])?")
_STATE = re.compile(r"next_state\s*=\s*(\[\s*\[[\d\s,]*\]\s*,\s*\[[\d\s,]*\]\s*,\s*\[[\d\s,]*\]\s*\])?")
_read = json.JSONDecoder().raw_decode


class HanoiState(NamedTuple):
    """All that a step needs: the stacks, bottom to top, and the move before (None at the start)."""

    stacks: Stacks
    previous: Move | None


class HanoiAnswer(NamedTuple):
    """What the model writes: its move, and the stacks it says the move leads to."""

    move: Move
    next_state: Stacks


class _Tower:
    """The tower and its known way, the same in every design."""

    name = "hanoi"
    designs: ClassVar = {
        "full": "rules and strategy in words, the whole move and the stacks after it",
        "compact": "the bare facts, for the bundled model",
        "questions": "disk 1's next peg as a sum, or the smaller one of two disks; a bare number",
    }

    def __init__(self, disks: int, style: str) -> None:
        if not 1 <= disks <= 64:
            raise TaskError(f"hanoi: disks = {disks}: give 1 to 64")
        if style not in self.designs:
            raise TaskError(f"hanoi: style = {style!r}: give one of {', '.join(self.designs)}")
        self.disks = disks
        self.style = style
        self.clockwise = disks % 2 == 0
        self.steps: int = 2**disks - 1
        self.parameters = {"disks": disks, "style": style}

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> HanoiState:
        """Return the full tower on peg 0, no previous move."""
        return HanoiState((tuple(range(self.disks, 0, -1)), (), ()), None)

    def done(self, state: HanoiState) -> bool:
        """Say whether the whole tower stands on peg 2."""
        return len(state.stacks[GOAL]) == self.disks

    def answer(self, state: HanoiState) -> list[list[int]]:
        """Return the stacks as lists."""
        return [list(peg) for peg in state.stacks]

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the 2^D - 1 steps into segments whose entry states are known in closed form."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> HanoiState:
        """Return the state before a step of the shortest solution.

        Disk d moves at the steps whose count ends in binary 1 followed by d - 1 zeros, always in the same direction,
        so its peg follows from how often it has moved.
        """
        stacks: tuple[list[int], ...] = ([], [], [])
        for disk in range(self.disks, 0, -1):
            stacks[self._direction(disk) * self._moves_of(disk, step) % 3].append(disk)
        previous = None
        if step:
            disk = (step & -step).bit_length()
            target = self._direction(disk) * self._moves_of(disk, step) % 3
            previous = (disk, (target - self._direction(disk)) % 3, target)
        return HanoiState(tuple(map(tuple, stacks)), previous)

    def _direction(self, disk: int) -> int:
        return 1 if (self.disks - disk) % 2 else -1

    @staticmethod
    def _moves_of(disk: int, step: int) -> int:
        return (step + (1 << (disk - 1))) >> disk


class Hanoi(_Tower):
    """Towers of Hanoi with 1 to 64 disks.

    disks: how many. design: see `designs`. style: its older name, used where no design is given.
    """

    def __new__(cls, disks: int = 10, style: str = "full", design: str | None = None) -> Any:
        """Return a task of the design that is asked for."""
        return Asked(disks) if (design or style) == "questions" else super().__new__(cls)

    def __init__(
        self, disks: int = 10, style: Literal["full", "compact", "questions"] = "full",
        design: Literal["full", "compact", "questions"] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(disks, design or style)
        self._frames = {way: self._frame(way) for way in (True, False)}  # by direction: clockwise or not

    def _frame(self, clockwise: bool) -> tuple[str, str, str]:
        """Return the constant parts of the prompt, around the previous move and the state."""
        if self.style == "full":
            rules = _RULES.format(disks=self.disks, way=_WAYS[clockwise])
            return rules + "previous_move = ", "\nstate = ", ""
        return ("clockwise" if clockwise else "counterclockwise") + "\nprevious = ", "\nstate = ", "\n"

    def prompt(self, state: HanoiState, step: int) -> str:
        """Return the prompt; the previous move and, last, the state are JSON lists."""
        return self._asked(state, self.clockwise)

    def _asked(self, state: HanoiState, clockwise: bool) -> str:
        head, middle, tail = self._frames[clockwise]
        stacks, previous = state
        before = f"[{previous[0]}, {previous[1]}, {previous[2]}]" if previous else "[]"
        return f"{head}{before}{middle}{_listed(stacks)}{tail}"

    def paraphrases(self, state: HanoiState, step: int) -> list[View]:
        """Return six equivalent questions: the pegs relabelled in every way.

        A relabelling that reverses the circle of pegs reverses the direction of disk 1 too.
        """
        return [self._view(state, pegs) for pegs in permutations(range(3))]

    def _view(self, state: HanoiState, pegs: Sequence[int]) -> View:
        """Return the question in which peg p is called pegs[p]."""
        home = [pegs.index(name) for name in range(3)]
        stacks = tuple(state.stacks[home[name]] for name in range(3))
        previous = state.previous and (state.previous[0], pegs[state.previous[1]], pegs[state.previous[2]])
        same_circle = (pegs[1] - pegs[0]) % 3 == 1

        def back(text: str) -> str:
            (disk, source, target), after = self.parse(text)
            moved = tuple(after[pegs[peg]] for peg in range(3))
            return self.render(HanoiAnswer((disk, home[source], home[target]), moved))

        return View(self._asked(HanoiState(stacks, previous), self.clockwise == same_circle), back)

    def parse(self, text: str) -> HanoiAnswer:
        """Read `move = [..]` and `next_state = [[..], [..], [..]]`; strict, in linear time.

        Raises Ambiguous for several distinct answers, ValueError for none or for anything but integers.
        """
        found = f"[{_only(_MOVE.findall(text), 'move')},{_only(_STATE.findall(text), 'next_state')}]"
        (move, (first, second, third)), _ = _read(found)
        return HanoiAnswer(tuple(move), (tuple(first), tuple(second), tuple(third)))

    def legal(self, state: HanoiState, action: HanoiAnswer | Sequence[int]) -> bool:
        """Say whether the disk is on top of its peg and may go where it is sent."""
        if not isinstance(action, HanoiAnswer) and {type(number) for number in action} != {int}:
            return False
        disk, source, target = _move(action)
        if source == target or not (0 <= source <= 2 and 0 <= target <= 2):
            return False
        here, there = state.stacks[source], state.stacks[target]
        return bool(here) and here[-1] == disk and (not there or there[-1] > disk)

    def apply(self, state: HanoiState, action: HanoiAnswer | Sequence[int]) -> HanoiState:
        """Return the state after the move; only the move counts, not the claimed next state."""
        move = _move(action)
        return HanoiState(_moved(state.stacks, move), move)

    def agrees(self, action: HanoiAnswer, next_state: HanoiState) -> bool:
        """Say whether the claimed next state is the one the move led to."""
        return action.next_state == next_state.stacks

    def check(self, actions: Iterable[HanoiAnswer]) -> str | None:
        """Replay the moves on disk positions alone, a path of its own; return a complaint or None."""
        return check_moves(self.disks, (tuple(action.move) for action in actions))

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: HanoiState, step: int) -> HanoiAnswer:
        """Return what the strategy does in this state, on or off the shortest path.

        Where the strategy asks for a move without disk 1 and all disks lie under it, disk 1 moves.
        """
        stacks, previous = state
        tops = [peg[-1] if peg else self.disks + 1 for peg in stacks]
        small = tops.index(1)
        a, b = (small + 1) % 3, (small + 2) % 3
        if previous is None or previous[0] != 1 or tops[a] == tops[b]:
            move = (1, small, a if self.clockwise else b)
        elif tops[a] < tops[b]:
            move = (tops[a], a, b)
        else:
            move = (tops[b], b, a)
        return HanoiAnswer(move, _moved(stacks, move))

    def render(self, answer: HanoiAnswer) -> str:
        """Write an answer as a model would."""
        disk, source, target = answer.move
        return f"move = [{disk}, {source}, {target}]\nnext_state = {_listed(answer.next_state)}"

    def rivals(self, state: HanoiState, step: int) -> list[HanoiAnswer]:
        """Return the other legal moves, each with its true consequence: no flag can catch them."""
        right = self.truth(state, step).move
        moves = [
            (state.stacks[source][-1], source, target)
            for source in range(3)
            for target in range(3)
            if state.stacks[source]
        ]
        return [
            HanoiAnswer(move, _moved(state.stacks, move)) for move in moves if move != right and self.legal(state, move)
        ]


class Asked(_Tower):
    """The design `questions`: the answer of a step is a sum or a disk; the code makes a move of it."""

    def __init__(self, disks: int, style: str = "questions") -> None:
        super().__init__(disks, style)

    def _facts(self, state: HanoiState) -> tuple[bool, int, list[int], list[int]]:
        """Return whether disk 1 moves, its peg, the other pegs, and their top disks (larger than all: none).

        Where all disks lie under disk 1, off the right way, it moves again.
        """
        place = next(peg for peg in range(3) if state.stacks[peg][-1:] == (1,))
        pegs = [peg for peg in range(3) if peg != place]
        tops = [state.stacks[peg][-1] if state.stacks[peg] else self.disks + 1 for peg in pegs]
        return state.previous is None or state.previous[0] != 1 or tops[0] == tops[1], place, pegs, tops

    def kind(self, state: HanoiState, step: int) -> str:
        """Return whether disk 1 moves, or two disks are compared."""
        return "turn" if self._facts(state)[0] else "compare"

    def prompt(self, state: HanoiState, step: int) -> str:
        """Return a sum, or a list of two disks; no step needs more."""
        turn, place, _, tops = self._facts(state)
        asked = f"What is {place} {'+' if self.clockwise else '-'} 1?"
        return f"{asked if turn else f'What is the smallest number in this list? {tops}'} Answer with the number alone."

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text))

    def legal(self, state: HanoiState, action: int) -> bool:
        """Say whether disk 1 can go there, or the disk is one of the two; which is smaller no flag asks."""
        turn, place, _, tops = self._facts(state)
        return -1 <= action <= 3 and action % 3 != place if turn else action in tops and action <= self.disks

    def apply(self, state: HanoiState, action: int) -> HanoiState:
        """Return the state after the move that the answer means."""
        turn, place, pegs, tops = self._facts(state)
        source = place if turn else pegs[tops.index(action)]
        move = (1, place, action % 3) if turn else (action, source, sum(pegs) - source)
        return HanoiState(_moved(state.stacks, move), move)

    def done(self, state: HanoiState) -> bool:
        """Say whether the whole tower stands on peg 2, the largest disk below."""
        return state.stacks[GOAL] == tuple(range(self.disks, 0, -1))

    def check(self, actions: Iterable[int]) -> str | None:
        """Replay the moves that the answers mean on disk positions alone; return a complaint or None."""
        return check_moves(self.disks, _as_moves(self.disks, actions))

    def truth(self, state: HanoiState, step: int) -> int:
        """Return what the strategy says in this state, on or off the shortest path."""
        turn, place, _, tops = self._facts(state)
        return place + (1 if self.clockwise else -1) if turn else min(tops)

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: HanoiState, step: int) -> list[int]:
        """Return the other way round for disk 1, or the larger disk."""
        turn, place, _, tops = self._facts(state)
        return [place - (1 if self.clockwise else -1) if turn else max(tops)]


def _as_moves(disks: int, answers: Iterable[int]) -> Iterator[Move]:
    """Yield the moves that answers mean: in turn disk 1's new peg, and a disk that goes to the third peg."""
    peg_of = [0] * (disks + 1)
    for count, answer in enumerate(answers):
        disk = min(max(answer, 1), disks) if count % 2 else 1
        target = 3 - peg_of[1] - peg_of[disk] if count % 2 else answer % 3
        yield disk, peg_of[disk], target
        peg_of[disk] = target


def check_moves(disks: int, moves: Iterable[Sequence[int]]) -> str | None:
    """Say what is wrong with a whole sequence of moves, or None if it solves the puzzle in 2^D - 1 moves.

    Independent of `Hanoi`: it keeps the peg of each disk, not stacks, and shares no code with it.
    """
    peg_of = [0] * (disks + 1)
    count = 0
    for disk, source, target in moves:
        if {type(disk), type(source), type(target)} != {int}:
            return f"move {count}: {disk!r}, {source!r}, {target!r} are not all integers"
        if not 1 <= disk <= disks or peg_of[disk] != source or target not in (0, 1, 2) or target == source:
            return f"move {count}: disk {disk} cannot go from peg {source} to peg {target}"
        if any(peg_of[smaller] in (source, target) for smaller in range(1, disk)):
            return f"move {count}: a smaller disk than {disk} is in the way"
        peg_of[disk] = target
        count += 1
    if count != 2**disks - 1:
        return f"{count} moves, the shortest solution has {2**disks - 1}"
    if any(peg != GOAL for peg in peg_of[1:]):
        return f"after {count} moves the tower does not stand on peg {GOAL}"
    return None


def _move(action: HanoiAnswer | Sequence[int]) -> Move:
    if isinstance(action, HanoiAnswer):
        return action.move
    disk, source, target = action
    return disk, source, target


def _moved(stacks: Stacks, move: Move) -> Stacks:
    """Return the stacks after a legal move."""
    after = list(stacks)
    disk, source, target = move
    after[source] = after[source][:-1]
    after[target] = (*after[target], disk)
    return tuple(after)


def _listed(stacks: Stacks) -> str:
    """Write stacks as JSON lists."""
    return str(stacks).replace("(", "[").replace(")", "]").replace(",]", "]")


def _only(found: list[str], name: str) -> str:
    """Return the one value that all occurrences of `name` agree on."""
    if not found:
        raise ValueError(f"no `{name} = [...]` in the reply")
    if "" in found:
        raise ValueError(f"`{name} =` is not followed by integers in the form asked for")
    if len(found) > 1:
        first = json.loads(found[0])
        if any(other != found[0] and json.loads(other) != first for other in found[1:]):
            raise Ambiguous(f"{len(found)} values of {name}, and not all the same")
    return found[0]
