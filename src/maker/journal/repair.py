"""Cuts a torn tail off a damaged journal: only when asked to, only after a copy was made, and never more than that.

A tail is torn when no sound group of records follows the first damage: a file that was cut short, or whose
newest part is spoilt. All sound records before it are kept, under the hashes they had; a note says what was cut.
Damage with sound records after it is a hole, not a tail; cutting there would throw good work away, so it is
refused, as is a journal of which not even the first record can be read.

Not covered: getting back what was lost. The steps that were cut are decided anew when the run is resumed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from maker.errors import JournalError
from maker.journal.database import read_records, sound_groups, sync
from maker.journal.lock import Lock
from maker.journal.records import encode_note
from maker.journal.writer import Journal

_PARTS = ("", "-wal", "-shm", "-journal", ".lock")
_LARGEST_PAGE = 65_536  # bytes; its header says 1
_MOST_FILLED = 2**40  # bytes; a damaged header may say anything


@dataclass(slots=True, frozen=True)
class Repair:
    """What `repair` did: the records kept, what was wrong (None: nothing, and nothing was changed), and the copy."""

    kept: int
    problem: str | None = None
    copy: Path | None = None


def repair(journal: str | Path) -> Repair:
    """Cut the torn tail of a journal, after copying it to `<journal>.bak-N`.

    Raises JournalError, having changed nothing, for a journal that is missing, in use, or damaged elsewhere than
    at its end. If it is interrupted, the journal is as it was, or the copy is all of it.
    """
    path = Path(journal)
    if not path.is_file():
        raise JournalError(f"{path}: no such journal. Give the file that `maker run --journal` wrote.")
    path = Path(os.path.realpath(path))  # not the link to it is replaced, and its -wal is beside it
    lock = Lock(path)
    try:
        sound, problem = _sound_beginning(path)
        if problem is None:
            return Repair(sound)
        if _with(path, "-journal").exists():
            raise JournalError(f"{path}: was left in the middle of a change. Resume its run once; that mends it.")
        copy = _cut(path, problem)
        lock.acknowledged = 0  # what is missing was said, and is not missed again
        return copy
    finally:
        lock.release()


def _cut(path: Path, problem: str) -> Repair:
    """Find the sound records, and put a journal of them in the place of the damaged one."""
    fresh, worn = _with(path, ".repair"), _with(path, ".repair-from")
    try:
        _copy(path, worn)
        _fill_up(worn)
        kept, _ = _sound_beginning(worn)
        if kept == 0:
            raise JournalError(f"{problem} Not even its first record can be read: there is nothing to keep.")
        after = sound_groups(worn, kept)
        if after:
            raise JournalError(
                f"{problem} That is no torn tail: {after} sound groups of records follow, and cutting would lose them."
            )
        copy = _copied(path)
        with Journal(fresh) as book:
            for record in islice(read_records(worn), kept):
                book.append(record)
                book.commit_if_due()
            book.append(encode_note({"repaired": {"kept": kept, "problem": problem, "copy": copy.name}}))
        # The old -wal must be gone before the new file stands there: SQLite would take it for the new one's.
        for suffix in ("-wal", "-shm"):
            _with(path, suffix).unlink(missing_ok=True)
        fresh.replace(path)
        sync(path.parent)
    finally:
        for left in (fresh, worn):
            for suffix in _PARTS:
                _with(left, suffix).unlink(missing_ok=True)
    return Repair(kept, problem, copy)


def _sound_beginning(path: Path) -> tuple[int, str | None]:
    """Return how many records can be read, and what stops the reading, None at the end of a sound journal."""
    kept = 0
    try:
        for _ in read_records(path):
            kept += 1
    except JournalError as error:
        return kept, str(error)
    return kept, None


def _fill_up(path: Path) -> None:
    """Lengthen a file that was cut short to what its header says: SQLite reads nothing of one that is shorter."""
    with path.open("r+b") as file:
        header = file.read(32)
        if len(header) == 32:
            page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
            wanted = (page if page > 1 else _LARGEST_PAGE) * pages
            if file.seek(0, os.SEEK_END) < wanted <= _MOST_FILLED:
                file.truncate(wanted)


def _copied(path: Path) -> Path:
    """Copy the journal beside itself, durably."""
    number = 1
    while (copy := _with(path, f".bak-{number}")).exists():
        number += 1
    for made in _copy(path, copy):
        sync(made)
    sync(path.parent)
    return copy


def _copy(path: Path, to: Path) -> list[Path]:
    """Copy the database and its -wal, and return the copies."""
    return [
        Path(shutil.copy2(_with(path, part), _with(to, part))) for part in ("-wal", "") if _with(path, part).exists()
    ]


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
