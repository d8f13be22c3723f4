"""The bundled models' vocabularies, one an edition: text to tokens and back, exactly.

Promises: `decode` is plain concatenation of pieces; `encode` takes the longest piece at every
place, so one text has one encoding; a text the model cannot read, or a tower it was not trained
for, is refused with `ModelError` before anything is sampled.

Pieces are merged because every token costs a pass through the model. In `neural-1` that is where the compact
Hanoi text leaves no choice: brackets with keywords, a comma with its number, the two pegs of a move. `neural-2` has
pieces for what is frequent as well: a bar with the disk after it, and runs of up to three disks that lie on each other
with gaps of one or three, as on the shortest paths half and a quarter of them do. The end token has no
text; it is written `<end>` only in lists of pieces.

Not covered: whether a prompt makes sense. `[[3, 3], [], []]` is well-formed text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator

from maker.errors import ModelError

END = "<end>"
_BAR = "], ["
_STATE_END = "]]\n"
_OPEN = "\nstate = [["  # what an answer writes is the same after `next_`
_WAYS = ("clockwise\nprevious = [", "counterclockwise\nprevious = [")
_MOVE = "move = ["
_PAIRS = [f", {source}, {target}]" for source in range(3) for target in range(3)]
_MAX_NUMBER = 64  # of `neural-1`: most of its numbers are never used
_LONGEST_RUN = 3
_GAPS = (1, 3)


class Vocabulary:
    """The pieces of one edition, and what they mean in the compact Hanoi text.

    edition: its name. disks: of the largest tower that it was trained for. pieces: by token. Of every token, `stacked`
    has (stacks that it ends, disks that it puts on the next), or None for what is in no stack; `number` the number that
    it ends with, 0 for none; `pegs` 3 * from + to if it writes a move's pegs. `pegs_at` is where those stand in an
    answer, and the pegs of the previous move in a prompt. `opening` is how every answer begins, whatever its move.
    """

    def __init__(self, edition: str, disks: int, pieces: Iterable[str]) -> None:
        self.edition, self.disks, self.pieces = edition, disks, tuple(pieces)
        self.size = len(self.pieces)
        self._ids = {piece: token for token, piece in enumerate(self.pieces) if piece != END}
        self._longest = re.compile(_longest_of(self._ids))
        self._texts = ["" if piece == END else piece for piece in self.pieces]
        self.end, self.bar = self.pieces.index(END), self._ids[_BAR]
        self.stacked = [_stacked(piece) for piece in self.pieces]
        self.number = [int(piece.split()[-1].strip("[")) if piece[-1].isdigit() else 0 for piece in self.pieces]
        moves = [f"{pair}\nnext_state = [[" for pair in _PAIRS]
        self.pegs: dict[int, int] = {self._ids[move]: pegs for pegs, move in enumerate(moves)}
        self.pegs_at = len(self.encode(f"{_MOVE}1{moves[0]}")) - 1
        self.opening = [self._ids[_MOVE]] if _MOVE in self._ids else []
        # waves of one step ask for the same prompt again
        self.encode_prompt = functools.lru_cache(maxsize=4096)(self._encode_prompt)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`; raise ModelError where a part of it is in no piece."""
        pieces = self._longest.findall(text)
        if sum(map(len, pieces)) != len(text):
            place = 0
            while match := self._longest.match(text, place):
                place = match.end()
            raise ModelError(
                f"the bundled model 'neural' has no token for {text[place : place + 20]!r} at character {place} "
                f"of the prompt (it reads disks 1 to {self.disks} and the words of the compact Hanoi prompt). "
                "Use the task hanoi with its prompt style 'compact', or another model."
            )
        return [self._ids[piece] for piece in pieces]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of `tokens`: their pieces, one after the other."""
        return "".join([self._texts[token] for token in tokens])

    def _encode_prompt(self, prompt: str) -> list[int]:
        """Return the tokens of a compact Hanoi prompt; raise ModelError if the model cannot answer it."""
        tokens = self.encode(prompt)
        if not prompt.startswith(_WAYS) or not prompt.endswith(_STATE_END):
            raise ModelError(
                "the bundled model 'neural' reads the compact Hanoi prompt only (a first line 'clockwise' or "
                "'counterclockwise', then 'previous = ...' and 'state = ...'); this one begins "
                f"{prompt[:40]!r} and ends {prompt[-20:]!r}. "
                "Use the task hanoi with its prompt style 'compact', or another model."
            )
        previous, _, state = prompt.partition(_OPEN)
        numbers = [int(number) for number in re.findall(r"\d+", state)]
        moved = [int(number) for number in re.findall(r"\d+", previous)[:1]]
        if max([*numbers, *moved], default=0) > self.disks or len(numbers) > self.disks:
            raise ModelError(
                f"the bundled model 'neural' was trained for 3 to {self.disks} disks; this prompt has disk "
                f"{max([*numbers, *moved])} or {len(numbers)} numbers. Use fewer disks, or another model."
            )
        return tokens


def _longest_of(pieces: Collection[str]) -> str:
    """Return a pattern of the longest piece that a text goes on with: a tree, a third of the time of a list."""
    branches = {first: [p[1:] for p in pieces if p[:1] == first] for first in sorted({p[:1] for p in pieces} - {""})}
    ways = "|".join(re.escape(first) + _longest_of(rest) for first, rest in branches.items())
    return f"(?:{ways})" + "?" * ("" in pieces) if ways else ""


def _stacked(piece: str) -> tuple[int, tuple[int, ...]] | None:
    """Return how many stacks a piece ends, and the disks that it puts on the next; None if it is in no stack."""
    if not re.fullmatch(r"(\], \[)?(, )?[\d, ]*", piece):
        return None
    return piece.count(_BAR), tuple(map(int, re.findall(r"\d+", piece)))


def _first_edition() -> Iterator[str]:
    """Yield the pieces of `neural-1`."""
    numbers = range(_MAX_NUMBER + 1)
    yield from (*_WAYS, f"]{_OPEN}", _BAR, _STATE_END, _MOVE, "]]", END)
    yield from (f"{pair}{_OPEN}" for pair in _PAIRS)
    yield from (f"{pair}\nnext_state = [[" for pair in _PAIRS)
    yield from (str(number) for number in numbers)
    yield from (f", {number}" for number in numbers)
    yield "]\nnext_state = [["


def _second_edition(disks: int) -> Iterator[str]:
    """Yield the pieces of `neural-2`."""
    numbers = range(1, disks + 1)
    # the end comes first: token 0 is what stands before a text
    yield from (END, "]]", _STATE_END, _BAR, f"]{_OPEN}", *_WAYS)
    yield from (f"{way}{number}" for way in _WAYS for number in numbers)
    yield from (f"{_MOVE}{number}" for number in numbers)
    yield from (f"{pair}{_OPEN}" for pair in _PAIRS)
    yield from (f"{pair}\nnext_state = [[" for pair in _PAIRS)
    yield from (f"{before}{number}" for before in ("", _BAR) for number in numbers)
    runs: list[tuple[int, ...]] = [(number,) for number in numbers]
    for run in runs:
        yield "".join(f", {number}" for number in run)
        if len(run) < _LONGEST_RUN:
            runs += [(*run, run[-1] - gap) for gap in _GAPS if run[-1] > gap]


@functools.cache
def edition(name: str) -> Vocabulary:
    """Return the vocabulary of an edition; raise ModelError if there is none of this name."""
    if name == "neural-1":
        return Vocabulary(name, 20, _first_edition())
    if name == "neural-2":
        return Vocabulary(name, 24, _second_edition(24))
    raise ModelError(f"there is no edition {name!r} of the bundled model: neural-1, neural-2. Update maker.")
