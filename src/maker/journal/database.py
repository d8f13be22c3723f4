"""The one SQLite file of a journal: its format, its records read and checked, SQLite's errors mapped.

How many records there are is kept a second time: in the table `newest`, and, as long as the file is open, in
the lock (`lock.py`). A file that holds fewer is refused, so that no damage can shorten it unnoticed. Readers
open the file read-only.

The schema of somebody else's SQLite file is code: a view or a trigger would run when a table is read or written. So
it is compared with what is written here, word by word, before any table is touched, and whoever opens a journal
opens it behind that wall. Limits, and a bound on the steps of a statement by the size of the file, are a second one.

Not covered: an older copy put back in place, or a chain rewritten from the start: the file alone
cannot show either. A file cut down to no bytes at all counts as new.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from maker.errors import JournalError, JournalFull
from maker.journal.bulk.group import Group, ends_of, fitting
from maker.journal.lock import Lock, acknowledged
from maker.task.canonical import DIGEST_SIZE

FORMAT = 2  # 1 had no table `newest`; such a file is read as it is, and gets the table with its next record
APPLICATION_ID = 0x4D414B52  # "MAKR"

START = bytes(DIGEST_SIZE)  # the hash before the first record

Known = Sequence[Sequence[int]] | None  # where the records of groups end
_Trouble = (sqlite3.Error, UnicodeDecodeError)  # the latter for a complaint that quotes damaged text
_NOT_DAMAGE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_GROUPS = "CREATE TABLE groups (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
NEWEST = "CREATE TABLE newest (id INTEGER PRIMARY KEY CHECK (id = 0), records INTEGER NOT NULL) STRICT"

_SCHEMAS = {
    1: {("table", "groups", "groups", _GROUPS)},
    2: {("table", "groups", "groups", _GROUPS), ("table", "newest", "newest", NEWEST)},
}
# A statement here takes some ten steps of SQLite's machine for each row, and no row has fewer than ten bytes.
_STEPS, _STEPS_A_BYTE = 10_000_000, 4
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1000, sqlite3.SQLITE_LIMIT_COLUMN: 8, sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 8,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 1, sqlite3.SQLITE_LIMIT_VDBE_OP: 2000, sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1, sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}  # fmt: skip


def read_records(path: str | Path) -> Iterator[bytes]:
    """Yield the records of a journal file, as `read_chain` does."""
    return (record for _, record in read_chain(path))


def read_chain(path: str | Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a journal file, each with its hash, as `read_groups` does."""
    return (record for group in read_groups(path) for record in group)


def read_groups(path: str | Path, known: Known = None) -> Iterator[Group]:
    """Yield the groups of a journal file, checked against their hashes; the file is opened read-only.

    known: as in `checked_groups`.
    Raises JournalError with the place for a file that is missing, damaged, not a journal, or newer.
    """
    path = Path(path)
    if not path.is_file():
        raise JournalError(f"{path}: no such journal. Give the file that `maker run --journal` wrote.")
    least = acknowledged(path)  # before the snapshot that is read: a live writer has those by now
    with contextlib.closing(open_for_reading(path)) as db:
        if _check_format(db, path) or least:
            yield from checked_groups(db, path, least, known=known)


