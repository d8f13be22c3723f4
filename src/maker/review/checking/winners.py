"""The winning texts of a run in step order, kept on the disk: a million do not fit in memory.

Not covered: what they say (`checker.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

TOGETHER = 1024  # texts that are written at once


class Winners:
    """Texts by step, which come in any order, each once. `close` drops them."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE winners (step INTEGER PRIMARY KEY, text BLOB)")
        self._new: list[tuple[int, bytes]] = []

    def add(self, step: int, text: bytes) -> None:
        """Take the winning text of a step."""
        self._new.append((step, text))
        if len(self._new) == TOGETHER:
            self._write()

    def in_order(self) -> Iterator[bytes]:
        """Yield all texts in step order."""
        self._write()
        return (text for (text,) in self._db.execute("SELECT text FROM winners ORDER BY step"))

    def close(self) -> None:
        """Drop what was kept."""
        self._db.close()

    def _write(self) -> None:
        self._db.executemany("INSERT INTO winners VALUES (?, ?)", self._new)
        self._new.clear()
