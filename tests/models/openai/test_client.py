"""The HTTP model against a real server that misbehaves: every fault is survived, and no key gets out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

import maker
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Model, Request, Sample
from maker.errors import ModelError, Undecided
from maker.models.openai.client import GRACE, OpenAI
from maker.models.openai.health import PROBE_PROMPT
from maker.models.openai.http import gate as gate_module
from maker.models.openai.http import wire
from maker.models.openai.http.wire import _trouble
from maker.models.providers import from_spec
from maker.sending import dispatcher as settle
from maker.sending import outage
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import ATTEMPTS, Dispatcher
from maker.testing import FaultServer, Reply, error

CANARY = "sk-canary-5f1e77aa"
DEADLINE = 0.3  # seconds, of tests that wait for it


def alone(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own, and see that it leaves no task behind."""

    @functools.wraps(test)
    def run(*args: object, **options: object) -> None:
        async def main() -> None:
            await test(*args, **options)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())

    return run


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts a hundred times shorter."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(outage, "FIRST_TRY", 0.001)
    monkeypatch.setattr(outage, "LONGEST_TRY", 0.02)
    monkeypatch.setattr(gate_module, "FIRST_WINDOW", 0.001)
    monkeypatch.setattr(gate_module, "LONGEST_WINDOW", 0.02)


class on:  # noqa: N801 -- reads as a word: `async with on(server) as model`
    """A model on a server, closed at the end."""

    def __init__(self, server: FaultServer, name: str = "m", **options: object) -> None:
        self.model = OpenAI(server.url, name, **options)  # type: ignore[arg-type]

    async def __aenter__(self) -> OpenAI:
        return self.model

    async def __aexit__(self, *reason: object) -> None:
        await self.model.aclose()


def request(draw: int = 0, prompt: str = "what now?", **changes: object) -> Request:
    """Return a draw of step 3."""
    return Request(Address("run", 3, draw), prompt, 1000 + draw, **changes)  # type: ignore[arg-type]


async def one(model: OpenAI, draw: int = 0, **changes: object) -> Sample | Failure:
    """Draw once."""
    return (await model.draw([request(draw, **changes)]))[0]


def kind(reply: Sample | Failure) -> str:
    """Return "sample", or the kind of the failure."""
    return reply.kind if isinstance(reply, Failure) else "sample"


class Clock:
    """Monotonic seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# -- good replies ----------------------------------------------------------------------------------------


@alone
async def test_a_draw_is_a_request_and_a_sample():
    """What is asked arrives as asked; what is said is in the sample, and the model is a Model."""
    async with FaultServer(["yes"]) as server, on(server, key="sk-x") as model:
        assert isinstance(model, Model)
        assert model.lockstep is False
        reply = await one(model, stop=("\n",), temperature=0.7, max_tokens=9)
        assert isinstance(reply, Sample)
        assert (reply.text, reply.tokens_in, reply.tokens_out, reply.model) == ("yes", 3, 1, "m")
        assert reply.response_id == f"fault-{server.port}-{0:012}"
        assert reply.logprob == pytest.approx(-0.693147)
        assert 0 < reply.latency < 5
        received = server.requests[0]
        assert received.path == "/v1/chat/completions"
        assert received.headers["Authorization"] == "Bearer sk-x"
        assert received.body == {
            "model": "m", "messages": [{"role": "user", "content": "what now?"}], "temperature": 0.7,
            "max_tokens": 9, "stop": ["\n"], "seed": 1000, "logprobs": True,
        }  # fmt: skip


@alone
async def test_plain_completions_for_base_models():
    """An address that ends in /completions is posted the bare prompt."""
    async with FaultServer(["yes"]) as server, contextlib.aclosing(OpenAI(f"{server.url}/completions", "m")) as model:
        assert kind(await one(model)) == "sample"
        assert server.requests[0].path == "/v1/completions"
        assert (server.requests[0].body["prompt"], server.requests[0].body["logprobs"]) == ("what now?", 1)
        assert "Authorization" not in server.requests[0].headers


@alone
async def test_several_draws_come_in_order():
    """Draws of one call run side by side and come back in their order, whatever the order of arrival."""
    async with (
        FaultServer(lambda r: Reply(r.prompt, delay=0.02 * (3 - int(r.prompt)))) as server,
        on(server) as model,
    ):
        replies = await model.draw([request(draw, prompt=str(draw)) for draw in range(4)])
        assert [reply.text for reply in replies] == ["0", "1", "2", "3"]
        assert await model.draw([]) == []


@alone
async def test_draws_of_one_prompt_can_share_a_call():
    """With n = 3, three draws are one request; ids differ and the tokens are the server's."""
    async with FaultServer() as server, on(server, n=3) as model:
        replies = await model.draw([request(draw) for draw in range(5)])
        assert sorted(r.body.get("n", 1) for r in server.requests) == [2, 3]
        assert len({reply.response_id for reply in replies}) == 5
        assert sum(r.tokens_out for r in replies) == server.ledger.tokens_out
        assert sum(r.tokens_in for r in replies) == server.ledger.tokens_in


