"""One writer for each journal: an flock on `<journal>.lock` that dies with its process.

The lock file names its holder, so that a refused second process can say who is in the way. It is a
file of its own because closing any descriptor of the journal itself would drop SQLite's locks.

Not covered: network file systems without flock.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from maker.errors import JournalError

_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Hold the lock of a journal until `release` or the end of the process.

    Raises JournalError at once when another process holds it, or the folder cannot be written.
    A forked child does not keep it.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        self._file: int | None = None
        try:
            while self._file is None:
                self._file = self._try(journal)
        except OSError as error:
            raise JournalError(
                f"{journal}: cannot be written here: {error.strerror}. Give --journal a path in a folder you may write."
            ) from None
        _held.add(self)

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if self._file is not None:
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
        os.ftruncate(file, 0)
        os.write(file, f"pid {os.getpid()}\n".encode())
        return file


def _forget_all() -> None:
    for lock in list(_held):
        lock._forget()


os.register_at_fork(after_in_child=_forget_all)
