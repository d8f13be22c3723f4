"""The gate of one endpoint: how many may be out at once, and when everybody waits.

Promises: at most `limit` requests are out; all waiting is in order of arrival, on a monotonic clock; no slot is lost
when a waiter is cancelled. A refusal (429, 503) slows the request that met it, which is its sender's to repeat, not
the others: the limit shrinks once a round trip, by a power of the share that was refused (so that a few cost next to
nothing) and by half at most. It grows by one a round of good replies at least, and doubles each round up to three
quarters of where it was cut.

Only where more than half of a round's replies are refusals the gate closes, for the shortest wait they named (its own,
which doubles, where they named none; a little random time on top); then one request goes first, and its good reply
opens the gate for all.

A limit that finds itself (`finder.py`) doubles a round while that brings more replies a second, refused or not: what
more at once do not make worse is no reason for fewer.

A request that is out for far longer than its like lends its place to others (`sending/late.py`).

A waiter gives up (`Held`) once the endpoint has let nothing through for its patience, or at once when the gate is
closed for longer than that: a closed gate is a failed attempt, not a hang.

Not covered: repeating, and the deadline of a request that is out. One event loop at a time: several loops need a gate
each, which is what `gate_of` gives (`gates.py`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from maker.log import log
from maker.models.openai.http.finder import FIRST_LIMIT, MOST, Finder
from maker.sending.late import Call, Clock, Late, Timer

FEWEST_REFUSALS = 8  # more of them than of good replies close the gate: fewer may be chance
FEWEST_REPLIES = 8  # that a round is judged by, unless nothing is out
GENTLE = 3  # the limit shrinks by the refused share to this power: 5% cost it nothing, 30% a fortieth, most a half
KEPT = 0.75  # of the limit that was cut: up to there it doubles
FASTER = 1 / 32  # of the limit, that a round of good replies adds to the one
FIRST_WINDOW = 0.1  # seconds, after refusals that name no wait; doubles with each time that follows
LONGEST_WINDOW = 60.0  # seconds, of those windows
MOST_JITTER = 1.0  # seconds


class Held(Exception):
    """The endpoint is closed for longer than the caller would wait; `seconds` are left of the window."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the gate is closed for {seconds:.1f} s more")
        self.seconds = seconds


class Ticket(Call):
    """A request that went out: in which round; first: it alone tries whether the gate may open."""

    __slots__ = ("first", "round")

    def __init__(self, number: int, first: bool) -> None:
        self.round, self.first, self.second = number, first, None


@dataclass(slots=True)
class _Round:
    """Replies since the last round trip was over. expected: as many as were out when it began."""

    number: int
    expected: int
    peak: int = 0  # the most that were out
    good: int = 0
    slow: int = 0
    refused: int = 0
    named: float | None = None  # the shortest wait
    seconds: list[float] = field(default_factory=list)  # of its good replies, where the limit finds itself