@alone
async def test_compressed_replies_are_read():
    """A server that compresses, as asked, is understood."""
    good = b'{"choices": [{"message": {"content": "yes"}}]}'
    async with (
        FaultServer([Reply(body=zlib.compress(good), headers={"Content-Encoding": "deflate"})]) as server,
        on(server) as model,
    ):
        assert (await one(model)).text == "yes"
        assert server.requests[0].headers["Accept-Encoding"] == "gzip, deflate"


@alone
async def test_a_vote_through_faults_is_the_vote_without_them():
    """Bursts of every transient fault change neither verdict nor samples: draws and seeds are repeated."""
    faults = [
        500, 502, 503, 504, 529, 429, 408, 409, 425, Reply(reset=True), Reply(cut=30), Reply(cut=30, framed=False),
        Reply(fields={"choices": None}), Reply(fields={"choices": []}), Reply(fields={"error": {"message": "busy"}}),
        error(429, headers={"Retry-After": "0"}), error(503, headers={"Retry-After": "garbage"}), Reply(body=b""),
        error(429, headers={"Retry-After": "inf"}), error(429, headers={"retry-after-ms": "5"}),
    ]  # fmt: skip
    seen: dict[int, int] = {}

    def honest(received):
        return "north" if received.body["seed"] % 10 < 7 else "south"

    def troubled(received):
        seed = received.body["seed"]
        seen[seed] = seen.get(seed, 0) + 1
        return faults[(seed + seen[seed]) % len(faults)] if seen[seed] < 6 else honest(received)

    verdicts = []
    for script in (honest, troubled):
        async with FaultServer(script) as server, on(server) as model:
            verdicts.append(await maker.vote("where?", model=model, k=4))
    assert replace(verdicts[0], usage=None) == replace(verdicts[1], usage=None)
    assert max(seen.values()) == 6


@alone
async def test_arrival_order_does_not_matter():
    """Replies whose latency depends on the answer give the verdict of equal latencies."""
    verdicts = []
    for delays in ({}, {"north": 0.02}, {"south": 0.02}):

        def script(received, delays=delays):
            text = "north" if received.body["seed"] % 10 < 6 else "south"
            return Reply(text, delay=delays.get(text, 0))

        async with FaultServer(script) as server, on(server) as model:
            verdicts.append(await maker.vote("where?", model=model, k=5, seed=3))
    assert verdicts[0] == verdicts[1] == verdicts[2]


# -- one gate -------------------------------------------------------------------------------------------


@alone
async def test_a_refusal_slows_its_own_request_alone():
    """After one refusal the other models of the origin send at once, whatever wait it named; the wait is handed on."""
    async with (
        FaultServer([error(429, headers={"Retry-After": "60"})]) as server,
        on(server) as model,
        on(server, "other") as other,
    ):
        assert model._gate is other._gate
        assert (await one(model)).retry_after == 60
        drawn = await asyncio.gather(*(one(m, draw) for m in (model, other) for draw in range(8)))
        assert {kind(reply) for reply in drawn} == {"sample"}


def test_each_loop_has_a_gate_of_its_own():
    """One model at work in several loops asks the gate of each, and in the first again the one it had there."""
    model = OpenAI("http://127.0.0.1:9/v1", "m")

    async def gate() -> object:
        return model._gate

    with asyncio.Runner() as first, asyncio.Runner() as second:
        gates = [runner.run(gate()) for runner in (first, second, first, second)]
    assert gates[0] is gates[2]
    assert gates[1] is gates[3]
    assert gates[0] is not gates[1]


@alone
async def test_where_all_are_refused_everybody_waits():
    """Refusals of a whole round close the gate for the wait they named; what comes then is told what is left of it."""
    async with (
        FaultServer(lambda _: error(429, headers={"Retry-After": "60"})) as server,
        on(server, timeout=DEADLINE, concurrency=8) as model,
    ):
        await asyncio.gather(*(one(model, draw) for draw in range(8)))
        held = await one(model, 8)
        assert (kind(held), len(server.requests)) == ("transient", 8)
        assert 55 < held.retry_after < 62
        assert "asked for a pause" in held.detail


