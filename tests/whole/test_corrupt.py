"""Corruption: every damaged journal is refused with the place, or still reads as the very same records."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from corrupt import Files, edit, lay_out, load, verdict
from maker.errors import JournalError
from maker.journal import database
from maker.journal.database import read_records
from maker.journal.writer import Journal
from scratch import scratch

# A run in groups of nine records, so that a small file has several pages and rows; then either closed, or the first
# 82 of its records written by a process that leaves without closing.
RUN = """
import os, sys
import maker, maker.journal.writer
maker.journal.writer.GROUP_RECORDS = 9
path, seed, kept = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
whole = path + ".whole" if kept else path
maker.run_sync(maker.load_task("hanoi", disks=6), model="oracle:p=0.9,v=0.9", k=2, segments=1, seed=seed, journal=whole,
               keep_samples="all")
if kept:
    journal = maker.journal.writer.Journal(path)
    for number, record in enumerate(list(maker.journal.database.read_records(whole))[:kept]):
        journal.append(record)
        if number % 9 == 0 or number == kept - 1:
            journal.flush()
    os.remove(whole)
    os._exit(9)
"""


@dataclass
class Subject:
    """A sound journal, what it holds, and another one to take foreign parts from."""

    files: Files
    records: list[bytes]
    other: Files
    other_path: Path
    path: Path


def made(folder: Path, kept: int) -> Subject:
    """Make a journal that was closed (0), or one of so many records whose process died, with its -wal and lock."""
    paths = [folder / "run.db", folder / "other.db"]
    for seed, path in enumerate(paths):
        done = subprocess.run([sys.executable, "-c", RUN, str(path), str(seed), str(kept)], check=False)
        assert done.returncode == (9 if kept else 0)
    files, other = load(paths[0]), load(paths[1])
    records = list(read_records(paths[0]))
    return Subject(files, records, other, paths[1], folder / "run.db")


@pytest.fixture(scope="module", params=[0, 82], ids=["closed", "killed"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Return a closed journal, and one whose process was killed."""
    with scratch() as folder:
        yield made(folder, request.param)


def run_edits(subject: Subject, edits: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Make so many random edits; return what came of each kind, and those that went undetected."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    undetected = []
    for number in range(edits):
        what = edit(subject.files, subject.other, subject.path, subject.other_path, rng)
        empty = "-wal" not in subject.files and not subject.path.stat().st_size  # a file of no bytes counts as new
        said = verdict(subject.path, subject.records)
        seen[said] += 1
        if said not in ("refused", "harmless") and not empty:
            undetected.append(f"edit {number}, {what}: {said}")
    return seen, undetected


def test_every_edit_is_refused_or_harmless(subject: Subject) -> None:
    """Of a thousand random edits each is refused, leaving the files alone, or the same records are read."""
    seen, undetected = run_edits(subject, 1000, seed=1)
    assert undetected == []
    assert seen["refused"] > 400 and seen["harmless"] > 100  # the editor does both: it hits, and it hits what is unused


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_edits(subject: Subject) -> None:
    """The same ten thousand times."""
    assert run_edits(subject, 10_000, seed=2)[1] == []


def test_a_journal_that_does_not_count_is_caught(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the test: where the number of records is not compared, edits go unnoticed."""
    monkeypatch.setattr(database, "_newest", lambda db, path: 0)
    monkeypatch.setattr(database, "acknowledged", lambda path: 0)
    assert len(run_edits(subject, 200, seed=1)[1]) > 3


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_flip_in_the_wal_is_refused_with_the_place(tmp_path: Path, at: float) -> None:
    """A flipped bit in the -wal, which SQLite alone takes for its end, is refused by number, every time."""
    subject = made(tmp_path, 82)
    wal = bytearray(subject.files["-wal"])
    wal[int(len(wal) * at)] ^= 4
    lay_out({**subject.files, "-wal": bytes(wal)}, subject.path)
    for _ in range(2):  # being refused once must not mend anything
        with pytest.raises(JournalError, match=r"record \d+ .* missing.*; \d+ records were acknowledged"):
            list(read_records(subject.path))
        with pytest.raises(JournalError, match=r"record \d+ is damaged"), Journal(subject.path) as opened:
            list(opened.replay())
        assert load(subject.path)["-wal"] == wal


def test_an_older_copy_beside_the_lock_of_a_killed_run_is_refused(tmp_path: Path) -> None:
    """What a killed process acknowledged is missed when an older copy is put in the journal's place."""
    subject = made(tmp_path, 82)
    (tmp_path / "older").mkdir()
    older = made(tmp_path / "older", 40)
    lay_out({**older.files, ".lock": subject.files[".lock"]}, subject.path)
    with pytest.raises(JournalError, match=f"{len(subject.records)} records were acknowledged"):
        list(read_records(subject.path))


def test_a_removed_journal_begins_anew(tmp_path: Path) -> None:
    """Who removes the journal of a killed run and begins anew is not held to what it had."""
    subject = made(tmp_path, 82)
    subject.path.unlink()
    with Journal(subject.path) as opened:
        assert list(opened.replay()) == []
        opened.append(b"new")
    assert list(read_records(subject.path)) == [b"new"]


def test_a_journal_of_the_first_format_is_read_and_brought_up_to_date(subject: Subject, tmp_path: Path) -> None:
    """A file without the table of the newest record is read as it is; the next record brings it up to date."""
    path = tmp_path / "old.db"
    lay_out(subject.files, path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE newest")
        db.execute("PRAGMA user_version=1")
        db.commit()
    assert list(read_records(path)) == subject.records
    with Journal(path) as opened:
        assert list(opened.replay()) == subject.records
        opened.append(b"more")
    assert list(read_records(path)) == [*subject.records, b"more"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT records FROM newest").fetchall() == [(len(subject.records) + 1,)]
        assert db.execute("PRAGMA user_version").fetchone()[0] == database.FORMAT


def test_a_forged_length_takes_no_memory(tmp_path: Path) -> None:
    """A row that claims to be longer than the file is refused before anything is reserved for it."""
    path = tmp_path / "run.db"
    with Journal(path) as opened:
        opened.append(bytes(30_000 - 20))
    raw = path.read_bytes()
    for real, forged in ((30_000 + 6, 1_000_000 + 6), (2 * 30_000 + 12, 2 * 1_000_000 + 12)):  # the cell, its blob
        assert raw.count(varint(real)) == 1
        raw = raw.replace(varint(real), varint(forged))
    path.write_bytes(raw)
    with pytest.raises(JournalError, match=r"record 0 is damaged: it cannot be read \(string or blob too big\)"):
        list(read_records(path))


def varint(number: int) -> bytes:
    """Return a number as SQLite writes it: seven bits a byte, the highest first."""
    groups = [number >> shift & 0x7F for shift in (14, 7, 0)]
    return bytes([groups[0] | 0x80, groups[1] | 0x80, groups[2]])
