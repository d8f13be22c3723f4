"""A server that is gone: all who ask it wait, and one of them tries now and then, until it answers.

A server is gone from a call that found nobody there, or whose connection was broken off before any reply, while none of
the others gets through. What fails then is not the fault of a request, and is no attempt of it; and there are no more
calls than it takes to see the server back.

Promises: nothing hangs on one caller, which may be cancelled: whoever is there when a try is due makes it; the first
reply lets all go on; after `patience` seconds the run stops, and can be resumed. A long outage is said once. A server
that asks for a longer pause than that is not waited for.

Not covered: what failures of a server mean that is there (`dispatcher.py`). Several event loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import anyio

from maker.decision.ending import Stop
from maker.decision.sample import Failure, Reply, Request
from maker.log import log
from maker.sending.budget.limits import Limits

FIRST_TRY = 0.1  # seconds after the server was found to be gone; doubles with each try
LONGEST_TRY = 5.0  # seconds; an outage in which tries are so rare is a long one


class Outage:
    """Whether a server is there, as far as calls tell. heard: calls that it answered in any way."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.heard = 0
        self._why = ""  # why nobody gets through; "": somebody does
        self._since = self._next = 0.0  # of the loop's clock
        self._pause = FIRST_TRY
        self._back = anyio.Event()

    @property
    def on(self) -> bool:
        """Nobody gets through."""
        return bool(self._why)

    def __str__(self) -> str:
        """Say for a person what is waited for."""
        return f"server gone for {self._lasted():.0f} s, trying every {self._pause:g} s: {self._why}"

    def hear(self, replies: Sequence[Reply]) -> None:
        """Take note of what a call brought: any reply that only a server gives ends the outage."""
        for reply in replies:  # no generator: every call comes by here
            if not (isinstance(reply, Failure) and reply.gone):
                break
        else:
            return
        self.heard += 1
        if self._why:
            if self._pause == LONGEST_TRY:
                log.warning("model.back", seconds=round(self._lasted()))
            self._why = ""
            self._back.set()

    def begin(self, why: str) -> None:
        """Take note that nobody gets through, unless that is known."""
        if not self._why:
            self._why, self._pause, self._back = why, FIRST_TRY, anyio.Event()
            self._since = anyio.current_time()
            self._next = self._since + FIRST_TRY

    async def turn(self) -> None:
        """Return when the server is back, or when the caller is to try. Raises Stop when patience is at its end."""
        end = self._since + self.patience
        while self._why:
            now = anyio.current_time()
            if now >= end:
                raise Stop("model_lost", f"the server has been gone for {self._lasted():.0f} s: {self._why}. When it "
                           "answers again, run the same command to resume.")  # fmt: skip
            if now >= self._next:
                self._lengthen(now)
                return
            with anyio.move_on_after(min(self._next, end) - now):
                await self._back.wait()

    def _lengthen(self, now: float) -> None:
        """Put off the next try, longer each time."""
        if self._pause < LONGEST_TRY <= 2 * self._pause:
            log.warning("model.gone", detail=self._why, every=LONGEST_TRY, patience=self.patience)
        self._pause = min(2 * self._pause, LONGEST_TRY)
        self._next = now + self._pause

    def _lasted(self) -> float:
        return anyio.current_time() - self._since


def refuse_long_pause(failures: Sequence[Failure], request: Request, limits: Limits) -> None:
    """Stop at once rather than sleep through a pause that is longer than the run would wait."""
    failure = max(failures, key=lambda failure: failure.wait)
    pause, most = failure.wait, min(limits.patience, limits.max_seconds or limits.patience)
    if pause <= most:
        return
    until = datetime.now().astimezone() + timedelta(seconds=pause)
    raise Stop("model_lost", f"step {request.address.step}: {failure.detail}; the server asks to wait {pause:.0f} s"
               f", until {until:%Y-%m-%d %H:%M:%S %Z}, longer than {most:g} s. Run the same command to resume "
               "then.")  # fmt: skip
