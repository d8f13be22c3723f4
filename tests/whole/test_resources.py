"""Scarce and hostile surroundings: full disks, failing syncs, few descriptors, frozen and rival processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import crash
import maker
from maker.journal.database import read_records
from maker.journal.story import Story
from maker.testing import check_journal
from scratch import scratch

MAKER = [sys.executable, "-m", "maker"]
RUN = ["run", "hanoi", "--disks", "8", "--model", "oracle:p=0.95,latency=0.0001", "--k", "3", "--segments", "2"]
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.fixture(scope="module")
def chain() -> str:
    """Return the chain of the undisturbed run."""
    result = maker.run_sync(maker.load_task("hanoi", disks=8), model="oracle:p=0.95,latency=0.0001", k=3, segments=2)
    assert result.solved
    return result.chain


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in which syncing costs little."""
    with scratch() as path:
        yield path


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, where that is permitted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def command(*arguments: str, before: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; it must not show a traceback."""
    done = subprocess.run([*(before or []), *MAKER, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def finished(path: Path, chain: str) -> None:
    """Resume a run, and assert that it ends as the undisturbed one."""
    assert command(*RUN, "--journal", str(path)).returncode == 0
    assert Story(path).summary().fold.chain == chain
    check_journal(path)


# -- the disk -----------------------------------------------------------------------------------------------


def test_a_full_disk_stops_the_run_resumably(tmp_path: Path, chain: str) -> None:
    """On a disk that fills up the run leaves with 3 and says so; with more space the same command ends it."""
    with mounted(tmp_path / "small", "size=160k") as small:
        path = small / "run.db"
        done = command(*RUN, "--journal", str(path))
        assert done.returncode == 3 and "free some space and run the same command to resume" in done.stderr
        assert 0 < Story(path).summary().steps < 255
        again = command(*RUN, "--journal", str(path))
        assert again.returncode == 3
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        finished(path, chain)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    """Where not even the lock or the empty journal fits, the message is that of a full disk."""
    with mounted(tmp_path / "full", "size=8k,nr_inodes=8") as full:
        (full / "ballast").write_bytes(bytes(8192))
        done = command(*RUN, "--journal", str(full / "run.db"))
        assert done.returncode == 3 and "disk" in done.stderr


@needs_strace
@pytest.mark.parametrize("fault", [
    "fdatasync:error=EIO:when=1", "fdatasync:error=EIO:when=9", "fsync:error=EIO:when=1", "pwrite64:error=EIO:when=60",
    "pwrite64:error=ENOSPC:when=90",
])  # fmt: skip
def test_a_disk_that_fails(folder: Path, chain: str, fault: str) -> None:
    """A failed write or sync, of the file or of its folder, ends the run with 3; it can be resumed."""
    path = folder / "run.db"
    files = [f"-P{name}" for name in (folder, path, f"{path}-wal", f"{path}-journal")]
    strace = ["strace", "-f", "-o", "/dev/null", *files, "-e", "inject=" + fault]
    done = command(*RUN, "--journal", str(path), before=strace)
    assert done.returncode == 3 and "disk" in done.stderr
    finished(path, chain)


def test_a_read_only_folder(tmp_path: Path, chain: str) -> None:
    """In a folder that takes no writes a closed journal is shown and verified; a run there is refused with advice."""
    with mounted(tmp_path / "fixed", "size=20m") as fixed:
        path = fixed / "run.db"
        finished(path, chain)
        subprocess.run(["mount", "-o", "remount,ro", str(fixed)], check=True)
        assert command("show", str(path)).returncode == 0
        assert command("verify", str(path)).returncode == 0
        done = command(*RUN, "--journal", str(path))
        assert done.returncode == 6 and "cannot be written here" in done.stderr


# -- the process --------------------------------------------------------------------------------------------


def test_thirty_two_descriptors_are_enough(folder: Path, chain: str) -> None:
    """A run, and a check of it, get by with 32 open files."""
    path = folder / "run.db"
    limited = ["bash", "-c", 'ulimit -n 32; exec "$@"', "bash"]
    assert command(*RUN, "--journal", str(path), before=limited).returncode == 0
    assert command("verify", str(path), before=limited).returncode == 0
    assert Story(path).summary().fold.chain == chain


def test_a_stopped_process_keeps_the_journal(folder: Path) -> None:
    """While the writer is frozen (SIGSTOP) a second one is refused by name; thawed, the first ends the run."""
    path = folder / "run.db"
    order = {"path": str(path), "disks": 8, "segments": 2, "latency": 0.0001, "group": 64}
    worker = [sys.executable, crash.__file__, "--worker", json.dumps(order)]
    with subprocess.Popen(worker, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for _ in range(3):
            assert first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        second = command(*RUN, "--journal", str(path))
        assert second.returncode == 6 and f"pid {first.pid}" in second.stderr
        assert len(list(read_records(path))) > 0
        first.send_signal(signal.SIGCONT)
        assert first.stdout.read().splitlines()[-1].split()[:5] == crash.end_of(crash.undisturbed(8))


def test_many_processes_on_one_journal(folder: Path, chain: str) -> None:
    """Of six processes that start the same run at once each ends it, finds it ended, or is refused by name."""
    path = folder / "run.db"
    run = [*MAKER, *RUN, "--journal", str(path)]
    started = [subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    ended = [(process.communicate()[1], process.returncode) for process in started]
    assert {code for _, code in ended} <= {0, 6} and 0 in {code for _, code in ended}
    assert all("another process (pid" in said for said, code in ended if code == 6)
    assert Story(path).summary().fold.chain == chain
    check_journal(path)


FORK = """
import os, sys
from maker.errors import JournalError
from maker.journal.writer import Journal
with Journal(sys.argv[1]) as journal:
    journal.append(b"parent's")
    journal.flush()
    journal.append(b"waiting")
    child = os.fork()
    if child == 0:
        try:
            journal.append(b"child's")
            journal.flush()
        except JournalError as error:
            sys.exit(7 if "forked child" in str(error) else 1)  # through the with, as a careless child goes
        sys.exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    journal.append(b"parent's too")
"""


def test_a_forked_child_writes_nothing(folder: Path) -> None:
    """A forked child is refused, leaves through `with` without hanging, and takes nothing from its parent."""
    path = folder / "run.db"
    subprocess.run([sys.executable, "-c", FORK, str(path)], check=True, timeout=60)
    assert list(read_records(path)) == [b"parent's", b"waiting", b"parent's too"]
    assert [p.name for p in folder.iterdir()] == ["run.db"]


def test_a_reader_that_stays_open(folder: Path, chain: str) -> None:
    """A reader in the middle of a journal neither stops a run nor is confused by it."""
    path = folder / "run.db"
    assert command(*RUN, "--journal", str(path), "--max-steps", "50").returncode == 3
    before = list(read_records(path))
    records = read_records(path)
    seen = [next(records)]
    finished(path, chain)
    seen += records
    assert seen[: len(before)] == before and seen == list(read_records(path))
    assert [p.name for p in folder.iterdir()] == ["run.db"]
