"""Plain waves, told from all others many at a time.

Nearly all waves of a long run are plain: the first of its step, every draw a vote for the one answer, whose text is
there in full; nothing else is said of a draw; and the verdict stands with them. They are found by their bytes, in
columns. Who counts a million steps need not decode these one by one; all others are decoded as ever.

Not covered: what a plain wave claims. It is counted as any other, and checked by those who check (`review/checking/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maker.decision.wave import UNKNOWN_TOKENS, Wave
from maker.journal.notes import Note, Receipt
from maker.journal.records import MOST, WAVE

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
_DECIDED = 2  # all of its parts


@dataclass(slots=True)
class Plain:
    """Plain waves, a column for each fact, in the order of the journal.

    steps: their steps; draws: how many each has; tokens_in, tokens_out: of all of them, None where none was told;
    hashed, states: the step hash and the state digest of each, 16 bytes; records: as the journal has them.
    """

    steps: NDArray[np.int64]
    draws: NDArray[np.int64]
    tokens_in: int | None
    tokens_out: int | None
    hashed: NDArray[np.void]
    states: NDArray[np.void]
    records: list[bytes]

    def __len__(self) -> int:
        return len(self.records)

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


def in_bulk(records: Iterable[bytes], read: Callable[[bytes], Wave | Note]) -> Iterator[Plain | Wave | Note]:
    """Yield what records hold, in their order, but for plain waves between two notes: they come together, and first.

    No step that has another wave or a receipt beside its plain one is among these. read: decodes a record.
    """
    busy: set[int] = set()  # steps with draws and no verdict yet
    for block in _blocks(records):
        plain, rest = sorted_out(block, busy) if len(block) >= FEW else (None, range(len(block)))
        if plain is not None:
            yield plain
        for place in rest:
            item = read(block[place])
            if isinstance(item, Wave):
                (busy.add if item.verdict is None else busy.discard)(item.step)
            elif isinstance(item, Receipt):
                busy.add(item.address.step)
            yield item


def _blocks(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield records in blocks, each of waves alone, or a single other one."""
    block: list[bytes] = []
    for record in records:
        if record[:1] == _WAVE:
            block.append(record)
            if len(block) < BLOCK:
                continue
        if block:
            yield block
            block = []
        if record[:1] != _WAVE:
            yield [record]
    if block:
        yield block


def sorted_out(records: list[bytes], busy: set[int]) -> tuple[Plain | None, list[int]]:
    """Return the plain ones among records, None where there are none, and the places of the others.

    busy: steps whose waves are all others.
    """
    import numpy as np  # noqa: PLC0415

    sizes = np.fromiter(map(len, records), np.int64, len(records))
    raw, ends = np.frombuffer(b"".join(records), np.uint8), np.cumsum(sizes)
    places = np.flatnonzero(sizes >= _FRONT_SIZE + _TEXT_SIZE + _END_SIZE)
    begins, ends = (ends - sizes)[places], ends[places]
    front = _part(raw, begins, _FRONT)[:, 0]
    steps, draws = front["step"].astype(np.int64), front["draws"].astype(np.int64)
    length = ends - begins - _FRONT_SIZE - _DRAW_SIZE * draws - _TEXT_SIZE - _END_SIZE  # of its text
    own = (front["kind"] == WAVE) & (front["first"] == 0) & (front["texts"] == 1) & (front["parts"] == _DECIDED)
    own &= (draws > 0) & (length >= 0) & (front["step"] <= MOST)
    text = _part(raw, ends - _END_SIZE - _TEXT_SIZE - np.maximum(length, 0), _TEXT)[:, 0]
    end = _part(raw, ends - _END_SIZE, _END)[:, 0]
    own &= (text["full"] != 0) & (text["length"] == length) & (end["winner"] == 0)
    votes = {}
    for size in np.unique(draws[own]).tolist():
        here = np.flatnonzero(own & (draws == size))
        votes[size] = _part(raw, begins[here] + _FRONT_SIZE, _DRAW, size)
        own[here] = ((votes[size]["candidate"] == 0) & (votes[size]["text"] == 0)).all(1)
        votes[size] = votes[size][own[here]]
    others = np.ones(len(records), bool)
    others[places[own]] = False
    elsewhere = (int.from_bytes(records[place][1:9], "little") for place in np.flatnonzero(others).tolist())
    apart = own & np.isin(steps, np.array(sorted(step for step in {*busy, *elsewhere} if step <= MOST), np.int64))
    for size in votes:
        votes[size] = votes[size][~apart[own & (draws == size)]]
    own &= ~apart
    others[places[own]] = False
    others[places[apart]] = True
    if not own.any():
        return None, list(range(len(records)))
    told = [_told([drawn[name] for drawn in votes.values()]) for name in ("tokens_in", "tokens_out")]
    plain = Plain(
        steps[own], draws[own], told[0], told[1], end["hashed"][own], end["state"][own],
        [records[place] for place in places[own].tolist()],
    )  # fmt: skip
    return plain, np.flatnonzero(others).tolist()


def _part(raw: NDArray[np.uint8], begins: NDArray[np.int64], layout: list[tuple[str, str]], times: int = 1) -> Any:
    """Return what begins at each of these bytes, so many times the layout: a row for each."""
    import numpy as np  # noqa: PLC0415

    kind = np.dtype(layout)
    return raw[begins[:, None] + np.arange(kind.itemsize * times)].view(kind)


def _told(columns: list[NDArray[np.uint32]]) -> int | None:
    """Return the sum of token counts, None where none was told."""
    known = [column[column != UNKNOWN_TOKENS] for column in columns]
    return sum(int(column.sum(dtype="u8")) for column in known) if any(column.size for column in known) else None
