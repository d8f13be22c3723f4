"""Every sample and verdict, durable and hash-chained, in one SQLite file.

A journal is a sequence of records (`records.py`). Each is followed by its hash, which covers the
record and the hash before it: a checksum and a chain in one. Records are committed in groups, one
row a group, with synchronous=FULL, by a thread of their own. *Acknowledged means committed*:
`acknowledged` counts the records that survive a power cut; the writer may be ahead of it by one group.

How many records there are is kept a second time: in the table `newest`, and, as long as the file is open, in
the lock (`lock.py`). A file that holds fewer is refused, so that no damage can shorten it unnoticed.

Exactly one process writes: it holds `<journal>.lock` until it closes or dies; a forked child does not. Readers
open the file read-only. After a failed write nothing more is written; the next start reads what is on the disk.

Not covered: an older copy put back in place, or a chain rewritten from the start: the file alone
cannot show either. A file cut down to no bytes at all counts as new.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import struct
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from maker.canonical import DIGEST_SIZE, digest
from maker.errors import JournalError, JournalFull
from maker.lock import Lock, acknowledged

FORMAT = 2  # 1 had no table `newest`; such a file is read as it is, and gets the table with its next record
APPLICATION_ID = 0x4D414B52  # "MAKR"
GROUP_RECORDS = 4096
GROUP_SECONDS = 0.05
START = bytes(DIGEST_SIZE)  # the hash before the first record

_length = struct.Struct("<I")
_Trouble = (sqlite3.Error, UnicodeDecodeError)  # the latter for a complaint that quotes damaged text
_GROUPS = "CREATE TABLE groups (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
_NEWEST = "CREATE TABLE newest (id INTEGER PRIMARY KEY CHECK (id = 0), records INTEGER NOT NULL) STRICT"


class Journal:
    """A journal open for writing. Use it as a context manager; leaving it commits what was appended.

    path: the file, made if it is not there; None keeps the journal in a private temporary file.
    Raises JournalError for a file that is locked, damaged, not a journal, or of a newer format.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self.acknowledged = 0
        self.appended = 0
        self._head = START
        self._group: list[bytes] = []
        self._group_since = 0.0
        self._writing: Future[None] | None = None
        self._ready = False
        self._process = os.getpid()
        self._reading: sqlite3.Connection | None = None
        self._turns: list[asyncio.Future[None]] = []  # of those who wait for the next commit
        self._called: asyncio.AbstractEventLoop | None = None  # the loop that is about to commit
        self._lock = None if self.path is None else Lock(self.path)
        try:
            if self.path is not None and self._lock and self._lock.acknowledged and not self.path.stat().st_size:
                raise _damaged(self.path, 0, "the file is empty")  # before SQLite throws its -wal away
            self._db = _open_for_writing(self.path)
            if self.path is None:
                weakref.finalize(self, self._db.close)  # a temporary journal lives as long as its run's result
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        except BaseException:
            if self._lock:
                self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def replay(self) -> Iterator[bytes]:
        """Yield the records there are, checked, and leave the journal ready to append after them.

        It may be read so again; what was appended meanwhile is committed first, and counted anew.
        """
        self.flush()
        self._stop_reading()
        self._head, self.appended = START, 0
        least = self._lock.acknowledged if self._lock else 0
        if self.path is not None:
            # A second connection, kept when the replay fails: while it is open, SQLite leaves the -wal as it is.
            self._reading = _open_for_reading(self.path)
        for head, record in _records(self._reading or self._db, self.path, least):
            self._head = head
            self.appended += 1
            yield record
        self._stop_reading()
        self.acknowledged = self.appended
        if self._lock:
            self._lock.acknowledged = 0  # they are all there

    def append(self, record: bytes) -> None:
        """Add a record to the group being gathered; it is not durable yet."""
        if not self._group:
            self._group_since = time.monotonic()
        self._head = digest(self._head + record)
        self._group += (_length.pack(len(record)), record, self._head)
        self.appended += 1

    def commit_if_due(self) -> None:
        """Hand the group to the writer if it is full or old enough. Raises JournalFull or JournalError."""
        waiting = len(self._group) // 3
        if not waiting:
            return
        if self._writing is not None and self._writing.done():
            self._writing.result()
        if waiting >= GROUP_RECORDS or (
            time.monotonic() - self._group_since >= GROUP_SECONDS and (self._writing is None or self._writing.done())
        ):
            self._start()

    async def committed(self) -> None:
        """Return when all that was appended before the call is durable, and so it is when the wait is cancelled.

        Those who come while the writer is busy share the group after; each is woken once, which matters at thousands
        of calls a second.
        """
        if self.acknowledged == self.appended:
            return
        loop = self.commit_soon()
        turn: asyncio.Future[None] = loop.create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._turns:
                self._turns.remove(turn)
            with contextlib.suppress(JournalError):
                self.flush()
            raise

    def commit_soon(self) -> asyncio.AbstractEventLoop:
        """Have all that was appended committed once those have gone on who are ready to; return the running loop.

        A failure is told to whoever commits next.
        """
        loop = asyncio.get_running_loop()
        if self._called is not loop:  # another one has ended before its turn came
            self._called = loop
            loop.call_soon(self._commit_for_all, loop)
        return loop

    def _commit_for_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Commit for those who wait in a loop: now, or when those have gone on whose group is being written."""
        if self._writing is not None and not self._writing.done():
            self._writing.add_done_callback(
                lambda _: loop.call_soon_threadsafe(loop.call_soon, self._commit_for_all, loop)
            )
            return
        self._called = None
        turns, self._turns = self._turns, []
        try:
            self._start()
        except (JournalError, RuntimeError) as error:  # the latter where the journal was closed
            _wake(turns, error)
            return
        if turns and self._writing is not None:
            self._writing.add_done_callback(
                lambda written: loop.call_soon_threadsafe(_wake, turns, written.exception())
            )

    def flush(self) -> None:
        """Make everything appended durable before returning. Raises JournalFull or JournalError."""
        if self._group:
            self._start()
        if self._writing is not None:
            self._writing.result()

    def close(self) -> None:
        """Commit, leave a single plain file, give the lock back. Safe to call twice; does nothing in a forked child."""
        if os.getpid() != self._process:
            return
        try:
            with contextlib.suppress(JournalError) if self._failed else contextlib.nullcontext():
                self.flush()
        finally:
            self._writer.shutdown()
            if self.path is not None:
                # Back from WAL to one plain file, so that it can be read from a read-only folder.
                with contextlib.suppress(sqlite3.Error):
                    if self._ready or self.acknowledged:  # not where the replay was refused
                        self._db.execute("PRAGMA journal_mode=DELETE")
                self._db.close()
                self._stop_reading()
            if self._lock:
                self._lock.release()
                self._lock = None

    def reader(self) -> Iterator[bytes]:
        """Yield all acknowledged records from the start, also of a temporary journal."""
        self.flush()
        for _, record in _records(self._db, self.path):
            yield record

    @property
    def _failed(self) -> bool:
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _start(self) -> None:
        """Give the group to the writer, first waiting for the group before it."""
        if os.getpid() != self._process:
            raise JournalError(f"{self.path}: a forked child cannot write it, only process {self._process} can.")
        if self._writing is not None:
            self._writing.result()
        if not self._group:
            return
        group, self._group = self._group, []
        count = len(group) // 3
        self._writing = self._writer.submit(self._write, self.appended - count, count, b"".join(group))

    def _write(self, first: int, count: int, data: bytes) -> None:
        try:
            if not self._ready and self.path is not None:
                # Not before there is something to write: a file that is refused is left as it was.
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._ready = True
            self._db.execute("BEGIN IMMEDIATE")
            if self._db.execute("PRAGMA user_version").fetchone()[0] < FORMAT:
                self._db.execute(_NEWEST)
                self._db.execute(f"PRAGMA user_version={FORMAT}")
            self._db.execute("INSERT INTO groups VALUES (?, ?, ?)", (first, count, data))
            self._db.execute("INSERT OR REPLACE INTO newest VALUES (0, ?)", (first + count,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _mapped(error, self.path) from error
        self.acknowledged = first + count
        if self._lock:
            self._lock.note(self.acknowledged)


def _wake(turns: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    """Let those go on who waited for a commit; one that failed is everybody's."""
    for turn in turns:
        if turn.done():  # cancelled meanwhile
            continue
        if error is None:
            turn.set_result(None)
        else:
            turn.set_exception(error)


