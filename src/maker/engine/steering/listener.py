"""The run's end of its socket: one line of JSON in, one line out, in the run's own event loop.

Promises: only the user whom the run belongs to can speak to it (mode 0600 before anybody can connect); what an earlier
process left behind is replaced, since whoever holds a journal's lock is its only run; a run is neither kept alive
nor ended by who speaks to it, nor by a socket that cannot be had. A line that is too long ends its connection.

Not covered: what is said (`orders.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from maker.engine.steering.address import MOST_BYTES, address, socket_of
from maker.journal.lock import identity_of
from maker.log import log

MOST_TALKS = 16  # connections at once

Take = Callable[[dict[str, Any]], dict[str, Any]]


@contextlib.asynccontextmanager
async def listening(journal: Path | None, take: Take) -> AsyncIterator[bool]:
    """Answer what is said at the socket of a journal while the block runs; offer whether there is one.

    journal: the file, whose lock is held; None: there is no socket. take: answers one order, and raises nothing.
    """
    if journal is None:
        yield False
        return
    said: asyncio.Queue[tuple[_Talk, bytes]] = asyncio.Queue()
    talks: set[_Talk] = set()
    path, heard = socket_of(journal), False
    with contextlib.ExitStack() as undo:
        try:
            own = undo.enter_context(_bound(path))
            undo.callback(_remove, path, identity_of(path))
            server = await asyncio.get_running_loop().create_unix_server(lambda: _Talk(said, talks), sock=own)
        except OSError as error:
            log.info("run.unsteered", journal=str(journal), detail=str(error))
        else:
            heard = True
            undo.callback(server.close)
            undo.callback(asyncio.create_task(_answer(said, take)).cancel)
            undo.callback(_end, talks)
        yield heard


def _bound(path: Path) -> socket.socket:
    """Return a socket that has its name, and lets only its user connect. Raises OSError where that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    own = socket.socket(socket.AF_UNIX)
    try:
        with address(path) as name:
            own.bind(name)
            Path(name).chmod(0o600)  # nobody can connect before it listens
    except BaseException:
        own.close()
        raise
    return own


def _end(talks: set[_Talk]) -> None:
    """Break off what goes on when a run ends."""
    for talk in list(talks):
        talk.end()


def _remove(path: Path, made: tuple[int, int] | None) -> None:
    """Remove a socket, unless its name was given to another file."""
    if identity_of(path) == made:
        path.unlink(missing_ok=True)


async def _answer(said: asyncio.Queue[tuple[_Talk, bytes]], take: Take) -> None:
    """Answer what is said, in order: in a task of its own, for an order may have others begin."""
    while True:
        talk, line = await said.get()
        try:
            order = json.loads(line)
        except (ValueError, RecursionError):
            order = None
        talk.tell(take(order) if isinstance(order, dict) else {"error": "an order is one JSON object on one line"})


class _Talk(asyncio.Protocol):
    """One connection."""

    def __init__(self, said: asyncio.Queue[tuple[_Talk, bytes]], talks: set[_Talk]) -> None:
        self._orders, self._talks = said, talks
        self._said = b""
        self._line: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream"
        self._line = transport
        if len(self._talks) >= MOST_TALKS:
            transport.abort()
            return
        self._talks.add(self)

    def data_received(self, data: bytes) -> None:
        self._said += data
        *orders, self._said = self._said.split(b"\n")
        for order in orders:
            self._orders.put_nowait((self, order))
        if len(self._said) > MOST_BYTES:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._talks.discard(self)

    def end(self) -> None:
        """Break the connection off; what was answered is sent first, if there is room for it now."""
        if self._line is not None:
            self._line.close()

    def tell(self, answer: dict[str, Any]) -> None:
        """Send an answer, unless nobody is there any more."""
        if self._line is not None and not self._line.is_closing():
            self._line.write(json.dumps(answer).encode() + b"\n")
