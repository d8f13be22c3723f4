"""Checker Jumping: N pieces R and N pieces B change places over one blank; 1,002,000 moves for N = 1000.

The row has 2N + 1 places: first all R, the blank, then all B. R moves right, B moves left; a piece slides into
the blank beside it or jumps into it over one piece of the other colour. The shortest solution has
(N + 1)^2 - 1 moves. Each of them follows from the colour that moved last and the five places round the blank,
so that is all a step shows.

Two designs of its steps. In `lines` a step is a move by the strategy's rules, answered with the move and the cells
after it. In `questions` a move is five questions with a word or a number as answer: which colour stands at each of the
four places round the blank, and which of two moves is the better one, asked as the larger one of two numbers. A jump
counts 4, a slide 2, no move nothing, and one more for the colour that moved last: so ordered, the better move is that
of the strategy. The model looks the places up and chooses; the code knows what pieces a move needs, says what it
counts, and makes the one that was chosen.

A step must not cost O(N): there are O(N^2) of them. `CheckersState` therefore holds the row as two `Side`s
read outward from the blank, and a side as the colour next to the blank and the lengths of its runs of equal
and of alternating neighbours. On the shortest path a side has at most three runs, whatever N; each wrong move
adds a few. A move pops and pushes at the blank. Any place of the row can be read from it, `answer` writes it out.

Not covered: other starting positions, and more than 10,000 pieces of a colour.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from itertools import accumulate
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, TaskError, View, bare

MOST = 10_000

_RULES = """\
You carry out one move of a Checker Jumping puzzle: one move, no planning ahead.

Rules: a row of {places} places, numbered from 0, holds pieces R and B and one blank. R moves to the right only, B to
the left only. A piece slides into the blank beside it, or jumps over one piece of the other colour into the blank.

Strategy, with the colour that moved last:
1. If it can jump, it jumps.
2. If not, but it can slide and the place on the far side of the blank holds the other colour, it slides.
3. If neither, the other colour jumps if it can, else it slides.
4. If the other colour cannot move either, the colour that moved last slides. If no piece can move: move = [].

