"""The bundled model's vocabulary: text to tokens and back, exactly.

Promises: `decode` is plain concatenation of pieces; `encode` takes the longest piece at every
place, so one text has one encoding; a text the model cannot read, or a tower it was not trained
for, is refused with `ModelError` before anything is sampled.

Pieces are merged wherever the compact Hanoi text leaves no choice (brackets with keywords, a
comma with its number, the two pegs of a move), because every token costs a pass through the
model. The end token has no text; it is written `<end>` only in lists of pieces.

Not covered: whether a prompt makes sense. `[[3, 3], [], []]` is well-formed text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

from maker.errors import ModelError

MAX_DISKS = 20
MAX_NUMBER = 64
CLOCKWISE, COUNTER, NO_MOVE, BAR, STATE_END, MOVE, CLOSE, END = range(8)
_WORDS = (
    "clockwise\nprevious = [",
    "counterclockwise\nprevious = [",
    "]\nstate = [[",
    "], [",
    "]]\n",
    "move = [",
    "]]",
    "<end>",
)
#: first token of `from, to]` after the previous move, and of the same after the move written
PREVIOUS_PEGS = len(_WORDS)
MOVE_PEGS = PREVIOUS_PEGS + 9
_PAIRS = [f", {source}, {target}]" for source in range(3) for target in range(3)]
#: first token of a number that opens a list, and of a number after a comma
FIRST = MOVE_PEGS + 9
NEXT = FIRST + MAX_NUMBER + 1

PIECES: tuple[str, ...] = (
    *_WORDS,
    *(pair + "\nstate = [[" for pair in _PAIRS),
    *(pair + "\nnext_state = [[" for pair in _PAIRS),
    *(str(number) for number in range(MAX_NUMBER + 1)),
    *(f", {number}" for number in range(MAX_NUMBER + 1)),
    "]\nnext_state = [[",
)
SIZE = len(PIECES)

_IDS = {piece: token for token, piece in enumerate(PIECES) if token != END}


def _longest_of(pieces: Collection[str]) -> str:
    """Return a pattern of the longest piece that a text goes on with: a tree, a third of the time of a list."""
    branches = {first: [p[1:] for p in pieces if p[:1] == first] for first in sorted({p[:1] for p in pieces} - {""})}
    ways = "|".join(re.escape(first) + _longest_of(rest) for first, rest in branches.items())
    return f"(?:{ways})" + "?" * ("" in pieces) if ways else ""


_LONGEST = re.compile(_longest_of(_IDS))
_NUMBERS = [int(piece.removeprefix(", ")) if piece[-1].isdigit() else None for piece in PIECES]
_TEXTS = ["" if token == END else piece for token, piece in enumerate(PIECES)]


def encode(text: str) -> list[int]:
    """Return the tokens of `text`; raise ModelError where a part of it is in no piece."""
    pieces = _LONGEST.findall(text)
    if sum(map(len, pieces)) != len(text):
        place = 0
        while match := _LONGEST.match(text, place):
            place = match.end()
        raise ModelError(
            f"the bundled model 'neural' has no token for {text[place : place + 20]!r} at character {place} "
            f"of the prompt (it reads numbers 0 to {MAX_NUMBER} and the words of the compact Hanoi prompt). "
            "Use the task hanoi with its prompt style 'compact', or another model."
        )
    return [_IDS[piece] for piece in pieces]


def decode(tokens: Iterable[int]) -> str:
    """Return the text of `tokens`: their pieces, one after the other."""
    return "".join([_TEXTS[token] for token in tokens])


@functools.lru_cache(maxsize=4096)  # waves of one step ask for the same prompt again
def encode_prompt(prompt: str) -> list[int]:
    """Return the tokens of a compact Hanoi prompt; raise ModelError if the model cannot answer it."""
    tokens = encode(prompt)
    if not tokens or tokens[0] not in (CLOCKWISE, COUNTER) or tokens[-1] != STATE_END:
        raise ModelError(
            "the bundled model 'neural' reads the compact Hanoi prompt only (a first line 'clockwise' or "
            f"'counterclockwise', then 'previous = ...' and 'state = ...'); this one begins {prompt[:40]!r} "
            "and ends " + repr(prompt[-20:]) + ". Use the task hanoi with its prompt style 'compact', or another model."
        )
    numbers = [number for token in tokens if (number := _NUMBERS[token]) is not None]
    if numbers and (max(numbers) > MAX_DISKS or len(numbers) > MAX_DISKS + 1):
        raise ModelError(
            f"the bundled model 'neural' was trained for 3 to {MAX_DISKS} disks; this prompt has disk "
            f"{max(numbers)} or {len(numbers)} numbers. Use fewer disks, or another model."
        )
    return tokens
