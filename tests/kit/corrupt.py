"""Damage to the files of a journal, as disks, hands and forgers do it.

`edit` makes one random change: to the bytes of the database or of its -wal (flips, lost, doubled, exchanged and
foreign sectors and pages, truncations), or to the rows, as with a SQLite shell (dropped, doubled, exchanged,
renumbered and foreign groups, and records inside a group). `verdict` opens the result as a reader and as a
writer and says what came of it.

Not covered: a chain that was rewritten from the start, with new hashes: only `verify --expect` can see that
(`test_checker.py` shows that its content is checked all the same).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from maker.errors import JournalError
from maker.journal.database import read_records
from maker.journal.writer import Journal

PAGE, SECTOR = 4096, 512
Files = dict[str, bytes]  # by suffix: "" the database, "-wal", ".lock"


def load(path: Path) -> Files:
    """Return the files of a journal."""
    return {
        suffix: path.with_name(path.name + suffix).read_bytes()
        for suffix in ("", "-wal", ".lock")
        if path.with_name(path.name + suffix).exists()
    }


def cut(path: Path, records: list[bytes], to: Path) -> Path:
    """Write the first records of a run to a journal of their own, as if the process had died there."""
    with Journal(to) as journal:
        assert list(journal.replay()) == []
        for record in records:
            journal.append(record)
    return to


def lay_out(files: Files, path: Path) -> None:
    """Write the files of a journal where nothing else is."""
    for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for suffix, content in files.items():
        path.with_name(path.name + suffix).write_bytes(content)


# -- bytes ------------------------------------------------------------------------------------------------


def _flip(data: bytearray, other: bytes, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_structure(data: bytearray, other: bytes, rng: random.Random) -> None:
    """Flip a bit where pages begin: their kind, their number of cells, their pointers."""
    data[min(len(data) - 1, rng.randrange(len(data) // PAGE + 1) * PAGE + rng.randrange(24))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    junk = rng.choice([bytes(8), b"\xff" * 8, rng.randbytes(8)])
    data[at : at + 8] = junk[: len(data) - at]


def _blocks(data: bytearray, rng: random.Random) -> tuple[int, int, int]:
    """Return the size of a block and where two of them begin."""
    size = rng.choice([SECTOR, PAGE])
    count = max(1, len(data) // size)
    return size, rng.randrange(count) * size, rng.randrange(count) * size


def _zero_block(data: bytearray, other: bytes, rng: random.Random) -> None:
    size, at, _ = _blocks(data, rng)
    data[at : at + size] = bytes(len(data[at : at + size]))


def _double_block(data: bytearray, other: bytes, rng: random.Random) -> None:
    size, at, to = _blocks(data, rng)
    data[to : to + size] = data[at : at + size]


def _swap_blocks(data: bytearray, other: bytes, rng: random.Random) -> None:
    size, at, to = _blocks(data, rng)
    data[at : at + size], data[to : to + size] = data[to : to + size], data[at : at + size]


def _drop_block(data: bytearray, other: bytes, rng: random.Random) -> None:
    size, at, _ = _blocks(data, rng)
    del data[at : at + size]


def _splice_block(data: bytearray, other: bytes, rng: random.Random) -> None:
    size, at, _ = _blocks(data, rng)
    data[at : at + size] = other[at : at + size]


def _truncate(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at - at % rng.choice([1, SECTOR, PAGE]) :]


def _append(data: bytearray, other: bytes, rng: random.Random) -> None:
    data += rng.choice([bytes(PAGE), rng.randbytes(100), data[-PAGE:]])


BYTES: list[Callable[[bytearray, bytes, random.Random], None]] = [
    _flip, _flip, _flip_structure, _flip_structure, _overwrite, _zero_block, _double_block, _swap_blocks, _drop_block,
    _splice_block, _truncate, _append,
]  # fmt: skip


# -- rows -------------------------------------------------------------------------------------------------

Row = tuple[int, int, bytes]


def _drop_row(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    del rows[rng.randrange(len(rows))]


def _drop_end(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    del rows[-rng.randrange(1, len(rows)) :]


def _double_row(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    _, count, data = rng.choice(rows)
    rows.append((rows[-1][0] + rows[-1][1], count, data))


def _swap_rows(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    one, two = rng.sample(range(len(rows)), 2)
    (a, m, x), (b, n, y) = rows[one], rows[two]
    rows[one], rows[two] = (a, n, y), (b, m, x)


def _splice_row(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    number = rng.randrange(min(len(rows), len(other)))
    rows[number] = (rows[number][0], other[number][1], other[number][2])


def _renumber(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    number = rng.randrange(len(rows))
    first, count, data = rows[number]
    change = rng.choice([-1, 1, 1000, 2**40])
    rows[number] = (first + change, count, data) if rng.random() < 0.5 else (first, max(0, count + change), data)


def _cut_record(rows: list[Row], other: list[Row], rng: random.Random) -> None:
    number = rng.randrange(len(rows))
    first, count, data = rows[number]
    at = rng.randrange(len(data))
    rows[number] = (first, count, data[:at] + data[at + rng.randrange(1, 200) :])


ROWS: list[Callable[[list[Row], list[Row], random.Random], None]] = [
    _drop_row, _drop_end, _double_row, _swap_rows, _splice_row, _renumber, _cut_record,
]  # fmt: skip


def _rows(path: Path) -> list[Row]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT first, count, data FROM groups ORDER BY first").fetchall()


def _edit_rows(path: Path, other: Path, rng: random.Random) -> str:
    rows = _rows(path)
    change = rng.choice(ROWS)
    change(rows, _rows(other), rng)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM groups")
        db.executemany("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", rows)
    return change.__name__


# -- one edit and its verdict ----------------------------------------------------------------------------


def edit(files: Files, other: Files, path: Path, other_path: Path, rng: random.Random) -> str:
    """Lay out a journal at `path` with one random change, and say which. `other` is a journal to splice from."""
    if "-wal" not in files and rng.random() < 0.3:
        lay_out(files, path)
        return _edit_rows(path, other_path, rng)
    target = rng.choice(["", "-wal", "-wal"]) if "-wal" in files else ""
    change = rng.choice(BYTES)
    data = bytearray(files[target])
    change(data, other.get(target, other[""]), rng)
    lay_out({**files, target: bytes(data)}, path)
    return f"{change.__name__} in run.db{target}"


def verdict(path: Path, expected: list[bytes]) -> str:
    """Return "refused", "harmless" (the same records are read) or "undetected"; a refusal must change nothing."""
    said = {_read(path, expected), _write(path, expected)}
    return said.pop() if len(said) == 1 else "undetected: " + " / ".join(sorted(said))


def _read(path: Path, expected: list[bytes]) -> str:
    try:
        found = list(read_records(path))
    except JournalError as error:
        return _named(path, error)
    return "harmless" if found == expected else f"undetected ({len(found)} of {len(expected)} records)"


def _write(path: Path, expected: list[bytes]) -> str:
    before = load(path)
    try:
        with Journal(path) as journal:
            found = list(journal.replay())
    except JournalError as error:
        same = {**load(path), ".lock": b""} == {**before, ".lock": b""}
        return _named(path, error) if same else "refused, but changed"
    return "harmless" if found == expected else f"undetected ({len(found)} of {len(expected)} records)"


def _named(path: Path, error: JournalError) -> str:
    return "refused" if str(path) in str(error) else f"refused without the place: {error}"
