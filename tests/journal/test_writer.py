"""The journal: durable groups, a hash chain that shows every edit, and refusals that change nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from groups import RECORDS, rows, write
from maker.errors import JournalFull
from maker.journal import writer as module
from maker.journal.database import APPLICATION_ID, read_records
from maker.journal.writer import Journal


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def written(journal: Journal) -> int:
    """Wait for a commit that is under way; return how many records are acknowledged."""
    if journal._writing is not None:
        journal._writing.result()
    return journal.acknowledged


# -- append, commit, replay --------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [[RECORDS], [[r] for r in RECORDS], [RECORDS[:2], RECORDS[2:]]])
def test_round_trip(tmp_path: Path, groups: list[list[bytes]]) -> None:
    """What was appended is read back byte for byte and in order, however it was grouped."""
    path = tmp_path / "run.db"
    write(path, groups)
    assert list(read_records(path)) == RECORDS
    with Journal(path) as journal:
        assert list(journal.replay()) == RECORDS
        assert journal.acknowledged == journal.appended == len(RECORDS)


def test_append_after_replay_continues_the_chain(tmp_path: Path) -> None:
    """A reopened journal goes on where it ended, and the whole is still one unbroken chain."""
    path = tmp_path / "run.db"
    write(path, [[b"one"], [b"two"]])
    with Journal(path) as journal:
        list(journal.replay())
        journal.append(b"three")
    assert list(read_records(path)) == [b"one", b"two", b"three"]


def test_close_commits_what_was_appended(tmp_path: Path) -> None:
    """Leaving the context commits the group that was still being gathered."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        journal.append(b"late")
        assert journal.acknowledged == 0
    assert list(read_records(path)) == [b"late"]
    journal.close()  # safe to call twice


@pytest.mark.asyncio
async def test_acknowledged_is_committed(tmp_path: Path) -> None:
    """Records count as acknowledged exactly when another connection can read them."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        for record in RECORDS:
            journal.append(record)
        assert (journal.appended, journal.acknowledged, list(read_records(path))) == (len(RECORDS), 0, [])
        await journal.committed()
        assert journal.acknowledged == len(RECORDS)
        assert list(read_records(path)) == RECORDS


@pytest.mark.asyncio
async def test_committed_survives_cancellation(tmp_path: Path) -> None:
    """A cancelled task that waits for a commit still leaves the records durable."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        journal.append(b"paid for")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await journal.committed()
        assert journal.acknowledged == 1
        assert list(read_records(path)) == [b"paid for"]


@pytest.mark.asyncio
async def test_several_waiters_share_commits(tmp_path: Path) -> None:
    """Every one of many concurrent waiters returns only after its own record is durable."""
    path = tmp_path / "run.db"
    seen: list[bool] = []
    with Journal(path) as journal:

        async def one(number: int) -> None:
            journal.append(b"%d" % number)
            mine = journal.appended
            await journal.committed()
            seen.append(journal.acknowledged >= mine)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)
    assert seen == [True] * 20
    assert len(rows(path)) < 20  # grouped


@pytest.mark.asyncio
async def test_commit_soon_needs_nobody_to_wait(tmp_path: Path) -> None:
    """What was appended becomes durable though nobody waits for it, one group for all who asked in the same round."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        for number in range(5):
            journal.append(b"%d" % number)
            journal.commit_soon()
        while journal.acknowledged < 5:  # noqa: ASYNC110 -- another thread writes
            await asyncio.sleep(0)
        assert len(rows(path)) == 1
        journal.append(b"late")
        journal.commit_soon()
    await asyncio.sleep(0)  # its turn comes when the journal is closed
    assert list(read_records(path))[-1] == b"late"


def test_commit_soon_in_one_loop_after_another(tmp_path: Path) -> None:
    """A loop that ended before the turn of a commit does not hold up the next one's."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        lost = asyncio.new_event_loop()

        async def ask() -> None:
            journal.append(b"first")
            journal.commit_soon()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lost.run_until_complete(ask())
        lost.close()

        async def wait() -> None:
            journal.append(b"second")
            await journal.committed()

        asyncio.run(wait())
        assert list(read_records(path)) == [b"first", b"second"]


def test_group_commit_by_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is handed to the writer when it holds GROUP_RECORDS records, and not one earlier."""
    monkeypatch.setattr(module, "GROUP_RECORDS", 5)
    monkeypatch.setattr(module, "time", Clock())
    with Journal(tmp_path / "run.db") as journal:
        for number in range(4):
            journal.append(b"%d" % number)
            journal.commit_if_due()
        assert written(journal) == 0
        journal.append(b"4")
        journal.commit_if_due()
        assert written(journal) == 5
    assert [row[:2] for row in rows(tmp_path / "run.db")] == [(0, 5)]


def test_group_commit_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small group is handed to the writer when its first record is GROUP_SECONDS old, and not earlier."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    with Journal(tmp_path / "run.db") as journal:
        journal.append(b"old")
        clock.now += module.GROUP_SECONDS * 0.9
        journal.append(b"young")
        journal.commit_if_due()
        assert written(journal) == 0
        clock.now += module.GROUP_SECONDS * 0.2
        journal.commit_if_due()
        assert written(journal) == 2


def test_commit_without_records_does_nothing(tmp_path: Path) -> None:
    """Asking for a commit, a flush or a close with nothing appended writes no group."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        journal.commit_if_due()
        journal.flush()
    assert rows(path) == []


