"""An OpenAI-compatible server on loopback that misbehaves as it is told. For tests, ours and yours.

    async with FaultServer([429, Reply(drip=0.1), "yes"]) as server:  # then good replies for ever
        model = load_model(server.spec("any-name"))

Promises: each request gets the next reply of the script, whatever path it came in by; every request and every
bill is entered in the ledger before the first byte of the reply goes out, so the ledger is independent
bookkeeping: what it billed was spent, even if the client never saw it. No key enters the ledger.

Without a script it is a plain, instant, well-behaved server. `with` works too: it then runs in a thread.

Not covered: TLS, streaming, and being a language model. aiohttp is loaded when a server starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import orjson
from anyio.from_thread import start_blocking_portal

from maker.testing.replies import Entry, Ledger, Received, Reply, completion, error

if TYPE_CHECKING:
    from aiohttp import web

_CHUNK = 65_536  # bytes of an endless body at a time
_MOST_BUFFERED = 2**20  # bytes that wait for a client that does not read


Told = Reply | str | int | None
Script = Iterable[Told] | Callable[[Received], Told]


class InThread:
    """Lets what is used by `async with` be used by `with` as well: it then runs in a thread with a loop of its own."""

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            portal = begun.enter_context(start_blocking_portal())
            begun.enter_context(portal.wrap_async_context_manager(self))  # type: ignore[arg-type]  # the heir is one
            self._thread = begun.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._thread.close()


class FaultServer(InThread):
    """A server that follows a script.

    script: replies in order of arrival, and good ones after the last; or a callable Received -> reply. A reply
    is a Reply, text, a status (an error of that kind), or None (a good one). ledger: a file to keep the
    ledger in, too. port: 0 takes a free one; a restarted server keeps it. models: the names that it lists to those
    who ask for them, which is no part of the script. `requests` holds what came.
    """

    def __init__(self, script: Script = (), *, ledger: Path | None = None, port: int = 0,
                 models: Iterable[str] = ()) -> None:  # fmt: skip
        self.ledger = Ledger(ledger)
        self.requests: list[Received] = []
        self.port = port
        self._listing = orjson.dumps({"object": "list", "data": [{"id": name} for name in models]})
        if callable(script):
            self._next: Callable[[Received], Told] = script
        else:
            told = iter(script)
            self._next = lambda _: next(told, None)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The base URL, to be used once the server has started."""
        return f"http://127.0.0.1:{self.port}/v1"

    def spec(self, model: str = "fault") -> str:
        """Return the specification of a model on this server; any name will do."""
        return f"{self.url}#{model}"

    async def start(self) -> None:
        """Listen on 127.0.0.1, on the same port as before if there was one."""
        from aiohttp import web  # noqa: PLC0415 -- loaded only by those who start a server

        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, backlog=4096).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and all connections, whatever is going on in them."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> FaultServer:
        await self.start()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.stop()

    # -- one request ---------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web  # noqa: PLC0415 -- already loaded: the server runs

        if request.method == "GET":
            return web.Response(headers={"Content-Type": "application/json"}, body=self._listing)
        received = await self._receive(request)
        told = self._next(received)
        reply = told if isinstance(told, Reply) else error(told) if isinstance(told, int) else Reply(told or "OK")
        body = self._body(received, reply)
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.hang:
            await asyncio.Event().wait()
        if reply.reset or reply.drip or reply.cut is not None or reply.endless or not reply.framed:
            await _misbehave(request, reply, body)
            return web.Response()  # goes nowhere: the connection is closed
        return web.Response(
            status=reply.status, headers={"Content-Type": "application/json", **reply.headers}, body=body
        )

    async def _receive(self, request: web.BaseRequest) -> Received:
        raw = await request.read()
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        now = time.monotonic()
        asked = body if isinstance(body, dict) else {}
        peer = request.transport.get_extra_info("peername") if request.transport else None
        received = Received(len(self.requests), now, request.path, asked, request.headers, peer, request.query)
        self.requests.append(received)
        sent = request.headers.get("Authorization")
        digest = hashlib.sha256(sent.encode("utf-8", "replace")).hexdigest()[:16] if sent else None
        self.ledger.append(Entry("received", received.number, now, request.path, received.body.get("seed"), digest))
        return received

    def _body(self, received: Received, reply: Reply) -> bytes:
        """Return the body of a reply; a completion is billed, whether it arrives or not."""
        if isinstance(reply.body, bytes):
            return reply.body
        if reply.body is not None:
            return orjson.dumps(reply.body)
        if reply.reset or reply.status != 200:
            return b""
        whole = completion(received, reply, f"fault-{self.port}-{received.number:012}")
        usage = whole["usage"]
        spent = usage["prompt_tokens"], usage["completion_tokens"]
        self.ledger.append(Entry("billed", received.number, time.monotonic(), "", None, None, *spent))
        return orjson.dumps({**whole, **reply.fields})


async def _misbehave(request: web.BaseRequest, reply: Reply, body: bytes) -> None:
    """Write a reply byte by byte as it was told, and close the connection."""
    wire = request.transport
    assert isinstance(wire, asyncio.Transport), "the handler runs while the connection is open"
    if reply.reset:
        wire.abort()
        return
    headers = {"Content-Type": "application/json", **reply.headers, "Connection": "close"}
    if reply.framed and not reply.endless:
        headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {reply.status} As-Told", *(f"{name}: {value}" for name, value in headers.items())]
    wire.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    body = body[: reply.cut]
    if reply.drip:
        for at in range(len(body)):
            wire.write(body[at : at + 1])
            await asyncio.sleep(reply.drip)
    else:
        wire.write(body)
    while reply.endless and not wire.is_closing():
        wire.write(reply.endless * (_CHUNK // len(reply.endless) + 1))
        await asyncio.sleep(0.01 if wire.get_write_buffer_size() > _MOST_BUFFERED else 0)
    wire.close()