def read_records(path: str | Path) -> Iterator[bytes]:
    """Yield the records of a journal file, as `read_chain` does."""
    return (record for _, record in read_chain(path))


def read_chain(path: str | Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a journal file, each with its hash and checked against it; the file is opened read-only.

    Raises JournalError with the place for a file that is missing, damaged, not a journal, or newer.
    """
    path = Path(path)
    if not path.is_file():
        raise JournalError(f"{path}: no such journal. Give the file that `maker run --journal` wrote.")
    least = acknowledged(path)  # before the snapshot that is read: a live writer has those by now
    with contextlib.closing(_open_for_reading(path)) as db:
        if _check_format(db, path) or least:
            yield from _records(db, path, least)


def sound_groups(path: Path, after: int) -> int:
    """Return how many groups that begin after record `after` fit their hashes, though what is before them does not.

    Where the damaged database cannot be read from the front any further, it is tried once more from the back.
    """
    found: dict[int, tuple[int, bytes]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.closing(_open_for_reading(path)) as db, contextlib.suppress(*_Trouble):
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
    at, checked = 0, 0
    for _ in range(count):
        start, end = _bounds(data, at)
        if end < 0:
            return False
        stored = data[end : end + DIGEST_SIZE]
        if before:
            checked += 1
            if digest(before + data[start:end]) != stored:
                return False
        before, at = stored, end + DIGEST_SIZE
    return checked > 0 and at == len(data)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database such that nothing is ever written to it."""
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _mapped(error, path) from error


def _open_for_writing(path: Path | None) -> sqlite3.Connection:
    """Open or make the database. The connection is used by one thread at a time."""
    if path is not None and not path.parent.is_dir():
        raise JournalError(f"{path}: there is no folder {path.parent}. Make it first.")
    try:
        db = sqlite3.connect("" if path is None else path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _mapped(error, path) from error
    try:
        if not _check_format(db, path):
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={FORMAT}")
            db.execute(_GROUPS)
            db.execute(_NEWEST)
            db.execute("INSERT INTO newest VALUES (0, 0)")
            db.execute("COMMIT")
            if path is not None:
                _sync_folder(path.parent)
    except sqlite3.Error as error:
        db.close()
        raise _mapped(error, path) from error
    except OSError as error:
        db.close()
        raise JournalFull(
            f"{path}: its folder cannot be synced: {error.strerror}. Mend the disk, or take another."
        ) from error
    except BaseException:
        db.close()
        raise
    return db


def _check_format(db: sqlite3.Connection, path: Path | None) -> bool:
    """Say whether the database is a journal (False: it is empty). Raises JournalError for any other."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except _Trouble as error:
        raise _mapped(error, path) from error
    if application == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise JournalError(f"{path}: a SQLite database, but not a maker journal. Give another --journal.")
    if version < 1:
        raise JournalError(f"{path}: its format number {version} is damaged. Nothing was changed; restore a copy.")
    if version > FORMAT:
        raise JournalError(f"{path}: journal format {version} is newer than {FORMAT}. Upgrade maker to open it.")
    return True


def _records(db: sqlite3.Connection, path: Path | None, least: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (hash, record) of every record in order, checking sequence, lengths, hashes, and that `least` are there."""
    head, expected = START, 0
    try:
        least = max(least, _newest(db, path))
        # No row is longer than the file: a forged length must not make SQLite reserve a gigabyte.
        pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        limit = db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, pages * size)
        try:
            for first, count, data in _rows(db):
                if first != expected or not isinstance(data, bytes) or not isinstance(count, int):
                    raise _damaged(path, expected, f"the next group begins with record {first}")
                at = 0
                for number in range(first, first + count):
                    start, end = _bounds(data, at)
                    if end < 0:
                        raise _damaged(path, number, "it is cut off")
                    record, stored = data[start:end], data[end : end + DIGEST_SIZE]
                    head = digest(head + record)
                    if head != stored:
                        raise _damaged(path, number, "its content does not match its hash")
                    yield head, record
                    at = end + DIGEST_SIZE
                if at != len(data):
                    raise _damaged(path, first + count, f"{len(data) - at} bytes follow its group")
                expected = first + count
        finally:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
    except _Trouble as error:
        raise _unreadable(error, path, expected) from error
    if expected < least:
        raise _damaged(path, expected, f"it is missing, as are all after it; {least} records were acknowledged")


def _rows(db: sqlite3.Connection) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the groups in order, each read by itself.

    One statement for all would keep a writer waiting as long as somebody reads; and the driver, which reads one
    row ahead, would keep back the last sound row before one that cannot be read.
    """
    last = -(2**63)
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


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Return where the record at `at` starts and ends, the end -1 when it does not fit."""
    start = at + _length.size
    if start > len(data):
        return start, -1
    end = start + int(_length.unpack_from(data, at)[0])
    return start, end if end + DIGEST_SIZE <= len(data) else -1


def _damaged(path: Path | None, record: int, what: str) -> JournalError:
    return JournalError(
        f"{path}: record {record} is damaged: {what}. Nothing was changed; restore a copy, "
        "or give up a torn end with `maker repair`."
    )


def _unreadable(error: Exception, path: Path | None, record: int) -> JournalError:
    """Return the JournalError that a SQLite error means while records are read."""
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return _mapped(error, path)
    return _damaged(path, record, f"it cannot be read ({error})")


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _mapped(error: Exception, path: Path | None) -> JournalError:
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
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalError(f"{path}: another program holds the database ({error}). Close it first.")
    return JournalError(f"{path}: cannot be opened or written: {error}. Check the path and its permissions.")


def _sync_folder(folder: Path) -> None:
    """Make the new file's directory entry durable."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
