"""Repair cuts a torn tail and nothing else, keeps a copy, and says so; `verify --expect` tells an older copy."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.errors import JournalError
from maker.journal import writer as journal
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.journal.repair import repair
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.checking.verify import verify

SETTINGS: dict[str, Any] = {"model": "oracle:p=0.9,v=0.9", "k": 3, "segments": 1, "keep_samples": "all"}


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the closed journal of 63 steps in small groups."""
    monkeypatch.setattr(journal, "GROUP_RECORDS", 7)
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=6), journal=path, **SETTINGS)
    return path


def names(path: Path) -> list[str]:
    """Return what is in the journal's folder."""
    return sorted(p.name for p in path.parent.iterdir())


def spoil(path: Path, group: int) -> None:
    """Flip a bit in the last record of a group, counted from the start or, negative, the end."""
    with closing(sqlite3.connect(path)) as db:
        first, data = db.execute("SELECT first, data FROM groups ORDER BY first").fetchall()[group]
        forged = bytearray(data)
        forged[-20] ^= 1
        db.execute("UPDATE groups SET data = ? WHERE first = ?", (bytes(forged), first))
        db.commit()


def resumed(path: Path) -> maker.RunResult:
    """Carry the run on to its end."""
    return maker.run_sync(maker.load_task("hanoi", disks=6), journal=path, **SETTINGS)


def test_a_sound_journal_is_left_as_it_is(sound: Path) -> None:
    """Nothing is changed, copied or left behind where nothing is wrong."""
    before = sound.read_bytes()
    done = repair(sound)
    assert (done.problem, done.copy, done.kept) == (None, None, len(list(read_records(sound))))
    assert (sound.read_bytes(), names(sound)) == (before, ["run.db"])


