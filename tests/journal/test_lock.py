"""The lock: one writer, named to whoever comes second, gone with its process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
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
        with pytest.raises(JournalError, match=rf"this process \(pid {os.getpid()}\)"):
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
    with pytest.raises(JournalError, match="this process"):
        Lock(tmp_path / "run.db")
    second.release()


@pytest.mark.parametrize("place", ["missing/run.db", "file/run.db"])
def test_no_place_for_a_lock(tmp_path: Path, place: str) -> None:
    """Where no lock file can be made the journal is refused by its path, with advice."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=rf"{place}: .*(folder|Give --journal)"):
        Lock(tmp_path / place)


# -- whatever the file is called ---------------------------------------------------------------------------


def test_no_name_goes_round_it(tmp_path: Path) -> None:
    """Symbolic and hard links, a relative path, a new name and a missing lock file all lead to the one lock."""
    path = tmp_path / "run.db"
    (tmp_path / "folder").symlink_to(tmp_path)
    with Journal(path) as journal:
        journal.append(b"one")
        journal.flush()
        (tmp_path / "soft.db").symlink_to(path)
        (tmp_path / "hard.db").hardlink_to(path)
        for name in ("soft.db", "hard.db", "folder/run.db", f"../{tmp_path.name}/run.db"):
            with pytest.raises(JournalError, match=f"this process .pid {os.getpid()}. is writing"):
                Journal(tmp_path / name)
        (tmp_path / "run.db.lock").unlink()
        with pytest.raises(JournalError, match="is writing"):
            Journal(path)
        (tmp_path / "hard.db").unlink()
    assert list(read_records(path)) == [b"one"]
    assert sorted(left.name for left in tmp_path.iterdir()) == ["folder", "run.db", "soft.db"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SQLite's locks and flock meet")
def test_another_process_is_refused_by_the_file_itself(tmp_path: Path) -> None:
    """Under another name of the file, or without the lock file, the holder in another process is found and named."""
    path = tmp_path / "run.db"
    with started(HOLD, str(path)) as child:
        (tmp_path / "hard.db").hardlink_to(path)
        (tmp_path / "run.db.lock").unlink()
        for name in ("run.db", "hard.db"):
            with pytest.raises(JournalError, match=rf"another process( \(pid {child.pid}\))? is writing") as refused:
                Journal(tmp_path / name)
            assert "\n" not in str(refused.value)
        assert list(tmp_path.glob("*.lock")) == []


def test_the_holder_stands_on_one_line(tmp_path: Path) -> None:
    """A holder that has acknowledged records is named in one line all the same."""
    with Journal(tmp_path / "run.db") as journal:
        journal.append(b"one")
        journal.flush()
        with pytest.raises(JournalError) as refused:
            Journal(tmp_path / "run.db")
        assert "\n" not in str(refused.value) and "acknowledged" not in str(refused.value)


def test_a_journal_with_two_names_is_refused(tmp_path: Path) -> None:
    """A hard link is refused before anything is written, since its -wal would have another name; a copy is taken."""
    path, other = tmp_path / "run.db", tmp_path / "other.db"
    Journal(path).close()
    other.hardlink_to(path)
    before = path.read_bytes()
    for name in (path, other):
        with pytest.raises(JournalError, match="2 names"):
            Journal(name)
    assert path.read_bytes() == before
    assert sorted(left.name for left in tmp_path.iterdir()) == ["other.db", "run.db"]
    other.unlink()
    Journal(path).close()


@pytest.mark.parametrize("how", ["moved", "replaced", "deleted"])
def test_a_journal_that_goes_away_is_noticed_with_the_next_commit(tmp_path: Path, how: str) -> None:
    """Nothing more is acknowledged, and what was stands where the file was moved to; what took its place is left."""
    path, moved = tmp_path / "run.db", tmp_path / "moved.db"
    journal = Journal(path)
    journal.append(b"one")
    journal.flush()
    if how == "deleted":
        path.unlink()
    else:
        path.rename(moved)
    if how == "replaced":
        path.write_bytes(b"another file")
    if how != "deleted":
        with pytest.raises(JournalError, match="this process"):
            Journal(moved)
    journal.append(b"two")
    with pytest.raises(JournalError, match="moved, replaced or deleted"):
        journal.flush()
    assert journal.acknowledged == 1
    journal.close()
    if how != "deleted":
        assert next(read_records(moved)) == b"one"
    if how == "replaced":
        assert path.read_bytes() == b"another file"


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "x" * 250, "y/" * 300 + "run.db"])
def test_what_no_file_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty name, one with control characters and one that is too long are the user's to mend, and make nothing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match="--journal") as refused:
        Journal(name)
    assert "\n" not in str(refused.value) and refused.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_devices_pipes_sockets_and_folders_are_left_alone(tmp_path: Path) -> None:
    """What is no plain file is refused, also through a link, and nothing is made beside it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        (tmp_path / "null").symlink_to("/dev/null")
        for name in ("pipe", "folder", "socket", "null"):
            with pytest.raises(JournalError, match="no plain file"):
                Journal(tmp_path / name)
    assert not Path("/dev/null.lock").exists()
    assert sorted(left.name for left in tmp_path.iterdir()) == ["folder", "null", "pipe", "socket"]
