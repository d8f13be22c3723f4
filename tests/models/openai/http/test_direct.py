"""The direct way of a request: the session's bytes, its results and its errors, at fewer steps."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from maker.decision.sample import Sample
from maker.models.openai.http import direct
from maker.models.openai.http.reach import Reach
from maker.models.openai.http.wire import Wire
from maker.models.openai.refusal import Asked
from maker.models.openai.target import Target

REPLY = (
    b'{"id":"chatcmpl-7aa5f1e0c0ffee42","model":"m","usage":{"prompt_tokens":1,"completion_tokens":1},"choices":'
    b'[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"OK"}}]}'
)
BODY = b'{"model":"m"}'
JSON = b"Content-Type: application/json\r\n"
GOOD = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (JSON, len(REPLY), REPLY)
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (REPLY[:5], len(REPLY) - 5, REPLY[5:])
PACKED = gzip.compress(REPLY)
GZIP = b"HTTP/1.1 200 OK\r\n%bContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (JSON, len(PACKED), PACKED)
PIECE = 16_000_000  # bytes of a body that no socket takes at once

# name: (what the server writes, whether it then closes, whether the next request goes over the same connection)
WRITES: dict[str, tuple[bytes, bool, bool]] = {
    "good": (GOOD, False, True),
    "chunks": (b"HTTP/1.1 200 OK\r\n" + JSON + CHUNKS, False, True),
    "gzip": (GZIP, False, True),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + GOOD, False, True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", False, True),
    "refused": (b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", False, True),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", False, True),
    "last": (GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n", 1), False, False),
    "old": (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0", 1), False, False),
    "until the end": (b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n" + REPLY, True, False),
    "more than was asked": (GOOD + GOOD, False, False),
    "upgrade": (b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", True, False),
    "nothing": (b"", True, False),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", True, False),
    "half a body": (GOOD[:-5], True, False),
    "too large": (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{", False, False),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", False, False),
    "a broken chunk": (b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", False, False),
    "a broken header": (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", False, False),
}  # fmt: skip


class Scripted:
    """A server that writes the same to every request, and keeps what came and by how many connections.

    early: it answers before the body has come, and never reads it.
    """

    def __init__(self, writes: bytes, closes: bool = False, early: bool = False) -> None:
        self.writes, self.closes, self.early = writes, closes, early
        self.came: list[bytes] = []
        self.connections = 0
        self.asked, self.gone = asyncio.Event(), asyncio.Event()  # a request came; a connection has ended

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes by one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
                if self.early:
                    writer.write(self.writes)
                    await self.gone.wait()  # for good: nobody reads the body
                self.came.append(head + await reader.readexactly(length))
                self.asked.set()
                writer.write(self.writes)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()
            self.gone.set()

    @asynccontextmanager
    async def on(self) -> AsyncIterator[str]:
        """Listen on loopback and give the address."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


def wire_to(url: str, **reach: object) -> Wire:
    """Return a wire with a key."""
    return Wire(Target.of(url, "m"), "sk-canary-77aa5f1e", Reach(**reach))  # type: ignore[arg-type]


async def sent(wire: Wire, body: bytes = BODY, seconds: float = 30) -> tuple[object, list[object]]:
    """Exchange once; return what came, without what differs by chance, and what was noticed."""
    noticed: list[object] = []
    came = await wire.exchange(
        body,
        Asked(wire.target.origin, "m", tokens=8),
        seconds,
        lambda status, headers: noticed.append((status, dict(headers))),
    )
    if isinstance(came, list):
        came = [replace(one, latency=None) if isinstance(one, Sample) else one for one in came]
    return came, noticed


@pytest.fixture
def by_session(monkeypatch):
    """Return what sends all that follows the session's way."""
    return lambda: monkeypatch.setattr(direct, "_TESTED", (0, 0))


@pytest.mark.parametrize("reach", [{}, {"query": {"v": "a b&c"}}, {"headers": {"api-key": "k", "ACCEPT": "x/y"}}])
def test_the_bytes_are_the_sessions(reach, by_session):
    """Whatever headers and query there are, a server cannot tell which way a request came."""

    async def main():
        server = Scripted(GOOD)
        async with server.on() as url:
            for turn in range(2):
                wire = wire_to(url, **reach)
                await sent(wire)
                await wire.aclose()
                if turn == 0:
                    by_session()
        first, second = server.came
        assert first == second
        assert first.endswith(b"\r\n\r\n" + BODY)

    asyncio.run(main())


@pytest.mark.parametrize("name", WRITES)
def test_what_comes_is_what_the_session_would_bring(name, by_session):
    """Replies, errors, what is noticed, and whether a connection is used again are the same by both ways."""
    writes, closes, again = WRITES[name]

    async def main():
        found = []
        for turn in range(2):
            server = Scripted(writes, closes)
            async with server.on() as url:
                wire = wire_to(url)
                came = [await sent(wire), await sent(wire)]
                await wire.aclose()
            hidden = repr(came).replace(url.rpartition(":")[2].partition("/")[0], "PORT")
            found.append((hidden, server.connections))
            if turn == 0:
                by_session()
        assert found[0] == found[1]
        assert found[0][1] == (1 if again else 2)

    asyncio.run(main())


def test_an_answer_to_half_a_request_ends_the_connection():
    """Where the server answers before it has read the body, the rest of it must not precede the next request."""

    async def main():
        server = Scripted(GOOD, early=True)
        async with server.on() as url:
            wire = wire_to(url)
            for _ in range(2):
                came, _ = await sent(wire, b" " * PIECE, seconds=5)
                assert came[0].text == "OK"
            assert server.connections == 2
            await wire.aclose()
            server.gone.set()

    asyncio.run(main())


@pytest.mark.parametrize("writes", [b"", GOOD[:-5]])
def test_a_request_that_is_cancelled_ends_its_connection(writes):
    """A server stops to generate, and what is unread is not taken for the next reply: before and within the body."""

    async def main():
        server = Scripted(writes)
        async with server.on() as url:
            wire = wire_to(url)
            answered = asyncio.Event()
            asked = Asked(wire.target.origin, "m", tokens=8)
            task = asyncio.create_task(wire.exchange(BODY, asked, 30, lambda *_: answered.set()))
            await (answered if writes else server.asked).wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.gone.wait(), 5)
            await wire.aclose()

    asyncio.run(main())


def test_a_deadline_ends_the_connection():
    """A reply that does not come in time is a slow failure, and its connection is closed."""

    async def main():
        server = Scripted(b"")
        async with server.on() as url:
            wire = wire_to(url)
            trouble, _ = await sent(wire, seconds=0.01)
            assert trouble.slow
            await asyncio.wait_for(server.gone.wait(), 5)
            await wire.aclose()

    asyncio.run(main())


def test_there_is_no_direct_way_past_an_aiohttp_that_nobody_tested(monkeypatch):
    """An aiohttp of another minor version is asked by its session, and the exchange is the same."""

    async def main():
        async with aiohttp.ClientSession() as session:
            assert direct.direct_to(session, "http://h/v1", None, None) is not None
            monkeypatch.setattr(aiohttp, "__version__", "3.99.0rc1")
            assert direct.direct_to(session, "http://h/v1", None, None) is None

    asyncio.run(main())
