"""Is the endpoint well? A short request with the settings of one that failed tells.

Promises: at most one probe a minute, whoever asks; those who ask meanwhile share its answer, and get
one even when the asker that sent it is cancelled. A probe is paid for by whoever asked for the draws: held,
booked and durable as a draw is (`sample.desk`), so no cap is passed for it. `calls` counts probes.

Not covered: what follows from the answer (`client.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from maker.decision.sample import Failure, Reply, Request, desk
from maker.log import log
from maker.models.openai.refusal import Trouble

PROBE_EVERY = 60.0  # seconds
PROBE_PROMPT = "Reply with the word OK."
Send = Callable[[Request], Awaitable[list[Reply] | Trouble]]
_INTERRUPTED = Trouble(Failure("transient", "the probe was interrupted"))


class Prober:
    """Asks the endpoint. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.calls = 0
        self._clock = clock
        self._last: tuple[float, asyncio.Future[Trouble | None]] | None = None

    async def ask(self, request: Request, send: Send) -> Trouble | None:
        """Return what ails the endpoint, None if nothing. `send` takes a request and returns what came of it."""
        now = self._clock()
        if self._last is not None and now - self._last[0] < PROBE_EVERY:
            return await asyncio.shield(self._last[1])
        answer: asyncio.Future[Trouble | None] = asyncio.get_running_loop().create_future()
        self._last = now, answer
        found: Trouble | None = _INTERRUPTED
        try:
            address = replace(request.address, run=f"{request.address.run}/probe")
            found = await self._probe(replace(request, prompt=PROBE_PROMPT, address=address), send)
        finally:
            answer.set_result(found)
            if found is _INTERRUPTED:
                self._last = None
        return found

    async def _probe(self, request: Request, send: Send) -> Trouble | None:
        self.calls += 1
        ill: Trouble | None = None

        async def sent(probe: Request) -> Reply:
            nonlocal ill
            outcome = await send(probe)
            if isinstance(outcome, Trouble):
                ill = outcome
                return outcome.failure
            return outcome[0]

        payer = desk.get()
        await (payer.pay(request, sent) if payer else sent(request))
        log.debug("model.probe", step=request.address.step, well=ill is None)
        return ill
