"""Plain waves, told from all others many at a time.

Nearly all waves of a long run are plain: the first of its step, every draw a vote for the one answer, whose text is
there in full; nothing else is said of a draw; and the verdict stands with them. They are found by their bytes, in
columns. Who counts a million steps need not decode these one by one; all others are decoded as ever.

Not covered: what a plain wave claims. It is counted as any other, and checked by those who check (`review/checking/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from maker.decision.wave import UNKNOWN_TOKENS, Wave
from maker.journal.bulk.group import Block, Group, gathered
from maker.journal.notes import Epoch, Note, Receipt
from maker.journal.records import MOST, WAVE, decode_wave

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 4096  # records that are looked at together
FEW = 32  # waves between two notes that are not worth it

_WAVE = bytes((WAVE,))

# The parts of a plain wave's record, as `journal/records.py` packs them.
_FRONT = [("kind", "u1"), ("step", "<u8"), ("first", "<u4"), ("draws", "<u2"), ("texts", "<u2"), ("parts", "u1")]
_DRAW = [("candidate", "<i2"), ("text", "<u2"), ("tokens_in", "<u4"), ("tokens_out", "<u4")]
_TEXT = [("full", "u1"), ("length", "<u4")]
_END = [("winner", "<u2"), ("hashed", "V16"), ("state", "V16")]
_FRONT_SIZE, _DRAW_SIZE, _TEXT_SIZE, _END_SIZE = 18, 12, 5, 34
_VERDICT_SIZE = 32  # of the end, all but the winner
_DECIDED = 2  # all of its parts


Row = tuple[bytes, int, bytes]  # of a plain wave: its text, how many draws it has, step hash and state digest in one


@dataclass(slots=True)
class Run:
    """Plain waves of consecutive steps.

    first: the first step; numbers: of each among the waves. epoch: the settings in force, where somebody follows them.
    """

    waves: Plain
    first: int
    numbers: list[int]
    rows: list[Row]
    epoch: Epoch | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def wave(self, place: int) -> Wave:
        """Return one of them by itself."""
        return decode_wave(self.waves.record(self.numbers[place]))

    def tokens(self) -> Iterator[list[int | None]]:
        """Yield of each the tokens in and out of all its draws, None for what none of them told."""
        counts, told = self.waves.tokens[self.numbers].tolist(), self.waves.told[self.numbers].tolist()
        for theirs, known in zip(counts, told, strict=True):
            yield [count if there else None for count, there in zip(theirs, known, strict=True)]


@dataclass(slots=True)
class Plain:
    """Plain waves, a column for each fact, in the order of the journal.

    steps: their steps; draws: how many each has; hashed, states: the step hash and the state digest of each, 16 bytes;
    tokens: in and out, of all draws of each, where they were told; told: whether any of these were, likewise; places:
    where they stand in the block that they were found in.
    """

    steps: NDArray[np.int64]
    draws: NDArray[np.int64]
    hashed: NDArray[np.void]
    states: NDArray[np.void]
    tokens: NDArray[np.int64]
    told: NDArray[np.bool_]
    places: list[int]
    block: Block

    def __len__(self) -> int:
        return len(self.places)

    def record(self, number: int) -> bytes:
        """Return one of them as the journal has it."""
        return self.block.record(self.places[number])

    @property
    def tokens_in(self) -> int | None:
        """Tokens in, of all of them; None where none were told."""
        return int(self.tokens[:, 0].sum()) if self.told[:, 0].any() else None

    @property
    def tokens_out(self) -> int | None:
        """Tokens out, likewise."""
        return int(self.tokens[:, 1].sum()) if self.told[:, 1].any() else None

    def rows(self) -> list[Row]:
        """Return what each of them says."""
        data, ends = self.block.data, self.block.ends[self.places]
        texts = self.block.begins[self.places] + _FRONT_SIZE + _TEXT_SIZE + _DRAW_SIZE * self.draws
        return [
            (data[text : end - _END_SIZE], count, data[end - _VERDICT_SIZE : end])
            for text, end, count in zip(texts.tolist(), ends.tolist(), self.draws.tolist(), strict=True)
        ]

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Yield every number of draws that a wave has, and how many waves have it."""
        import numpy as np  # noqa: PLC0415 -- a quarter of the start of a short command

        for size, waves in zip(*np.unique(self.draws, return_counts=True), strict=True):
            yield int(size), int(waves)

    def runs(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield runs of consecutive steps: the first, their step hashes, and the state digest after the last."""
        import numpy as np  # noqa: PLC0415

        order = np.argsort(self.steps, kind="stable")
        steps, hashed, states = self.steps[order], self.hashed[order], self.states[order]
        begins = np.flatnonzero(np.diff(steps, prepend=-2) != 1).tolist()
        for begin, end in zip(begins, [*begins[1:], len(steps)], strict=True):
            yield int(steps[begin]), hashed[begin:end].tobytes(), states[end - 1].tobytes()


_Bulk = TypeVar("_Bulk", Plain, Run)


def in_bulk(groups: Iterable[Group], read: Callable[[bytes], Wave | Note]) -> Iterator[Plain | Wave | Note]:
    """Yield what groups hold, in their order, but for plain waves between two notes: they come together, and first.

    No step that has another wave or a receipt beside its plain one is among these. read: decodes a record.
    """
    return _laid_out(groups, read, _plain_first)


def _laid_out(
    groups: Iterable[Group], read: Callable[[bytes], Wave | Note],
    sort: Callable[[Block, int, int, set[int]], Iterator[_Bulk | int]],
) -> Iterator[_Bulk | Wave | Note]:  # fmt: skip
    """Yield what groups hold, as `sort` lays out each stretch of a block: in bulk, or the place of one record."""
    busy: set[int] = set()  # steps with draws and no verdict yet
    for held in gathered(groups, BLOCK):
        if sum(len(group.ends) for group in held) < FEW:
            yield from (_followed(record, read, busy) for group in held for _, record in group)
            continue
        block = Block.joined(held)
        for begin, end in stretches(block):
            for found in sort(block, begin, end, busy):
                yield _followed(block.record(found), read, busy) if isinstance(found, int) else found


def _plain_first(block: Block, begin: int, end: int, busy: set[int]) -> Iterator[Plain | int]:
    """Yield the plain ones of a range together, then the places of all others. busy: as of `sorted_out`."""
    plain, rest = sorted_out(block, begin, end, busy) if end - begin >= FEW else (None, range(begin, end))
    if plain is not None:
        yield plain
    yield from rest


def _followed(record: bytes, read: Callable[[bytes], Wave | Note], busy: set[int]) -> Wave | Note:
    """Return what a record holds; note which steps are under way."""
    item = read(record)
    if isinstance(item, Wave):
        (busy.add if item.verdict is None else busy.discard)(item.step)
    elif isinstance(item, Receipt):
        busy.add(item.address.step)
    return item


def side_by_side(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield records together that are looked at together: waves alone, or a single other one."""
    held: list[bytes] = []
    for record in records:
        if record[:1] == _WAVE:
            held.append(record)
            if len(held) < BLOCK:
                continue
        if held:
            yield held
            held = []
        if record[:1] != _WAVE:
            yield [record]
    if held:
        yield held


def stretches(block: Block) -> Iterator[tuple[int, int]]:
    """Yield the bounds of records in a block that are looked at together: waves alone, or a single other one."""
    import numpy as np  # noqa: PLC0415

    raw = np.frombuffer(block.data, np.uint8)
    other = (block.begins >= block.ends) | (raw[np.minimum(block.begins, len(raw) - 1)] != WAVE)
    begin = 0
    for place in np.flatnonzero(other).tolist():
        if begin < place:
            yield begin, place
        yield place, place + 1
        begin = place + 1
    if begin < len(block):
        yield begin, len(block)


def in_turn(
    groups: Iterable[Group], read: Callable[[bytes], Wave | Note], starts: Sequence[int] = (0,)
) -> Iterator[Run | Wave | Note]:
    """Yield what `in_bulk` does, in the order of the records: plain waves of consecutive steps come together.

    starts: as of `runs_in`.
    """
    return _laid_out(groups, read, partial(runs_in, starts=starts))


def runs_in(block: Block, begin: int, end: int, busy: set[int], starts: Sequence[int] = (0,)) -> Iterator[Run | int]:
    """Yield what is in a range of a block in its order: runs of plain waves, and the places of all other records.

    busy: as of `sorted_out`. starts: the first steps of stretches that do not need each other: then all of a stretch
    comes together, in its order, and the stretches one after another.
    """
    waves, rest = sorted_out(block, begin, end, busy) if end - begin >= FEW else (None, range(begin, end))
    if waves is None:
        yield from rest
        return
    import numpy as np  # noqa: PLC0415

    numbers = np.full(end - begin, -1)  # of each record among the plain waves
    numbers[np.array(waves.places) - begin] = np.arange(len(waves))
    steps = np.full(end - begin, -2)
    steps[numbers >= 0] = waves.steps
    order = _by_stretch(block, begin, end, starts) if len(starts) > 1 else np.arange(end - begin)
    numbers, steps, rows = numbers[order], steps[order], waves.rows()
    cuts = np.flatnonzero((numbers[1:] < 0) | (np.diff(steps) != 1)) + 1
    for one, other in pairwise([0, *cuts.tolist(), end - begin]):
        if numbers[one] < 0:
            yield begin + int(order[one])
        else:
            theirs = numbers[one:other].tolist()
            yield Run(waves, int(steps[one]), theirs, [rows[number] for number in theirs])


def _by_stretch(block: Block, begin: int, end: int, starts: Sequence[int]) -> NDArray[np.intp]:
    """Return the order of records in which each stretch of steps is by itself; theirs where a record has no step."""
    import numpy as np  # noqa: PLC0415

    begins = block.begins[begin:end]
    if (block.ends[begin:end] - begins < _FRONT_SIZE).any():
        return np.arange(end - begin)
    steps = _part(np.frombuffer(block.data, np.uint8), begins, _FRONT)[:, 0]["step"]
    return np.argsort(np.searchsorted(np.asarray(starts, np.uint64), steps, "right"), kind="stable")


def sorted_out(block: Block, begin: int, end: int, busy: set[int]) -> tuple[Plain | None, Sequence[int]]:
    """Return the plain ones of a range of a block, None where there are none, and the places of the others.

    busy: steps whose waves are all others.
    """
    import numpy as np  # noqa: PLC0415

    raw, begins, ends = np.frombuffer(block.data, np.uint8), block.begins[begin:end], block.ends[begin:end]
    places = np.flatnonzero(ends - begins >= _FRONT_SIZE + _TEXT_SIZE + _END_SIZE)
    begins, ends = begins[places], ends[places]
    front = _part(raw, begins, _FRONT)[:, 0]
    steps, draws = front["step"].astype(np.int64), front["draws"].astype(np.int64)
    length = ends - begins - _FRONT_SIZE - _DRAW_SIZE * draws - _TEXT_SIZE - _END_SIZE  # of its text
    own = (front["kind"] == WAVE) & (front["first"] == 0) & (front["texts"] == 1) & (front["parts"] == _DECIDED)
    own &= (draws > 0) & (length >= 0) & (front["step"] <= MOST)
    text = _part(raw, ends - _END_SIZE - _TEXT_SIZE - np.maximum(length, 0), _TEXT)[:, 0]
    said = _part(raw, ends - _END_SIZE, _END)[:, 0]
    own &= (text["full"] != 0) & (text["length"] == length) & (said["winner"] == 0)
    tokens, told = np.zeros((2, len(places)), np.int64), np.zeros((2, len(places)), bool)
    for size in np.unique(draws[own]).tolist():
        here = np.flatnonzero(own & (draws == size))
        votes = _part(raw, begins[here] + _FRONT_SIZE, _DRAW, size)
        own[here] = ((votes["candidate"] == 0) & (votes["text"] == 0)).all(1)
        for column, name in enumerate(("tokens_in", "tokens_out")):
            known = votes[name] != UNKNOWN_TOKENS
            told[column, here] = known.any(1)
            tokens[column, here] = np.where(known, votes[name], 0).sum(1, dtype=np.int64)
    others = np.ones(end - begin, bool)
    others[places[own]] = False
    left = np.flatnonzero(others)
    elsewhere = (int.from_bytes(block.record(place)[1:9], "little") for place in (left + begin).tolist())
    apart = own & np.isin(steps, np.array(sorted(step for step in {*busy, *elsewhere} if step <= MOST), np.int64))
    own &= ~apart
    others[places[own]] = False
    others[places[apart]] = True
    if not own.any():
        return None, range(begin, end)
    plain = Plain(
        steps[own], draws[own], said["hashed"][own], said["state"][own], tokens[:, own].T,
        told[:, own].T, (places[own] + begin).tolist(), block,
    )  # fmt: skip
    return plain, (np.flatnonzero(others) + begin).tolist()


def _part(raw: NDArray[np.uint8], begins: NDArray[np.int64], layout: list[tuple[str, str]], times: int = 1) -> Any:
    """Return what begins at each of these bytes, so many times the layout: a row for each."""
    import numpy as np  # noqa: PLC0415

    kind = np.dtype(layout)
    size = kind.itemsize * times
    if not len(begins):
        return np.empty((0, times), kind)
    return np.lib.stride_tricks.sliding_window_view(raw, size)[begins].view(kind)
