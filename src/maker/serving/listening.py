"""The proxy on a port: heads that never end are cut off, and a signal lets what is under way be answered.

Promises: SIGINT and SIGTERM stop taking requests, and end the process when all are answered, or after a grace.

Not covered: TLS, several processes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from maker.errors import TaskError

GRACE = 30  # seconds for requests that are under way when the proxy is told to stop
BACKLOG = 2048  # connections that wait to be taken
HEAD_WITHIN = 10.0  # seconds in which the head of a request has to arrive


class Timed(H11Protocol):
    """A connection that is closed when a request's head does not arrive in time."""

    _cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first head its time."""
        super().connection_made(transport)
        self._cut = self.loop.call_later(HEAD_WITHIN, transport.close)

    def data_received(self, data: bytes) -> None:
        """Give the next head its time, once something of it is here."""
        super().data_received(data)
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering:
            self._stop_waiting()
        elif self._cut is None:
            self._cut = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None


class Listener(uvicorn.Server):
    """The server, for sockets that listen. told: called with its address once it serves."""

    def __init__(self, app: Starlette, told: Callable[[str], None]) -> None:
        super().__init__(uvicorn.Config(
            app, http=Timed, ws="none", log_level="warning", access_log=False, backlog=BACKLOG,
            server_header=False, timeout_graceful_shutdown=GRACE,
        ))  # fmt: skip
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say where."""
        await super().startup(sockets)
        for own in sockets or ():
            host, port = own.getsockname()[:2]
            self._told(f"http://{f'[{host}]' if ':' in host else host}:{port}/v1")


def listen(app: Starlette, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve until a signal comes. told: called with the address. Raises TaskError for one that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        own = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise TaskError(f"serve: {host}:{port}: {error.strerror}. Take another --host or --port") from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises them once more when all is answered
    with own:
        Listener(app, told).run([own])
