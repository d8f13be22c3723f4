"""Journals written group by group, and files edited as a hand with a SQLite shell would."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from maker.journal.writer import Journal

RECORDS = [b"first", b"", b"the third record", bytes(range(256)), b"last"]


def write(path: Path, groups: list[list[bytes]]) -> None:
    """Write a journal with one committed group for each list of records."""
    with Journal(path) as journal:
        assert list(journal.replay()) == []
        for group in groups:
            for record in group:
                journal.append(record)
            journal.flush()


def edit(path: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the closed file as a hand with a SQLite shell would."""
    with closing(sqlite3.connect(path)) as db:
        for statement, values in statements:
            db.execute(statement, values)
        db.commit()


def rows(path: Path) -> list[tuple[int, int, bytes]]:
    """Return the stored groups."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT first, count, data FROM groups ORDER BY first").fetchall()


def content(path: Path) -> str:
    """Return a digest of the file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
