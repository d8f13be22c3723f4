"""Records side by side: where they end, which fit their hashes, and what stands in a block."""

from __future__ import annotations

import random

import pytest

from maker.journal.bulk.group import LENGTH, Block, Group, ends_of, fitting, gathered
from maker.task.canonical import digest

RECORDS = [b"first", b"", b"the third record", bytes(range(256)), b"last"]
START = bytes(16)


def packed(records: list[bytes], head: bytes = START) -> bytes:
    """Return the bytes of a group."""
    data = b""
    for record in records:
        head = digest(head + record)
        data += LENGTH.pack(len(record)) + record + head
    return data


def group(records: list[bytes], first: int = 0) -> Group:
    """Return a group of these records."""
    data = packed(records)
    return Group(first, data, ends_of(data, len(records)))


def test_a_group_yields_what_was_packed() -> None:
    """Each record comes with the hash that stands behind it; the head is the last one."""
    found = list(group(RECORDS))
    assert [record for _, record in found] == RECORDS
    assert found[-1][0] == group(RECORDS).head == packed(RECORDS)[-16:]


@pytest.mark.parametrize("cut", range(len(packed(RECORDS[:3]))))
def test_ends_are_those_of_whole_records(cut: int) -> None:
    """Wherever the bytes are cut, exactly the records that are whole before it have an end."""
    data = packed(RECORDS[:3])
    whole = [end for end in ends_of(data, 3) if end + 16 <= cut]
    assert ends_of(data[:cut], 3) == whole
    assert ends_of(data[:cut], 10**12) == whole
    assert ends_of(data[:cut], -1) == []


def test_what_fits_ends_with_the_first_record_that_does_not() -> None:
    """A changed byte of a record or a hash, and a wrong hash before the first, show at that record."""
    data = packed(RECORDS)
    ends = ends_of(data, len(RECORDS))
    assert fitting(data, ends, START) == len(RECORDS)
    assert fitting(data, ends, bytes([1]) * 16) == 0
    rng = random.Random(0)
    for _ in range(50):
        place = rng.choice([0, 2, 3, 4])
        start = ends[place] - len(RECORDS[place])
        at = rng.randrange(start, ends[place] + 16)
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert fitting(changed, ends, START) == place


def test_a_block_has_the_records_of_its_groups() -> None:
    """Made of groups or of records, a block gives each of them back."""
    one, other = group(RECORDS[:2]), group(RECORDS[2:], 2)
    for block in (Block.joined([one, other]), Block.of(RECORDS)):
        assert [block.record(place) for place in range(len(block))] == RECORDS


def test_groups_are_gathered_until_they_are_enough() -> None:
    """So many records at least come together; what is left comes last."""
    held = [group([b"x"] * count) for count in (2, 1, 4, 1, 1)]
    assert list(gathered(held, 3)) == [held[:2], held[2:3], held[3:]]
    assert list(gathered([], 3)) == []