@alone
async def test_overload_lowers_what_is_out_at_once():
    """After a refusal of many at once the gate lets fewer through together, and more again with good replies."""
    out = most = 0

    async with FaultServer() as server, on(server, concurrency=16) as model:
        await asyncio.gather(*(one(model, draw) for draw in range(16)))
        server._next = lambda received: 429
        await asyncio.gather(*(one(model, draw) for draw in range(16)))
        assert model._gate.limit == 8

        exchange = model._wire.exchange

        async def counted(*args, **options):
            nonlocal out, most
            out += 1
            most = max(most, out)
            try:
                return await exchange(*args, **options)
            finally:
                out -= 1

        model._wire.exchange = counted
        server._next = lambda received: None
        await asyncio.gather(*(one(model, draw) for draw in range(16)))
        assert 8 <= most <= 10
        for _ in range(20):
            await asyncio.gather(*(one(model, draw) for draw in range(16)))
        assert model._gate.limit == 16


# -- deadlines and sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [Reply(hang=True), Reply(drip=0.05), Reply(delay=5), Reply("x" * 50, drip=0.01, framed=False)],
    ids=["hang", "drip", "delay", "drip-unframed"],
)
def test_every_attempt_ends_at_its_deadline(reply):
    """Hanging and dripping replies end at the deadline, their slots come back, and the others go on meanwhile."""

    @alone
    async def check() -> None:
        def script(received):
            return reply if received.prompt == "bad" else "fine"

        deadline = 0.5
        async with FaultServer(script) as server, on(server, timeout=deadline, concurrency=2) as model:
            began = time.monotonic()
            bad = asyncio.create_task(one(model, prompt="bad"))
            for draw in range(5):
                assert (await one(model, draw)).text == "fine"
            assert not bad.done(), "the others waited for it"
            failed = await bad
            assert deadline <= time.monotonic() - began < deadline + 2
            assert (kind(failed), failed.detail) == (
                "transient", f"http://127.0.0.1:{server.port} sent no whole reply within {deadline} s",
            )  # fmt: skip
            assert model._gate.out == 0

    check()


@alone
async def test_a_stopped_server_is_a_deadline():
    """A server that is stopped in its tracks (its port still takes connections) ends at the deadline."""
    with socket.socket() as stopped:
        stopped.bind(("127.0.0.1", 0))
        stopped.listen()
        model = OpenAI(f"http://127.0.0.1:{stopped.getsockname()[1]}/v1", "m", timeout=DEADLINE)
        began = time.monotonic()
        assert "no whole reply" in (await one(model)).detail
        assert time.monotonic() - began < DEADLINE + 2
        await model.aclose()


