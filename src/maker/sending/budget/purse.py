"""A purse: caps on calls, tokens and dollars, what is spent and held of them, and who waits for room.

Promises: spent + held never passes a cap, whatever is out at once. A draw is held at the most that it can take, from
before it goes out until what it took is booked. Where there is no room, draws wait, in order of arrival, until some of
those that are out are booked: their replies take less than the most nearly always. Only where nothing is out, and not
one more draw fits, it is a `Stop`.

Why no hold is smaller, though replies are: n calls that are out can take the most all at once, so an estimate, however
high a quantile of the replies so far, would let them pass a cap. What it would buy, that little replies use up a cap,
waiting buys too: what stays unused in the end is less than one draw's most, which falls with the token cap of a reply.

Safe in any number of threads and event loops.

Not covered: a server that takes more than the most; its bounds grow from then on (`funds.py`).
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from maker.decision.ending import Stop
from maker.sending.budget.usage import Spent, Usage


class Caps(Protocol):
    """What a purse allows; None is no cap."""

    @property
    def max_calls(self) -> int | None:
        """Calls sent."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens read and written."""

    @property
    def max_cost(self) -> float | None:
        """US dollars."""


@dataclass(slots=True, eq=False)
class Turn:
    """A place among those who wait for room in one purse."""

    queued: bool = False
    bell: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake whoever waits, in whatever loop."""
        if self.bell is not None:
            with suppress(RuntimeError):  # that loop has ended
                self.bell.get_loop().call_soon_threadsafe(_wake, self.bell)


def _wake(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


class Purse:
    """What may be taken in all.

    usage: what was, booked here; it may be that of a run, and then shows what its journal brought back, too. sharers:
    how many calls take from it; 0 for a run's own.
    """

    def __init__(self, caps: Caps, usage: Usage) -> None:
        self.caps, self.usage, self.sharers = caps, usage, 0
        self._lock = threading.Lock()
        self._queue: deque[Turn] = deque()
        self._calls = 0  # held and not yet sent
        self._out = 0  # draws that are held
        self._tokens, self._cost = 0, 0.0  # the most that these can take
        self._least = Spent()  # what any of these is held at, at least
        self._failed, self._fault = 0, ""

    def allow(self, caps: Caps) -> None:
        """Allow this from now on; who waits for room looks once more."""
        with self._lock:
            self.caps = caps
            if self._queue:
                self._ring()

    # -- calls -----------------------------------------------------------------------------------------

    def hold_calls(self, count: int) -> None:
        """Hold calls that are about to be made. Raises Stop if there are not so many."""
        with self._lock:
            calls, most = self.usage.dispatched + self._calls, self.caps.max_calls
            if most is not None and calls + count > most:
                raise Stop(
                    "max_calls",
                    f"{calls} of {most} calls{self._whose} are used{self.cause}. Raise max_calls{self._then}.",
                )
            self._calls += count

    @property
    def calls_left(self) -> float:
        """Calls that may still be made; infinite without a limit."""
        with self._lock:
            most = self.caps.max_calls
            return math.inf if most is None else most - self.usage.dispatched - self._calls

    def sent(self, count: int) -> None:
        """Book calls that go out now."""
        with self._lock:
            self._calls -= count
            self.usage.dispatched += count

    def unsent(self, count: int) -> None:
        """Give back calls that will not be made."""
        with self._lock:
            self._calls -= count

    # -- tokens and dollars ----------------------------------------------------------------------------

    def take_at_once(self, bounds: Sequence[Spent]) -> bool:
        """Hold draws and say so, if nobody waits and there is room for all of them."""
        with self._lock:
            if self._queue or self._room(bounds) < len(bounds):
                return False
            self._hold(bounds)
            return True

    def take_now(self, bounds: Sequence[Spent], turn: Turn, *, first: bool = False) -> int:
        """Hold draws if there is room for them now, as told at `take`; return how many, 0 where they have to wait.

        Raises Stop as `take` does; a turn that has to wait has its place.
        """
        with self._lock:
            count = self._room(bounds) if first or not self._queue or self._queue[0] is turn else 0
            if count == len(bounds) or (count and not self._out and not first):
                self._hold(bounds[:count])
                if count < len(bounds):
                    self._join(turn)
                else:
                    self._leave(turn)
                return count
            self._join(turn, first=first)
            if not self._out and self._queue[0] is turn:
                raise self._stop(bounds[0])
            turn.bell = asyncio.get_running_loop().create_future()
            return 0

    async def take(self, bounds: Sequence[Spent], turn: Turn, *, first: bool = False) -> int:
        """Hold draws, all or as many as there is ever room for at once, and return how many: 1 or more.

        Where they are not all, the turn keeps its place, and nobody who came later is served before the rest. first:
        go before all who wait, and hold all or none. Raises Stop where that will never be; `leave` the turn then, and
        when this is cancelled.
        """
        while not (count := self.take_now(bounds, turn, first=first)):
            assert turn.bell is not None, "it has to wait"
            await turn.bell
        return count

    def leave(self, turn: Turn) -> None:
        """Give up a place, and let the next one look."""
        with self._lock:
            self._leave(turn)

    def give_back(self, bounds: Sequence[Spent]) -> None:
        """Give back what is held of draws."""
        with self._lock:
            for bound in bounds:
                self._free(bound)

    def came(self, bound: Spent, spent: Spent) -> None:
        """Book what a draw took, and give back what is held of it."""
        with self._lock:
            self.usage.spend(spent)
            self._free(bound)

    def failed(self, spent: Spent, fault: str) -> None:
        """Book a draw that failed; it is held still. fault: why, for a person; "" where it is no fault."""
        with self._lock:
            self.usage.fail(spent)
            if fault:
                self._failed += 1
                self._fault = fault

    def cancelled(self, bounds: Sequence[Spent]) -> None:
        """Book draws whose replies nobody will see; they are held still."""
        with self._lock:
            self.usage.cancel(bounds)

    def end_block(self, bounds: Sequence[Spent], spent: Usage | None) -> None:
        """Give back calls that were held as one. spent: what they took, None where that is booked."""
        with self._lock:
            if spent is not None:
                self.usage.add(spent)
            self._calls -= len(bounds)
            for bound in bounds:
                self._free(bound)

    @property
    def sound(self) -> bool:
        """All that is held still has its room: failures have used up none of it."""
        with self._lock:
            return self._fits(0, 0.0)

    def hold_beside(self, bound: Spent) -> None:
        """Hold a call that a draw makes while it is not out itself. Raises Stop where there is no room for it.

        It does not wait, since those that are out may wait for it. The room that its draw holds is its own meanwhile.
        """
        with self._lock:
            least = self._least
            if not self._fits(bound.assumed - least.assumed, bound.cost - least.cost):
                raise self._stop(bound)
            self._hold([bound])
            self._least = least  # it is no draw

    def _room(self, bounds: Sequence[Spent]) -> int:
        """Return how many of these draws, the first ones, fit beside what is spent and held."""
        if self.caps.max_tokens is None and self.caps.max_cost is None:
            return len(bounds)
        tokens, cost = 0, 0.0
        for number, bound in enumerate(bounds):
            tokens, cost = tokens + bound.assumed, cost + bound.cost
            if not self._fits(tokens, cost):
                return number
        return len(bounds)

    def _fits(self, tokens: int, cost: float) -> bool:
        caps, usage = self.caps, self.usage
        if caps.max_tokens is not None and usage.tokens + self._tokens + tokens > caps.max_tokens:
            return False
        return caps.max_cost is None or usage.cost + self._cost + cost <= caps.max_cost

    def _hold(self, bounds: Sequence[Spent]) -> None:
        if not self._out:
            self._least = bounds[0]
        self._out += len(bounds)
        for bound in bounds:
            self._tokens += bound.assumed
            self._cost += bound.cost
            least = self._least
            if bound is not least and (bound.assumed < least.assumed or bound.cost < least.cost):
                self._least = Spent(assumed=min(bound.assumed, least.assumed), cost=min(bound.cost, least.cost))

    def _free(self, bound: Spent) -> None:
        self._out -= 1
        if self._out:
            self._tokens -= bound.assumed
            self._cost -= bound.cost
        else:
            self._tokens, self._cost, self._least = 0, 0.0, Spent()  # sums of dollars drift
        if self._queue:
            self._ring()

    def _join(self, turn: Turn, *, first: bool = False) -> None:
        if not turn.queued:
            turn.queued = True
            (self._queue.appendleft if first else self._queue.append)(turn)

    def _leave(self, turn: Turn) -> None:
        if turn.queued:
            turn.queued = False
            self._queue.remove(turn)
            if self._queue:
                self._ring()

    def _ring(self) -> None:
        self._queue[0].ring()

    # -- words -----------------------------------------------------------------------------------------

    @property
    def cause(self) -> str:
        """What went wrong meanwhile, for a message; "" for nothing."""
        return f"; {self._failed} of them failed: {self._fault}" if self._failed else ""

    @property
    def _whose(self) -> str:
        return f" of the budget shared by {self.sharers} calls" if self.sharers else ""

    @property
    def _then(self) -> str:
        return " of that budget" if self.sharers else " and resume"

    def _stop(self, bound: Spent) -> Stop:
        """Return the stop of a draw for which there is no room."""
        caps, usage = self.caps, self.usage
        beside = " or held" if self._out else ""
        failed = f" ({self._failed} calls failed: {self._fault})" if self._failed else ""
        if caps.max_tokens is not None and usage.tokens + self._tokens + bound.assumed > caps.max_tokens:
            return Stop("max_tokens", f"{usage.tokens + self._tokens} of {caps.max_tokens} tokens{self._whose} are used"
                        f"{beside}{failed} and the next draw could take {bound.assumed}. Let a reply have fewer, or "
                        f"raise max_tokens{self._then}.")  # fmt: skip
        return Stop("max_cost", f"{usage.cost + self._cost:.4f} of {caps.max_cost} dollars{self._whose} are spent"
                    f"{beside}{failed} and the next draw could take {bound.cost:.4f}. Let a reply have fewer tokens, "
                    f"or raise max_cost{self._then}.")  # fmt: skip
