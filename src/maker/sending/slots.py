"""So many calls at once, shared by all who send.

Promises: never more jobs are under way than there are slots, and no slot stays idle while a job waits. A slot that
gets free goes to those who have none, in order of arrival, then to those who have one and could use more. A job that
fails or is cancelled gives its slot back.

A wave works through its jobs in the task that brought it, in the one slot that it holds, and in further tasks only
while there are slots to spare: where there are as many waves as slots, no job costs a task or a wake-up.

A job that has to wait may lend its slot meanwhile (`lend`). So does a call that is `late`, which is not asked: when it
comes back it goes on at once, and until one of the others ends there is one job more than slots.

Not covered: what of a wave was done when one of its jobs failed. Several event loops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from maker.sending.late import Late

T = TypeVar("T")


class Slots:
    """`count` slots for jobs."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = count  # below 0: so many that come back are not given out again
        self._waiting: deque[asyncio.Future[None]] = deque()  # of waves without a slot
        self._hungry: dict[_Wave, None] = {}  # waves with a slot and more jobs, in order
        self._feeding = False
        self.when_lent: Callable[[], None] | None = None  # called when a call is late, and others may have its slot
        self.late = Late(lambda: self._count, self._lend_late, self._take_back)

    async def each(self, jobs: Sequence[T], do: Callable[[T], Awaitable[None]]) -> None:
        """Await `do(job)` for every job, as slots allow; they are begun in order.

        Raises what a job raises: alone if there is one job, else in an exception group, and the other jobs are
        cancelled; those not begun never are. Cancelled, it cancels its jobs.
        """
        await self._take()
        if len(jobs) == 1:
            try:
                await do(jobs[0])
            finally:
                self._give_back()
            return
        left = deque(jobs)
        first = left.popleft()
        async with asyncio.TaskGroup() as group:
            wave = _Wave(left, do, group)
            while left and self._free > 0:
                self._spawn(wave)
            if left:
                self._hungry[wave] = None
            try:
                await wave.work(first)
            finally:
                self._hungry.pop(wave, None)
                self._give_back()  # the wave's other tasks may take longer

    def resize(self, count: int) -> None:
        """Have `count` slots from now on; those under way beyond it end as they would."""
        more, self._count = count - self._count, count
        if more < 0:
            self._free += more
        for _ in range(more):
            self._give_back()

    async def lend(self, wait: Awaitable[None]) -> None:
        """Await `wait` in a job, its slot lent to others meanwhile; it holds one again when this returns or raises."""
        self._give_back()
        try:
            await wait
            await self._take()
        except BaseException:
            self._take_back()  # whoever holds it gives it back in the same round of the loop
            raise

    def _lend_late(self) -> None:
        self._give_back()
        if self.when_lent is not None:
            self.when_lent()

    def _take_back(self) -> None:
        self._free -= 1

    async def _take(self) -> None:
        if self._free > 0:
            self._free -= 1
        else:
            await self._turn()

    async def _turn(self) -> None:
        """Wait for a slot."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        if self._free < 0:
            self._free += 1
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled
                turn.set_result(None)
                return
        self._free += 1
        if self._hungry and not self._feeding:
            # Not at once: who gives a slot back often wants it for its next wave, at no cost.
            self._feeding = True
            asyncio.get_running_loop().call_soon(self._feed)

    def _feed(self) -> None:
        """Give the free slots to those who can use more than one."""
        self._feeding = False
        while self._free > 0 and self._hungry:
            wave = next(iter(self._hungry))
            if wave.left:
                self._spawn(wave)
            else:
                del self._hungry[wave]

    def _spawn(self, wave: _Wave) -> None:
        """Take a free slot for a wave's next job."""
        self._free -= 1
        task = wave.group.create_task(wave.work(wave.left.popleft()), context=wave.context.copy())
        task.add_done_callback(lambda _: self._give_back())  # it may be cancelled before it begins


class _Wave:
    """Jobs that are not begun, how they are done, and where."""

    __slots__ = ("context", "do", "group", "left")

    def __init__(self, left: deque[Any], do: Callable[[Any], Awaitable[None]], group: asyncio.TaskGroup) -> None:
        self.left, self.do, self.group = left, do, group
        self.context = copy_context()

    async def work(self, job: Any) -> None:
        """Do one job, then those that are not begun."""
        try:
            await self.do(job)
            while self.left:
                await self.do(self.left.popleft())
        except BaseException:
            self.left.clear()
            raise
