"""The file of a journal: every edit is refused with its place, and what is no journal is left as it is."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from groups import content, edit, rows, write
from maker.errors import JournalError
from maker.journal.database import FORMAT, checked_records, mapped, open_for_reading, read_records
from maker.journal.writer import Journal
from maker.task.canonical import DIGEST_SIZE

# -- the chain ----------------------------------------------------------------------------------------


def test_every_flipped_byte_is_refused_with_its_record(tmp_path: Path) -> None:
    """One flipped bit anywhere in a group is refused, naming the record that it lies in."""
    path = tmp_path / "run.db"
    write(path, [[b"zero"], [b"one", b"two", b"three"]])
    ((_, _, _), (first, count, data)) = rows(path)
    owner = [
        first + number
        for number, record in enumerate([b"one", b"two", b"three"])
        for _ in range(4 + len(record) + DIGEST_SIZE)
    ]
    assert (first, count, len(owner)) == (1, 3, len(data))
    with closing(sqlite3.connect(path)) as db:
        for at in range(len(data)):
            forged = bytearray(data)
            forged[at] ^= 1 << at % 8
            db.execute("UPDATE groups SET data = ? WHERE first = 1", (bytes(forged),))
            with pytest.raises(JournalError, match=rf"record {owner[at]} is damaged"):
                list(checked_records(db, path))


@pytest.mark.parametrize(
    ("number", "statements"),
    [
        (2, [("DELETE FROM groups WHERE first = 2", ())]),
        (0, [("DELETE FROM groups WHERE first = 0", ())]),
        (6, [("INSERT INTO groups SELECT 6, count, data FROM groups WHERE first = 4", ())]),
        (2, [("INSERT INTO groups SELECT 1, count, data FROM groups WHERE first = 0", ())]),
        (4, [("UPDATE groups SET first = 5 WHERE first = 4", ())]),
        (3, [("UPDATE groups SET data = substr(data, 1, length(data) - 1) WHERE first = 2", ())]),
        (2, [("UPDATE groups SET data = substr(data, 1, 2) WHERE first = 2", ())]),
        (2, [("UPDATE groups SET data = x'' WHERE first = 2", ())]),
        (4, [("UPDATE groups SET data = CAST(data || x'00' AS BLOB) WHERE first = 2", ())]),
        (3, [("UPDATE groups SET count = 1 WHERE first = 2", ())]),
        (4, [("UPDATE groups SET count = 3 WHERE first = 2", ())]),
        (2, [("UPDATE groups SET count = 0 WHERE first = 2", ())]),
    ],
)
def test_edited_groups_are_refused(
    tmp_path: Path, number: int, statements: list[tuple[str, tuple[object, ...]]]
) -> None:
    """Dropped, repeated, renumbered, shortened and lengthened groups are refused with the record's number."""
    path = tmp_path / "run.db"
    write(path, [[b"a0", b"a1"], [b"b2", b"b3"], [b"c4", b"c5"]])
    edit(path, *statements)
    before = content(path)
    with pytest.raises(JournalError, match=rf"record {number} is damaged") as read:
        list(read_records(path))
    with pytest.raises(JournalError, match=rf"record {number} is damaged"), Journal(path) as journal:
        list(journal.replay())
    assert str(path) in str(read.value)
    assert read.value.exit_code == 6
    assert content(path) == before


def test_swapped_groups_are_refused(tmp_path: Path) -> None:
    """Two groups of the same shape that changed places are refused at the first of them."""
    path = tmp_path / "run.db"
    write(path, [[b"a0"], [b"b1"], [b"c2"]])
    (_, (_, _, second), (_, _, third)) = rows(path)
    update = "UPDATE groups SET data = ? WHERE first = ?"
    edit(path, (update, (third, 1)), (update, (second, 2)))
    with pytest.raises(JournalError, match="record 1 is damaged"):
        list(read_records(path))


def test_splice_from_another_journal_is_refused(tmp_path: Path) -> None:
    """A group of another run, whole and with right checksums, does not fit the chain."""
    ours, theirs = tmp_path / "a.db", tmp_path / "b.db"
    write(ours, [[b"header a"], [b"step"]])
    write(theirs, [[b"header b"], [b"step"]])
    edit(ours, ("UPDATE groups SET data = ? WHERE first = 1", (rows(theirs)[1][2],)))
    with pytest.raises(JournalError, match="record 1 is damaged: its content does not match its hash"):
        list(read_records(ours))


def test_records_before_the_damage_are_still_read(tmp_path: Path) -> None:
    """The undamaged beginning is yielded before the damage is reported."""
    path = tmp_path / "run.db"
    write(path, [[b"a0", b"a1"], [b"b2"]])
    edit(path, ("UPDATE groups SET data = x'00' WHERE first = 2", ()))
    seen: list[bytes] = []
    with pytest.raises(JournalError, match="record 2"):
        seen.extend(read_records(path))
    records = read_records(path)
    assert [next(records), next(records)] == [b"a0", b"a1"]
    records.close()  # type: ignore[attr-defined]


# -- files that are no journals -------------------------------------------------------------------------