class Gate:
    """Slots and windows of one endpoint.

    ceiling: the most requests out at once; None: the limit finds itself. clock: monotonic seconds. jitter: a random
    number from 0 to 1. timer: calls a function after some seconds (the running loop's `call_later` by default).
    """

    def __init__(
        self, ceiling: int | None, *, clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random, timer: Timer | None = None,
    ) -> None:  # fmt: skip
        if ceiling is not None and ceiling < 1:
            raise ValueError("a gate needs a ceiling of at least 1")
        self.ceiling = ceiling or MOST
        self.out = 0  # requests that hold a slot
        self._spent = 0  # slots that refusals gave back: not given out again before the round is over
        self.opens_at = clock()  # of the clock; earlier than now means open
        self._finder = Finder() if ceiling is None else None
        self._limit = float(ceiling or FIRST_LIMIT)
        self._calm = float(self.ceiling)  # below it the limit doubles a round
        self._round = _Round(0, self.limit)
        self._clock, self._jitter, self._timer = clock, jitter, timer
        self._late = Late(lambda: self.limit, self._lend, self._take_back, clock=clock, timer=timer)
        self._ajar = False  # it was closed, and no reply has said that it may open
        self._first_out = False  # the one who tries is out
        self._closures = 0  # since the last good reply to one who tried
        self._good_at = clock()
        self._waiting: dict[asyncio.Future[Ticket], tuple[float, float]] = {}  # in order: (when they came, patience)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringing: Any = None

    @property
    def limit(self) -> int:
        """How many requests may be out at once now."""
        return round(self._limit)

    @property
    def closed_for(self) -> float:
        """Seconds until the window is over; 0 when the gate is open."""
        return max(0.0, self.opens_at - self._clock())

    def __str__(self) -> str:
        """Say what is in force, for a person."""
        if self.closed_for:
            return f"all wait {self.closed_for:.0f} s: most were refused"
        found = " (found)" if self._finder is not None and self._finder.settled else ""
        return f"{self.limit} at once{found}" if self.limit < self.ceiling else ""

    # -- one request ---------------------------------------------------------------------------------

    def enter_at_once(self) -> Ticket | None:
        """Return a ticket, as `enter` does, where a slot is free and nobody waits: it costs no coroutine; else None."""
        return None if self._waiting or not self._free() else self._take()

    async def enter(self, patience: float) -> Ticket:
        """Wait for a slot and return the ticket that `good`, `refused`, `slowed` and `leave` ask for.

        Raises Held when the endpoint lets nothing through for `patience` seconds. Every entry is
        paired with one `leave`; cancelled while waiting, it holds nothing.
        """
        if (ticket := self.enter_at_once()) is not None:
            return ticket
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the loop before this one is gone, and its waiters and timer with it
            self._loop, self._ringing = loop, None
            self._waiting.clear()
        came = self._clock()
        while True:
            if self.closed_for > patience:
                raise Held(self.closed_for)
            ticket = await self._turn(came, patience)
            if not self.closed_for:
                return ticket
            self.leave(ticket)  # it closed between the grant and this line

    def leave(self, ticket: Ticket) -> None:
        """Give the slot back. Call it after `good`, `refused` or `slowed`, so that nobody slips by."""
        self._late.end(ticket)
        assert self.out > 0, "a slot was given back twice"
        self.out -= 1
        if ticket.first:
            self._first_out = False  # if it brought nothing, the next one tries
        if self._spent and not self.out:
            self._spent = 0
            if self._round.refused >= FEWEST_REFUSALS:  # fewer may be chance: they count with those that follow
                self._end_round()
        if self._waiting:
            self._wake()

    def _take(self) -> Ticket:
        self.out += 1
        current = self._round
        current.peak = max(current.peak, self.out)
        self._first_out = self._ajar
        return self._late.begin(Ticket(current.number, self._ajar))

    def _lend(self) -> None:
        self.out -= 1
        self._wake()

    def _take_back(self) -> None:
        self.out += 1

    async def _turn(self, came: float, patience: float) -> Ticket:
        """Wait in line until a slot is granted."""
        turn: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = came, patience
        self._wake()
        try:
            return await turn
        except BaseException:
            granted = self._waiting.pop(turn, None) is None and not turn.cancelled() and turn.exception() is None
            if granted:
                self.leave(turn.result())
            raise

    # -- what came of it -----------------------------------------------------------------------------

    def good(self, ticket: Ticket) -> None:
        """Book a reply that was no refusal: the limit grows, where it is used."""
        self._good_at = now = self._clock()
        ticket.replied = True
        if ticket.first and self._ajar:
            self._ajar, self._closures = False, 0
            self._begin_round(self.limit)
            return
        self._round.good += 1
        if self._finder is not None:
            self._round.seconds.append(now - ticket.at)
        if self._limit < self.ceiling and 2 * self._round.peak >= self._limit:  # what nobody uses need not grow
            top = self.ceiling if self._finder is None else self._finder.top
            more = 1.0 if self._limit < self._calm else 1 / self._limit + FASTER
            self._limit = max(self._limit, min(top, self._limit + more))
        self._served(ticket)

    def slowed(self, ticket: Ticket) -> None:
        """Book a request that took too long: fewer at once, nobody waits."""
        self._round.slow += 1
        self._served(ticket)

    def refused(self, ticket: Ticket, wait: float | None) -> None:
        """Book a refusal. wait: the seconds that it named, None or 0 for none; its sender waits so long."""
        current = self._round
        if ticket.first and self._ajar:
            self._close(wait)
        elif not self._ajar:  # otherwise it was sent before the gate closed: nothing new
            current.refused += 1
            self._spent += 1
            if wait:
                current.named = min(wait, current.named or wait)

    def _served(self, ticket: Ticket) -> None:
        """End the round if this reply came from it, and as many have come back as were out when it began.

        Refusals come back at once, replies take their time: both must have come before their shares are told. Where
        most are refusals, as many replies are waited for: they may be those of a burst.
        """
        done = self._round
        if ticket.round != done.number:
            return
        served = done.good + done.slow
        if (served + done.refused if done.refused <= served else served) >= done.expected:
            self._end_round()

    def _end_round(self) -> None:
        """Judge a round; refusals come at once and would otherwise let the whole line run into more of them."""
        done, finder = self._round, self._finder
        served = done.good + done.slow
        if done.refused >= served + FEWEST_REFUSALS:
            self._close(done.named)
            return
        bad = (done.refused + done.slow) / (served + done.refused)
        used = done.seconds and 2 * done.peak >= self._limit
        if finder is not None and used and finder.worth(done.peak, median(done.seconds), bad):
            self._limit = finder.top
            self._calm = max(self._calm, finder.top)
        elif bad:
            self._cut(min(bad**GENTLE, 0.5))
        if finder is not None:
            self._limit = min(self._limit, finder.top)
        self._begin_round(min(self.limit, self.out))

    def _begin_round(self, expected: int) -> None:
        self._round, self._spent = _Round(self._round.number + 1, max(expected, FEWEST_REPLIES), self.out), 0

    def _cut(self, share: float) -> None:
        self._calm = KEPT * self._limit
        self._limit = max(1.0, self._limit * (1 - share))
        log.debug("model.slower", limit=self.limit, ceiling=self.ceiling)

    def _close(self, named: float | None) -> None:
        """Let everybody wait; the limit is halved unless it was closed for the same reason just now."""
        if not self._closures:
            self._cut(0.5)
        window = named or min(FIRST_WINDOW * 2 ** min(self._closures, 30), LONGEST_WINDOW)
        window += self._jitter() * min(MOST_JITTER, window / 4)
        self._closures += 1
        self._ajar, self._first_out = True, False
        self.opens_at = self._clock() + window
        self._begin_round(self.limit)
        log.debug("model.closed", seconds=window, limit=self.limit)
        self._dismiss()

    def _dismiss(self) -> None:
        """Send away those whose patience ends before the window does."""
        for turn, (came, patience) in list(self._waiting.items()):
            if self.opens_at > max(came, self._good_at) + patience:
                del self._waiting[turn]
                if not turn.done():
                    turn.set_exception(Held(self.closed_for))

    # -- waking --------------------------------------------------------------------------------------

    def _free(self) -> bool:
        if self.out + self._spent >= round(self._limit):
            return False
        return not self._ajar or (not self._first_out and self._clock() >= self.opens_at)

    def _wake(self) -> None:
        """Grant slots in order of arrival, or see to it that somebody calls at the end of the window."""
        while self._waiting and self._free():
            turn = next(iter(self._waiting))
            del self._waiting[turn]
            if not turn.done():
                turn.set_result(self._take())
        if self._waiting and self._ringing is None and self.closed_for:
            timer = self._timer or asyncio.get_running_loop().call_later
            self._ringing = timer(self.closed_for, self._ring)

    def _ring(self) -> None:
        self._ringing = None
        self._wake()