def test_readers_see_a_journal_that_is_being_written(tmp_path: Path) -> None:
    """A reader beside the writer sees the committed records and does not disturb it."""
    path = tmp_path / "run.db"
    with Journal(path) as journal:
        journal.append(b"one")
        journal.flush()
        assert list(read_records(path)) == [b"one"]
        journal.append(b"two")
        assert [record for _, record in journal.chain()] == [b"one", b"two"]


def test_close_leaves_one_plain_file(tmp_path: Path) -> None:
    """After close there is no -wal, no -shm and no lock, and a copy of the one file is the whole journal."""
    path = tmp_path / "run.db"
    write(path, [[b"one"], [b"two"]])
    assert [p.name for p in tmp_path.iterdir()] == ["run.db"]
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    assert list(read_records(copy)) == [b"one", b"two"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "delete"


def test_writes_are_synchronous(tmp_path: Path) -> None:
    """The connection that commits runs in WAL mode with synchronous=FULL: NORMAL loses acknowledged steps."""
    with Journal(tmp_path / "run.db") as journal:
        journal.append(b"one")
        journal.flush()
        assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_temporary_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path records are kept as long as the journal, also after close, and no file appears."""
    monkeypatch.chdir(tmp_path)
    with Journal(None) as journal:
        for record in RECORDS:
            journal.append(record)
        journal.flush()
        assert journal.acknowledged == len(RECORDS)
    assert [record for _, record in journal.chain()] == RECORDS
    assert list(tmp_path.iterdir()) == []


# -- a full disk ----------------------------------------------------------------------------------------


def test_full_disk(tmp_path: Path) -> None:
    """A database that takes no more raises JournalFull; what was acknowledged is read, nothing after it is written."""
    path = tmp_path / "run.db"
    records = [struct.pack("<I", number) * 500 for number in range(100)]
    journal = Journal(path)
    journal._db.execute("PRAGMA max_page_count=20")

    def fill() -> None:
        for record in records:
            journal.append(record)
            journal.flush()

    with pytest.raises(JournalFull, match="free some space and run the same command to resume") as full:
        fill()
    assert full.value.exit_code == 3
    acknowledged = journal.acknowledged
    assert 0 < acknowledged < 100
    journal._db.execute("PRAGMA max_page_count=100000")
    journal.append(b"after the failure")
    with pytest.raises(JournalFull):
        journal.flush()
    journal.close()
    assert list(read_records(path)) == records[:acknowledged]
    assert [p.name for p in tmp_path.iterdir()] == ["run.db"]


@pytest.mark.asyncio
async def test_full_disk_is_noticed_by_every_way_to_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a commit and asking for one in passing both raise JournalFull after a failed write."""
    monkeypatch.setattr(module, "GROUP_RECORDS", 1)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))
    journal = Journal(tmp_path / "run.db")
    journal._db.execute("PRAGMA max_page_count=5")
    journal.append(bytes(100_000))
    with pytest.raises(JournalFull):
        await journal.committed()
    journal.append(b"next")
    with pytest.raises(JournalFull):
        journal.commit_if_due()
    journal.commit_soon()
    await asyncio.sleep(0)
    with pytest.raises(JournalFull):
        await journal.committed()
    journal.close()


FILE_LIMIT = """
import resource, sys
from maker.errors import JournalFull
from maker.journal.writer import Journal
journal = Journal(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    for number in range(1000):
        journal.append(b"%d" % number * 1000)
        journal.flush()
        print(journal.acknowledged, flush=True)
except JournalFull as full:
    print("full", full.exit_code)
    journal.close()
"""


def test_file_size_limit(tmp_path: Path) -> None:
    """Under a real file-size limit the writer stops with JournalFull and everything acknowledged is readable."""
    path = tmp_path / "run.db"
    child = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(path)], check=True, capture_output=True, text=True, env=os.environ
    )
    *counts, last = child.stdout.splitlines()
    assert last == "full 3"
    records = list(read_records(path))
    assert len(records) >= int(counts[-1]) > 5
    assert records == [b"%d" % number * 1000 for number in range(len(records))]
    with Journal(path) as journal:  # more space, the same file
        assert list(journal.replay()) == records
        journal.append(b"more")
    assert list(read_records(path))[-1] == b"more"
