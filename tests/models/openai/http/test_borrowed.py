"""A client of the user's as a model: what it brings back is read as any reply, its errors as what they stand for."""

from __future__ import annotations

import asyncio
import functools
import json
from types import SimpleNamespace

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Failure, Request
from maker.errors import ModelError
from maker.models import from_client
from maker.models.openai import client as client_module
from maker.models.openai.negotiate import FOUND
from maker.sending import dispatcher
from maker.testing import FaultServer, Reply, error

CANARY = "sk-canary-77aa5f1e"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Make pauses short, and forget what servers were found to take."""
    monkeypatch.setattr(dispatcher, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(client_module, "GRACE", 0.0)
    FOUND.clear()


def request(**more):
    """Return a draw."""
    return Request(Address("r", 0, 0), "what?", 7, **more)


# -- the official SDK ----------------------------------------------------------------------------------


def by_sdk(server, work, **settings):
    """Do some work with a model that the official client asks."""
    openai = pytest.importorskip("openai")

    async def main():
        async with openai.AsyncOpenAI(base_url=server.url, api_key=CANARY, **settings) as client:
            return await work(from_client(client, "m", extra={"reasoning_effort": "low"}))

    return asyncio.run(main())


def test_the_official_client_is_a_model():
    """A vote through it asks the server with its key and our fields; usage, id, logprob and thought are read."""

    async def work(model):
        verdict = await maker.vote("what?", model=model, k=2, system="Be brief.")
        (sample,) = await model.draw([request(schema=SCHEMA, stop=("x",))])
        return verdict, sample

    said = Reply("<think>hm</think>OK", fields={"id": "chatcmpl-7aa5f1e0c0ffee42"})
    with FaultServer([None, None, said]) as server:
        verdict, sample = by_sdk(server, work)
    assert verdict.answer == "OK"
    assert sample.tokens_out is not None and sample.latency is not None
    assert (sample.text, sample.reasoning, sample.response_id) == ("OK", "hm", "chatcmpl-7aa5f1e0c0ffee42")
    assert (sample.model, sample.finish_reason) == ("m", "stop")
    received = server.requests[-1]
    assert received.headers["Authorization"] == f"Bearer {CANARY}"
    assert received.body["response_format"]["type"] == "json_schema"
    assert (received.body["stop"], received.body["reasoning_effort"], received.body["seed"]) == (["x"], "low", 7)


@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (error(401, "no"), "fatal", None), (error(429, "slow", headers={"Retry-After": "3"}), "transient", 3.0),
        (error(402, "pay"), "fatal", None), (error(500, "oh"), "transient", None),
        (error(503, "busy", headers={"Retry-After": "2"}), "transient", 2.0), (Reply(hang=True), "transient", None),
        (Reply(reset=True), "fatal", None), (Reply(body=b"<html>"), "fatal", None),
    ],
    ids=["401", "429", "402", "500", "503", "a hang", "a reset at the start", "a page"],
)  # fmt: skip
def test_what_the_official_client_raises_is_a_failure(reply, kind, wait):
    """Each is what the reply itself would be; nothing is raised, asked again by the client, or said with the key."""

    async def work(model):
        model.timeout = 0.05 if reply.hang else 20.0
        return await model.draw([request()])

    with FaultServer(lambda received: reply) as server:
        (failure,) = by_sdk(server, work)
    assert (failure.kind, failure.retry_after, len(server.requests)) == (kind, wait, 1)
    assert CANARY not in repr(failure)


@pytest.mark.parametrize("status", [400, 403])
def test_what_a_server_does_not_take_is_found_out_through_the_official_client(status):
    """A field that is refused is left out; a refusal of everything is told in the server's words, without the key."""

    def picky(received):
        return error(status, "temperature is not taken") if "temperature" in received.body else None

    with FaultServer(picky) as server:
        assert by_sdk(server, lambda model: maker.vote("what?", model=model, k=2)).answer == "OK"
    FOUND.clear()
    never = FaultServer(lambda received: error(status, f"never, {CANARY}"))
    with never as server, pytest.raises(ModelError, match=r"never, \*\*\*"):
        by_sdk(server, lambda model: maker.vote("what?", model=model, k=2))


def test_the_official_azure_client_asks_the_deployment():
    """It keeps its own addresses and its own header of the key, which is scrubbed too."""
    openai = pytest.importorskip("openai")

    async def main(endpoint):
        async with openai.AsyncAzureOpenAI(azure_endpoint=endpoint, api_key=CANARY, api_version="v") as client:
            return await from_client(client, "prod").draw([request()])

    with FaultServer([Reply(f"say {CANARY}")]) as server:
        (sample,) = asyncio.run(main(f"http://127.0.0.1:{server.port}"))
    assert server.requests[0].path == "/openai/deployments/prod/chat/completions"
    assert (server.requests[0].headers["api-key"], sample.text) == (CANARY, "say ***")


