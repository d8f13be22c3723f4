"""The moves that a reply holds, read as a person would read them.

Lists in brackets first, `[1, 0, 2]`, with quotes or without; where a reply has none, tuples, then sentences ("disk 1
from peg 0 to peg 2"), then bare lines (`1 0 2`). A list of lists of which one is no move is a position, and no move.

Not covered: whether the rules allow a move (`puzzles.py`).
"""

from __future__ import annotations

import re
from typing import Any

Move = tuple[Any, ...]

_NESTED = re.compile(r"\[\s*\[[^\[\]]{0,80}\](?:\s*,?\s*\[[^\[\]]{0,80}\]){0,400}\s*,?\s*\]")
_LIST = re.compile(r"\[([^\[\]]{1,80})\]")
_TUPLE = re.compile(r"\(([^()\n]{1,80})\)")
_WORDS = {  # of a list, with a space between
    "number": re.compile(r"\d{1,4} \d{1,4} \d{1,4}"),
    "checkers": re.compile(r"[RB] \d{1,4} \d{1,4}"),
    "river": re.compile(r"[aA]\d(?: [aA]\d)*"),
}
_SENTENCE = {
    "number": re.compile(r"\b(?:disk|block) (\d{1,4})\b[^\d\n]{1,30}(\d{1,4})\b[^\d\n]{1,30}(\d{1,4})\b", re.I),
    "checkers": re.compile(r"\b([RB])\b[^\d\n]{1,30}(\d{1,4})\b[^\d\n]{1,30}(\d{1,4})\b"),
}


def moves_in(name: str, text: str) -> list[Move | None]:
    """Return the moves of a text in a puzzle of that name; None stands for a list that is no move."""
    kind = name if name in _WORDS else "number"
    text = _NESTED.sub(lambda found: "" if None in _lists(kind, found[0]) else found[0], text)
    if found := _lists(kind, text):
        return found
    lines = [re.sub(r"^\s*\d{1,3}[.)]\s", "", line) for line in text.splitlines()]
    said = _SENTENCE[kind].findall(text) if kind in _SENTENCE else []
    ways = (
        [_move(kind, part) for part in _TUPLE.findall(text)],
        [_of(kind, list(words)) for words in said],
        [_move(kind, line) for line in lines],
    )
    moves = [[move for move in way if move is not None] for way in ways]
    return [*next(filter(None, moves), [])]


def _lists(kind: str, text: str) -> list[Move | None]:
    """Return what each innermost list is."""
    return [_move(kind, part) for part in _LIST.findall(text)]


def _move(kind: str, text: str) -> Move | None:
    """Return the move of the words of a list; None for any other list."""
    if re.search(r"[^\w\s,;'\"]", text):
        return None
    words = [word for word in re.findall(r"\w+", text) if word != "and"]
    return _of(kind, words) if _WORDS[kind].fullmatch(" ".join(words)) else None


def _of(kind: str, words: list[str]) -> Move:
    """Return the move of its words."""
    if kind == "river":
        return tuple(sorted(words, key=lambda one: (one[0] == "A", one)))
    return tuple(int(word) if word.isdigit() else word for word in words)
