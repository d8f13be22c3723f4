"""Your own callable as a model: an async function, or a sync one, from a question to a reply. Or a client of yours.

The function gets the prompt as text, or messages where the question was asked in messages, and returns what the
model wrote (a str) or a Sample. What it raises becomes a Failure by one table, read from the error's status
and name, so that no client's library has to be imported: its traceback ends no run.

Not covered: stopping a sync function that is under way; it ends in its thread, for which neither a run nor the
interpreter waits, and its reply is dropped. Bills of failed calls, which only the function's own client knows.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any

from maker.decision.sample import Failure, Prices, Reply, Request, Sample, Traits
from maker.errors import MakerError, ungrouped
from maker.models.retry_after import retry_after
from maker.task.prompt import Messages

if TYPE_CHECKING:
    from maker.models.openai.client import OpenAI

_TRANSIENT = (408, 409, 425, 429)  # statuses that pass, with all of 500 and above
_FATAL = (401, 403, 404)  # statuses that no request gets past


class Own:
    """A callable behind the contract of a model. Every draw is one call of it, as many at once as the limits allow."""

    lockstep = False

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        self._function, self.name = function, name
        self._awaited = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 -- the method is looked at, not tested for
        )

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Return one sample or failure for each request, in order. Cancelled, it cancels the async calls."""
        if len(requests) == 1:
            return [await self._one(requests[0])]
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(self._one(request)) for request in requests]
        return [call.result() for call in calls]

    async def _one(self, request: Request) -> Reply:
        asked = request.messages if isinstance(request.prompt, Messages) else request.prompt
        try:
            said = self._function(asked) if self._awaited else await _in_a_thread(self._function, asked)
            if inspect.isawaitable(said):
                said = await said
        except MakerError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a foreign client raises is a failure of this call
            return failure_of(error)
        if isinstance(said, (Sample, Failure)):
            return said
        if said is None or isinstance(said, str):
            return Sample(said)
        return Failure("fatal", f"{self.name} returned {type(said).__name__}: return the reply as str, or a Sample")


def from_callable(function: Callable[[Any], Any], *, name: str | None = None) -> Own:
    """Return a model that asks `function`, async or sync (then in threads): prompt or messages -> str or Sample.

    name: part of a run's fingerprint; by default the function's own.
    """
    return Own(function, name or Traits.name_of(function))


def from_client(
    client: Any, name: str, *, extra: Mapping[str, Any] | None = None, timeout: float = 120.0,
    concurrency: int | None = None, prices: Prices | Mapping[str, float] | None = None,
) -> OpenAI:  # fmt: skip
    """Return the model `name` that is asked through a client: an `openai.AsyncOpenAI`, or `litellm.acompletion`.

    A `functools.partial` of the latter holds further arguments, and a litellm Router's `acompletion` will do, too.
    The other settings are those of `openai_model`. What the server does not take is found out and left out as
    for a model over HTTP; the client stays open, and belongs to the event loop that it was first used in.

    Raises ModelError for another object; nothing is sent yet.
    """
    package = importlib.import_module("maker.models.openai")  # what speaks HTTP is loaded only by those who need it
    wire = importlib.import_module("maker.models.openai.http.borrowed").Borrowed.of(client, name)
    made: OpenAI = package.OpenAI(
        "", name, wire=wire, extra=extra, timeout=timeout, concurrency=concurrency, prices=prices
    )
    return made


async def _in_a_thread(function: Callable[[Any], Any], asked: Any) -> Any:
    """Call a function in a thread of its own. Those of a pool are waited for when the loop ends; this one is not."""
    said: Future[Any] = Future()
    said.set_running_or_notify_cancel()  # whoever waits may be cancelled, the call cannot be

    def call() -> None:
        try:
            said.set_result(function(asked))
        except BaseException as error:  # noqa: BLE001 -- it is raised where the reply is waited for
            said.set_exception(error)

    Thread(target=copy_context().run, args=(call,), name="maker: own model", daemon=True).start()
    return await asyncio.wrap_future(said)


def failure_of(error: Exception) -> Failure:
    """Return the failure that a client's error means; no word of the error is repeated, for it may hold a key.

    401, 403, 404: fatal. 408, 409, 425, 429, 500 and above: transient, with the Retry-After of its response. Other
    statuses from 400 on: poison. Without a status, such as a lost connection or a time-out: transient.
    """
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    what = f"the model's own function raised {type(error).__name__}"
    if not isinstance(status, int):
        return Failure("transient", what, None, None, None)
    what = f"{what} (status {status})"
    if status in _FATAL:
        return Failure("fatal", what + ". Check its key and the model's name")
    if status in _TRANSIENT or status >= 500:
        headers = getattr(getattr(error, "response", None), "headers", None)
        return Failure("transient", what, retry_after(headers) if isinstance(headers, Mapping) else None)
    return Failure("poison", what)