def test_another_object_is_refused():
    """A sync client and what is none are told at once."""
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url="http://h/v1", api_key=CANARY)
    with client, pytest.raises(ModelError, match=r"give openai\.AsyncOpenAI") as caught:
        from_client(client, "m")
    assert CANARY not in str(caught.value)
    with pytest.raises(ModelError, match=r"a object is no client: give openai\.AsyncOpenAI"):
        from_client(object(), "m")


# -- a function like litellm's -------------------------------------------------------------------------


class Raised(Exception):
    """An error with the shape of litellm's: a status, and a response that was made up, without a body."""

    def __init__(self, status, headers=None):
        super().__init__(f"bad key {CANARY}")
        self.status_code = status
        self.response = SimpleNamespace(headers=headers or {}, content=b"")


class Litellm:
    """A module with the shape of litellm: replies and errors in order of the script, then good replies."""

    def __init__(self, *script):
        self.script, self.asked = iter(script), []

    async def acompletion(self, model, messages, **fields):
        """Answer as litellm does, with an object that pydantic can write."""
        self.asked.append({"model": model, "messages": messages, **fields})
        told = next(self.script, None)
        if isinstance(told, Exception):
            raise told
        whole = {"id": "chatcmpl-7aa5f1e0c0ffee42", "model": "other", "choices": [
            {"finish_reason": "stop", "message": {"content": "OK"}}], "usage": {"prompt_tokens": 3,
            "completion_tokens": 2}}  # fmt: skip
        return SimpleNamespace(model_dump_json=lambda: json.dumps(whole))


def drawn(module, **more):
    """Draw once through a module's function."""
    return asyncio.run(from_client(module.acompletion, "anthropic/x").draw([request(**more)]))[0]


def test_a_function_like_litellms_is_a_model():
    """Fields are its arguments, its own repetitions are off, and its reply is read by the one reader."""
    module = Litellm()
    sample = drawn(module)
    asked = module.asked[0]
    assert (asked["model"], asked["messages"]) == ("anthropic/x", [{"role": "user", "content": "what?"}])
    assert (asked["temperature"], asked["seed"], asked["max_retries"], asked["num_retries"]) == (0.1, 7, 0, 0)
    assert (sample.text, sample.tokens_in, sample.tokens_out, sample.model) == ("OK", 3, 2, "other")


@pytest.mark.parametrize(
    ("raised", "kind", "wait"),
    [
        (Raised(401), "fatal", None), (Raised(429, {"retry-after": "4"}), "transient", 4.0),
        (Raised(500), "transient", None), (Raised(503), "transient", None), (Raised(408), "transient", None),
        (TimeoutError(CANARY), "transient", None), (type("APITimeoutError", (Exception,), {})(), "transient", None),
        (ConnectionError(CANARY), "fatal", None), (ValueError(CANARY), "fatal", None),
    ],
    ids=["401", "429", "500", "503", "408", "time is up", "the client's time-out", "no connection", "another"],
)  # fmt: skip
def test_what_such_a_function_raises_is_a_failure_by_its_status(raised, kind, wait):
    """The status decides; without one it is no connection, for which a server has its time to show itself."""
    failure = drawn(Litellm(raised))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry_after) == (kind, wait)
    assert CANARY not in repr(failure)


@pytest.mark.parametrize("where", ["bound to it", "in the environment"])
def test_the_keys_of_such_a_function_are_not_repeated(where, monkeypatch):
    """What a server says of a key is told without it, though the function alone sends it."""
    monkeypatch.setenv("SOME_API_KEY", CANARY if where == "in the environment" else "")
    refused = Raised(401)
    refused.response.content = b'{"error": {"message": "bad key %s"}}' % CANARY.encode()
    bound = {"api_key": CANARY} if where == "bound to it" else {}
    module = Litellm(refused)
    model = from_client(functools.partial(module.acompletion, **bound), "anthropic/x")
    (failure,) = asyncio.run(model.draw([request()]))
    assert "bad key ***" in failure.detail
    assert CANARY not in f"{failure} {model!r} {model.name}"


def test_a_request_that_such_a_function_refuses_for_good_is_poison():
    """A 400 for one prompt where a short one succeeds is that request's own."""
    module = Litellm()

    async def acompletion(messages, **fields):
        if messages[0]["content"] == "a long one":
            raise Raised(400)
        return await module.acompletion(messages=messages, **fields)

    async def main():
        model = from_client(acompletion, "anthropic/x")
        await model.draw([request()])
        long = Request(Address("r", 1, 0), "a long one", 7)
        return [(await model.draw([long]))[0] for _ in range(2)]

    assert [failure.kind for failure in asyncio.run(main())] == ["again", "poison"]


def test_a_function_that_returns_no_chat_completion_is_told():
    """It is no reply, and in the end no model."""

    async def acompletion(model, messages, **fields):
        return "OK"

    module = SimpleNamespace(acompletion=acompletion)
    assert drawn(module).kind == "fatal"


def test_cancelling_a_draw_cancels_the_client():
    """Nothing of the call is left, and nothing is logged about it."""
    ended = []

    async def acompletion(**fields):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main():
        draw = asyncio.ensure_future(from_client(acompletion, "x").draw([request()]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        draw.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draw

    asyncio.run(main())
    assert ended == [True]