def bomb(size: int) -> bytes:
    """Return zeros, compressed to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"\0" * 2**20
    return b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(body=bomb(64 * 2**20), headers={"Content-Encoding": "gzip"}), "when unpacked"),
        (Reply(endless=b'{"id": "'), "larger than "),
        (Reply(endless=b"\0", headers={"Content-Encoding": "gzip"}), "damaged"),
        (Reply(body=b" " * (8 * 2**20 + 1)), "announces 8388609 bytes"),
        (Reply(body=b"{}", headers={"Content-Encoding": "br"}), "not asked for"),
        (Reply(headers={"X-Huge": "x" * 100_000}), "does not speak HTTP"),
        (Reply(headers={f"X-{i}": "x" * 100 for i in range(1000)}), "does not speak HTTP"),
    ],
    ids=["bomb", "endless", "endless-packed", "announced", "brotli", "huge-header", "many-headers"],
)
def test_sizes_are_capped(reply, words):
    """Bombs, endless bodies and huge headers end at their caps, and the next draw is served."""

    @alone
    async def check() -> None:
        async with FaultServer([reply]) as server, on(server, timeout=5) as model:
            failed = await one(model)
            assert kind(failed) == "transient"
            assert words in failed.detail
            assert kind(await one(model, 1)) == "sample"

    check()


@alone
async def test_a_large_reply_is_read_beside_the_loop(monkeypatch):
    """What takes long to be read is read in a thread, and what is short is not: nobody waits for either."""
    read, where = wire.read_reply, []

    def noted(*told):
        where.append(threading.current_thread() is threading.main_thread())
        return read(*told)

    monkeypatch.setattr(wire, "read_reply", noted)
    async with FaultServer(["x" * wire.LARGE, "x"]) as server, on(server) as model:
        assert [len((await one(model, draw)).text) for draw in range(2)] == [wire.LARGE, 1]
    assert where == [False, True]


# -- poison and probes ---------------------------------------------------------------------------------


def poisonous(received):
    """Refuse one prompt for ever and answer all others."""
    return error(400, "this prompt is against our policy") if received.prompt == "bad" else "fine"


@alone
async def test_a_request_that_always_fails_is_poison():
    """A request that the server calls wrong, while a probe succeeds, is a poison step; one search a minute."""
    clock = Clock()
    async with FaultServer(poisonous) as server, on(server, clock=clock) as model:
        failed = await asyncio.gather(*(one(model, draw, prompt="bad") for draw in range(5)))
        assert {kind(reply) for reply in failed} == {"poison"}
        assert "against our policy" in failed[0].detail
        probes = [received for received in server.requests if received.prompt == PROBE_PROMPT]
        assert len(probes) == model.negotiator.calls == 3, "bare, and the fields in two halves"
        clock.now += 59
        await one(model, prompt="bad")
        assert model.negotiator.calls == 3, "bare, and the fields in two halves"
        clock.now += 2
        await one(model, prompt="bad")
        assert model.negotiator.calls == 6
        with pytest.raises(Undecided, match="policy") as caught:
            await maker.vote("bad", model=model)
        assert caught.value.limit == "poison_step"


@alone
async def test_settings_that_always_fail_are_fatal():
    """When the probe fails in the same way, it is not the prompt: the run stops and says so."""
    async with FaultServer(lambda received: error(400, "temperature must be 1")) as server, on(server) as model:
        assert kind(await one(model)) == "again", "the field that is named is left out"
        failed = await one(model)
        assert kind(failed) == "fatal"
        assert "The shortest request meets it, too" in failed.detail


@alone
async def test_a_probe_that_meets_an_overload_blames_nobody():
    """When the probe meets a pause of the server, the request is tried again later."""
    script = [error(400, "odd"), error(500, "down")]
    async with FaultServer(script) as server, on(server) as model:
        assert kind(await one(model)) == "transient"


@alone
async def test_an_interrupted_probe_is_made_again():
    """Who waits for another's probe gets an answer even when that one is cancelled; the next probe is a new one."""

    def script(received):
        return Reply(hang=True) if received.prompt == PROBE_PROMPT and len(server.requests) < 6 else poisonous(received)

    async with FaultServer(script) as server, on(server, timeout=5) as model:
        asking = [asyncio.create_task(one(model, draw, prompt="bad")) for draw in range(3)]
        while model.negotiator.calls == 0 or len(server.requests) < 4:  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.005)
        prober = next(task for task in asking if "_send_probe" in str([f.f_code.co_name for f in frames(task)]))
        prober.cancel()
        others = await asyncio.gather(*(task for task in asking if task is not prober))
        assert {kind(reply) for reply in others} == {"transient"}
        await one(model)
        await one(model)
        assert kind(await one(model, prompt="bad")) == "poison"
        assert model.negotiator.calls == 2


def frames(task):
    """Return the frames of a waiting task, inner coroutines included."""
    found, awaited = [], task.get_coro()
    while awaited is not None and hasattr(awaited, "cr_frame"):
        found.append(awaited.cr_frame)
        awaited = awaited.cr_await
    return found


@pytest.mark.parametrize("reply", [500, Reply(cut=10), Reply(reset=True), Reply(fields={"choices": []})])
def test_one_bad_request_among_good_ones_becomes_poison(reply):
    """A request that brings its server down each time is poison at the last attempt; a success in between clears it."""

    @alone
    async def check() -> None:
        async with FaultServer(lambda r: reply if r.prompt == "bad" else "fine") as server, on(server) as model:
            kinds = []
            for attempt in range(ATTEMPTS):
                await one(model, attempt)
                kinds.append(kind(await one(model, prompt="bad")))
            assert kinds == ["transient"] * (ATTEMPTS - 1) + ["poison"]
            server._next = lambda received: None
            await one(model, prompt="bad")
            server._next = lambda received: reply
            assert kind(await one(model, prompt="bad")) == "transient"

    check()


@pytest.mark.parametrize(
    ("reply", "gone"),
    [
        (Reply(reset=True), True),
        (502, True),
        (503, True),
        (521, True),
        (500, False),
        (504, False),
        (Reply(cut=10), False),
    ],
)
def test_a_connection_that_is_broken_off_before_a_reply_tells_of_a_server_that_is_gone(reply, gone):
    """So do a gateway's statuses; a reply that was begun, a server's own error and a time-out do not."""

    @alone
    async def check() -> None:
        async with FaultServer([reply]) as server, on(server) as model:
            failure = await one(model)
            assert (failure.kind, failure.gone) == ("transient", gone)

    check()


@alone
async def test_a_request_that_always_brings_the_server_down_is_poison_though_nobody_else_asks():
    """What looks like an outage to the one who asks is told apart by a probe, at the tenth time."""
    async with FaultServer(lambda r: Reply(reset=True) if r.prompt == "bad" else "fine") as server, on(server) as model:
        await one(model)
        with pytest.raises(Stop) as caught:
            await Dispatcher(model, Limits(), Usage()).draw([request(prompt="bad")])
        assert caught.value.kind == "poison_step"
        assert len(server.requests) == 1 + ATTEMPTS + 1


