"""Calls that take far longer than their like: what they hold is lent to others until they come back.

A call is late when it has been out for more than FAR times the 95th percentile of the replies before it, and for more
than SHORTEST seconds. What it holds (a slot, a place within a limit) is then lent, once; it goes on all the same, and
counts as any other when it comes back. Where the call has a `second` try, that takes what it holds, in place of others;
if both are out for as long again, it is lent after all.

Promises: each loan, or second try, is earned by a reply, and no more are saved than the limit: a server that answers
nobody is sent at most as many again. At most MOST_LENT times the limit are late with what they hold lent, and at most
MOST in all; the others keep it, and lend it when one comes back. One timer serves all calls.

Not covered: ending a call that is late: it has a deadline of its own. Several event loops at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

FAR = 5.0  # times the 95th percentile of the replies
SHORTEST = 5.0  # seconds; what is quicker is never late
REMEMBERED = 128  # replies that the percentile is of
LOOK = 16  # replies after which it is looked at anew; before the first so many no call is late
MOST_LENT = 8  # times the limit: at 1 s a reply and a time-out of 120 s, 5% that hang are 6 times the limit
MOST = 256  # late at once, whatever the limit: each may hold a socket

C = TypeVar("C", bound="Call")
Clock = Callable[[], float]
Timer = Callable[[float, Callable[[], None]], Any]


class Call:
    """One call, from `Late.begin` to `Late.end`. at: when it went out. replied: set it where a reply came, no failure.

    lent: it is late, and others have what it holds. second: called when it is late; True where it then goes out again.
    """

    __slots__ = ("at", "lent", "replied", "second")

    at: float
    lent: bool
    replied: bool

    def __init__(self, second: Callable[[], bool] | None = None) -> None:
        self.second = second


class Late:
    """Which calls are late.

    limit: how many are to be under way at once now. lend: called when one more is late than before, to have somebody
    else go; back: called when one of those is back. clock: seconds, the running loop's by default; timer: calls a
    function after some of them.
    """

    def __init__(
        self, limit: Callable[[], int], lend: Callable[[], None], back: Callable[[], None], *,
        clock: Clock | None = None, timer: Timer | None = None,
    ) -> None:  # fmt: skip
        self._limit, self._lend, self._back = limit, lend, back
        self._clock, self._timer = clock or _loop_time, timer
        self.lent = 0  # calls that are late, with what they hold lent
        self._earned = 0  # loans; no more than the limit when they are wanted
        self._out: dict[Call, None] = {}  # calls that hold what is theirs, in order
        self._took: deque[float] = deque(maxlen=REMEMBERED)  # seconds, of the last replies
        self._replies = 0
        self._far = math.inf  # seconds after which a call is late
        self._rings_at = -math.inf  # of the clock; earlier than now: no timer is set, or its loop is gone

    def begin(self, call: C) -> C:
        """Take note that a call goes out now, and return it; it is to be ended, whatever comes of it."""
        call.at = now = self._clock()
        call.lent = call.replied = False
        self._out[call] = None
        if self._rings_at < now and self._far < math.inf:
            self._set(now)
        return call

    def end(self, call: Call) -> None:
        """Take note that a call is back; what was lent is taken back."""
        if call.lent:
            self.lent -= 1
            self._back()
        else:
            del self._out[call]
        if not call.replied:
            return
        self._earned += 1
        self._took.append(self._clock() - call.at)
        self._replies += 1
        if self._replies % LOOK == 0:
            self._far = max(SHORTEST, FAR * sorted(self._took)[int(0.95 * len(self._took))])

    def _set(self, now: float) -> None:
        """Look again when the oldest call will be late, or soon if it is; what counts as late may change by then."""
        wait = min(max(next(iter(self._out)).at + self._far - now, SHORTEST / 10), SHORTEST)
        self._rings_at = now + wait
        (self._timer or asyncio.get_running_loop().call_later)(wait, self._ring)

    def _ring(self) -> None:
        """Lend what those hold that are late, the oldest first."""
        now = self._clock()
        if self._rings_at > now:  # this timer came late, and another was set in its place
            return
        self._rings_at = -math.inf
        self._earned = min(self._earned, self._limit())
        while self._out and self._earned and self.lent < min(MOST_LENT * self._limit(), MOST):
            call = next(iter(self._out))
            if call.at + self._far > now:
                break
            del self._out[call]
            self._earned -= 1
            second, call.second = call.second, None
            if second is not None and second():
                call.at = now
                self._out[call] = None
                continue
            call.lent = True
            self.lent += 1
            self._lend()
        if self._out:
            self._set(now)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
