"""One writer for each journal, whatever the file is called; the lock dies with its process.

Two locks, both with flock. The one on `<journal>.lock`, beside the real file, is there before the file is: it names
its holder, so that a refused second process can say who is in the way. The one on the journal itself holds where
names do not: when the lock file was removed, or the journal was moved. SQLite locks with fcntl, which on Linux knows
nothing of flock; elsewhere the two would meet, and the lock file stands alone. A descriptor of the journal is only
closed after SQLite has closed its own, since closing any of them drops the locks that SQLite has.

A journal with a second name (a hard link) is refused: SQLite keeps what was committed last in a -wal beside the
name that the file was opened by, and another name would not find it.

The lock file also keeps how many records its holder acknowledged. When the holder is killed the file stays, and the
next one to open the journal can tell a journal that was shortened since. The number is not synced: after
a power cut it may be too small, never too large.

Not covered: network file systems without flock; a -wal left by a kill beside a name that another file has now.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import sys
import weakref
from pathlib import Path

from maker.errors import JournalError, JournalFull, TaskError

_NOTE = re.compile(rb"pid \d+\nacknowledged (\d{1,18})\n")
_PID = re.compile(rb"pid (\d{1,9})\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST_NAME = 255 - len(".repair-from-journal")  # bytes; the longest of the names made from a journal's
_MOST_PATH = 512 - len("-journal") - 2  # bytes; what SQLite opens
_FILE_IS_LOCKED = sys.platform == "linux"
_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Hold the lock of a journal until `release` or the end of the process.

    Raises at once, having written nothing to the journal: JournalError when it is being written already, under this
    name or another, has a second name, is no plain file, or its folder cannot be written; TaskError for a name that
    no file can have. Where there is no file an empty one is made. A forked child does not keep the lock.
    acknowledged: the records that the last holder acknowledged, if it was killed; 0 if it left in order or nothing
    is known.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._place = _place_of(journal)
        self._path = _path_of(self._place)
        self._file: int | None = None
        self._kept: list[int] = []  # descriptors of the journal
        self._identity: tuple[int, int] | None = None
        self._made = False
        self.acknowledged = 0
        try:
            while self._file is None:
                self._file = self._try()
            while self._identity is None:
                self._identity = self._try_file()
        except OSError as error:
            self.release()
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise JournalFull(
                    f"{journal}: the disk took no lock file: {error.strerror}. Free some space and run it again."
                ) from None
            raise JournalError(
                f"{journal}: cannot be written here: {error.strerror}. Give --journal a path in a folder you may write."
            ) from None
        except JournalError:
            self.release()
            raise
        _held.add(self)

    def note(self, records: int) -> None:
        """Keep how many records are acknowledged, for whoever opens the journal after a kill."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk nothing is lost but this hint
                os.pwrite(self._file, _content(records), 0)

    @property
    def in_place(self) -> bool:
        """Say whether the journal's name still is that of the file which is locked."""
        return identity_of(self._place) == self._identity

    def check(self) -> None:
        """Raise JournalError where the journal was moved, replaced or deleted."""
        if not self.in_place:
            raise JournalError(
                f"{self._journal}: was moved, replaced or deleted while it was being written. What was acknowledged "
                "is in the file that was moved: resume with that one."
            )

    def release(self) -> None:
        """Give the lock back and remove its file; leave it where a journal lacks what its last holder acknowledged.

        To be called when the database is closed.
        """
        if self._file is not None:
            if self._made and self.in_place and not self._place.stat().st_size:
                self._place.unlink(missing_ok=True)  # nothing was written
            if not self.acknowledged and _is(self._path, self._file):
                # Removed while still held: whoever opened it meanwhile sees that it is gone and tries anew.
                self._path.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        if self._file is not None:
            for file in (self._file, *self._kept):
                os.close(file)
            self._file = None
            self._kept.clear()

    def _try(self) -> int | None:
        """Lock the lock file; None where it was removed meanwhile."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _PID.match(os.read(file, 64))
            os.close(file)
            raise _busy(self._journal, int(holder[1]) if holder else None) from None
        if not _is(self._path, file):
            os.close(file)
            return None
        left = _NOTE.match(os.read(file, 64))
        if left and self._place.exists():
            self.acknowledged = int(left[1])
        os.ftruncate(file, 0)
        os.pwrite(file, _content(self.acknowledged), 0)
        if left and not self.acknowledged:
            os.fsync(file)  # the journal was removed: an old number must not come back to a new one
        return file

    def _try_file(self) -> tuple[int, int] | None:
        """Lock the journal itself and return which file it is; None where its name was given to another meanwhile."""
        self._made = not self._place.exists()
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(self._place, flags, 0o644)
        is_now = os.fstat(file)
        identity = (is_now.st_dev, is_now.st_ino)
        for other in _held:
            if other._file is not None and other._identity == identity:
                other._kept.append(file)  # not closed here: that would drop the locks of its SQLite
                raise _busy(self._journal, os.getpid())
        try:
            if _FILE_IS_LOCKED:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise _busy(self._journal, _holder(is_now.st_ino)) from None
        if not _is(self._place, file):
            os.close(file)
            return None
        self._kept.append(file)
        if is_now.st_nlink > 1:
            raise JournalError(
                f"{self._journal}: has {is_now.st_nlink} names (hard links), and what one writes last another does "
                "not find. Remove the others, or copy the file and give the copy."
            )
        return identity


def acknowledged(journal: Path) -> int:
    """Return how many records the writer of a journal acknowledged, as far as it is known; 0 if it left in order."""
    try:
        with _path_of(Path(os.path.realpath(journal))).open("rb") as file:
            left = _NOTE.match(file.read(64))
    except OSError:
        return 0
    return int(left[1]) if left else 0


def held(journal: Path) -> bool:
    """Say whether a process that is alive writes a journal, as far as its lock file tells."""
    with contextlib.suppress(OSError):
        named = _PID.match(_path_of(Path(os.path.realpath(journal))).read_bytes()[:64])
        if named is not None:
            os.kill(int(named[1]), 0)
            return True
    return False


def _place_of(journal: Path) -> Path:
    """Return where the file is, or would be, links resolved. Raises for what no journal can be written to."""
    if not journal.name or _CONTROL.search(str(journal)):
        raise TaskError(f"--journal {str(journal)!r}: give the name of a file, without control characters.")
    place = Path(os.path.realpath(journal))
    if len(os.fsencode(place.name)) > _MOST_NAME or len(os.fsencode(place)) > _MOST_PATH:
        raise TaskError(f"--journal {str(journal)!r:.60}: is too long for a name. Give a shorter one.")
    with contextlib.suppress(OSError):  # what is not there, or not to be seen, is found out by opening it
        if not stat.S_ISREG(place.stat().st_mode):
            raise JournalError(f"{journal}: is no plain file. Nothing was written; give another --journal.")
    return place


def _path_of(place: Path) -> Path:
    return place.with_name(place.name + ".lock")


def _content(records: int) -> bytes:
    return f"pid {os.getpid()}\n".encode() + (b"acknowledged %d\n" % records if records else b"")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file that has a name now, None where there is none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is(path: Path, file: int) -> bool:
    """Say whether a name is that of an open file."""
    is_now = os.fstat(file)
    return identity_of(path) == (is_now.st_dev, is_now.st_ino)


def _busy(journal: Path, pid: int | None) -> JournalError:
    """Return the refusal of a second writer, which names the first as far as it is known."""
    who = "this process" if pid == os.getpid() else "another process"
    named = f" (pid {pid})" if pid is not None else ""
    return JournalError(f"{journal}: {who}{named} is writing this journal. Wait for it or stop it first.")


def _holder(inode: int) -> int | None:
    """Return who holds the flock on a file, where the system tells."""
    with contextlib.suppress(OSError):
        held = re.search(rf"FLOCK +\S+ +WRITE (\d+) \S+:{inode} ", Path("/proc/locks").read_text("ascii", "replace"))
        return int(held[1]) if held else None
    return None


def _forget_all() -> None:
    for lock in list(_held):
        lock._forget()


os.register_at_fork(after_in_child=_forget_all)
