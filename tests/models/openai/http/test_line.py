"""What an event loop has open to a server: shared by all calls, bounded, and closed by itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import maker
from maker.models.openai.client import OpenAI
from maker.models.openai.http import line
from maker.models.openai.http.reach import Reach
from maker.testing import FaultServer, Reply


def test_calls_after_each_other_share_connections() -> None:
    """Ten votes in a row, each naming the model, need no more connections than one of them."""

    async def votes() -> None:
        for turn in range(10):
            await maker.vote(f"question {turn}", model=server.spec(), k=2, limits={"concurrency": 2})

    with FaultServer() as server:
        asyncio.run(votes())
        assert len(server.requests) == 20
        assert len({request.peer for request in server.requests}) == 2


def test_concurrency_bounds_the_server_not_the_call() -> None:
    """Sixty votes at once, each with the same concurrency, never have more requests out than one of them may."""

    async def votes() -> None:
        ask = (
            maker.vote(f"question {turn}", model=server.spec(), k=3, limits={"concurrency": 8}) for turn in range(60)
        )
        await asyncio.gather(*ask)

    with FaultServer(lambda _: Reply("yes", delay=0.001)) as server:
        asyncio.run(votes())
        assert len(server.requests) == 180
        assert len({request.peer for request in server.requests}) <= 8


def test_idle_connections_close_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody uses is closed after IDLE seconds, in the loop that goes on."""
    monkeypatch.setattr(line, "IDLE", 0.01)

    async def check() -> None:
        async with FaultServer() as server:
            await maker.vote("first", model=server.spec(), k=1)
            there = server._runner.server
            assert len(there.connections) == 1
            async with asyncio.timeout(5):
                while there.connections:  # noqa: ASYNC110 -- nothing tells when a socket closes
                    await asyncio.sleep(0.01)
            assert (await maker.vote("again", model=server.spec(), k=1)).answer == "OK"

    asyncio.run(check())


def test_the_last_model_to_be_closed_closes_the_connections() -> None:
    """A model that is closed leaves open what another model uses; another key is another way."""

    async def check() -> None:
        async with FaultServer() as server:
            one, two = OpenAI(server.url, "one"), OpenAI(server.url, "two")
            other = OpenAI(server.url, "three", key="secret")
            for model in (one, two, other):
                await maker.vote("first", model=model, k=1)
            mine, the_same, another = (model._wire._way[0] for model in (one, two, other))
            assert the_same is mine is not another
            await one.aclose()
            assert not mine.session.closed
            await two.aclose()
            assert mine.session.closed
            await other.aclose()
            await maker.vote("once more", model=one, k=1)
            await one.aclose()

    asyncio.run(check())


def test_the_end_of_a_loop_closes_what_it_has_open() -> None:
    """A loop that ends closes its connections; nothing of it is kept."""

    async def check() -> line.Line:
        await maker.vote("first", model=server.spec(), k=1)
        loop = asyncio.get_running_loop()
        (mine,) = [found for (known, _), found in line._LINES.items() if known is loop]
        return mine

    with FaultServer() as server:
        mine = asyncio.run(check())
        assert mine.session.closed
        assert mine not in line._LINES.values()


def test_one_model_serves_many_threads_at_once() -> None:
    """One object, asked in eight event loops at the same time: every vote is decided, and the server bears them all."""

    def votes(model: OpenAI, thread: int) -> list[str]:
        async def ask() -> list[str]:
            calls = (maker.vote(f"{thread} {turn}", model=model, k=2) for turn in range(6))
            return [verdict.answer for verdict in await asyncio.gather(*calls)]

        return asyncio.run(ask())

    with FaultServer(lambda request: Reply(request.prompt, delay=0.001)) as server:
        model = OpenAI(server.url, "m")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda thread: votes(model, thread), range(8)))
    assert answers == [[f"{thread} {turn}" for turn in range(6)] for thread in range(8)]


def test_headers_make_ways() -> None:
    """What requests must have in common to share a connection is known in any order of headers."""
    assert Reach({"a": "1", "b": "2"}).way == Reach({"b": "2", "a": "1"}).way != Reach({"a": "1"}).way
