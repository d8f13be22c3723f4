"""Is the endpoint well, what does it take, and which models has it? Short requests beside the draws tell.

Promises: what is found out is found out once for all who ask meanwhile, and at most once a minute; they get an answer
even when the asker that began is cancelled. A probe is paid for by whoever asked for the draws: held,
booked and durable as a draw is (`sample.desk`), so no cap is passed for it.

Not covered: what follows from the answer (`client.py`, `negotiate.py`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Generic, TypeVar

import orjson

from maker.decision.sample import Failure, Reply, Request, desk
from maker.log import log
from maker.models.openai.refusal import Asked, Trouble, clean

PROBE_EVERY = 60.0  # seconds
MOST_NAMES, SHOWN_NAMES = 1000, 5  # models that a server lists, and that a message names
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


def meant(listing: bytes, asked: Asked) -> str:
    """Return which of the models that a server lists may be meant by one that it does not list, for a person.

    "" where it lists that one, or none.
    """
    names = [clean(name, asked) for name in itertools.islice(_names(listing), MOST_NAMES)]
    model = asked.model
    if not names or any(name == model or name.endswith(f"/{model}") for name in names):
        return ""
    near = get_close_matches(model, names, SHOWN_NAMES, 0.5)
    if near:
        return f"It lists no model {model}: did you mean {' or '.join(near)}?"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"It lists no model {model}, but {', '.join(names[:SHOWN_NAMES])}{more}: take one of these"


def _names(listing: bytes) -> Iterator[str]:
    """Yield the names in a list of models, in either of the forms that servers have for it."""
    try:
        told = orjson.loads(listing)
    except orjson.JSONDecodeError:
        return
    items = (told.get("data") or told.get("models")) if isinstance(told, dict) else told
    for item in items if isinstance(items, list) else ():
        name = (item.get("id") or item.get("name")) if isinstance(item, dict) else item
        if isinstance(name, str) and name:
            yield name
