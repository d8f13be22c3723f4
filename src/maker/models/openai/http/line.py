"""What an event loop has open to servers: one session for each way to one, shared by all models that go that way.

Promises: models of one server, key and way share connections, in any number of calls after and beside each other;
connections that nobody uses close after IDLE seconds, all of them when their loop ends or when the last model that
used them is closed. Loops (and so threads) share nothing here, and any number of them may be at work at once.

Not covered: what goes over a connection (`wire.py`), and how many at once (`gate.py`).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakSet

import aiohttp
import aiohttp.abc

from maker.models.openai.http.body import ENCODINGS
from maker.models.openai.http.deadline import Deadline
from maker.models.openai.http.reach import Reach

CONNECT = 10.0  # seconds to open a connection; a host that needs longer counts as not reachable
IDLE = 15.0  # seconds that an unused connection stays open

_LINES: dict[tuple[asyncio.AbstractEventLoop, object], Line] = {}


class Line:
    """Connections of one event loop over one way to a server. users: who has asked for it and is still there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
        self.loop = loop
        self.session = session
        self.users: WeakSet[Any] = WeakSet()
        self._deadlines: dict[float, Deadline] = {}  # by seconds
        self._keeper: AsyncGenerator[None, None] | None = None

    def deadline(self, seconds: float) -> Deadline:
        """Return the deadline of all attempts that have so many seconds."""
        found = self._deadlines.get(seconds)
        if found is None:
            found = self._deadlines[seconds] = Deadline(seconds)
        return found

    def usable(self) -> bool:
        """Say whether it is open, and the running loop's."""
        return not self.session.closed and self.loop is asyncio.get_running_loop()

    async def leave(self, user: object) -> None:
        """Close all connections if nobody else uses them."""
        self.users.discard(user)
        if not self.users and self._keeper is not None:
            await self._keeper.aclose()


async def line_of(user: object, origin: str, key: str | None, reach: Reach) -> Line:
    """Return the running loop's line to an origin; `user` counts as using it as long as it lives."""
    loop = asyncio.get_running_loop()
    way = (loop, (origin, key, *reach.way))
    line = _LINES.get(way)
    if line is None or line.session.closed:
        for known in [known for known in list(_LINES) if known[0].is_closed()]:
            _LINES.pop(known, None)
        line = _LINES[way] = Line(loop, _session(reach))
        line._keeper = _keep(way, line)
        await anext(line._keeper)
    line.users.add(user)
    return line


async def _keep(way: tuple[asyncio.AbstractEventLoop, object], line: Line) -> AsyncGenerator[None, None]:
    """Close a session when it is closed here, or when its loop ends: loops close their async generators before."""
    try:
        yield
    finally:
        if _LINES.get(way) is line:
            del _LINES[way]
        await line.session.close()
        await asyncio.sleep(0)  # transports close in the loop's next round


def _session(reach: Reach) -> aiohttp.ClientSession:
    """Open a session in the running loop. It holds no secrets: a proxy that tunnels is sent its headers."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": ENCODINGS,
               "User-Agent": "maker"}  # fmt: skip
    return aiohttp.ClientSession(
        connector=_connector(reach),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        auto_decompress=False,
        trust_env=False,
    )


def _connector(reach: Reach) -> aiohttp.BaseConnector:
    """Return what opens connections, without a limit: the gate is the limit."""
    if reach.uds is not None:
        return aiohttp.UnixConnector(reach.uds, limit=0, keepalive_timeout=IDLE)
    return aiohttp.TCPConnector(limit=0, resolver=_Resolver(), ssl=reach.trusted() or True, keepalive_timeout=IDLE)


class _Resolver(aiohttp.ThreadedResolver):
    """Looks names up in a thread, within the time that connecting has."""

    async def resolve(self, *host: Any, **options: Any) -> list[aiohttp.abc.ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        try:
            async with asyncio.timeout(CONNECT):
                return await super().resolve(*host, **options)
        except TimeoutError:
            raise OSError(errno.ETIMEDOUT, "the name server does not answer") from None
