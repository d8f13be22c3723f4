"""A file of all that was asked and answered: one JSON object a line, in a new file whenever one is full.

Promises: a line is written before its answer is sent; a full file becomes FILE.1, FILE.2, ..., the oldest first, and
none is ever removed. Files are the owner's alone to read. No key enters them.

Not covered: durability against a power cut, and the tamper evidence of a run's journal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from maker.errors import JournalError, JournalFull

MOST_BYTES = 64 * 2**20  # of one file


class Record:
    """A growing file. Raises JournalError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._opened()

    def keep(self, told: Mapping[str, Any]) -> None:
        """Write a line. Raises JournalFull where the disk takes no more."""
        line = orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if self._file.tell() and self._file.tell() + len(line) > MOST_BYTES:
                self._turn()
            self._file.write(line)
        except OSError as error:
            raise JournalFull(
                f"{self._path}: {error.strerror}. Free some space: nothing is answered unrecorded"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _opened(self) -> BinaryIO:
        try:
            number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"{self._path}: {error.strerror}. Name a file that can be written") from None
        file = os.fdopen(number, "ab", buffering=0)
        file.seek(0, os.SEEK_END)
        return file

    def _turn(self) -> None:
        """Put the full file aside and begin a new one."""
        self._file.close()
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.{number}")).exists():
            number += 1
        self._path.rename(aside)
        self._file = self._opened()
