"""What one run may take and how long: its own limits, and a budget that it shares with others.

Every draw is held in both, its own limits first, before it goes out, and booked in both (`purse.py`); the calls of a
wave are held together, because their number is known.

Not covered: holding over a crash; that is `receipts.py`, which makes every hold durable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

import anyio

from maker.decision.ending import Stop
from maker.decision.sample import Prices, Request
from maker.sending.budget.limits import Budget, Limits, parts
from maker.sending.budget.purse import Purse, Turn
from maker.sending.budget.usage import Spent, Usage, most

T = TypeVar("T")


class Funds:
    """The purses of one run, whichever of its models is asked.

    usage: the account of the run, booked here. shared: the budget that others take from, too. capped: what a draw can
    take at most is held, whatever its model costs.
    """

    def __init__(self, limits: Limits, usage: Usage, shared: Budget | None = None) -> None:
        self.limits, self.shared = limits, shared
        self._own = Purse(limits, usage)
        self._purses = [self._own]
        for budget in parts(shared):
            budget.purse.sharers += 1
            self._purses.append(budget.purse)
        self.capped = limits.max_tokens is not None or shared is not None
        self._started = time.monotonic()
        self._stop: Stop | None = None  # why no call is to be made any more
        self._pauses: set[anyio.CancelScope] = set()
        self.halted = ""  # why no call is to be made for now; "": calls are made
        self._resumed = anyio.Event()
        self._over = 1.0  # how far a reply has gone past its bound: the server counts in its own way

    # -- time and calls --------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float:
        """Wall seconds until max_seconds is over; infinite without one."""
        most = self.limits.max_seconds
        return math.inf if most is None else max(0.0, most - (time.monotonic() - self._started))

    def in_time(self, work: Awaitable[None]) -> Awaitable[None]:
        """Await work that sends. Raises Stop when the time is over: it is then cancelled, wherever it waits."""
        return work if self.limits.max_seconds is None else self._in_time(work)

    async def _in_time(self, work: Awaitable[None]) -> None:
        with anyio.move_on_after(self.seconds_left):
            return await work
        raise self._too_late()

    async def pause(self, wait: Awaitable[T]) -> T:
        """Await a wait between calls. Raises Stop where that ends it."""
        with anyio.CancelScope() as scope:
            self._pauses.add(scope)
            try:
                return await wait
            finally:
                self._pauses.discard(scope)
        assert self._stop is not None, "nothing else cancels a pause"
        raise self._stop

    def stop(self, stop: Stop) -> None:
        """Let no further call be made, and nobody wait for one; replies that are on their way still come."""
        self._stop = stop
        for scope in self._pauses:
            scope.cancel()

    def halt(self, why: str) -> None:
        """Let no further call be made until `resume`; those that are out still come."""
        if not self.halted:
            self._resumed = anyio.Event()
        self.halted = why

    def resume(self) -> None:
        """Let calls be made again."""
        self.halted = ""
        self._resumed.set()

    async def until_resumed(self) -> None:
        """Return when calls may be made. Raises Stop where the run ends meanwhile."""
        while self.halted:
            if self._stop is not None:
                raise self._stop
            await self.pause(self._resumed.wait())

    def allow(self, limits: Limits) -> None:
        """Keep other limits from now on."""
        self.limits = limits
        self._own.allow(limits)

    def _too_late(self) -> Stop:
        return Stop("max_seconds", f"{self.limits.max_seconds} seconds are over{self._own.cause}. Run the same "
                    "command to resume.")  # fmt: skip

    def hold_calls(self, count: int) -> None:
        """Hold calls that are about to be made. Raises Stop if there are not so many, or time is over."""
        if self._stop is not None:
            raise self._stop
        if not self.seconds_left:
            raise self._too_late()
        held: list[Purse] = []
        try:
            for purse in self._purses:
                purse.hold_calls(count)
                held.append(purse)
        except Stop:
            for purse in held:
                purse.unsent(count)
            raise

    @property
    def calls_left(self) -> float:
        """Calls that may still be made; infinite without a limit."""
        return min(purse.calls_left for purse in self._purses)

    def sent(self, count: int) -> None:
        """Book calls that go out now."""
        for purse in self._purses:
            purse.sent(count)

    def unsent(self, count: int) -> None:
        """Give back calls that will not be made."""
        for purse in self._purses:
            purse.unsent(count)

    # -- tokens and dollars ----------------------------------------------------------------------------

    def bounds(self, requests: Sequence[Request], prices: Prices | None) -> list[Spent]:
        """Return the most that each request can take. prices: of the model that is asked."""
        found: list[Spent] = []
        for number, request in enumerate(requests):
            same = number and request.asks_the_same_as(requests[number - 1])
            found.append(found[-1] if same else self._bound(request, prices))
        return found

    def _bound(self, request: Request, prices: Prices | None) -> Spent:
        bound = most(request, prices)
        if self._over == 1.0:
            return bound
        return Spent(assumed=int(bound.assumed * self._over) + 1, cost=bound.cost * self._over)

    def take_now(self, bounds: Sequence[Spent]) -> bool:
        """Hold draws if nobody waits and there is room for all of them; else they are to take a `place`."""
        return self.shared is None and self._own.take_at_once(bounds)

    def place(self) -> Place:
        """Return a place among those who wait for room."""
        return Place(self._purses, self.pause)

    @property
    def sound(self) -> bool:
        """What is held still has its room: no failure has used it up."""
        return all(purse.sound for purse in self._purses)

    async def take_anew(self, held: Sequence[Spent], bounds: Sequence[Spent]) -> None:
        """Hold draws once more whose failures have used up room, or that need more: all, when there is some.

        Meanwhile they are not held. Whoever has a slot lends it, since those who have the room may wait for that.
        Raises Stop.
        """
        self.give_back(held)
        with self.place() as place:
            await place.take(bounds, first=True)

    def take_beside(self, bounds: Sequence[Spent]) -> bool:
        """Hold calls beside the draws that wait, and say so, where there is room for all now: nobody waits for it.

        They are second calls of draws that are out, or a block of calls that another process may make.
        """
        held: list[Purse] = []
        for purse in self._purses:
            if not purse.take_at_once(bounds):
                break
            held.append(purse)
        else:
            with suppress(Stop):
                self.hold_calls(len(bounds))
                return True
        self._give_back(bounds, held)
        return False

    def end_block(self, bounds: Sequence[Spent], spent: Usage) -> None:
        """Give back a block that was held. spent: what its calls took, which the run's own account has booked."""
        for purse in self._purses:
            purse.end_block(bounds, None if purse is self._own else spent)

    def lose_block(self, bounds: Sequence[Spent]) -> None:
        """Book a block of which nobody knows what became: all its calls as sent, and spent at the most."""
        self.sent(len(bounds))
        self.cancelled(bounds)
        self.give_back(bounds)

    def send_beside(self, request: Request, prices: Prices | None) -> Spent:
        """Hold a call that is no draw, as told at `Purse.hold_beside`, book it as sent, and return its most.

        Raises Stop.
        """
        bound = self._bound(request, prices)
        held: list[Purse] = []
        try:
            for purse in self._purses:
                purse.hold_beside(bound)
                held.append(purse)
            self.hold_calls(1)
        except Stop:
            self._give_back([bound], held)
            raise
        self.sent(1)
        return bound

    def give_back(self, bounds: Sequence[Spent]) -> None:
        """Give back what is held of draws."""
        self._give_back(bounds, self._purses)

    def came(self, bound: Spent, spent: Spent) -> None:
        """Book what a draw took, and give back what was held of it."""
        for purse in self._purses:
            purse.came(bound, spent)
        took = spent.tokens_in + spent.tokens_out
        if took > bound.assumed > 0:
            self._over = took * self._over / bound.assumed  # in this order: journals hold it to the last bit

    def failed(self, spent: Spent, fault: str = "") -> None:
        """Book a call that brought no sample. fault: why, for a person."""
        for purse in self._purses:
            purse.failed(spent, fault)

    def cancelled(self, bounds: Sequence[Spent]) -> None:
        """Book draws whose replies nobody will see: at the most they can have taken."""
        for purse in self._purses:
            purse.cancelled(bounds)

    @staticmethod
    def _give_back(bounds: Sequence[Spent], purses: Sequence[Purse]) -> None:
        for purse in purses:
            purse.give_back(bounds)


