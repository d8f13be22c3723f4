"""The gate of one endpoint: who may send, and when.

Promises: at most `limit` requests are out at once; after a refusal (429, 503) no request of anyone
goes out before the window it named is over; all waiting is in order of arrival, on a monotonic
clock, and no slot is lost when a waiter is cancelled. The limit adapts: halved once for each window
(all that was sent before it is the same event), one more for each round of good replies, never above
the ceiling.

Where a refusal names no wait, the gate takes its own: it doubles with each refusal after the last
good reply. A little random time is added to every window, so that many clients do not come back as one.

A waiter gives up (`Held`) once the endpoint has let nothing through for its patience, or at
once when the window is longer than that: a closed gate is a failed attempt, not a hang.

Not covered: retrying, and the deadline of a request that is out. One event loop at a time; a gate
that is shared by threads needs one gate a thread, which is what `gate_of` gives.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

FIRST_WINDOW = 0.1  # seconds, after a refusal that names no wait; doubles with each one that follows
LONGEST_WINDOW = 60.0  # seconds, of those windows
MOST_JITTER = 1.0  # seconds

Timer = Callable[[float, Callable[[], None]], Any]


class Held(Exception):
    """The endpoint is closed for longer than the caller would wait; `seconds` are left of the window."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the gate is closed for {seconds:.1f} s more")
        self.seconds = seconds


class Gate:
    """Slots and windows of one endpoint.

    ceiling: the most requests out at once. clock: monotonic seconds. jitter: a random number from 0 to 1.
    timer: calls a function after some seconds (the running loop's `call_later` by default).
    """

    def __init__(
        self, ceiling: int, *, clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random, timer: Timer | None = None,
    ) -> None:  # fmt: skip
        if ceiling < 1:
            raise ValueError("a gate needs a ceiling of at least 1")
        self.ceiling = ceiling
        self.out = 0  # requests that hold a slot
        self.opens_at = clock()  # of the clock; earlier than now means open
        self._limit = float(ceiling)
        self._clock, self._jitter, self._timer = clock, jitter, timer
        self._event = 0  # refusals and slowdowns so far, those of one window counted once
        self._refusals = 0  # windows since the last good reply
        self._good_at = clock()
        self._waiting: dict[asyncio.Future[None], tuple[float, float]] = {}  # in order: (when they came, patience)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringing: Any = None

    @property
    def limit(self) -> int:
        """How many requests may be out at once now."""
        return int(self._limit)

    @property
    def closed_for(self) -> float:
        """Seconds until the window is over; 0 when the gate is open."""
        return max(0.0, self.opens_at - self._clock())

    def raise_ceiling(self, ceiling: int) -> None:
        """Allow more at once than before; a lower ceiling changes nothing."""
        if ceiling > self.ceiling:
            if self._limit == self.ceiling:  # nothing has held it back so far
                self._limit = float(ceiling)
            self.ceiling = ceiling

    # -- one request ---------------------------------------------------------------------------------

    async def enter(self, patience: float) -> int:
        """Wait for a slot and return the ticket that `good`, `refused` and `slowed` ask for.

        Raises Held when the endpoint lets nothing through for `patience` seconds. Every entry is
        paired with one `leave`; cancelled while waiting, it holds nothing.
        """
        if not self._waiting and self._free():
            self.out += 1
            return self._event
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the loop before this one is gone, and its waiters and timer with it
            self._loop, self._ringing = loop, None
            self._waiting.clear()
        came = self._clock()
        while True:
            if self.closed_for > patience:
                raise Held(self.closed_for)
            await self._turn(came, patience)
            if not self.closed_for:
                return self._event
            self.leave()  # it closed between the grant and this line

    def leave(self) -> None:
        """Give the slot back. Call it after `good`, `refused` or `slowed`, so that nobody slips by."""
        assert self.out > 0, "a slot was given back twice"
        self.out -= 1
        self._wake()

    async def _turn(self, came: float, patience: float) -> None:
        """Wait in line until a slot is granted."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = came, patience
        self._wake()
        try:
            await turn
        except BaseException:
            granted = self._waiting.pop(turn, None) is None and not turn.cancelled() and turn.exception() is None
            if granted:
                self.leave()
            raise

    # -- what came of it -----------------------------------------------------------------------------

    def good(self, ticket: int) -> None:
        """Book a reply that was no refusal: the limit grows, by one for each round of them."""
        self._good_at = self._clock()
        if ticket == self._event:
            self._refusals = 0
        if self._limit < self.ceiling:
            self._limit = min(self.ceiling, self._limit + 1 / self._limit)

    def slowed(self, ticket: int) -> None:
        """Book a request that took too long: fewer at once, no window."""
        if ticket == self._event:
            self._reduce()

    def refused(self, ticket: int, wait: float | None) -> float:
        """Close the gate for `wait` seconds (None or 0: as long as the gate thinks fit) and return how long.

        Refusals of requests that were sent before the window began belong to the same event: they
        can lengthen the window, but neither halve the limit again nor double the wait.
        """
        if ticket == self._event:
            self._reduce()
            self._refusals += 1
        window = wait or min(FIRST_WINDOW * 2 ** min(max(self._refusals - 1, 0), 30), LONGEST_WINDOW)
        window += self._jitter() * min(MOST_JITTER, window / 4)
        self.opens_at = max(self.opens_at, self._clock() + window)
        self._dismiss()
        return self.closed_for

    def _reduce(self) -> None:
        self._event += 1
        self._limit = max(1.0, min(self._limit, self.out) / 2)  # a limit that nobody reached says nothing

    def _dismiss(self) -> None:
        """Send away those whose patience ends before the window does."""
        for turn, (came, patience) in list(self._waiting.items()):
            if self.opens_at > max(came, self._good_at) + patience:
                del self._waiting[turn]
                if not turn.done():
                    turn.set_exception(Held(self.closed_for))

    # -- waking --------------------------------------------------------------------------------------

    def _free(self) -> bool:
        return self.out < self.limit and self._clock() >= self.opens_at

    def _wake(self) -> None:
        """Grant slots in order of arrival, or see to it that somebody calls at the end of the window."""
        while self._waiting and self._free():
            turn = next(iter(self._waiting))
            del self._waiting[turn]
            if not turn.done():
                self.out += 1
                turn.set_result(None)
        if self._waiting and self._ringing is None and self.closed_for:
            timer = self._timer or asyncio.get_running_loop().call_later
            self._ringing = timer(self.closed_for, self._ring)

    def _ring(self) -> None:
        self._ringing = None
        self._wake()


_of_thread = threading.local()


def gate_of(origin: str, ceiling: int) -> Gate:
    """Return the gate that all models of one origin share in this thread, its ceiling the highest asked for.

    It lives as long as one of them does.
    """
    gates: weakref.WeakValueDictionary[str, Gate] | None = getattr(_of_thread, "gates", None)
    if gates is None:
        gates = _of_thread.gates = weakref.WeakValueDictionary()
    gate = gates.setdefault(origin, Gate(ceiling))
    gate.raise_ceiling(ceiling)
    return gate