@alone
async def test_a_long_burst_is_not_poison():
    """When everything fails, ten failures of one request are the server's: the run stops resumably."""
    async with FaultServer(lambda received: 500) as server, on(server) as model:
        kinds = {kind(await one(model)) for _ in range(2 * ATTEMPTS)}
        assert kinds == {"transient"}
        with pytest.raises(Stop, match="10 attempts failed") as caught:
            await Dispatcher(model, Limits(), Usage()).draw([request()])
        assert caught.value.kind == "model_lost"


# -- fields that a server does not take ------------------------------------------------------------------


@alone
async def test_refused_fields_are_left_out_from_then_on():
    """The token limit's name, logprobs, seeds and schemas go one by one, each after one complaint."""
    complaints = {
        "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "logprobs": "logprobs are not supported with this model",
        "seed": "Unknown field: seed",
        "response_format": "response_format of this type is not supported",
    }

    def picky(received):
        wrong = next((name for name in complaints if name in received.body), None)
        return error(400, complaints[wrong], param=wrong) if wrong else "fine"

    async with FaultServer(picky) as server, on(server) as model:
        kinds = [kind(await one(model, schema={"type": "integer"})) for _ in range(8)]
        assert kinds == ["again"] * 6 + ["sample"] * 2
        assert sorted(server.requests[-1].body) == ["max_completion_tokens", "messages", "model", "temperature"]
        assert model.negotiator.calls == 0


@alone
async def test_a_field_refused_by_many_at_once_is_dropped_once():
    """Requests that were on their way with the old name fail softly, and nothing is dropped that was not refused."""

    def picky(received):
        return error(400, "Unsupported parameter: max_tokens") if "max_tokens" in received.body else "fine"

    async with FaultServer(picky) as server, on(server) as model:
        assert {kind(reply) for reply in await asyncio.gather(*(one(model, i) for i in range(8)))} == {"again"}
        assert model.negotiator.dialect.tokens_name == "max_completion_tokens"
        assert model.negotiator.dialect.refused == frozenset()
        assert kind(await one(model)) == "sample"


# -- servers that are not there ------------------------------------------------------------------------


@alone
async def test_a_server_that_never_shows_is_fatal_after_ten_seconds():
    """Refused connections are waited out for 10 s from the first use; then the address is at fault."""
    clock = Clock()
    server = FaultServer()
    await server.start()
    await server.stop()
    model = OpenAI(server.url, "m", clock=clock)
    assert kind(await one(model)) == "transient"
    clock.now = GRACE - 0.1
    assert kind(await one(model)) == "transient"
    clock.now = GRACE
    failed = await one(model)
    assert kind(failed) == "fatal"
    assert "cannot be reached (Connection refused)" in failed.detail
    assert "Start the server, or check the address" in failed.detail
    await model.aclose()


@alone
async def test_a_server_that_was_there_is_waited_for():
    """Once anything was answered, a lost server is transient however long it takes, and its return is noticed."""
    clock = Clock()
    async with FaultServer([503]) as server, on(server, clock=clock) as model:
        assert kind(await one(model)) == "transient"
        await server.stop()
        clock.now = 100 * GRACE
        assert kind(await one(model)) == "transient"
        await server.start()
        assert kind(await one(model)) == "sample"


@alone
async def test_a_name_that_nobody_knows_is_said():
    """An unknown host is told from a refused connection."""
    model = OpenAI("http://nowhere.invalid/v1", "m", timeout=5)
    failed = await one(model)
    assert kind(failed) == "transient"
    assert "nowhere.invalid cannot be reached" in failed.detail
    await model.aclose()


@alone
async def test_a_host_that_cannot_be_is_fatal():
    """A host name that no name server can be asked for is told at once."""
    for host in ("a" * 70 + ".example", "a..example"):
        model = OpenAI(f"http://{host}/v1", "m", timeout=5)
        assert kind(await one(model)) == "fatal"
        await model.aclose()


