"""The lock: one writer, named to whoever comes second, gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maker.errors import JournalError
from maker.journal.lock import Lock
from maker.journal.writer import Journal

HOLD = """
import sys
from maker.journal.writer import Journal
journal = Journal(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
journal.close()
"""

FORK = """
import os, sys
from maker.journal.lock import Lock
from pathlib import Path
lock = Lock(Path(sys.argv[1]))
if os.fork() == 0:
    if sys.argv[2] == "release":
        lock.release()
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""

RACE = """
import os, sys
from maker.errors import JournalError
from maker.journal.lock import Lock
from pathlib import Path
verdicts, tell = os.pipe()
wait, go = os.pipe()
for _ in range(40):
    if os.fork() == 0:
        os.close(go)
        try:
            lock = Lock(Path(sys.argv[1]))
            os.write(tell, b"w")
            os.read(wait, 1)  # until the parent closes its end: nobody else may win meanwhile
        except JournalError as error:
            os.write(tell, b"l" if "another process" in str(error) else b"?")
        os._exit(0)
os.close(tell)
seen = b""
while len(seen) < 40:
    seen += os.read(verdicts, 40)
os.close(go)
for _ in range(40):
    os.wait()
print(seen.count(b"w"), seen.count(b"l"))
"""


@contextmanager
def started(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script that says one line when it is ready and ends when its input is closed."""
    child = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.communicate()


def test_second_process_is_refused_at_once(tmp_path: Path) -> None:
    """A second process is refused within a second with the holder's pid, and gets the lock once it is free."""
    path = tmp_path / "run.db"
    with started(HOLD, str(path)) as child:
        begin = time.monotonic()
        with pytest.raises(JournalError, match=rf"\(pid {child.pid}\) is writing this journal") as refused:
            Journal(path)
        assert time.monotonic() - begin < 1
        assert refused.value.exit_code == 6
        child.communicate("")
        Journal(path).close()


def test_second_writer_in_the_same_process(tmp_path: Path) -> None:
    """Two journals on one file in one process exclude each other as well."""
    path = tmp_path / "run.db"
    with Journal(path):
        with pytest.raises(JournalError, match=rf"pid {os.getpid()}"):
            Journal(path)
        with pytest.raises(JournalError, match=rf"pid {os.getpid()}"):  # the refusal took nothing away
            Journal(path)
    Journal(path).close()


def test_lock_dies_with_sigkill(tmp_path: Path) -> None:
    """After SIGKILL of the holder its lock file is left, and stands in nobody's way."""
    path = tmp_path / "run.db"
    with started(HOLD, str(path)) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert (tmp_path / "run.db.lock").exists()
        with Journal(path) as journal:
            list(journal.replay())
            journal.append(b"after")
    assert not (tmp_path / "run.db.lock").exists()


def test_stale_lock_file(tmp_path: Path) -> None:
    """A lock file that nobody holds is taken over, with the new holder's pid in it."""
    (tmp_path / "run.db.lock").write_text("pid 4194304 and a long line of an earlier time\n")
    lock = Lock(tmp_path / "run.db")
    assert (tmp_path / "run.db.lock").read_text() == f"pid {os.getpid()}\n"
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_forked_child_does_not_hold_it(tmp_path: Path) -> None:
    """When the holder dies its forked child, still alive, does not keep the lock."""
    path = tmp_path / "run.db"
    with started(FORK, str(path), "hold") as child:
        with pytest.raises(JournalError, match=rf"pid {child.pid}"):
            Lock(path)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        Lock(path).release()  # the forked child still waits for its input


def test_forked_child_cannot_release_it(tmp_path: Path) -> None:
    """A release in a forked child leaves the parent's lock and its file alone."""
    path = tmp_path / "run.db"
    with started(FORK, str(path), "release") as child:
        assert (tmp_path / "run.db.lock").exists()
        with pytest.raises(JournalError, match=rf"pid {child.pid}"):
            Lock(path)


def test_one_of_many_wins(tmp_path: Path) -> None:
    """Of forty processes that want the lock at once exactly one gets it and all others are told."""
    output = subprocess.run(
        [sys.executable, "-c", RACE, str(tmp_path / "run.db")], check=True, capture_output=True, text=True
    ).stdout
    assert output.split() == ["1", "39"]


def test_release_twice(tmp_path: Path) -> None:
    """A second release does nothing, also when the lock has a new holder by then."""
    first = Lock(tmp_path / "run.db")
    first.release()
    second = Lock(tmp_path / "run.db")
    first.release()
    with pytest.raises(JournalError, match="another process"):
        Lock(tmp_path / "run.db")
    second.release()


@pytest.mark.parametrize("place", ["missing/run.db", "file/run.db"])
def test_no_place_for_a_lock(tmp_path: Path, place: str) -> None:
    """Where no lock file can be made the journal is refused by its path, with advice."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=rf"{place}: .*(folder|Give --journal)"):
        Lock(tmp_path / place)