@pytest.mark.parametrize("damage", ["cut short", "last group", "lost rows"])
def test_a_torn_tail_is_cut_and_the_run_goes_on(sound: Path, damage: str) -> None:
    """All sound records are kept, the file as it was is beside it, and the resumed run ends as the whole one."""
    records, chain = list(read_records(sound)), Story(sound).summary().fold.chain
    if damage == "cut short":
        with sound.open("r+b") as file:
            file.truncate(sound.stat().st_size * 2 // 3)
    elif damage == "last group":
        spoil(sound, -1)
    else:
        with closing(sqlite3.connect(sound)) as db:
            db.execute("DELETE FROM groups WHERE first > 30")
            db.commit()
    worn = sound.read_bytes()
    with pytest.raises(JournalError):
        list(read_records(sound))
    done = repair(sound)
    assert done.copy is not None and done.copy.read_bytes() == worn
    assert names(sound) == ["run.db", "run.db.bak-1"]
    *kept, note = read_records(sound)
    assert kept == records[: done.kept] and 20 < done.kept < len(records)
    assert decode(note)["repaired"]["copy"] == "run.db.bak-1"  # type: ignore[index]
    result = resumed(sound)
    assert (result.solved, result.chain) == (True, chain)
    assert verify(sound).problem is None


def test_a_hole_is_no_torn_tail(sound: Path) -> None:
    """Damage with sound records after it is refused, and nothing is changed."""
    spoil(sound, 2)
    before = sound.read_bytes()
    with pytest.raises(JournalError, match=r"record \d+ is damaged.*no torn tail: \d+ sound groups of records follow"):
        repair(sound)
    assert (sound.read_bytes(), names(sound)) == (before, ["run.db"])


def test_a_lost_end_of_the_wal(tmp_path: Path) -> None:
    """What a killed run acknowledged and its -wal no longer holds is said to be missing, and then given up."""
    path = tmp_path / "run.db"
    killed = (
        "import os, sys; from maker.journal.writer import Journal; book = Journal(sys.argv[1])\n"
        "for number in range(9): book.append(b'%d' % number * 900); book.flush()\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    wal = path.with_name("run.db-wal")
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size * 2 // 3)
    with pytest.raises(JournalError, match=r"record \d is damaged: it is missing, .* 9 records were acknowledged"):
        list(read_records(path))
    done = repair(path)
    assert 3 < done.kept < 9
    assert names(path) == ["run.db", "run.db.bak-1", "run.db.bak-1-wal"]
    assert list(read_records(path))[:-1] == [b"%d" % number * 900 for number in range(done.kept)]


def test_copies_are_never_overwritten(sound: Path) -> None:
    """A second repair makes a second copy."""
    for number in (1, 2):
        spoil(sound, -1)
        assert repair(sound).copy == sound.with_name(f"run.db.bak-{number}")


@pytest.mark.parametrize("data", [b"", b"notes\n" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, data: bytes) -> None:
    """A file without a single sound record is refused, or has nothing to repair, and stays as it was."""
    path = tmp_path / "run.db"
    path.write_bytes(data)
    if data:
        with pytest.raises(JournalError, match="Not even its first record can be read"):
            repair(path)
    else:
        assert repair(path).kept == 0
    assert (path.read_bytes(), names(path)) == (data, ["run.db"])
    with pytest.raises(JournalError, match="no such journal"):
        repair(tmp_path / "none.db")


def test_a_journal_in_use_is_refused(sound: Path) -> None:
    """Repair is a writer as any other: it waits for nobody and disturbs nobody."""
    with Journal(sound), pytest.raises(JournalError, match="this process"):
        repair(sound)


def test_a_change_that_was_cut_off_is_for_the_run_to_mend(sound: Path) -> None:
    """Beside a rollback journal, which the next run plays back, nothing is cut."""
    spoil(sound, -1)
    sound.with_name("run.db-journal").write_bytes(b"left")
    with pytest.raises(JournalError, match="Resume its run once"):
        repair(sound)


def test_the_command_says_what_it_did(sound: Path) -> None:
    """`maker repair` says what was kept, why, and where the copy is; with --json as one object."""
    spoil(sound, -1)
    command = [sys.executable, "-m", "maker", "repair", str(sound)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "kept the first" in said and "is damaged" in said and "run.db.bak-1" in said
    again = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout)
    assert (again["repaired"], again["copy"]) == (False, None)


# -- verify --expect ------------------------------------------------------------------------------------


def test_expect_knows_this_journal_and_what_it_became(tmp_path: Path) -> None:
    """A noted head is found again at the end, and after the run went on; the head itself has moved."""
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", journal=path, limits={"max_steps": 20}, **SETTINGS)
    noted = Story(path).summary().head
    assert verify(path, expect=noted).problem is None
    maker.run_sync("hanoi", journal=path, limits={"max_steps": 40}, **SETTINGS)
    audit = verify(path, expect=noted)
    assert audit.problem is None and "expected hash" in audit.checked
    assert audit.as_json()["head"] != noted


def test_expect_tells_an_older_copy_and_a_rewritten_chain(tmp_path: Path) -> None:
    """An older copy, and the same decisions under a new chain, verify by themselves and not against the head."""
    path, older, rewritten = (tmp_path / name for name in ("run.db", "older.db", "rewritten.db"))
    maker.run_sync("hanoi", journal=path, limits={"max_steps": 20}, **SETTINGS)
    shutil.copy(path, older)
    maker.run_sync("hanoi", journal=path, limits={"max_steps": 40}, **SETTINGS)
    head = Story(path).summary().head
    with Journal(rewritten) as book:
        for record in [r for r in read_records(path) if b'"close"' not in r]:
            book.append(record)
    for forgery in (older, rewritten):
        assert verify(forgery).problem is None
        audit = verify(forgery, expect=head)
        assert audit.exit_code == 6 and "never had the hash" in str(audit.problem)


def test_expect_takes_a_whole_hash_only(tmp_path: Path) -> None:
    """Half a hash is a usage error, not a failed check."""
    command = [sys.executable, "-m", "maker", "verify", str(tmp_path / "run.db"), "--expect", "abc"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "32 hex digits" in done.stderr