@pytest.mark.parametrize("reply", [Reply(body=b"hello"), Reply(body={"status": "ok"}), Reply(reset=True)])
def test_something_else_at_that_address_is_fatal_after_ten_seconds(reply):
    """What answers, but never as this API does, is the wrong address; later on it is a passing trouble."""

    @alone
    async def check() -> None:
        clock = Clock()
        async with FaultServer([reply, reply, None, reply]) as server, on(server, clock=clock) as model:
            assert kind(await one(model)) == "transient"
            clock.now = GRACE
            assert kind(await one(model, 1)) == "fatal"
            assert kind(await one(model, 2)) == "sample"
            assert kind(await one(model, 3)) == "transient"

    check()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (401, "The key was refused"),
        (403, "set OPENAI_API_KEY"),
        (404, "often ends in /v1"),
        (error(404, "no", code="model_not_found"), "model's name (m)"),
        (error(429, "no", code="insufficient_quota"), "quota is used up"),
        (Reply(body=b"<html>", headers={"Content-Type": "text/html"}), "HTML page"),
        (Reply(body=b"", status=302, headers={"Location": "https://evil.example/x?y"}), "redirects to evil.example;"),
    ],
)
def test_hopeless_replies_stop_at_once(reply, words):
    """What no repetition helps ends the run with one line that says what to do."""

    @alone
    async def check() -> None:
        async with FaultServer([reply] * 2) as server, on(server, key=CANARY) as model:
            with pytest.raises(ModelError) as caught:
                await Dispatcher(model, Limits(), Usage()).draw([request()])
            assert words in str(caught.value)
            assert "\n" not in str(caught.value)
            assert server.ledger.calls <= 2, "the bare request beside it"

    check()


# -- the key -------------------------------------------------------------------------------------------


@alone
async def test_a_redirect_is_not_followed():
    """The server a redirect points to receives nothing."""
    async with FaultServer() as thief:
        for status in (301, 302, 303, 307, 308):
            reply = Reply(body=b"", status=status, headers={"Location": thief.url + "/chat/completions"})
            async with FaultServer([reply]) as server, on(server, key=CANARY) as model:
                assert kind(await one(model)) == "fatal"
        assert thief.ledger.calls == 0


@alone
async def test_proxies_and_password_files_are_not_used(monkeypatch, tmp_path):
    """Whatever the environment says about proxies and passwords, requests go to the origin alone."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with FaultServer() as proxy, FaultServer() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with on(server) as model:
            assert kind(await one(model)) == "sample"
        assert (proxy.ledger.calls, server.ledger.calls) == (0, 1)
        assert "Authorization" not in server.requests[0].headers


@alone
async def test_cookies_are_not_kept():
    """What one reply sets the next request does not carry."""
    async with FaultServer([Reply(headers={"Set-Cookie": "a=b; Path=/"})]) as server, on(server) as model:
        await one(model)
        await one(model)
        assert "Cookie" not in server.requests[1].headers


def echoing(received):
    """Put the key wherever a server could put it, by the number in the prompt."""
    key = received.headers["Authorization"].removeprefix("Bearer ")
    kinds = [
        Reply(f"your key is {key}"),
        Reply(fields={"id": key, "system_fingerprint": key}, finish=key),
        Reply(fields={"model": key}),
        Reply(fields={"error": {"message": f"bad {key}"}}),
        Reply(fields={"choices": [{"error": {"message": key}}]}),
        *(error(status, f"{'.' * 190}{key}", code=key) for status in (400, 401, 403, 404, 408, 413, 422, 429, 500)),
        error(401, key, headers={"X-Key": key, "Retry-After": key}),
        error(400, f"logprobs are not supported for {key}"),
        Reply(body=b"", status=307, headers={"Location": f"https://{key}.example/{key}"}),
        Reply(body=f"<html>{key}".encode(), headers={"Content-Type": f"text/html; {key}"}),
        Reply(body=key.encode()),
        Reply(body=b"{", headers={"Content-Encoding": key}),
        Reply(headers={"X-Huge": key * 1000}),
        Reply(cut=20), Reply(reset=True), Reply(hang=True), Reply(endless=key.encode()),
    ]  # fmt: skip
    if received.prompt == PROBE_PROMPT:
        return "fine"
    number = int(received.prompt)
    return kinds[number] if number < len(kinds) else error(400, key)


@alone
async def test_a_key_gets_into_nothing(caplog, monkeypatch):
    """For every kind of reply the key is in no sample, failure, exception, repr or debug record of any logger."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MAKER_API_KEY", CANARY)
    seen: list[str] = []
    async with FaultServer(echoing) as server:
        for number in range(30):
            model = from_spec(server.spec("m"), timeout=DEADLINE)
            seen += [repr(model), str(model), model.name]
            for attempt in range(2):
                seen += map(repr, await model.draw([request(attempt, prompt=str(number))]))
            try:
                seen += map(
                    repr, await Dispatcher(model, Limits(max_calls=2), Usage()).draw([request(prompt=str(number))])
                )
            except (ModelError, Stop) as problem:
                seen += [repr(problem), "".join(traceback.format_exception(problem))]
            seen.append(f"{model.negotiator.__dict__} {model.negotiator.dialect} {model._target}")
            await model.aclose()
        model = from_spec(server.spec("m"))
        server._next = lambda received: error(400, received.headers["Authorization"])  # to the probe as well
        seen.append(repr(await one(model)))
        await server.stop()
        seen.append(repr(await one(model)))
        await model.aclose()
    kinds = {word for line in seen for word in ("poison", "fatal", "transient", "Sample(") if word in line}
    assert kinds == {"poison", "fatal", "transient", "Sample("}
    records = [f"{record.getMessage()} {record.args} {record.exc_info}" for record in caplog.records]
    assert any("model.reply" in record for record in records)
    assert not [line for line in seen + records if CANARY in line or CANARY[:12] in line]


