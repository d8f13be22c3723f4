"""One writer for each journal: an flock on `<journal>.lock` that dies with its process.

The lock file names its holder, so that a refused second process can say who is in the way. It is a
file of its own because closing any descriptor of the journal itself would drop SQLite's locks.

It also keeps how many records its holder acknowledged. When the holder is killed the file stays, and the
next one to open the journal can tell a journal that was shortened since. The number is not synced: after
a power cut it may be too small, never too large.

Not covered: network file systems without flock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import weakref
from pathlib import Path

from maker.errors import JournalError, JournalFull

_NOTE = re.compile(rb"pid \d+\nacknowledged (\d{1,18})\n")
_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Hold the lock of a journal until `release` or the end of the process.

    Raises JournalError at once when another process holds it, or the folder cannot be written.
    A forked child does not keep it. acknowledged: the records that the last holder acknowledged, if it was
    killed; 0 if it left in order or nothing is known.
    """

    def __init__(self, journal: Path) -> None:
        self._path = _path_of(journal)
        self._file: int | None = None
        self.acknowledged = 0
        try:
            while self._file is None:
                self._file = self._try(journal)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise JournalFull(
                    f"{journal}: the disk took no lock file: {error.strerror}. Free some space and run it again."
                ) from None
            raise JournalError(
                f"{journal}: cannot be written here: {error.strerror}. Give --journal a path in a folder you may write."
            ) from None
        _held.add(self)

    def note(self, records: int) -> None:
        """Keep how many records are acknowledged, for whoever opens the journal after a kill."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk nothing is lost but this hint
                os.pwrite(self._file, _content(records), 0)

    def release(self) -> None:
        """Give the lock back and remove its file; leave it where a journal lacks what its last holder acknowledged."""
        if self._file is not None:
            if not self.acknowledged:
                # Removed while still held: whoever opened it meanwhile sees that it is gone and tries anew.
                self._path.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _try(self, journal: Path) -> int | None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 64).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise JournalError(
                f"{journal}: another process ({holder}) is writing this journal. Wait for it or stop it first."
            ) from None
        try:
            same = self._path.stat().st_ino == os.fstat(file).st_ino
        except FileNotFoundError:
            same = False
        if not same:
            os.close(file)
            return None
        left = _NOTE.match(os.read(file, 64))
        if left and journal.exists():
            self.acknowledged = int(left[1])
        os.ftruncate(file, 0)
        os.pwrite(file, _content(self.acknowledged), 0)
        if left and not self.acknowledged:
            os.fsync(file)  # the journal was removed: an old number must not come back to a new one
        return file


def acknowledged(journal: Path) -> int:
    """Return how many records the writer of a journal acknowledged, as far as it is known; 0 if it left in order."""
    try:
        with _path_of(journal).open("rb") as file:
            left = _NOTE.match(file.read(64))
    except OSError:
        return 0
    return int(left[1]) if left else 0


def _path_of(journal: Path) -> Path:
    return journal.with_name(journal.name + ".lock")


def _content(records: int) -> bytes:
    return f"pid {os.getpid()}\n".encode() + (b"acknowledged %d\n" % records if records else b"")


def _forget_all() -> None:
    for lock in list(_held):
        lock._forget()


os.register_at_fork(after_in_child=_forget_all)
