"""A gate that many processes share: what a worker of a cluster has in place of a gate of its own.

Requests wait here, and their permits come from the server's keeper (`keeper.py`): one question at a time asks for all
that wait, and what came of requests is told the same way, so that under load many go in one message. While permits are
out, the keeper hears of this worker now and then. Where the keeper says that the gate is closed, all wait, and nobody
asks before that is over.

Promises: no request goes out without a permit; each permit is told once. A keeper that cannot be asked holds requests
back for a moment, as one whose gate is closed does.

Not covered: how the keeper is reached. One event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from maker.log import log
from maker.models.openai.http.finder import FIRST_LIMIT
from maker.models.openai.http.gate import Held
from maker.models.openai.http.keeper import EXPIRY, Block, Told
from maker.sending.late import Clock

AGAIN = 1.0  # seconds until a keeper that cannot be asked is asked again

Call = Callable[..., Awaitable[Any]]  # a method of the keeper, and its arguments


class Permit:
    """Leave for one request. what: came of it; wait: that a refusal named."""

    __slots__ = ("number", "wait", "what")

    def __init__(self, number: int) -> None:
        self.number, self.what = number, ""
        self.wait: float | None = None


class SharedGate:
    """One worker's part of a gate. call: asks the keeper. ceiling: as of the gate. name: of the worker."""

    def __init__(
        self, call: Call, ceiling: int | None, *, name: str | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._call, self._clock = call, clock
        self._name = name or secrets.token_hex(8)
        self._limit, self._said = ceiling or FIRST_LIMIT, ""
        self._opens_at = clock()
        self._waiting: deque[tuple[asyncio.Future[Permit], float]] = deque()  # with their patience
        self._ends: list[Told] = []
        self._out = 0  # permits
        self._asking = self._telling = self._beating = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def limit(self) -> int:
        """How many requests of all workers may be out at once, as the keeper last said."""
        return self._limit

    def __str__(self) -> str:
        return self._said

    def enter_at_once(self) -> Permit | None:
        """Return None: a permit has to be asked for."""
        return None

    async def enter(self, patience: float) -> Permit:
        """Wait for a permit, which is to be given to `leave`. Raises Held as a gate does; cancelled, it holds none."""
        if (closed := self._opens_at - self._clock()) > patience:
            raise Held(closed)
        turn: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, patience))
        if not self._asking:
            self._asking = True
            self._begin(self._ask())
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(turn.result())
            raise

    def good(self, permit: Permit) -> None:
        """Book a reply that was no refusal."""
        permit.what = "good"

    def slowed(self, permit: Permit) -> None:
        """Book a request that took too long."""
        permit.what = "slowed"

    def refused(self, permit: Permit, wait: float | None) -> None:
        """Book a refusal. wait: the seconds that it named."""
        permit.what, permit.wait = "refused", wait

    def leave(self, permit: Permit) -> None:
        """Give a permit back, with what came of its request."""
        self._out -= 1
        self._tell_back(permit.number, permit.what, permit.wait)

    # -- the keeper ------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        """Ask for permits as long as somebody waits for one."""
        try:
            while self._drop_cancelled():
                await asyncio.sleep(max(0.0, self._opens_at - self._clock()))
                if not (count := self._drop_cancelled()):
                    break
                if (block := await self._said_to("ask", count)) is None:
                    self._hold(AGAIN)
                    continue
                for number in block.permits:
                    self._grant(number)
                if not block.permits and block.closed:
                    self._hold(block.closed)
        finally:
            self._asking = False

    def _grant(self, number: int) -> None:
        """Give a permit to who has waited longest, or back."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(Permit(number))
                self._out += 1
                if not self._beating:
                    self._beating = True
                    self._begin(self._beat())
                return
        self._tell_back(number, "", None)

    def _hold(self, seconds: float) -> None:
        """Let all wait, and send those away who would not wait so long."""
        self._opens_at = self._clock() + seconds
        for turn, patience in self._waiting:
            if seconds > patience and not turn.done():
                turn.set_exception(Held(seconds))

    def _drop_cancelled(self) -> int:
        """Forget those who wait no more; return how many still do."""
        self._waiting = deque(one for one in self._waiting if not one[0].done())
        return len(self._waiting)

    def _tell_back(self, number: int, what: str, wait: float | None) -> None:
        self._ends.append((number, what, wait))
        if not self._telling:
            self._telling = True
            self._begin(self._tell())

    async def _tell(self) -> None:
        """Tell what came of requests; what ends meanwhile goes with the next message."""
        try:
            while self._ends:
                ends, self._ends = self._ends, []
                await self._said_to("tell", ends)
        finally:
            self._telling = False

    async def _beat(self) -> None:
        """Let the keeper know that this worker is there, as long as it has permits."""
        try:
            while self._out:
                await asyncio.sleep(EXPIRY / 3)
                await self._said_to("tell", [])
        finally:
            self._beating = False

    async def _said_to(self, method: str, told: Any) -> Block | None:
        """Say something to the keeper and return its block; None where it cannot be asked."""
        try:
            block = Block(*await self._call(method, self._name, told))
        except Exception as error:  # noqa: BLE001 -- whatever the way to it raises
            log.debug("model.keeper", detail=f"{type(error).__name__}: {error}")
            return None
        self._limit, self._said = block.limit, block.said
        if not block.permits and block.closed:
            self._opens_at = self._clock() + block.closed
        return block

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
