"""One exchange through a client that the user has, in place of a connection of ours: the official SDK's, or litellm's.

The client asks the server, with its own key, certificates and proxies; what comes back is read as any reply is
(`reply.py`), and an error with a status as the reply that it stands for, words, waits and all. An error's own text is
never repeated: it may hold a key. The client's own repetitions are turned off: they would be attempts nobody counts.

Not covered: closing the client, which is the user's; streaming; plain completions.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson

from maker.decision.sample import Failure, Reply
from maker.errors import ModelError
from maker.models.openai.http.reach import secrets_in
from maker.models.openai.refusal import Asked, Trouble, bill_unknown
from maker.models.openai.reply import read_reply
from maker.models.openai.target import Target

_KEYS = ("KEY", "TOKEN", "SECRET")  # what the name of a variable that holds a key ends with


class Answer(NamedTuple):
    """What a client brought back, as it came over the network."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Borrowed:
    """A client behind the interface of a wire. ask: sends the fields of a body. secrets: never repeated."""

    def __init__(
        self, target: Target, ask: Callable[[dict[str, Any]], Awaitable[Answer]], secrets: tuple[str, ...] = ()
    ) -> None:
        self.target, self._ask, self.secrets = target, ask, secrets

    @classmethod
    def of(cls, client: Any, model: str) -> Borrowed:
        """Return the way through a client: an AsyncOpenAI, or a function such as litellm's `acompletion`.

        Raises ModelError for another object.
        """
        if callable(client):
            there = f"the client of {model}"
            return cls(Target(there, there, model, "chat", model), _called(client), _keys_near(client))
        try:
            once = client.with_options(max_retries=0)
            create = once.chat.completions.with_raw_response.create
            if not inspect.iscoroutinefunction(inspect.unwrap(once.chat.completions.create)):
                raise ModelError("the client is a sync one: give openai.AsyncOpenAI, or wrap a function of yours "
                                 "with maker.models.from_callable")  # fmt: skip
            secrets = secrets_in({"api-key": once.api_key, **once.default_headers})
            return cls(Target.of(str(once.base_url), model), _sdk(create), secrets)
        except AttributeError:
            raise ModelError(
                f"a {type(client).__name__} is no client: give openai.AsyncOpenAI(...), or litellm.acompletion"
            ) from None

    async def exchange(
        self, body: bytes, asked: Asked, seconds: float, noticed: Callable[[int, Mapping[str, str]], None]
    ) -> list[Reply] | Trouble:
        """Ask once and return what came of it within `seconds`; `noticed` sees status and headers."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(orjson.loads(body))
        except Exception as error:  # noqa: BLE001 -- whatever a foreign client raises is a failure of this call
            told = _answer_in(error)
            if told is None:
                return _trouble(error, asked.where, seconds)
            answer = told
        noticed(answer.status, answer.headers)
        return read_reply(answer.status, answer.headers, answer.body, asked, time.monotonic() - began)

    async def listed(self, seconds: float) -> bytes:
        """Return nothing: which models there are is not asked through another's client."""
        return b""

    async def aclose(self) -> None:
        """Leave the client open: it was not opened here."""


def _sdk(create: Callable[..., Awaitable[Any]]) -> Callable[[dict[str, Any]], Awaitable[Answer]]:
    """Return what asks by the official SDK: our fields go into the body as they are, whatever its version knows."""

    async def ask(fields: dict[str, Any]) -> Answer:
        model, messages = fields.pop("model"), fields.pop("messages")
        raw = await create(model=model, messages=messages, extra_body=fields)
        return Answer(raw.http_response.status_code, raw.http_response.headers, raw.http_response.content)

    return ask


def _called(complete: Callable[..., Awaitable[Any]]) -> Callable[[dict[str, Any]], Awaitable[Answer]]:
    """Return what asks by a function that takes the fields as arguments and gives a chat completion."""

    async def ask(fields: dict[str, Any]) -> Answer:
        said = await complete(**fields, max_retries=0, num_retries=0)
        dump = getattr(said, "model_dump_json", None)
        return Answer(200, {}, orjson.dumps(said, default=str) if dump is None else dump().encode())

    return ask


def _keys_near(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the keys that a function may send: those bound to it, and those of the environment."""
    environment = {name: value for name, value in os.environ.items() if name.upper().endswith(_KEYS)}
    return secrets_in(getattr(function, "keywords", {})) + secrets_in(environment)


def _answer_in(error: Exception) -> Answer | None:
    """Return the reply that an error stands for, None for one that has no status."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or isinstance(status, bool) or status < 400:
        return None
    response = getattr(error, "response", None)
    headers, body = getattr(response, "headers", None), getattr(response, "content", None)
    if not isinstance(body, bytes) or not body:
        body = orjson.dumps({"error": {"message": type(error).__name__}})
    return Answer(status, headers if isinstance(headers, Mapping) else {}, body)


def _trouble(error: Exception, where: str, seconds: float) -> Trouble:
    """Return what an error without a status means: time is up, or no connection."""
    name = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return Trouble(bill_unknown(f"{where} sent no whole reply within {seconds:g} s"), own=True, slow=True)
    return Trouble(Failure("transient", f"{where} cannot be reached: its client raised {name}"), alien=True)
