"""Programs that play a puzzle: what is told of the language, what came of a program, and programs that are right.

Not covered: the language itself (`language.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from maker.experiments.gap.language import Endless, Machine, Unreadable, read
from maker.experiments.gap.puzzles import Move, Puzzle, written

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