@alone
async def test_logs_hold_no_prompt_and_no_text(caplog):
    """Debug records name steps and outcomes, never what was asked or said."""
    caplog.set_level(logging.DEBUG)
    script = ["the secret reply", error(400, "cannot read: the secret prompt"), 429]
    async with FaultServer(script) as server, on(server) as model:
        for draw in range(4):
            await one(model, draw, prompt="the secret prompt")
    assert "model.reply" in caplog.text
    assert "model.refused" in caplog.text
    assert "model.probe" in caplog.text
    assert "secret" not in caplog.text


def test_keys_come_from_the_environment_alone(monkeypatch):
    """openai: needs OPENAI_API_KEY, a URL takes MAKER_API_KEY if there is one; neither takes the other's."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MAKER_API_KEY", raising=False)
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        from_spec("openai:gpt-4.1-mini")
    assert from_spec("http://127.0.0.1:1/v1#m")._wire.key is None
    monkeypatch.setenv("OPENAI_API_KEY", f" {CANARY}\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://evil.example/v1")
    model = from_spec("openai:gpt-4.1-mini")
    assert (model.name, model._wire.key) == ("openai:gpt-4.1-mini", CANARY)
    assert model._target.url == "https://api.openai.com/v1/chat/completions"
    assert from_spec("https://h.example/v1#m")._wire.key is None
    monkeypatch.setenv("MAKER_API_KEY", "mine")
    model = from_spec("https://h.example/v1#org/m")
    assert (model._wire.key, model.name, repr(model)) == (
        "mine", "https://h.example/v1#org/m", "OpenAI('https://h.example/v1#org/m')",
    )  # fmt: skip


@pytest.mark.parametrize(
    "spec", ["http://h/v1", "http://h/v1#", "openai:", f"http://{CANARY}@h/v1#m", f"http://h/?k={CANARY}#m"]
)
def test_unusable_specifications_are_refused(spec, monkeypatch):
    """A missing name, or a key in the URL, is one line that does not repeat it."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with pytest.raises(ModelError) as caught:
        from_spec(spec)
    assert CANARY not in str(caught.getrepr())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [f"{CANARY}\r\nX-Evil: 1", f"{CANARY} x", "schlüssel", "\x00"])
def test_keys_that_no_header_can_hold_are_refused(key):
    """A key with line breaks, spaces or strange letters is refused without being repeated."""
    with pytest.raises(ModelError) as caught:
        OpenAI("http://h/v1", "m", key=key)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": float("nan")}, {"concurrency": 0}, {"n": 0}])
def test_impossible_settings_are_refused(options):
    """A timeout, a ceiling or a number of choices that make no sense are refused at once."""
    with pytest.raises(ModelError):
        OpenAI("http://h/v1", "m", **options)


# -- what is left behind -------------------------------------------------------------------------------


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_cancelled_requests_leave_nothing(rounds):
    """100 requests a round, cancelled at every stage, leave no slot, task or descriptor; the model still works."""
    alone(cancelled_requests)(rounds)


async def cancelled_requests(rounds: int) -> None:
    """Send and cancel, and count what is left."""
    replies = [Reply(hang=True), Reply(delay=0.01), Reply(drip=0.01), Reply(endless=b"x"), None, 503]
    async with (
        FaultServer(lambda r: replies[int(r.prompt) % 6] if r.prompt.isdigit() else "fine") as server,
        on(server, concurrency=40) as model,
    ):
        assert (await one(model)).text == "fine"
        tasks, before = len(asyncio.all_tasks()), descriptors()
        for round_ in range(rounds):
            draws = [asyncio.create_task(one(model, draw, prompt=str(draw))) for draw in range(100)]
            await asyncio.sleep(0.001 * (round_ % 20))
            for draw in draws:
                draw.cancel()
            ended = await asyncio.gather(*draws, return_exceptions=True)
            strange = [e for e in ended if not isinstance(e, (Sample, Failure, asyncio.CancelledError))]
            assert strange == []
            assert (model._gate.out, len(model._gate._waiting)) == (0, 0)
        await model.aclose()
        for _ in range(100):
            if len(asyncio.all_tasks()) <= tasks and descriptors() <= before:
                break
            await asyncio.sleep(0.01)
        assert (len(asyncio.all_tasks()) <= tasks, descriptors() <= before) == (True, True)
        assert (await one(model)).text == "fine"


