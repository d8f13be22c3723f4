"""Every sample and verdict, durable: appending to a journal and committing it.

Each record is followed by its hash, which covers the record and the hash before it: a checksum and a chain in one.
Records are committed in groups, one row a group, with synchronous=FULL, by a thread of their own. *Acknowledged
means committed*: `acknowledged` counts the records that survive a power cut; the writer may be ahead of it by one
group.

Exactly one process writes: it holds the `Lock` until it closes or dies; a forked child does not. After a failed
write nothing more is written; the next start reads what is on the disk. A journal that was moved, replaced or
deleted meanwhile is noticed with the next group, which is not acknowledged.

Not covered: the file itself (`database.py`), and what a record says (`records.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from maker.errors import JournalError
from maker.journal.bulk.group import LENGTH, Group
from maker.journal.database import (
    FORMAT,
    NEWEST,
    START,
    Known,
    checked_groups,
    checked_records,
    damaged,
    mapped,
    open_for_reading,
    open_for_writing,
)
from maker.journal.lock import Lock
from maker.task.canonical import digest

GROUP_RECORDS = 4096
GROUP_SECONDS = 0.05


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
                raise damaged(self.path, 0, "the file is empty")  # before SQLite throws its -wal away
            self._db = open_for_writing(self.path, self._lock)
            if self.path is None:
                weakref.finalize(self, self._db.close)  # a temporary journal lives as long as its run's result
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        except BaseException:
            if self._lock:
                self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
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
            self._reading = open_for_reading(self.path)
        for head, record in checked_records(self._reading or self._db, self.path, least):
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
        self._group += (LENGTH.pack(len(record)), record, self._head)
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
            failed = self._writing is not None and self._writing.done() and self._writing.exception() is not None
            with contextlib.suppress(JournalError) if failed else contextlib.nullcontext():
                self.flush()
        finally:
            self._writer.shutdown()
            if self.path is not None:
                # Back from WAL to one plain file, so that it can be read from a read-only folder.
                with contextlib.suppress(sqlite3.Error):
                    if self._lock is None or self._lock.in_place:
                        if self._ready or self.acknowledged:  # not where the replay was refused
                            self._db.execute("PRAGMA journal_mode=DELETE")
                    elif self._ready:
                        # Into the file that was moved, through what is open: a -wal of its name it has none.
                        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._db.close()
                self._stop_reading()
            if self._lock:
                self._lock.release()
                self._lock = None

    def chain(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all acknowledged records from the start, each with its hash, as `groups` does."""
        return (record for group in self.groups() for record in group)

    def groups(self, known: Known = None, *, hashed: bool = True) -> Iterator[Group]:
        """Yield all acknowledged groups from the start, also of a temporary journal.

        known, hashed: as in `checked_groups`.
        """
        self.flush()
        yield from checked_groups(self._db, self.path, known=known, hashed=hashed)

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
                self._db.execute(NEWEST)
                self._db.execute(f"PRAGMA user_version={FORMAT}")
            self._db.execute("INSERT INTO groups VALUES (?, ?, ?)", (first, count, data))
            self._db.execute("INSERT OR REPLACE INTO newest VALUES (0, ?)", (first + count,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise mapped(error, self.path) from error
        if self._lock:
            self._lock.check()
            self._lock.note(first + count)
        self.acknowledged = first + count


def _wake(turns: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    """Let those go on who waited for a commit; one that failed is everybody's."""
    for turn in turns:
        if turn.done():  # cancelled meanwhile
            continue
        if error is None:
            turn.set_result(None)
        else:
            turn.set_exception(error)
