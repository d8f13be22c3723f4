"""Records side by side, as a group of a journal has them: where each begins and ends, and whether it fits its hash.

In a group each record has its length before it and its hash behind it; the hash covers the record and the hash before.
Whoever looks at a million records cuts none of them out that he does not need.

Not covered: what a record says (`journal/records.py`), and whether groups follow each other (`journal/database.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maker.task.canonical import DIGEST_SIZE, hasher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTH = struct.Struct("<I")  # before each record


@dataclass(slots=True)
class Group:
    """Records of a group. first: the number of the first; data: the group's bytes; ends: where each record ends."""

    first: int
    data: bytes
    ends: Sequence[int]

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each record's hash, and the record."""
        data, start = self.data, LENGTH.size
        for end in self.ends:
            after = end + DIGEST_SIZE
            yield data[end:after], data[start:end]
            start = after + LENGTH.size

    @property
    def head(self) -> bytes:
        """The hash of the last record."""
        return self.data[self.ends[-1] : self.ends[-1] + DIGEST_SIZE]


def ends_of(data: bytes, count: int) -> list[int]:
    """Return where so many records end, or the first ones of them as far as they are whole."""
    size, at, length = len(data), 0, LENGTH.unpack_from
    ends: list[int] = []
    for _ in range(count):  # a million times: nothing is called that can be avoided
        start = at + LENGTH.size
        if start > size:
            break
        end = start + length(data, at)[0]
        at = end + DIGEST_SIZE
        if at > size:
            break
        ends.append(end)
    return ends


def fitting(data: bytes, ends: Sequence[int], head: bytes) -> int:
    """Return how many of the first records of a group fit their hashes. head: the hash before the first."""
    start = LENGTH.size
    for number, end in enumerate(ends):
        made = hasher()
        made.update(head + data[start:end])
        after = end + DIGEST_SIZE
        head = data[end:after]
        if made.digest() != head:
            return number
        start = after + LENGTH.size
    return len(ends)


@dataclass(slots=True)
class Block:
    """Records in one piece of bytes: where each of them begins and ends there."""

    data: bytes
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def record(self, place: int) -> bytes:
        """Return one of the records."""
        return self.data[int(self.begins[place]) : int(self.ends[place])]

    @classmethod
    def of(cls, records: list[bytes]) -> Block:
        """Return a block of these records."""
        import numpy as np  # noqa: PLC0415 -- a quarter of the start of a short command

        sizes = np.fromiter(map(len, records), np.int64, len(records))
        ends = np.cumsum(sizes)
        return cls(b"".join(records), ends - sizes, ends)

    @classmethod
    def joined(cls, groups: list[Group]) -> Block:
        """Return a block of the records of several groups."""
        import numpy as np  # noqa: PLC0415

        begins: list[NDArray[np.int64]] = []
        ends: list[NDArray[np.int64]] = []
        size = 0
        for group in groups:
            theirs = np.array(group.ends, np.int64) + size
            begins += [np.array([size + LENGTH.size]), theirs[:-1] + DIGEST_SIZE + LENGTH.size]
            ends.append(theirs)
            size += len(group.data)
        return cls(b"".join(group.data for group in groups), np.concatenate(begins), np.concatenate(ends))


def gathered(groups: Iterable[Group], least: int) -> Iterator[list[Group]]:
    """Yield groups together, with so many records at least, but for the last."""
    held: list[Group] = []
    count = 0
    for group in groups:
        held.append(group)
        count += len(group.ends)
        if count >= least:
            yield held
            held, count = [], 0
    if held:
        yield held
