"""Is the endpoint well? A short request with the settings of one that failed tells.

Promises: at most one probe a minute, whoever asks; those who ask meanwhile share its answer, and get
one even when the asker that sent it is cancelled. `calls` and the tokens count what the probes cost, since
no dispatcher sees them.

Not covered: what follows from the answer (`openai.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from maker.log import log
from maker.models.openai_refusal import Trouble
from maker.models.openai_reply import Said
from maker.sample import Failure, Request, Sample

PROBE_EVERY = 60.0  # seconds
PROBE_PROMPT = "Reply with the word OK."
Send = Callable[[Request], Awaitable[Said | Trouble]]
_INTERRUPTED = Trouble(Failure("transient", "the probe was interrupted"))


class Prober:
    """Asks the endpoint, and counts what that costs. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = self.tokens_in = self.tokens_out = 0
        self._clock = clock
        self._last: tuple[float, asyncio.Future[Trouble | None]] | None = None

    def bill(self) -> tuple[int, int, int]:
        """Return calls, tokens in and tokens out since the last bill."""
        bill = self.calls, self.tokens_in, self.tokens_out
        self.calls = self.tokens_in = self.tokens_out = 0
        return bill

    async def ask(self, request: Request, send: Send) -> Trouble | None:
        """Return what ails the endpoint, None if nothing. `send` takes a request and returns what came of it."""
        now = self._clock()
        if self._last is not None and now - self._last[0] < PROBE_EVERY:
            return await asyncio.shield(self._last[1])
        answer: asyncio.Future[Trouble | None] = asyncio.get_running_loop().create_future()
        self._last = now, answer
        found: Trouble | None = _INTERRUPTED
        try:
            found = await self._probe(replace(request, prompt=PROBE_PROMPT), send)
        finally:
            answer.set_result(found)
            if found is _INTERRUPTED:
                self._last = None
        return found

    async def _probe(self, request: Request, send: Send) -> Trouble | None:
        self.calls += 1
        outcome = await send(request)
        log.debug("model.probe", step=request.address.step, well=isinstance(outcome, Said))
        if isinstance(outcome, Trouble):
            return outcome
        for reply in outcome.samples:
            if isinstance(reply, Sample):
                self.tokens_in += reply.tokens_in or 0
                self.tokens_out += reply.tokens_out or 0
        return None