@alone
async def test_cancelling_a_call_cancels_all_its_draws():
    """A call for several draws ends as one; nothing of it goes on."""
    async with FaultServer(lambda received: Reply(hang=True)) as server, on(server) as model:
        call = asyncio.create_task(model.draw([request(draw) for draw in range(5)]))
        while len(server.requests) < 5:  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert model._gate.out == 0


@alone
async def test_a_bad_prompt_among_several_is_one_plain_error():
    """A prompt that JSON cannot hold raises TaskError itself, not a group, and gives all slots back."""
    async with FaultServer() as server, on(server) as model:
        with pytest.raises(maker.TaskError, match="step 3"):
            await model.draw([request(0), request(1, prompt="\ud800")])
        assert model._gate.out == 0


def test_a_model_works_in_one_loop_after_the_other():
    """A model that was not closed is used in the next event loop, on connections of its own."""
    with FaultServer() as server:
        model = OpenAI(server.url, "m")
        for _ in range(3):
            assert kind(asyncio.run(one(model))) == "sample"
        assert maker.vote_sync("what?", model=model, k=2).answer == "OK"

        async def last() -> None:
            assert kind(await one(model)) == "sample"
            await model.aclose()
            await model.aclose()

        asyncio.run(last())


@alone
async def test_https_to_a_server_without_tls_is_fatal():
    """A server that cannot prove who it is gets no request and no key."""
    async with FaultServer() as server:
        model = OpenAI(server.url.replace("http:", "https:"), "m", key=CANARY, timeout=5)
        failed = await one(model)
        assert kind(failed) == "fatal"
        assert "no certificate that can be trusted" in failed.detail
        assert server.ledger.calls == 0
        await model.aclose()


@alone
async def test_every_bill_is_a_sample_or_a_known_loss():
    """The server's own books agree: what it billed is in the samples, or in a reply that was lost on the way."""
    lost = [Reply(cut=30), Reply(fields={"choices": []}), Reply("x" * 100, cut=30, framed=False)]

    def script(received):
        seen = sum(r.body["seed"] == received.body["seed"] for r in server.requests)
        return lost[(received.body["seed"] + seen) % 3] if seen <= received.body["seed"] % 4 else "y" * 40

    async with FaultServer(script) as server, on(server) as model:
        samples = await Dispatcher(model, Limits(), Usage()).draw([request(draw) for draw in range(20)])
    delivered = {sample.response_id for sample in samples}
    bills = [entry for entry in server.ledger.entries if entry.event == "billed"]
    kept = [entry for entry in bills if f"fault-{server.port}-{entry.number:012}" in delivered]
    assert sum(sample.tokens_out for sample in samples) == sum(entry.tokens_out for entry in kept) == 20 * 11
    assert len(bills) - len(kept) == sum((1000 + draw) % 4 for draw in range(20))


def test_every_error_of_the_client_library_is_mapped():
    """Each exception that aiohttp can raise becomes a trouble, in one line that holds nothing of the request."""
    found = [aiohttp.ClientError]
    for parent in found:
        found += [child for child in parent.__subclasses__() if child.__module__.startswith("aiohttp")]
    for kind_of_error in found:
        trouble = _trouble(kind_of_error.__new__(kind_of_error), "http://h", 5)
        assert trouble.failure.kind in ("transient", "fatal"), kind_of_error
    tls = aiohttp.ClientConnectorCertificateError.__new__(aiohttp.ClientConnectorCertificateError)
    assert _trouble(tls, "http://h", 5).failure.kind == "fatal"
    assert issubclass(ssl.SSLError, OSError)
    assert (
        "Too many open files" in _trouble(aiohttp.ClientConnectorError(None, OSError(24, "x")), "h", 5).failure.detail
    )


@alone
async def test_a_fingerprint_comes_with_its_sample():
    """Each sample says which configuration of the server made it."""
    script = [Reply(fields={"system_fingerprint": name}) for name in ("fp1", "fp1", "fp2")]
    async with FaultServer(script) as server, on(server) as model:
        assert [(await one(model)).fingerprint for _ in script] == ["fp1", "fp1", "fp2"]


def test_the_environment_is_left_alone():
    """Loading the model changes no variable of the environment."""
    before = dict(os.environ)
    OpenAI("http://h/v1", "m", key=CANARY)
    assert dict(os.environ) == before
