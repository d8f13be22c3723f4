"""A short look at a model: a few questions, at most thirty calls, in less than a minute.

Promises: the model is asked as a vote asks it, so that what it takes is found and used as there; what it sends beside
its draws (probes) is counted with them. The look ends in time, whatever the model does, and says what it has seen
until then. Nothing is kept but what the process itself remembers of a server.

Not covered: what it means (`findings.py`); models that read no questions, but steps or prompts of a task.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from maker.api.check.findings import OPTIONS, STOPPED_AT, Findings, Seen, answers
from maker.api.opened import opened
from maker.api.sync import twin
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.flags import cut_off, thoughtful
from maker.decision.sample import AnyModel, Book, Failure, Model, Reply, Request, Sample, Traits, desk, readable
from maker.errors import MakerError, TaskError, ungrouped
from maker.models import style_of
from maker.models.own import failure_of
from maker.models.takes import refused_in
from maker.sending.draw import Draw

MOST_CALLS = 30
SECONDS = 55.0
PATIENCE = 12.0  # seconds of failures that name no wait: a model over HTTP needs less to know that nobody is there
PAUSE = 1.0  # seconds before the first is tried again
AT_ONCE = 8
TEMPERATURE = 0.7
FIRST_CAP, THINKING_CAP, SHORT_CAP = 128, 4096, 48  # tokens of a reply

# In a form that models which only continue a text can read, too.
SUM = "Q: What is 2 + 2? Give the number alone.\nA:"
WORDS = "Q: Make up a list of eight random words, separated by commas.\nA:"
CAPITAL = "Q: What is the capital of France?\nA:"
SCHEMA = {"type": "string", "enum": list(OPTIONS)}


async def check(
    model: AnyModel, *, progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Findings:  # fmt: skip
    """Look at a model and return what it is like; that it cannot be reached is among the findings.

    model: a specification, or a model or callable, which stays open. progress: called with the calls made, of how
    many at most. clock, sleep: of what is waited for between questions.

    Raises TaskError for an unknown specification and for a model that reads no questions, ModelError for one that
    cannot be made. Cancelled, it leaves nothing open.
    """
    spec = model if isinstance(model, str) else None
    if style_of(model) is not None:
        raise TaskError(f"check: {Traits.name_of(model)} reads prompts of tasks in one style, and no question can be "
                        "put to it. `maker demo` tries it, or `maker estimate hanoi --model neural`.")  # fmt: skip
    async with opened(check, model, {}) as (senders, _, _):
        traits = senders.own.traits
        if traits.needs_truth:
            raise TaskError(f"check: {traits.name} is simulated and answers steps of a task, not questions. "
                            "`maker estimate TASK --model MODEL` tries it.")  # fmt: skip
        seen = await Visit(senders.own.model, clock, sleep, progress).look()
    return Findings.of(seen, spec)


check_sync = twin(check)


class Visit:
    """One look at a model. It is the desk where the model's probes are paid for: by the count of calls alone."""

    batches: Book | None = None

    def __init__(
        self, model: Model, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:  # fmt: skip
        traits = Traits.of(model)
        self.seen = Seen(traits.name, traits.prices is not None, cap=FIRST_CAP)
        self._model, self._clock, self._sleep, self._progress = model, clock, sleep, progress
        self._room = traits.room or (lambda: 0)
        self._ends = clock() + SECONDS
        self._asked = 0
        self._failed: Failure | None = None

    async def look(self) -> Seen:
        """Ask the questions, as long as there is time, and return what came."""
        seen, began = self.seen, self._clock()
        at = desk.set(self)
        try:
            async with asyncio.timeout(SECONDS):
                await self._questions()
        except TimeoutError:
            seen.ended = f"no more was asked after {SECONDS:g} s"
        except Stop as stop:
            seen.ended = str(stop)
        finally:
            desk.reset(at)
        if seen.first is None:
            late = f"no reply came within {SECONDS:g} s: ask a faster model, or let this one think less"
            seen.first = self._failed or Failure("transient", late)
        seen.seconds = self._clock() - began
        return seen

    async def _questions(self) -> None:
        seen = self.seen
        first = await self._first()
        if not answers(first):
            return
        assert isinstance(first, Sample), "it holds an answer"
        seen.cap = THINKING_CAP if thoughtful(first) else SHORT_CAP
        for seed in (1, 1, 2):
            began = self._clock()
            reply = await self.ask(WORDS, seed)
            if isinstance(reply, Sample):
                seen.alone_seconds.append(self._clock() - began)
            seen.alone.append(reply)
        seen.formed = await self.ask(CAPITAL, schema=SCHEMA)
        seen.stopped = await self.ask(WORDS, stop=(STOPPED_AT,))
        await self._crowd()

    async def _first(self) -> Reply:
        """Ask the first question: once more, with other settings, where the reply met its limit of tokens."""
        seen = self.seen
        reply = seen.first = await self.ask(SUM)
        if isinstance(reply, Sample) and cut_off(reply):
            if thoughtful(reply):
                seen.cap = THINKING_CAP
            else:  # it goes on and on, as models do that only continue a text
                seen.stop = ("\n",)
            reply = seen.first = await self.ask(SUM)
        return reply

    async def _crowd(self) -> None:
        """Ask several at once: as many as would be answered in time one by one."""
        seen = self.seen
        alone = max(seen.alone_seconds, default=0.0)
        left = self._ends - self._clock()
        count = min(AT_ONCE, MOST_CALLS - seen.calls, int(left / alone) if alone else AT_ONCE)
        if count < 2:
            seen.ended = "too slow to ask several at once within a minute"
            return
        began = self._clock()
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self.ask(WORDS, 3 + i, patient=False)) for i in range(count)]
        seen.crowd = [one.result() for one in asked]
        seen.crowd_seconds = self._clock() - began

    async def ask(
        self, prompt: str, seed: int = 1, *, schema: dict[str, Any] | None = None, stop: tuple[str, ...] = (),
        patient: bool = True,
    ) -> Reply:  # fmt: skip
        """Return the reply to a question; patient: what passes is waited for. Raises Stop where the calls are used."""
        self._asked += 1
        stops = (*self.seen.stop, *stop)
        draw = Draw(Request(Address("check", 0, self._asked), prompt, seed, TEMPERATURE, self.seen.cap, stops, schema))
        began = self._clock()
        while True:
            draw.have_room(self._room())
            reply = await self._draw(draw.request)
            if isinstance(reply, Sample) or reply.kind in ("poison", "fatal"):
                return reply
            if reply.kind == "again":
                continue
            self._failed = reply
            waited = self._clock() - began
            wait = max(reply.wait or PAUSE, waited / 2)  # longer each time: calls are counted
            if not patient or (not reply.wait and waited >= PATIENCE) or self._clock() + wait >= self._ends:
                return reply
            await self._sleep(wait)

    async def _draw(self, request: Request) -> Reply:
        """Draw once; whatever a foreign model raises is a failure of this call."""
        self._count()
        try:
            (reply,) = readable(await self._model.draw([request]), 1)
        except (MakerError, Stop):
            raise
        except Exception as error:  # noqa: BLE001 -- a model that is not ours
            return failure_of(error)
        self._book(reply)
        return reply

    def _count(self) -> None:
        if self.seen.calls >= MOST_CALLS:
            raise Stop("max_calls", f"no more was asked after {MOST_CALLS} calls")
        self.seen.calls += 1
        if self._progress is not None:
            self._progress(self.seen.calls, MOST_CALLS)

    def _book(self, reply: Reply) -> None:
        self.seen.tokens += (reply.tokens_in or 0) + (reply.tokens_out or 0)

    # -- the desk -----------------------------------------------------------------------------------------

    async def pay(self, request: Request, send: Callable[[Request], Awaitable[Reply]]) -> Reply:
        """Send a probe, as one of the calls."""
        self._count()
        reply = await send(request)
        self._book(reply)
        return reply

    def wait(self, wait: Awaitable[None]) -> Awaitable[None]:
        """Await a wait."""
        return wait

    def found(self, model: str, takes: Mapping[str, Any]) -> None:
        """Keep what the model was found to take; of several servers, what any of them refuses."""
        self.seen.takes = {**takes, "refused": sorted({*refused_in(self.seen.takes), *refused_in(takes)})}

    def recall(self, model: str) -> Mapping[str, Any] | None:
        """Return nothing: a look begins without what others found."""
        return None