def read_on(path: Path, after: tuple[int, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield what a journal file has got since so many records were read, as `checked_records` does.

    Raises JournalError, also where the file holds fewer by now, or others.
    """
    with contextlib.closing(open_for_reading(path)) as db:
        if _check_format(db, path):
            yield from checked_records(db, path, after[0], after)


def sound_groups(path: Path, after: int) -> int:
    """Return how many groups that begin after record `after` fit their hashes, though what is before them does not.

    Where the damaged database cannot be read from the front any further, it is tried once more from the back.
    """
    found: dict[int, tuple[int, bytes]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.closing(open_for_reading(path)) as db, contextlib.suppress(*_Trouble):
            question = f"SELECT first, count, data FROM groups WHERE first > ? ORDER BY first {order}"  # noqa: S608 -- two words
            for first, count, data in db.execute(question, (after,)):
                if isinstance(data, bytes) and isinstance(count, int):
                    found[first] = (count, data)
    sound, before = 0, b""
    for _, (count, data) in sorted(found.items()):
        sound += _fits(count, data, before)
        before = data[-DIGEST_SIZE:]
    return sound


def _fits(count: int, data: bytes, before: bytes) -> bool:
    """Say whether a group's records fit its hashes; the first one only counts where the hash before it is known."""
    ends = ends_of(data, count)
    if len(ends) != count or not ends or ends[-1] + DIGEST_SIZE != len(data):
        return False
    if before:
        return fitting(data, ends, before) == count
    first = ends[0] + DIGEST_SIZE
    return count > 1 and fitting(data[first:], ends_of(data[first:], count - 1), data[ends[0] : first]) == count - 1


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database such that nothing is ever written to it. Raises JournalError for what is no journal."""
    with contextlib.ExitStack() as undo:
        try:
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
            undo.callback(db.close)
            _wall(db)
            db.set_progress_handler(_stop, min(_STEPS + _STEPS_A_BYTE * _size(path), 2**31 - 1))
        except _Trouble as error:
            raise mapped(error, path) from error
        _check_format(db, path)
        undo.pop_all()
    return db


def open_for_writing(path: Path | None, lock: Lock | None = None) -> sqlite3.Connection:
    """Open or make the database. The connection is used by one thread at a time.

    lock: that of the file; nothing is written where its name was given to another one since.
    """
    if path is not None and not path.parent.is_dir():
        raise JournalError(f"{path}: there is no folder {path.parent}. Make it first.")
    with contextlib.ExitStack() as undo:
        try:
            db = sqlite3.connect("" if path is None else path, isolation_level=None, check_same_thread=False)
            undo.callback(db.close)
            _wall(db)
            db.set_progress_handler(_stop, _STEPS)
            new = not _check_format(db, path)
            db.set_progress_handler(None, 0)  # of what is read over and over the steps add up
            if lock is not None:
                lock.check()
            if new:
                db.execute("BEGIN IMMEDIATE")
                db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                db.execute(f"PRAGMA user_version={FORMAT}")
                db.execute(_GROUPS)
                db.execute(NEWEST)
                db.execute("INSERT INTO newest VALUES (0, 0)")
                db.execute("COMMIT")
                if path is not None:
                    sync(path.parent)
        except sqlite3.Error as error:
            raise mapped(error, path) from error
        except OSError as error:
            raise JournalFull(
                f"{path}: its folder cannot be synced: {error.strerror}. Mend the disk, or take another."
            ) from error
        undo.pop_all()
    return db


def _wall(db: sqlite3.Connection) -> None:
    """Keep what a file brings along from running, as far as this Python can."""
    db.execute("PRAGMA trusted_schema=OFF")
    for limit, most in _LIMITS.items():
        db.setlimit(limit, most)
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)


def _stop() -> int:
    """End a statement that takes more steps than any journal of its size asks for."""
    return 1


def _size(path: Path) -> int:
    """Return the bytes of the database and its -wal."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _check_format(db: sqlite3.Connection, path: Path | None) -> bool:
    """Say whether the database is a journal (False: it is empty). Raises JournalError for any other."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        schema = set(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 10"))
    except _Trouble as error:
        raise mapped(error, path) from error
    if application == 0 and not schema:
        return False
    if application != APPLICATION_ID:
        raise JournalError(f"{path}: a SQLite database, but not a maker journal. Give another --journal.")
    if version < 1:
        raise JournalError(f"{path}: its format number {version} is damaged. Nothing was changed; restore a copy.")
    if version > FORMAT:
        raise JournalError(f"{path}: journal format {version} is newer than {FORMAT}. Upgrade maker to open it.")
    if schema != _SCHEMAS[version]:
        odd = sorted(repr(row[1])[:40] for row in schema ^ _SCHEMAS[version])
        raise JournalError(
            f"{path}: its tables are not those of a journal ({', '.join(odd)}): it is damaged or forged, or was "
            "changed by another program. Nothing was read; restore a copy."
        )
    return True


def checked_records(
    db: sqlite3.Connection, path: Path | None, least: int = 0, after: tuple[int, bytes] = (0, START)
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (hash, record) of every record in order, as `checked_groups` does."""
    return (record for group in checked_groups(db, path, least, after) for record in group)


def checked_groups(
    db: sqlite3.Connection, path: Path | None, least: int = 0, after: tuple[int, bytes] = (0, START), *,
    known: Known = None, hashed: bool = True,
) -> Iterator[Group]:  # fmt: skip
    """Yield all groups in order, checking sequence, lengths, hashes, and that `least` records are there.

    after: so many records, with the hash of the last of them, were read before: a group ends there. known: where the
    records end of the groups that the same caller has read before; hashed: check hashes, where they are not known so.
    Of a damaged group comes what is sound before the damage.
    """
    expected, head = after
    try:
        least = max(least, _newest(db, path))
        # No row is longer than the file: a forged length must not make SQLite reserve a gigabyte.
        pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        limit = db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, pages * size)
        try:
            found = iter(known or ())
            for first, count, data in _rows(db, expected - 1 if expected else -(2**63)):
                if first != expected or not isinstance(data, bytes) or not isinstance(count, int):
                    raise damaged(path, expected, f"the next group begins with record {first}")
                ends = next(found, None) or ends_of(data, count)
                right = fitting(data, ends, head) if hashed and known is None else len(ends)
                if right:
                    group = Group(first, data, ends[:right])
                    yield group
                    head = group.head
                if right < len(ends):
                    raise damaged(path, first + right, "its content does not match its hash")
                if len(ends) < count:
                    raise damaged(path, first + len(ends), "it is cut off")
                if over := len(data) - (ends[-1] + DIGEST_SIZE if ends else 0):
                    raise damaged(path, first + count, f"{over} bytes follow its group")
                expected = first + count
        finally:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed by now, where nobody read to the end
                db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
    except _Trouble as error:
        if _code(error) in _NOT_DAMAGE:
            raise mapped(error, path) from error
        raise damaged(path, expected, f"it cannot be read ({error})") from error
    if expected < least:
        raise damaged(path, expected, f"it is missing, as are all after it; {least} records were acknowledged")


def _rows(db: sqlite3.Connection, last: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the groups that begin after record `last` in order, each read by itself.

    One statement for all would keep a writer waiting as long as somebody reads; and the driver, which reads one
    row ahead, would keep back the last sound row before one that cannot be read.
    """
    question = "SELECT first, count, data FROM groups WHERE first > ? ORDER BY first LIMIT 1"
    while row := db.execute(question, (last,)).fetchone():
        yield row
        last = row[0]


def _newest(db: sqlite3.Connection, path: Path | None) -> int:
    """Return how many records the journal says it has; 0 where its format does not say."""
    if db.execute("PRAGMA user_version").fetchone()[0] < 2:
        return 0
    row = db.execute("SELECT records FROM newest WHERE id = 0").fetchone()
    if row is None or not isinstance(row[0], int):
        raise JournalError(f"{path}: does not say how many records it has: it is damaged. Nothing was changed.")
    return int(row[0])


def damaged(path: Path | None, record: int, what: str) -> JournalError:
    """Return the error of a record that is not as it was written."""
    return JournalError(
        f"{path}: record {record} is damaged: {what}. Nothing was changed; restore a copy, "
        "or give up a torn end with `maker repair`."
    )


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def mapped(error: Exception, path: Path | None) -> JournalError:
    """Return the JournalError that a SQLite error means."""
    code = _code(error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return JournalFull(f"{path}: the disk took no more ({error}). What was committed stands: "
                           "free some space and run the same command to resume.")  # fmt: skip
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or isinstance(error, UnicodeDecodeError):
        return JournalError(f"{path}: not a maker journal, or a damaged one ({error}). Nothing was changed.")
    if code == sqlite3.SQLITE_READONLY:
        return JournalError(
            f"{path}: was left in the middle of a change ({error}). Resume its run once; that mends it."
        )
    if code == sqlite3.SQLITE_INTERRUPT:
        return JournalError(f"{path}: takes more work to read than any journal of its size: it is damaged or forged.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalError(f"{path}: another program holds the database ({error}). Close it first.")
    return JournalError(f"{path}: cannot be opened or written: {error}. Check the path and its permissions.")


def sync(path: Path) -> None:
    """Make a file durable, or the entries of a folder."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
