"""What a journal says of the servers that a run asks: replies, latency, refusals, tokens and dollars.

Not covered: models in the run's own process, of which a journal keeps no receipts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Any

from maker.journal.notes import Note, Receipt
from maker.task.canonical import visible

REMEMBERED = 256  # latencies of a server
MOST_SERVERS = 24
SHOWN_NAME = 120  # characters


@dataclass(slots=True)
class Server:
    """One server, or one model where the journal tells no servers apart. slow: refused with 429."""

    replies: int = 0
    failed: int = 0
    slow: int = 0
    fault: str = ""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Servers:
    """All of them, and what they took: `tokens` in and out (none where no receipt told), `cost` in dollars."""

    def __init__(self) -> None:
        self._found: dict[str, Server] = {}
        self.tokens: list[int] = []
        self.cost = 0.0

    def take(self, note: Note) -> None:
        """Count a receipt."""
        if not isinstance(note, Receipt):
            return
        before = self.tokens or [0, 0]
        self.tokens = [before[0] + note.spent[0], before[1] + note.spent[1]]
        self.cost += note.spent[3]
        sample = note.sample
        name = visible(str((sample.source or sample.model if sample else None) or note.asked or "the run's model"))
        if name not in self._found and len(self._found) >= MOST_SERVERS:
            name = "others"
        server = self._found.setdefault(name[:SHOWN_NAME], Server())
        if sample is None:
            server.failed += 1
            server.slow += "429" in note.detail
            server.fault = visible(note.detail[:SHOWN_NAME])
            return
        server.replies += 1
        if isinstance(sample.latency, int | float) and 0 <= sample.latency < inf:
            server.latencies.append(float(sample.latency))

    def shown(self) -> list[dict[str, Any]]:
        """Return them as JSON, a row each."""
        return [
            {"name": name, "replies": one.replies, "failed": one.failed, "slow": one.slow, "fault": one.fault,
             "median": round(median(one.latencies), 3) if one.latencies else None,
             "p95": round(sorted(one.latencies)[int(0.95 * (len(one.latencies) - 1))], 3) if one.latencies else None}
            for name, one in self._found.items()
        ]  # fmt: skip