class Place:
    """The place of one wave among those who wait for room: to be entered, and left when all its draws are held.

    What it holds in a run's own purse it keeps while it waits for the shared one, and never waits the other way round:
    so nobody waits in a circle. pause: awaits a wait, unless the run ends meanwhile.
    """

    def __init__(self, purses: Sequence[Purse], pause: Callable[[Awaitable[int]], Awaitable[int]]) -> None:
        self._purses, self._pause = purses, pause
        self._turns = [Turn() for _ in purses]
        self._ahead: Sequence[Spent] = ()  # held in the first purse and not in the second so far

    async def take(self, bounds: Sequence[Spent], *, first: bool = False) -> int:
        """Hold draws before they go out: as many of the first ones as is told at `Purse.take`. Raises Stop."""
        own, *shared = self._purses
        if not self._ahead:
            count = await self._take(own, bounds, self._turns[0], first)
            self._ahead = bounds[:count]
        for purse in shared:
            count = await self._take(purse, self._ahead, self._turns[1], first)
        self._ahead = self._ahead[count:]
        return count

    async def _take(self, purse: Purse, bounds: Sequence[Spent], turn: Turn, first: bool) -> int:
        """Hold draws in one purse; to wait there is to pause, which nearly no draw has to."""
        count = purse.take_now(bounds, turn, first=first)
        return count or await self._pause(purse.take(bounds, turn, first=first))

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._ahead:
            self._purses[0].give_back(self._ahead)
        for purse, turn in zip(self._purses, self._turns, strict=True):
            purse.leave(turn)
