"""One HTTP exchange: bytes out, what they brought back. The one place where aiohttp's errors are mapped.

Promises: an exchange ends at its deadline, connecting and the whole body included; cancelled or failed,
it leaves no socket behind; the key is sent to one URL and never appears in what is returned or logged, because
no foreign exception (they carry the request's headers) leaves this module. No redirect is
followed, no proxy of the environment is used unasked and no password file at all, no cookie is kept.

Not covered: who may send and when (`gate.py`), and what an answer means (`reply.py`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import aiohttp
import aiohttp.abc

from maker.decision.sample import Failure, Reply
from maker.errors import ModelError
from maker.models.openai.http.body import ENCODINGS, BadBody, read_body
from maker.models.openai.http.deadline import Deadline
from maker.models.openai.http.reach import Reach
from maker.models.openai.refusal import Asked, Trouble, bill_unknown, fatal
from maker.models.openai.reply import read_reply
from maker.models.openai.target import Target

CONNECT = 10.0  # seconds to open a connection; a host that needs longer counts as not reachable

Noticed = Callable[[int, Mapping[str, str]], None]


class Wire:
    """Connections to one target, opened in the running loop when first needed.

    key: the bearer token, or None; one in a header of `reach` stands instead of it. Raises ModelError
    for one that no header can hold.
    """

    def __init__(self, target: Target, key: str | None, reach: Reach) -> None:
        key = reach.key or (key.strip() if key else None)
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise ModelError("the key has characters that keys do not have (a line break? quotes?): set it again")
        self.target = target
        self.key = key or None
        self._reach, self._proxy = reach, reach.proxy_for(target.url)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: AsyncGenerator[None, None] | None = None
        self._deadlines: dict[float, Deadline] = {}  # by seconds

    async def exchange(self, body: bytes, asked: Asked, seconds: float, noticed: Noticed) -> list[Reply] | Trouble:
        """Post a body and return what came of it within `seconds`; `noticed` sees status and headers at once."""
        session = self._session
        if session is None or session.closed or self._loop is not asyncio.get_running_loop():
            session = await self._open()
        deadline = self._deadlines.get(seconds)
        if deadline is None:
            deadline = self._deadlines[seconds] = Deadline(seconds)
        began = time.monotonic()
        try:
            with deadline:
                response = await session.post(
                    self.target.url,
                    data=body,
                    allow_redirects=False,
                    proxy=self._proxy,
                    params=self._reach.query or None,
                )
                whole = await _read(response, noticed)
        except (aiohttp.ClientError, OSError, ValueError, BadBody) as error:  # a deadline is an OSError, too
            return _trouble(error, self.target.origin, seconds)
        return read_reply(response.status, response.headers, whole, asked, time.monotonic() - began)

    async def _open(self) -> aiohttp.ClientSession:
        """Open a session in the running loop. One of another loop is let go: that loop closes it."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": ENCODINGS,
                   "User-Agent": "maker"}  # fmt: skip
        if self.key and self._reach.key is None:
            headers["Authorization"] = f"Bearer {self.key}"
        headers.update(self._reach.headers)
        session = aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            auto_decompress=False,
            trust_env=False,
        )
        self._session, self._loop, self._keeper = session, asyncio.get_running_loop(), _keep(session)
        self._deadlines = {}
        await anext(self._keeper)
        return session

    def _connector(self) -> aiohttp.BaseConnector:
        """Return what opens connections, without a limit: the gate is the limit."""
        if self._reach.uds is not None:
            return aiohttp.UnixConnector(self._reach.uds, limit=0)
        return aiohttp.TCPConnector(limit=0, resolver=_Resolver(), ssl=self._reach.trusted() or True)

    async def aclose(self) -> None:
        """Close all connections. The next exchange opens new ones."""
        keeper, self._keeper, self._session = self._keeper, None, None
        if keeper is not None and self._loop is asyncio.get_running_loop():
            await keeper.aclose()


async def _read(response: aiohttp.ClientResponse, noticed: Noticed) -> bytes:
    """Return the whole body of a reply whose headers are there, and free its connection."""
    try:
        headers, content = response.headers, response.content
        noticed(response.status, headers)
        encoding = headers.get("Content-Encoding", "")
        if content.is_eof() and not encoding:  # a short body comes with its headers; its connection is free
            return content.read_nowait()
        whole = await read_body(content.iter_any(), encoding, response.content_length)
    except BaseException:
        response.close()  # what is unread must not be taken for the next reply
        raise
    response.release()
    return whole


class _Resolver(aiohttp.ThreadedResolver):
    """Looks names up in a thread, within the time that connecting has."""

    async def resolve(self, *host: Any, **options: Any) -> list[aiohttp.abc.ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        try:
            async with asyncio.timeout(CONNECT):
                return await super().resolve(*host, **options)
        except TimeoutError:
            raise OSError(errno.ETIMEDOUT, "the name server does not answer") from None


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Close a session at the end: when closed itself, when nobody holds it any more, or when its loop ends.

    Event loops close their async generators before they end, and those that were forgotten; so a model
    that nobody closed leaves no socket behind, in a script of many `run_sync` as well.
    """
    try:
        yield
    finally:
        await session.close()
        await asyncio.sleep(0)  # transports close in the loop's next round


def _trouble(error: Exception, where: str, seconds: float) -> Trouble:
    """Return what an exception of the connection means."""
    if isinstance(error, (aiohttp.ClientSSLError, ValueError)):  # the latter for a host that cannot be looked up
        return fatal(0, f"{where} has no certificate that can be trusted, or is no address. Check it, and the clock")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)):
        return Trouble(Failure("transient", f"{where} cannot be reached ({_reason(error)})"), alien=True)
    if isinstance(error, TimeoutError):
        detail = f"{where} sent no whole reply within {seconds:g} s"
        return Trouble(bill_unknown(detail), own=True, slow=True)
    if isinstance(error, BadBody):
        return Trouble(bill_unknown(f"{where}: {error}"), 200, own=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Trouble(bill_unknown(f"{where} cut its reply off"), 200, own=True)
    detail = f"{where} broke the connection off, or does not speak HTTP ({type(error).__name__})"
    return Trouble(bill_unknown(detail), alien=True, own=True)


def _reason(error: Exception) -> str:
    """Return why a connection failed in the system's words, which hold no part of the request."""
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    return "no connection in time" if isinstance(error, TimeoutError) else type(cause).__name__
