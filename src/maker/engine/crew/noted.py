"""What a worker notes of the calls that it makes, in place of a journal; and those notes as bytes.

The worker's receipts write here what they would write into a journal. Nobody waits for it to be durable: the block that
the calls are of is, from before it was handed out. As bytes a note is its length u32 and its record, little endian;
the first one is the block's name.

Not covered: what becomes of the notes (`blocks.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from maker.decision.address import Address
from maker.journal.notes import Receipt, Reserve, ServerChange, Takes, note_of
from maker.journal.records import decode

_LENGTH = struct.Struct("<I")

Note = Reserve | Receipt | Takes


class Noted:
    """Keeps notes as a journal does that is somewhere else. block: that the calls are of."""

    path: Path | None = None

    def __init__(self, block: str) -> None:
        self._records = [block.encode()]

    def append(self, record: bytes) -> None:
        """Add a record."""
        self._records.append(record)

    async def committed(self) -> None:
        """Return at once: what may be lost is booked with the block."""

    def commit_soon(self) -> None:
        """Do nothing, for the same reason."""

    def encode(self) -> bytes:
        """Return all notes as bytes."""
        return b"".join(part for record in self._records for part in (_LENGTH.pack(len(record)), record))


def noted_in(content: bytes, block: str, run: str, most: int) -> list[tuple[bytes, Note]]:
    """Return the records of a worker's notes, and what they say.

    block: that they have to be of; run: whose draws alone they may be of; most: how many it may have sent. Raises
    ValueError, struct.error or JournalError for other bytes, for those of another block, for calls that it was not
    given, and for replies to calls that it has not noted.
    """
    found: list[tuple[bytes, Note]] = []
    out: set[Address] = set()
    sent = 0
    records = _records(content)
    if next(records, b"") != block.encode():
        raise ValueError(f"they are not those of {block}")
    for record in records:
        said = decode(record)
        note = note_of(said, "a worker's notes") if isinstance(said, dict) else None
        match note:
            case Reserve(run=name, batched=False, returned=False) if name == run:
                out.update(Address(run, note.step, draw) for draw in note.draws)
                sent += len(note.draws)
            case Receipt(address=address) if address in out:
                out.discard(address)
            case Takes():
                pass
            case ServerChange():  # the samples tell it, and whether it is accepted is not the worker's to say
                continue
            case _:
                raise ValueError(f"{record!r:.80} is no note of a call that it was given")
        found.append((record, note))
    if sent > most:
        raise ValueError(f"it has made {sent} calls of the {most} that it was given")
    return found


def _records(content: bytes) -> Iterator[bytes]:
    """Yield the records in some bytes. Raises struct.error or ValueError where they are cut off."""
    at = 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        if at > len(content):
            raise ValueError("its notes are cut off")
        yield content[at - length : at]
