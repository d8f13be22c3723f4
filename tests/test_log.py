"""Events: each is documented where the logger is, with its level."""

from __future__ import annotations

import re
from pathlib import Path

from maker import log

SOURCE = Path(log.__file__).parent


def test_every_event_is_documented() -> None:
    """The table of the module names each event that the package logs, and no other, at the level it has."""
    logged = set()
    for file in SOURCE.rglob("*.py"):
        logged |= set(re.findall(r'\blog\.(\w+)\(\s*"([\w.]+)"', file.read_text()))
    table = {(level, event) for event, level in re.findall(r"^\| ([a-z]+\.[a-z]+) +\| (\w+) ", log.__doc__ or "", re.M)}
    assert logged
    assert logged == table
