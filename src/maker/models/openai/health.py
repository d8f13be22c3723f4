"""Is the endpoint well, and what does it take? Short requests with the settings of one that failed tell.

Promises: what is found out is found out once for all who ask meanwhile, and at most once a minute; they get an answer
even when the asker that began is cancelled. A probe is paid for by whoever asked for the draws: held,
booked and durable as a draw is (`sample.desk`), so no cap is passed for it.

Not covered: what follows from the answer (`client.py`, `negotiate.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Generic, TypeVar

from maker.decision.sample import Failure, Reply, Request, desk
from maker.log import log
from maker.models.openai.refusal import Trouble

PROBE_EVERY = 60.0  # seconds
PROBE_PROMPT = "Reply with the word OK."
Send = Callable[[Request], Awaitable[list[Reply] | Trouble]]
_INTERRUPTED = Trouble(Failure("transient", "the probe was interrupted"))
Found = TypeVar("Found")


class Prober(Generic[Found]):
    """Finds something out about the endpoint. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[float, asyncio.Future[Found | Trouble]] | None = None

    async def ask(self, request: Request, find: Callable[[Request], Awaitable[Found]]) -> Found | Trouble:
        """Return what `find` makes of a short request with the settings of this one."""
        now = self._clock()
        loop = asyncio.get_running_loop()
        if self._last is not None and now - self._last[0] < PROBE_EVERY:
            found_before = self._last[1]
            if found_before.done() or found_before.get_loop() is loop:  # another loop's answer cannot be waited for
                return await asyncio.shield(found_before)
        answer: asyncio.Future[Found | Trouble] = loop.create_future()
        self._last = now, answer
        found: Found | Trouble = _INTERRUPTED
        try:
            address = replace(request.address, run=f"{request.address.run}/probe")
            found = await find(replace(request, prompt=PROBE_PROMPT, address=address))
        finally:
            answer.set_result(found)
            if found is _INTERRUPTED:
                self._last = None
        return found

    def forget(self) -> None:
        """Let the next one who asks find out anew."""
        self._last = None


async def probe(request: Request, send: Send) -> Trouble | None:
    """Send one request beside the draws, paid for as they are; return what came of it, None for a reply."""
    ill: Trouble | None = None

    async def sent(probed: Request) -> Reply:
        """Send it, and keep what ails the endpoint."""
        nonlocal ill
        outcome = await send(probed)
        if isinstance(outcome, Trouble):
            ill = outcome
            return outcome.failure
        return outcome[0]

    payer = desk.get()
    await (payer.pay(request, sent) if payer else sent(request))
    log.debug("model.probe", step=request.address.step, well=ill is None)
    return ill