def refused(path: Path, match: str) -> None:
    """Assert that reading and opening the file are both refused, and that it stays as it was."""
    before = content(path)
    with pytest.raises(JournalError, match=match):
        list(read_records(path))
    with pytest.raises(JournalError, match=match):
        Journal(path)
    assert content(path) == before
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_foreign_sqlite_file(tmp_path: Path) -> None:
    """Somebody else's SQLite database is refused and left as it was."""
    path = tmp_path / "contacts.db"
    edit(path, ("CREATE TABLE people (name TEXT)", ()))
    refused(path, "not a maker journal")


@pytest.mark.parametrize("data", [b"hi", b"hello\n" * 1000, bytes(4096), b"SQLite format 3\x00" + b"\xff" * 5000])
def test_not_a_sqlite_file(tmp_path: Path, data: bytes) -> None:
    """A file that is no database at all is refused and left as it was."""
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    refused(path, "not a maker journal")


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n) SELECT x AS first, 1 AS count, x'' AS data"


@pytest.mark.parametrize("statements", [
    ["DROP TABLE groups", f"CREATE VIEW groups AS {ENDLESS} FROM n"],
    ["DROP TABLE newest", f"CREATE VIEW newest AS {ENDLESS}, 0 AS id, count(*) AS records FROM n"],
    ["CREATE TRIGGER t AFTER INSERT ON groups BEGIN DELETE FROM groups; END"],
    ["CREATE INDEX i ON groups (count)"], ["CREATE TABLE more (x)"], ["CREATE VIRTUAL TABLE v USING fts5(x)"],
    ["CREATE VIEW v AS SELECT 1"], ["DROP TABLE newest"], ["ALTER TABLE groups ADD COLUMN x INTEGER AS (count + 1)"],
    ["DROP TABLE newest", "CREATE TABLE newest (id INTEGER PRIMARY KEY, records INTEGER NOT NULL)"],
    ["CREATE TABLE long (" + ", ".join(f"c{i}" for i in range(1000)) + ")"],
])  # fmt: skip
def test_a_schema_that_is_not_ours_is_refused_unread(tmp_path: Path, statements: list[str]) -> None:
    """Views, triggers, virtual tables, generated columns, further indexes and tables are refused at once."""
    path = tmp_path / "run.db"
    write(path, [[b"one"], [b"two"]])
    edit(path, *((statement, ()) for statement in statements))
    refused(path, "tables are not those of a journal|damaged")


def test_a_statement_is_bounded_by_the_size_of_the_file(tmp_path: Path) -> None:
    """The second wall: behind a reader's connection no statement goes on for ever, and its end is a JournalError."""
    path = tmp_path / "run.db"
    write(path, [[b"one"]])
    with closing(open_for_reading(path)) as db:
        db.setlimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 2)
        with pytest.raises(sqlite3.OperationalError) as stopped:
            db.execute("WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x FROM n) SELECT count(*) FROM n").fetchone()
    assert "more work to read" in str(mapped(stopped.value, path))


def test_newer_format(tmp_path: Path) -> None:
    """A journal of a later format is refused with the advice to upgrade."""
    path = tmp_path / "run.db"
    write(path, [[b"one"]])
    edit(path, (f"PRAGMA user_version={FORMAT + 1}", ()))
    refused(path, f"format {FORMAT + 1} is newer than {FORMAT}. Upgrade")


def test_missing_file_to_read(tmp_path: Path) -> None:
    """Reading a journal that is not there says so and makes no file."""
    with pytest.raises(JournalError, match="no such journal"):
        list(read_records(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["missing/run.db", "file/run.db", "folder"])
def test_places_where_no_journal_can_be(tmp_path: Path, place: str) -> None:
    """A missing folder, a file in place of a folder and a folder in place of the file are refused by name."""
    (tmp_path / "file").write_text("plain")
    (tmp_path / "folder").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(JournalError, match=place):
        Journal(tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that takes no new files")
def test_folder_that_takes_no_files() -> None:
    """A folder in which nothing can be written is refused with the advice to choose another."""
    with pytest.raises(JournalError, match=r"/proc/run\.db: cannot be written here.*Give --journal"):
        Journal(Path("/proc/run.db"))


def test_empty_file_counts_as_new(tmp_path: Path) -> None:
    """A file of no bytes becomes a journal; read, it holds nothing."""
    path = tmp_path / "run.db"
    path.touch()
    assert list(read_records(path)) == []
    write(path, [[b"one"]])
    assert list(read_records(path)) == [b"one"]


def test_killed_before_its_header_counts_as_new(tmp_path: Path) -> None:
    """A journal whose process died before the first record opens as an empty one."""
    path = tmp_path / "run.db"
    script = (
        "import os, signal, sys; from maker.journal.writer import Journal; journal = Journal(sys.argv[1]);"
        "journal.append(b'header'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert path.exists()
    write(path, [[b"one"]])
    assert list(read_records(path)) == [b"one"]


def test_a_reading_that_was_left_off_may_outlive_its_file(tmp_path: Path) -> None:
    """Who reads no further leaves a reading to the collector, which may come to it after the database is closed."""
    write(tmp_path / "j.db", [[b"one", b"two"]])
    db = open_for_reading(tmp_path / "j.db")
    reading = checked_records(db, tmp_path / "j.db")
    assert next(reading)[1] == b"one"
    db.close()
    reading.close()
