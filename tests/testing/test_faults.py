"""The misbehaving server does what it is told, and keeps its own books."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from maker.testing import FaultServer, Reply, error

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "12345678"}], "seed": 7}


def alone(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: object, **options: object) -> None:
        asyncio.run(test(*args, **options))  # type: ignore[arg-type]

    return run


async def post(server: FaultServer, body: object = QUESTION, path: str = "/chat/completions", patience=5.0, **options):
    """Return status, headers and body of one request, sent by a plain client."""
    timeout = aiohttp.ClientTimeout(total=patience)
    async with (
        aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
        session.post(server.url + path, json=body, allow_redirects=False, **options) as reply,
    ):
        return reply.status, reply.headers, await reply.read()


@alone
async def test_without_a_script_it_is_a_good_server():
    """Chat and plain completions, several choices, logprobs where asked for; ids differ."""
    async with FaultServer() as server:
        status, _, raw = await post(server, {**QUESTION, "n": 2, "logprobs": True})
        chat = json.loads(raw)
        assert (status, chat["model"], chat["id"]) == (200, "m", f"fault-{server.port}-{0:012}")
        assert [c["message"]["content"] for c in chat["choices"]] == ["OK", "OK"]
        assert chat["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}
        assert chat["choices"][0]["logprobs"]["content"][0]["logprob"] < 0
        _, _, raw = await post(server, {"model": "m", "prompt": "p"}, "/completions")
        plain = json.loads(raw)
        assert plain["choices"] == [{"index": 0, "finish_reason": "stop", "text": "OK"}]
        assert plain["id"] != chat["id"]
        assert [r.prompt for r in server.requests] == ["12345678", "p"]
        assert server.spec("x") == f"http://127.0.0.1:{server.port}/v1#x"


@alone
async def test_models_are_listed_beside_the_script():
    """Who asks for them takes no reply of the script, and stands in no book."""
    async with FaultServer([401], models=["a", "b"]) as server:
        async with aiohttp.ClientSession() as session, session.get(server.url + "/models") as reply:
            assert [model["id"] for model in (await reply.json())["data"]] == ["a", "b"]
        assert (server.requests, server.ledger.entries) == ([], [])
        assert (await post(server))[0] == 401


@alone
async def test_a_script_is_followed_in_order():
    """Text, statuses, whole replies and None in order of arrival, then good replies for ever."""
    async with FaultServer(["yes", 503, error(429, "slow", headers={"Retry-After": "2"}, code="x"), None]) as server:
        found = [await post(server) for _ in range(6)]
    assert [status for status, _, _ in found] == [200, 503, 429, 200, 200, 200]
    assert json.loads(found[0][2])["choices"][0]["message"]["content"] == "yes"
    assert (found[2][1]["Retry-After"], json.loads(found[2][2])) == ("2", {"error": {"message": "slow", "code": "x"}})


@alone
async def test_a_script_may_look_at_the_request():
    """A callable sees prompt, body, path and headers."""
    async with FaultServer(lambda r: f"{r.prompt} {r.path} {r.body['seed']} {r.headers['X-Test']}") as server:
        _, _, raw = await post(server, headers={"X-Test": "t"})
    assert json.loads(raw)["choices"][0]["message"]["content"] == "12345678 /v1/chat/completions 7 t"


@alone
async def test_fields_of_a_good_reply_can_be_replaced():
    """Another model, no choices, an error, a refusal, odd usage, a content of any type."""
    replies = [
        Reply(fields={"model": "other", "usage": {"prompt_tokens": -1}, "choices": None}),
        Reply(None, message={"refusal": "no"}, finish="content_filter"),
        Reply([{"type": "text", "text": "a"}]),
        Reply(body=b"<html>", headers={"Content-Type": "text/html"}),
        Reply(body={"any": 1}, status=404),
    ]
    async with FaultServer(replies) as server:
        found = [await post(server) for _ in replies]
    first, second, third = (json.loads(raw) for _, _, raw in found[:3])
    assert (first["model"], first["choices"], first["usage"]) == ("other", None, {"prompt_tokens": -1})
    assert second["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": "no"}
    assert third["choices"][0]["message"]["content"][0]["text"] == "a"
    assert (found[3][1]["Content-Type"], found[3][2]) == ("text/html", b"<html>")
    assert found[4][0] == 404


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(hang=True), TimeoutError),
        (Reply(delay=5), TimeoutError),
        (Reply(drip=0.05), TimeoutError),
        (Reply(cut=20), aiohttp.ClientPayloadError),
        (Reply(reset=True), aiohttp.ServerDisconnectedError),
        (Reply(endless=b"{"), TimeoutError),
        (Reply(headers={"X-Huge": "x" * 10_000}), aiohttp.ClientResponseError),
    ],
    ids=["hang", "delay", "drip", "cut", "reset", "endless", "header"],
)
def test_it_misbehaves(reply, problem):
    """Each kind of misbehaviour is what a plain client sees it to be, and the next request is served well."""

    @alone
    async def check() -> None:
        async with FaultServer([reply]) as server:
            with pytest.raises((problem, aiohttp.ClientOSError) if reply.reset else problem):
                await post(server, patience=0.3)
            assert (await post(server))[0] == 200

    check()


@alone
async def test_a_cut_off_unframed_body_looks_whole():
    """Without Content-Length the end of the connection is the end of the body, and no client can tell."""
    async with FaultServer([Reply(cut=20, framed=False), Reply(drip=0.0001)]) as server:
        status, headers, raw = await post(server)
        assert (status, len(raw), "Content-Length" in headers) == (200, 20, False)
        _, _, whole = await post(server)
        assert json.loads(whole)["choices"]


@alone
async def test_the_ledger_is_independent_of_the_client(tmp_path):
    """Requests and bills are entered before the reply goes out, delivered or not; the file says the same."""
    file = tmp_path / "ledger.jsonl"
    async with FaultServer([Reply("12345678", cut=5), 503, Reply(hang=True), Reply(reset=True)], ledger=file) as server:
        for _ in range(5):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await post(server, headers={"Authorization": "Bearer sk-canary"}, patience=0.5)
    ledger = server.ledger
    assert (ledger.calls, ledger.bills, ledger.tokens_in, ledger.tokens_out) == (5, 3, 9, 5)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines] == [entry.event for entry in ledger.entries]
    assert [line["number"] for line in lines if line["event"] == "billed"] == [0, 2, 4]
    assert lines[0]["seed"] == 7
    assert "canary" not in file.read_text() + repr(server.requests) + repr(ledger.entries)
    assert len({entry.key for entry in ledger.entries if entry.event == "received"} - {None}) == 1


@alone
async def test_it_restarts_on_the_same_port():
    """Stopped, nothing answers; started again, the same address does, and the books go on."""
    server = FaultServer()
    await server.start()
    port = server.port
    await post(server)
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(server)
    await server.start()
    assert (await post(server))[0] == 200
    assert (server.port, server.ledger.calls) == (port, 2)
    await server.stop()
    await server.stop()


@alone
async def test_stopping_ends_what_hangs():
    """A server with hanging, dripping and endless replies stops within moments."""
    async with FaultServer([Reply(hang=True), Reply(drip=1), Reply(endless=b"x")]) as server:
        clients = [asyncio.create_task(post(server)) for _ in range(3)]
        while len(server.requests) < 3:  # noqa: ASYNC110 -- the server has no event to wait for
            await asyncio.sleep(0.005)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    await asyncio.gather(*clients, return_exceptions=True)
    assert len(asyncio.all_tasks()) == 1


def test_it_runs_in_a_thread():
    """Code without an event loop uses `with`; the thread ends with the block."""
    before = threading.enumerate()
    with FaultServer([418]) as server:
        request = urllib.request.Request(f"{server.url}/chat/completions", json.dumps(QUESTION).encode())
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        caught.value.close()
        with urllib.request.urlopen(request, timeout=5) as reply:
            assert reply.status == 200
    assert threading.enumerate() == before


def test_aiohttp_is_loaded_only_when_a_server_starts():
    """Importing maker, its testing tools or this server loads no aiohttp."""
    code = "import sys, maker, maker.testing, maker.testing.faults; print('aiohttp' in sys.modules)"
    source = Path(__file__).parents[2] / "src"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=source, check=True)
    assert run.stdout.strip() == "False"
