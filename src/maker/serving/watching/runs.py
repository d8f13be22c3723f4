"""The runs in a folder: which files are journals, and what their first record says.

Not covered: how they stand (`reading.py`).
"""

from __future__ import annotations

import contextlib
import struct
from itertools import islice
from pathlib import Path
from typing import Any

from maker.errors import MakerError
from maker.journal.database import APPLICATION_ID, START, read_on
from maker.journal.lock import held
from maker.journal.records import decode
from maker.task.canonical import visible

MOST_RUNS = 200
_MAGIC = b"SQLite format 3\0"
_ID = struct.Struct(">I")  # at byte 68 of a SQLite file


def runs_in(place: Path) -> list[dict[str, Any]]:
    """Return the journal that is named, or those in a folder, the newest first: name, task, model, whether one runs."""
    files = [place] if place.is_file() else [file for file in place.iterdir() if is_journal(file)]
    newest = sorted(((_changed(file), file.name, file) for file in files), reverse=True)[:MOST_RUNS]
    return [{"name": name, "runs": held(file), **_first(file)} for _, name, file in newest]


def is_journal(file: Path) -> bool:
    """Say whether a file is one of maker's, from its first bytes."""
    with contextlib.suppress(OSError):
        if file.is_file():
            with file.open("rb") as opened:
                head = opened.read(72)
            return head.startswith(_MAGIC) and len(head) == 72 and _ID.unpack_from(head, 68)[0] == APPLICATION_ID
    return False


def _changed(file: Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0


def _first(file: Path) -> dict[str, Any]:
    """Return what the first record says; {} where there is none that can be read."""
    with contextlib.suppress(MakerError):
        for _, record in islice(read_on(file, (0, START)), 1):
            first = decode(record)
            header = first.get("header") if isinstance(first, dict) else None
            if isinstance(header, dict):
                return {name: visible(str(header.get(name, ""))[:120]) for name in ("task", "model")}
    return {}
