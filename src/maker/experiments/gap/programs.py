"""Programs that play a puzzle: what is told of a language, what came of a program, and programs that are right.

In a language of five instructions, which is interpreted; or in Python, which prints the moves, and is run in a child
process that has nothing.

Not covered: the five instructions (`language.py`), and how the child is held in (`sandbox.py`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from maker.experiments.gap import sandbox
from maker.experiments.gap.language import Endless, Machine, Unreadable, read
from maker.experiments.gap.puzzles import Puzzle, written
from maker.experiments.gap.reading import Move

_TOLD = """\
Write a program that makes all the moves, in a language of five instructions, one a line:
set NAME VALUE (NAME becomes the value)
add NAME VALUE (NAME grows by the value)
repeat VALUE (does so often what stands between it and its `end`)
if VALUE < VALUE (does what stands between it and its `end` if that is so; also > and =)
move {move}
A VALUE is a whole number or a NAME. A NAME is a word in small letters. There is nothing else, no else and no function.
{known}Two equal moves, for example:
repeat 2
move {example}
end

Answer with the program alone."""
_TOLD_PYTHON = """\
Write a Python program that works out all the moves and prints them in order, one a line, each as {shape}.
It gets no input and may import the standard library. Do not only define functions: the program must print the moves
when it is run. Answer with the program alone."""
_MOVES = {"hanoi": "FROM_PEG TO_PEG", "checkers": "FROM_PLACE TO_PLACE", "river": "PASSENGERS",
          "blocks": "FROM_STACK TO_STACK"}  # fmt: skip
_KNOWN = {
    "hanoi": "You may read top0, top1 and top2, the top disk of each peg, 99 for an empty peg.\n",
    "checkers": "You may read blank, the place of the blank.\n",
    "river": "",
    "blocks": "You may read top0, top1 and top2, the top block of each stack, and count0, count1 and count2.\n",
}
_EXAMPLE = {"river": "a1 A1"}  # of a move; of the others 0 1
_NOTHING = 99  # the top of an empty stack


def told(puzzle: Puzzle) -> str:
    """Return what a model is told of the language for a puzzle."""
    return _TOLD.format(move=_MOVES[puzzle.name], known=_KNOWN[puzzle.name],
                        example=_EXAMPLE.get(puzzle.name, "0 1"))  # fmt: skip


def run(puzzle: Puzzle, text: str, move: Callable[[Move | None], bool]) -> str:
    """Run the program of a text. move: hears each move, None for words that are none, and says whether to go on.

    Returns "" for a program that came to its end or was stopped, else why it did not: "format" or "overrun".
    """
    state: list[Any] = [puzzle.start]

    def made(words: list[str]) -> bool:
        """Make a move of words."""
        found = _move_of(puzzle, state[0], words)
        after = None if found is None else puzzle.played(state[0], found)
        state[0] = state[0] if after is None else after
        return move(found)

    try:
        Machine(lambda: _known(puzzle, state[0]), made).run(read(text))
    except Unreadable:
        return "format"
    except Endless:
        return "overrun"
    return ""


def told_python(puzzle: Puzzle) -> str:
    """Return what a model is told of a program in Python."""
    return _TOLD_PYTHON.format(shape=puzzle.form.shape)


def run_python(puzzle: Puzzle, text: str, move: Callable[[Move | None], bool]) -> str:
    """Run the Python program of a text as `run` does. Raises TaskError where no program can be held in."""
    fenced = re.search(r"```(?:[a-zA-Z0-9]*)\n(.*?)(?:```|\Z)", text, re.DOTALL)
    ran = _ran(fenced[1] if fenced else text)
    moves = puzzle.read(ran.text)
    followed = all(move(one) for one in moves)
    if followed and ran.end == "time":
        return "overrun"
    return "" if moves else "format"


@functools.lru_cache(1024)  # the same program prints the same: a child takes a tenth of a second
def _ran(source: str) -> sandbox.Ran:
    return sandbox.run(source)


def right_python(puzzle: Puzzle) -> str:
    """Return a Python program that prints the moves of the algorithm."""
    lines, state = [], puzzle.start
    while not puzzle.solved(state):
        move = puzzle.right(state)
        lines.append(f"print({written(move)})")
        state = puzzle.played(state, move)
    return "\n".join(lines)


def _known(puzzle: Puzzle, state: Any) -> dict[str, int]:
    """Return the puzzle's names with their values."""
    if puzzle.name == "checkers":
        return {"blank": state.blank}
    if puzzle.name == "river":
        return {}
    stacks = puzzle.task.answer(state)
    known = {f"top{at}": stack[-1] if stack else _NOTHING for at, stack in enumerate(stacks)}
    return known | {f"count{at}": len(stack) for at, stack in enumerate(stacks)}


def _move_of(puzzle: Puzzle, state: Any, words: list[str]) -> Move | None:
    """Return the move that a program's words mean in a state, None for words that mean none."""
    if puzzle.name == "river":
        found = puzzle.read(str([*words]).replace("'", '"'))
        return found[0] if found else None
    if len(words) != 2 or not all(word.isdecimal() and len(word) < 5 for word in words):
        return None
    source, target = map(int, words)
    row = puzzle.task.answer(state)
    if source >= len(row):
        return None
    piece = row[source] if puzzle.name == "checkers" else row[source][-1] if row[source] else 0
    found = puzzle.read(written((piece, source, target)))
    return found[0] if found else None


def right(puzzle: Puzzle) -> str:
    """Return a program that solves the puzzle: loops for towers and blocks, for the others a list of moves."""
    if puzzle.name == "hanoi":
        return _TOWER.format(moves=puzzle.moves, way=1 if puzzle.size % 2 == 0 else 2)
    if puzzle.name == "blocks":
        half = puzzle.size // 2
        return _DEALT.format(half=half, rest=half - 1)
    lines, state = [], puzzle.start
    while not puzzle.solved(state):
        move = puzzle.right(state)
        lines.append("move " + " ".join(map(str, move if puzzle.name == "river" else move[1:])))
        state = puzzle.played(state, move)
    return "\n".join(lines)


_PAIRS = "".join(
    f"""\
if p = {peg}
set x top{one}
set y top{other}
if x < y
move {one} {other}
end
if y < x
move {other} {one}
end
end
"""
    for peg, one, other in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
)
_TOWER = (
    """\
set p 0
set turn 0
repeat {moves}
if turn = 0
set q p
add q {way}
if q > 2
add q -3
end
move p q
set p q
end
if turn = 1
"""
    + _PAIRS
    + """\
end
add turn 1
if turn > 1
set turn 0
end
end"""
)
_DEALT = """\
repeat {rest}
move 0 1
end
move 0 2
repeat {rest}
move 1 2
end
repeat {half}
move 1 0
move 2 0
end"""
