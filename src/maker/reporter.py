"""Shows how a run goes on: what is acknowledged, at most ten times a second.

Not covered: how it looks (`screen.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from maker.journal import Journal
from maker.result import Glimpses, Progress
from maker.senders import Senders

REPORT_SECONDS = 0.1
TICK_SECONDS = 0.5


class Reporter:
    """Calls `progress` with what the journal has committed.

    counts: returns decided steps, those of the journal, and the total (None: unknown). `seconds`: since it was made.
    """

    def __init__(
        self, progress: Callable[[Progress], None] | None, journal: Journal, senders: Senders,
        counts: Callable[[], tuple[int, int, int | None]],
    ) -> None:  # fmt: skip
        self.progress = progress
        self._journal, self._senders, self._counts = journal, senders, counts
        self._begun = time.monotonic()
        self._reported = 0.0
        self._glimpses: Glimpses | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds so far."""
        return time.monotonic() - self._begun

    def report(self) -> None:
        """Show the newest glimpse that is all committed, unless one was shown just now."""
        now = time.monotonic()
        if self.progress is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        if self._glimpses is None:
            _, replayed, total = self._counts()
            self._glimpses = Glimpses(Progress(replayed, total, replayed=replayed))
        journal = self._journal
        self.progress(self._glimpses.acknowledged(self._glimpse(), journal.appended, journal.acknowledged))

    async def tick(self) -> None:
        """Report also while nothing is decided, until cancelled: replies may take long, or a server may be down."""
        while self.progress is not None:
            await anyio.sleep(TICK_SECONDS)
            self.report()

    def _glimpse(self) -> Progress:
        usage, senders = self._senders.own.usage, self._senders
        steps, replayed, total = self._counts()
        return Progress(
            steps, total, usage.voted + usage.flagged, usage.flagged, replayed, self.seconds, senders.out,
            usage.tokens, usage.cost if senders.priced else None, senders.retrying,
        )  # fmt: skip
