"""The runs in a folder: journals alone, the newest first, and whether one is under way."""

from __future__ import annotations

import os
from pathlib import Path

import maker
from maker.serving.watching.runs import MOST_RUNS, is_journal, runs_in
from maker.testing import ScriptedModel


def ask(journal: Path) -> None:
    """Have one item decided."""
    maker.map_sync("{item}?", range(1), model=ScriptedModel(["yes"]), k=1, journal=journal)


def test_only_journals_are_listed(tmp_path: Path) -> None:
    """Other files, other databases, pipes and folders are passed over."""
    ask(tmp_path / "run.db")
    (tmp_path / "notes.txt").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tmp_path / "short").write_bytes(b"SQLite format 3\0")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert runs_in(tmp_path) == [{"name": "run.db", "runs": False, "task": "map", "model": "scripted"}]
    assert runs_in(tmp_path / "run.db")[0]["name"] == "run.db"
    assert not is_journal(tmp_path / "none")


def test_the_newest_come_first_and_a_running_one_is_told(tmp_path: Path) -> None:
    """A journal whose lock file names a process that is alive is under way; one of a dead process is not."""
    for number, name in enumerate(("old.db", "new.db")):
        ask(tmp_path / name)
        os.utime(tmp_path / name, (number, number))
    (tmp_path / "new.db.lock").write_text(f"pid {os.getpid()}\n")
    (tmp_path / "old.db.lock").write_text("pid 999999999\n")
    assert [(run["name"], run["runs"]) for run in runs_in(tmp_path)] == [("new.db", True), ("old.db", False)]
    assert MOST_RUNS >= 100