Answer with exactly two lines and nothing else: the piece with the places it leaves and goes to, and the same
five places as below after the move (_ is the blank, # is beyond the end of the row):
move = ["R or B", from, to]
next_cells = "....."

Below are the colour that moved last, the place of the blank, and the five places round the blank, it in the middle.
"""

_PLACE = r"(?:0|[1-9][0-9]{0,5})"
_MOVE = Line("move", rf'\["[RB]", ?{_PLACE}, ?{_PLACE}\]|\[\]')
_CELLS = Line("next_cells", '"[RB_#]{5}"')
_OTHER = {"R": "B", "B": "R"}
_MIRROR = str.maketrans("RB", "BR")
_ROUND = (-2, -1, 1, 2)  # the places round the blank
_WORDS = {"R": "red", "B": "blue", "_": "blank", "#": "none"}
_ALONE = "Answer with the word alone."

Move = tuple[str, int, int] | tuple[()]


class Side(NamedTuple):
    """One side of the row, outward from the blank.

    near: the colour beside the blank, "" at the end of the row. runs: how many neighbours in a row are equal,
    then how many differ, and so on in turn; only the first may be 0.
    """

    near: str = ""
    runs: tuple[int, ...] = ()

    def push(self, colour: str) -> Side:
        """Return the side with a piece put beside the blank."""
        near, runs = self
        if not near:
            return Side(colour)
        if colour == near:
            return Side(near, (runs[0] + 1, *runs[1:]) if runs else (1,))
        if runs and not runs[0]:
            return Side(colour, (0, runs[1] + 1, *runs[2:]))
        return Side(colour, (0, 1, *runs))

    def pop(self) -> Side:
        """Return the side without the piece beside the blank; there must be one."""
        near, runs = self
        if not runs:
            return Side()
        if runs[0]:
            return Side(near, () if runs == (1,) else (runs[0] - 1, *runs[1:]))
        return Side(_OTHER[near], (0, runs[1] - 1, *runs[2:]) if runs[1] > 1 else runs[2:])

    def cells(self, count: int) -> str:
        """Return the next `count` places outward from the blank, # beyond the end of the row."""
        cell = cells = self.near
        differ = False
        for run in self.runs:
            for _ in range(min(run, count - len(cells))):
                cell = _OTHER[cell] if differ else cell
                cells += cell
            if len(cells) >= count:
                break
            differ = not differ
        return cells.ljust(count, "#")


class CheckersState(NamedTuple):
    """All that a step needs: the blank's place, the colour that moved last, the five places round the blank, the row.

    Before the first move R counts as the colour that moved last.
    """

    blank: int
    last: str
    cells: str
    left: Side
    right: Side


class CheckersAnswer(NamedTuple):
    """What the model writes: its move (colour, from, to), and the five places it says the move leads to."""

    move: Move
    next_cells: str


class AskedState(NamedTuple):
    """The state of the design `questions`: also the colours seen at the first of the four places round the blank."""

    row: CheckersState
    seen: tuple[str, ...] = ()


class _Row:
    """The row and its known way, the same in both designs."""

    name = "checkers"
    designs: ClassVar = {
        "lines": "a move a step by the rules of a strategy, with the cells after it",
        "questions": "five questions a move: the colours round the blank, and the larger one of two numbers",
    }

    def __init__(self, n: int) -> None:
        if not 1 <= n <= MOST:
            raise TaskError(f"checkers: n = {n}: give 1 to 10,000")
        self.n = n
        self.moves: int = (n + 1) ** 2 - 1
        self.parameters: dict[str, Any] = {"n": n}
        phases = (min(i + 1, n, 2 * n + 1 - i) for i in range(2 * n + 1))  # moves of one colour in a row
        self._starts = list(accumulate(phases, initial=0))

    def _changed(self, state: CheckersState) -> bool:
        """Say whether the colours have changed places."""
        return self._places(state) == "B" * self.n + "_" + "R" * self.n

    def _places(self, state: CheckersState) -> str:
        """Return the whole row."""
        return state.left.cells(state.blank)[::-1] + "_" + state.right.cells(2 * self.n - state.blank)

    def row_at(self, move: int) -> CheckersState:
        """Return the state before a move of the shortest solution.

        Its moves come in phases of one colour, R and B in turn, of 1, 2, .., N-1, N, N, N, N-1, .., 1 moves. In a
        phase of the first half a colour jumps and then slides, in one of the second half it slides and then
        jumps; each jump carries the blank two places through an alternating stretch.
        """
        phase = bisect_right(self._starts, move) - 1
        made = move - self._starts[phase]
        mover, other = ("R", "B") if phase % 2 == 0 else ("B", "R")
        if phase <= self.n:
            pair, pairs, jumped, home = other + mover, phase, made, self.n - phase
            ends = mover, other
        elif made:
            home = phase - self.n
            pair, pairs, jumped = other + mover, self.n - home, made - 1
            ends = other, mover
        else:
            home = phase - self.n - 1
            pair, pairs, jumped = mover + other, self.n - home, 0
            ends = other, mover
        back = _side((pair, pairs - jumped), (ends[0], home))
        front = _side((pair, jumped), (ends[1], home))
        places = 2 * jumped + home  # of the side that the mover moves to
        last = mover if made or not move else other
        if mover == "R":
            return _state(2 * self.n - places, last, back, front)
        return _state(places, last, front, back)


class Checkers(_Row):
    """Checker Jumping with n pieces of each colour.

    n: 1 to 10,000; the solution has (n + 1)^2 - 1 moves. design: see `designs`.
    """

    def __new__(cls, n: int = 10, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(n) if design == "questions" else super().__new__(cls)

    def __init__(self, n: int = 10, design: Literal["lines", "questions"] = "lines") -> None:
        super().__init__(n)
        self.steps: int = self.moves
        self._head = _RULES.format(places=2 * n + 1) + 'last = "'

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> CheckersState:
        """Return all R, the blank, all B."""
        return self.state_at(0)

    def prompt(self, state: CheckersState, step: int) -> str:
        """Return the prompt; last come the colour that moved last, the blank's place and the five cells."""
        return f'{self._head}{state.last}"\nblank = {state.blank}\ncells = "{state.cells}"'

    def paraphrases(self, state: CheckersState, step: int) -> list[View]:
        """Return the question as it is, and seen in a mirror, with the colours exchanged."""
        blank, cells = 2 * self.n - state.blank, state.cells[::-1].translate(_MIRROR)
        mirrored = state._replace(blank=blank, last=_OTHER[state.last], cells=cells)
        return [View(self.prompt(state, step), str), View(self.prompt(mirrored, step), self._back)]

    def _back(self, text: str) -> str:
        move, cells = self.parse(text)
        back: Move = (_OTHER[move[0]], 2 * self.n - move[1], 2 * self.n - move[2]) if move else ()
        return self.render(CheckersAnswer(back, cells[::-1].translate(_MIRROR)))

    def parse(self, text: str) -> CheckersAnswer:
        """Read `move = ["R", 3, 4]` and `next_cells = "....."`; strict, in linear time.

        Raises Ambiguous for several distinct answers, ValueError for none or for any other form.
        """
        return CheckersAnswer(tuple(json.loads(_MOVE.read(text))), _CELLS.read(text)[1:-1])

    def legal(self, state: CheckersState, action: CheckersAnswer) -> bool:
        """Say whether the rules allow the move here; no move is allowed where there is none."""
        moves = _moves(state.cells)
        if not action.move:
            return not moves
        colour, source, target = action.move
        return target == state.blank and (colour, source - target) in moves

    def apply(self, state: CheckersState, action: CheckersAnswer) -> CheckersState:
        """Return the state after the move; only the move counts, not the claimed cells."""
        return _after_move(state, action.move)

    def agrees(self, action: CheckersAnswer, next_state: CheckersState) -> bool:
        """Say whether the claimed cells are what the move made of the five places."""
        if not action.move:
            return action.next_cells == next_state.cells
        _, source, target = action.move
        row = next_state.left.cells(4)[::-1] + "_" + next_state.right.cells(4)
        return action.next_cells == row[target - source + 2 : target - source + 7]

    def done(self, state: CheckersState) -> bool:
        """Say whether the colours have changed places."""
        return self._changed(state)

    def answer(self, state: CheckersState) -> str:
        """Return the whole row."""
        return self._places(state)

    # -- decomposition -------------------------------------------------------------------------

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the moves into segments whose entry states are known in closed form."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> CheckersState:
        """Return the state before a move of the shortest solution."""
        return self.row_at(step)

    def check(self, actions: Iterable[CheckersAnswer]) -> str | None:
        """Replay the moves on a row of places, a path of its own; return a complaint or None."""
        return check_moves(self.n, (action.move for action in actions))

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: CheckersState, step: int) -> CheckersAnswer:
        """Return what the strategy does here, on or off the shortest path."""
        return _answer(state, _strategy(state.last, state.cells))

    def render(self, answer: CheckersAnswer) -> str:
        """Write an answer as a model would."""
        move = f'["{answer.move[0]}", {answer.move[1]}, {answer.move[2]}]' if answer.move else "[]"
        return f'move = {move}\nnext_cells = "{answer.next_cells}"'

    def rivals(self, state: CheckersState, step: int) -> list[CheckersAnswer]:
        """Return the other legal moves with what they make of the cells: no flag can catch them.

        Where one move is forced, it is returned with cells that have not changed, which a flag catches.
        """
        right = _strategy(state.last, state.cells)
        others = [_answer(state, move) for move in _moves(state.cells) if move != right]
        return others or [CheckersAnswer(_answer(state, right).move, state.cells if right else "#####")]


class Asked(_Row):
    """The design `questions`: the answer of a step is the colour at a place, or what the better move counts."""

    def __init__(self, n: int, design: str = "questions") -> None:
        super().__init__(n)
        self.parameters["design"] = design
        self.steps: int = (len(_ROUND) + 1) * self.moves

    def initial_state(self) -> AskedState:
        """Return all R, the blank, all B."""
        return self.state_at(0)

    def kind(self, state: AskedState, step: int) -> str:
        """Return whether a place is looked up, or two numbers are compared."""
        return "look-up" if len(state.seen) < len(_ROUND) else "compare"

    def prompt(self, state: AskedState, step: int) -> str:
        """Return the five places round the blank and which to look up, or what two moves count."""
        row, seen = state
        if len(seen) < len(_ROUND):
            places = "\n".join(f"{row.blank + i - 2}: {_WORDS[cell]}" for i, cell in enumerate(row.cells))
            return f"{places}\n\nWhat word stands behind {row.blank + _ROUND[len(seen)]} in this list? {_ALONE}"
        return f"What is the largest number in this list? {[*_counts(state)]} Answer with the number alone."

    def parse(self, text: str) -> str:
        """Read a bare colour, `none` or number. Raises ValueError for anything else."""
        return bare(text, "red|blue|none|[0-5]")

    def legal(self, state: AskedState, action: str) -> bool:
        """Say whether it is a word for a place, or one of the two numbers."""
        if len(state.seen) < len(_ROUND):
            return not action.isdigit()
        return action.isdigit() and int(action) in _counts(state)

    def apply(self, state: AskedState, action: str) -> AskedState:
        """Return the state with the word, or with the move made; one that the row does not allow changes nothing."""
        row, seen = state
        if len(seen) < len(_ROUND):
            return AskedState(row, (*seen, action))
        count = int(action)
        colour = row.last if count % 2 else _OTHER[row.last]
        place = count // 2 * (-1 if colour == "R" else 1)
        move: Move = (colour, row.blank + place, row.blank) if (colour, place) in _moves(row.cells) else ()
        return AskedState(_after_move(row, move))

    def done(self, state: AskedState) -> bool:
        """Say whether the colours have changed places."""
        return self._changed(state.row) and not state.seen

    def answer(self, state: AskedState) -> str:
        """Return the whole row."""
        return self._places(state.row)

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the moves into segments whose entry states are known in closed form."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> AskedState:
        """Return the state before a question of the shortest solution."""
        move, asked = divmod(step, len(_ROUND) + 1)
        row = self.row_at(move)
        return AskedState(row, tuple(_WORDS[row.cells[2 + place]] for place in _ROUND[:asked]))

    def check(self, actions: Iterable[str]) -> str | None:
        """Compare every answer with a row of places, a path of its own; return a complaint or None."""
        return check_words(self.n, actions)

    def truth(self, state: AskedState, step: int) -> str:
        """Return the right answer, on or off the shortest path."""
        row, seen = state
        if len(seen) < len(_ROUND):
            return _WORDS[row.cells[2 + _ROUND[len(seen)]]]
        return str(max(_counts(state)))

    def render(self, answer: str) -> str:
        """Write an answer as a model would."""
        return answer

    def rivals(self, state: AskedState, step: int) -> list[str]:
        """Return the other colours, or the smaller number: no flag can catch them. Of equal numbers, one more."""
        right = self.truth(state, step)
        if not right.isdigit():
            return [word for word in ("red", "blue", "none") if word != right]
        least = min(_counts(state))
        return [str(least) if str(least) != right else str(least + 1)]


def check_words(n: int, words: Iterable[str]) -> str | None:
    """Say what is wrong with the answers, or None if all are right and solve the puzzle.

    Independent of `Asked`: it keeps the row place by place and plays from the answers alone.
    """
    row, last = [1] * n + [0] + [-1] * n, 1  # 1 moves up, -1 down
    given = iter(words)
    for move in range((n + 1) ** 2 - 1):
        blank = row.index(0)
        right = [row[at] if 0 <= at <= 2 * n else 0 for at in (blank - 2, blank - 1, blank + 1, blank + 2)]
        seen = [next(given, "") for _ in right]
        if seen != [("none", "red", "blue")[piece] for piece in right]:
            return f"move {move}: round the blank are said to be {', '.join(seen)}"
        far = {1: right[:2], -1: right[:1:-1]}
        grades = {way: 2 if two == [way, -way] else int(two[1] == way) for way, two in far.items()}
        mover = last if grades[last] >= grades[-last] else -last
        said = next(given, "")
        if said != str(2 * grades[mover] + (mover == last)):
            return f"move {move}: {said or 'nothing'} is said to be the larger number"
        row[blank - mover * grades[mover]], row[blank], last = 0, mover, mover
    if row != [-1] * n + [0] + [1] * n:
        return "the colours have not changed places"
    return None if next(given, None) is None else "there are answers after the last move"


def check_moves(n: int, moves: Iterable[Move]) -> str | None:
    """Say what is wrong with a whole sequence of moves, or None if it solves the puzzle in (n + 1)^2 - 1 moves.

    Independent of `Checkers`: it keeps the row place by place, knows no blank and no sides, and shares no code with it.
    """
    row = [1] * n + [0] + [-1] * n  # 1 moves up, -1 down
    count = 0
    for move in moves:
        if len(move) != 3 or {type(move[1]), type(move[2])} != {int} or move[0] not in ("R", "B"):
            return f"move {count}: {move!r} is not a colour and two places"
        way, source, target = 1 if move[0] == "R" else -1, move[1], move[2]
        if not (0 <= source <= 2 * n and 0 <= target <= 2 * n) or row[source] != way or row[target]:
            return f"move {count}: {move[0]} cannot go from {source} to {target}"
        over = row[(source + target) // 2] if target - source == 2 * way else None
        if target - source != way and over != -way:
            return f"move {count}: {move[0]} neither slides nor jumps from {source} to {target}"
        row[source], row[target] = 0, way
        count += 1
    if count != (n + 1) ** 2 - 1:
        return f"{count} moves, the shortest solution has {(n + 1) ** 2 - 1}"
    return None if row == [-1] * n + [0] + [1] * n else f"after {count} moves the colours have not changed places"


def _counts(state: AskedState) -> tuple[int, int]:
    """Return what a move of R and one of B counts, by the colours seen."""
    far, near, nearer, farther = state.seen
    red = 4 if (far, near) == ("red", "blue") else 2 if near == "red" else 0
    blue = 4 if (nearer, farther) == ("red", "blue") else 2 if nearer == "blue" else 0
    return (red + (red > 0), blue) if state.row.last == "R" else (red, blue + (blue > 0))


_Step = tuple[str, int]  # a colour, and where its piece is, counted from the blank


@cache
def _moves(cells: str) -> tuple[_Step, ...]:
    """Return the moves that five cells allow."""
    found = [
        ("R", -1, cells[1] == "R"),
        ("R", -2, cells[:2] == "RB"),
        ("B", 1, cells[3] == "B"),
        ("B", 2, cells[3:] == "RB"),
    ]
    return tuple((colour, place) for colour, place, allowed in found if allowed)


@cache
def _strategy(last: str, cells: str) -> _Step | None:
    """Return the move that the prompt's four rules give, None where no piece can move."""
    moves, other = _moves(cells), _OTHER[last]
    side = -1 if last == "R" else 1  # where the pieces of the colour that moved last come from
    slides_between = [(last, side)] if cells[2 - side] == other else []
    in_turn = [(last, 2 * side), *slides_between, (other, -2 * side), (other, -side), (last, side)]
    return next((move for move in in_turn if move in moves), None)


@cache
def _after(cells: str, place: int) -> str:
    """Return the five cells after the piece at `place` from the blank has moved into it."""
    changed = list(cells)
    changed[2], changed[2 + place] = changed[2 + place], "_"
    return "".join(changed)


def _after_move(state: CheckersState, move: Move) -> CheckersState:
    """Return the state after a move, the empty one too."""
    if not move:
        return state
    colour, source, target = move
    back, front = (state.left, state.right) if colour == "R" else (state.right, state.left)
    beside = back.near
    back, front = back.pop(), front.push(colour)
    if abs(source - target) == 2:
        back, front = back.pop(), front.push(beside)
    return _state(source, colour, *((back, front) if colour == "R" else (front, back)))


def _answer(state: CheckersState, move: _Step | None) -> CheckersAnswer:
    if move is None:
        return CheckersAnswer((), state.cells)
    colour, place = move
    return CheckersAnswer((colour, state.blank + place, state.blank), _after(state.cells, place))


def _state(blank: int, last: str, left: Side, right: Side) -> CheckersState:
    return CheckersState(blank, last, f"{left.cells(2)[::-1]}_{right.cells(2)}", left, right)


def _side(*stretches: tuple[str, int]) -> Side:
    """Return a side made of stretches outward: one colour, or a pair of them in turn, and how often."""
    near = last = ""
    runs: list[int] = []
    for pattern, count in stretches:
        if not count:
            continue
        neighbours = [(last != pattern[0], 1 if last else 0), (len(pattern) == 2, len(pattern) * count - 1)]
        for differ, length in neighbours:
            if not length:
                continue
            if runs and (len(runs) % 2 == 0) == differ:
                runs[-1] += length
            else:
                runs += [0, length] if differ and not runs else [length]
        near, last = near or pattern[0], pattern[-1]
    return Side(near, tuple(runs))
