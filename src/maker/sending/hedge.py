"""A call that takes far longer than its like, made once more: the first good reply counts, the other call is ended.

Promises: at most one call in ONE_IN, and one more, is made twice, whatever share is late: where all replies slow down,
that is load, which second calls would only add to. A second call goes out once it is booked and durable, in the slot
of the first. Cancelled, both are.

Not covered: which calls are late (`late.py`), and what a second one costs (`dispatcher.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from maker.decision.sample import Reply, Sample
from maker.sending.late import Call

ONE_IN = 10  # calls, that may be made twice: 5% that hang are well within

Ask = Callable[[], Coroutine[Any, Any, list[Reply]]]


class Hedges:
    """The second calls of one model."""

    def __init__(self) -> None:
        self._calls = self._second = 0

    async def first(self, call: Call, ask: Ask, book: Callable[[], asyncio.Future[None] | None]) -> list[Reply]:
        """Return what `ask()` brings, or a second one does, which begins when `call` is late.

        book: books a second call and returns what is done when that is durable; None where there is to be none. A
        call that failed is no reply while the other is out. Raises what the first to end raises.
        """
        self._calls += 1
        first = asyncio.create_task(ask())
        second: asyncio.Future[asyncio.Task[list[Reply]]] = asyncio.get_running_loop().create_future()

        def begin_second() -> bool:
            """Make the call once more, where that is allowed, and say so."""
            if first.done() or self._second * ONE_IN > self._calls or (booked := book()) is None:
                return False
            self._second += 1
            second.set_result(asyncio.create_task(_after(booked, ask)))
            return True

        call.second = begin_second
        try:
            await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
            return await _first_good({first, second.result()} if second.done() else {first})
        finally:
            call.second = None
            both = [first, second.result()] if second.done() else [first]
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _after(booked: Awaitable[None], ask: Ask) -> list[Reply]:
    await booked
    return await ask()


async def _first_good(out: set[asyncio.Task[list[Reply]]]) -> list[Reply]:
    """Return the first replies with a sample among them, else the last."""
    while True:
        done, out = await asyncio.wait(out, return_when=asyncio.FIRST_COMPLETED)
        came = [task.result() for task in done]
        good = [replies for replies in came if any(isinstance(reply, Sample) for reply in replies)]
        if good or not out:
            return (good or came)[0]
