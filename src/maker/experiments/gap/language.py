"""A language of five instructions in which a model may write a program that plays a puzzle; read and run here.

    set NAME VALUE          NAME becomes the value
    add NAME VALUE          NAME grows by the value
    repeat VALUE .. end     what stands between is done so often
    if VALUE < VALUE .. end what stands between is done if that is so; also > and =
    move WORD ..            a move of the puzzle; a word that is a NAME stands for its value

A VALUE is a whole number, a NAME, or a name that the puzzle keeps and a program only reads, such as `top0`. Nothing
else is ever run: no text of a program reaches Python, and it ends after so many instructions.

Not covered: what a move means, and what the puzzle's names are (`programs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MOST_LINES = 400
MOST_DEEP = 8
MOST_DONE = 100_000  # instructions that are carried out, a pass of an empty loop too
LARGEST = 10**9  # of a counter, in either direction

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_NUMBER = re.compile(r"-?\d{1,9}")
_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "=": lambda one, other: one == other,
}
_WORDS = {"set": 2, "add": 2, "repeat": 1, "if": 3}


class Unreadable(ValueError):
    """Raised for a text that is no program, or a program that asks for what there is not; says where."""


class Endless(Exception):
    """Raised for a program that does more than it may."""


@dataclass(slots=True)
class Instruction:
    """One instruction: its word, what stands behind it, the line it stands on, and what stands between it and `end`."""

    word: str
    given: list[str]
    line: int
    inside: list[Instruction] = field(default_factory=list)


def read(text: str) -> list[Instruction]:
    """Return the program of a text; of one in a code fence, what the fence holds. Raises Unreadable."""
    fenced = re.search(r"```[a-z]*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    lines = (fenced[1] if fenced else text).splitlines()
    if len(lines) > MOST_LINES:
        raise Unreadable(f"{len(lines)} lines: at most {MOST_LINES}")
    top: list[Instruction] = []
    stack = [top]
    for number, line in enumerate(lines, 1):
        word, *given = line.split("#")[0].split() or [""]
        if word == "":
            continue
        if word == "end" and not given and len(stack) > 1:
            stack.pop()
            continue
        instruction = Instruction(word, given, number)
        _check(instruction)
        stack[-1].append(instruction)
        if word in ("repeat", "if"):
            stack.append(instruction.inside)
            if len(stack) > MOST_DEEP:
                raise Unreadable(f"line {number}: more than {MOST_DEEP - 1} blocks in one another")
    if len(stack) > 1:
        raise Unreadable("a block has no end")
    if not top:
        raise Unreadable("no instruction")
    return top


def _check(instruction: Instruction) -> None:
    """Raise Unreadable for an instruction that is none."""
    word, given, where = instruction.word, instruction.given, f"line {instruction.line}"
    if word == "move":
        if not given:
            raise Unreadable(f"{where}: move says nothing")
        return
    if len(given) != _WORDS.get(word, -1):
        raise Unreadable(
            f"{where}: {word!r} is no instruction" if word not in _WORDS else f"{where}: {word} has a form"
        )
    if word in ("set", "add") and not _NAME.fullmatch(given[0]):
        raise Unreadable(f"{where}: {given[0]!r} is no name")
    if word == "if" and given[1] not in _COMPARED:
        raise Unreadable(f"{where}: {given[1]!r} compares nothing")
    values = {"set": given[1:], "add": given[1:], "repeat": given, "if": given[::2]}[word]
    if odd := [value for value in values if not _NAME.fullmatch(value) and not _NUMBER.fullmatch(value)]:
        raise Unreadable(f"{where}: {odd[0]!r} is neither a number nor a name")


class Machine:
    """Runs a program.

    known: gives the puzzle's names and their values now. move: makes a move of the words given, and says whether to
    go on.
    """

    def __init__(self, known: Callable[[], Mapping[str, int]], move: Callable[[list[str]], bool]) -> None:
        self._known, self._move = known, move
        self._counters: dict[str, int] = {}
        self._done = 0

    def run(self, program: list[Instruction]) -> bool:
        """Carry a program out; return whether it came to its end, and False where a move said to stop.

        Raises Endless for more than MOST_DONE instructions, Unreadable for a name that has no value.
        """
        return all(self._carried(instruction) for instruction in program)

    def _carried(self, instruction: Instruction) -> bool:
        """Carry one instruction out; return whether to go on."""
        self._tick()
        word, given = instruction.word, instruction.given
        if word == "move":
            return self._move([str(self._named(one)) for one in given])
        if word == "repeat":
            for _ in range(max(self._value(given[0], instruction), 0)):
                self._tick()
                if not self.run(instruction.inside):
                    return False
            return True
        if word == "if":
            one, other = (self._value(value, instruction) for value in given[::2])
            return not _COMPARED[given[1]](one, other) or self.run(instruction.inside)
        value = self._value(given[1], instruction)
        if given[0] in self._known():
            raise Unreadable(f"line {instruction.line}: {given[0]} is the puzzle's, and only read")
        self._counters[given[0]] = value + (self._value(given[0], instruction) if word == "add" else 0)
        if abs(self._counters[given[0]]) > LARGEST:
            raise Endless
        return True

    def _tick(self) -> None:
        """Count what is done. Raises Endless."""
        self._done += 1
        if self._done > MOST_DONE:
            raise Endless

    def _named(self, word: str) -> str | int:
        """Return the value of a name, another word as it is."""
        return self._counters.get(word, self._known().get(word, word))

    def _value(self, value: str, instruction: Instruction) -> int:
        """Return a number, or the value of a name. Raises Unreadable for a name that has none."""
        if _NUMBER.fullmatch(value):
            return int(value)
        named = self._named(value)
        if isinstance(named, str):
            raise Unreadable(f"line {instruction.line}: {value} has no value")
        return named
