"""One HTTP exchange: bytes out, what they brought back. The one place where aiohttp's errors are mapped.

Promises: an exchange ends at its deadline, connecting and the whole body included; cancelled or failed,
it leaves no socket behind; the key is sent to one URL (not to a proxy that tunnels to it) and never appears
in what is returned or logged, because no foreign exception (they carry the request's headers) leaves this
module. No redirect is followed, no proxy of the environment is used unasked and no password file at all, no
cookie is kept.

Not covered: connections (`line.py`), who may send and when (`gate.py`), and what an answer means (`reply.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from functools import partial

import aiohttp

from maker.decision.sample import Failure, Reply
from maker.errors import ModelError
from maker.models.openai.http.body import BadBody, most_bytes, read_body
from maker.models.openai.http.direct import Noticed, Post, direct_to
from maker.models.openai.http.line import Line, line_of
from maker.models.openai.http.reach import Reach
from maker.models.openai.parse import LARGE
from maker.models.openai.refusal import Asked, Trouble, bill_unknown, fatal
from maker.models.openai.reply import read_reply
from maker.models.openai.target import Target

MOST_LISTED = 2**22  # bytes of a list of models

# The connection ended before any reply did: so does a proxy where the server behind it is gone, and a dying server.
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)


class Wire:
    """Exchanges with one target, over the connections of whatever loop is running (`line.py`).

    key: the bearer token, or None; one in a header of `reach` stands instead of it. Raises ModelError
    for one that no header can hold.
    """

    def __init__(self, target: Target, key: str | None, reach: Reach) -> None:
        key = reach.key or (key.strip() if key else None)
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise ModelError("the key has characters that keys do not have (a line break? quotes?): set it again")
        self.target = target
        self.key = key or None
        self.secrets = (*([key] if key else []), *reach.secrets)
        self._reach, self._proxy, self._query = reach, reach.proxy_for(target.url), reach.query or None
        bearer = {"Authorization": f"Bearer {self.key}"} if self.key and reach.key is None else {}
        self._headers = {**bearer, **reach.headers} or None  # not the session's: a proxy is shown those
        self._way: tuple[Line, Post] | None = None  # of the loop that sent last

    async def exchange(self, body: bytes, asked: Asked, seconds: float, noticed: Noticed) -> list[Reply] | Trouble:
        """Post a body and return what came of it within `seconds`; `noticed` sees status and headers at once."""
        way = self._way  # `_at`, without a coroutine for every call
        line, post = way if way is not None and way[0].usable() else await self._at()
        began = time.monotonic()
        try:
            with line.deadline(seconds):
                status, headers, whole = await post(body, most_bytes(asked.choices * asked.tokens), noticed)
        except (aiohttp.ClientError, OSError, ValueError, BadBody) as error:  # a deadline is an OSError, too
            return _trouble(error, self.target.origin, seconds)
        told = status, headers, whole, asked, time.monotonic() - began
        return read_reply(*told) if len(whole) < LARGE else await asyncio.to_thread(read_reply, *told)

    async def _post_by(
        self, session: aiohttp.ClientSession, body: bytes, most: int, noticed: Noticed
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Post a body by a session, which knows of proxies."""
        response = await session.post(
            self.target.url,
            data=body,
            headers=self._headers,
            allow_redirects=False,
            proxy=self._proxy,
            params=self._query,
        )
        noticed(response.status, response.headers)
        return response.status, response.headers, await _read(response, most)

    async def fetch(
        self, method: str, path: str, body: bytes | None = None, *, seconds: float, most: int,
        kind: str = "application/json", query: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes] | Trouble:  # fmt: skip
        """Ask something else than for a completion; return status, headers and the whole body, or why none came.

        path: behind the address that all routes of the server begin with. kind: of the body. most: bytes of the answer.
        """
        line, _ = await self._at()
        try:
            with line.deadline(seconds):
                response = await line.session.request(
                    method,
                    self.target.base + path,
                    data=body,
                    headers={**(self._headers or {}), "Content-Type": kind},
                    allow_redirects=False,
                    proxy=self._proxy,
                    params={**(self._query or {}), **(query or {})} or None,
                )
                whole = await _read(response, most)
        except (aiohttp.ClientError, OSError, ValueError, BadBody) as error:
            return _trouble(error, self.target.origin, seconds)
        return response.status, response.headers, whole

    async def _at(self) -> tuple[Line, Post]:
        """Return the running loop's line, and what posts over it."""
        way = self._way
        if way is None or not way[0].usable():
            line = await line_of(self, self.target.origin, self.key, self._reach)
            direct = None if self._proxy else direct_to(line.session, self.target.url, self._headers, self._query)
            self._way = way = line, direct or partial(self._post_by, line.session)
        return way

    async def listed(self, seconds: float) -> bytes:
        """Return what the server says of the models it has, b"" for nothing; asked after an exchange, beside it."""
        way = self._way
        if way is None or not way[0].usable():
            return b""
        line, _ = way
        try:
            with line.deadline(seconds):
                response = await line.session.get(
                    self.target.listing,
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    params=self._query,
                )
                whole = await _read(response, MOST_LISTED)
        except (aiohttp.ClientError, OSError, ValueError, BadBody):
            return b""
        return whole if response.status == 200 else b""

    async def aclose(self) -> None:
        """Close what the running loop has open, unless other models use it. The next exchange opens it anew."""
        way, self._way = self._way, None
        if way is not None and way[0].loop is asyncio.get_running_loop():
            await way[0].leave(self)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the whole body of a reply whose headers are there, and free its connection."""
    try:
        encoding = response.headers.get("Content-Encoding", "")
        whole = await read_body(response.content.iter_any(), encoding, response.content_length, most)
    except BaseException:
        response.close()  # what is unread must not be taken for the next reply
        raise
    response.release()
    return whole


def _trouble(error: Exception, where: str, seconds: float) -> Trouble:
    """Return what an exception of the connection means."""
    if isinstance(error, (aiohttp.ClientSSLError, ValueError)):  # the latter for a host that cannot be looked up
        return fatal(0, f"{where} has no certificate that can be trusted, or is no address. Check it, and the clock")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _no_tunnel(getattr(error, "status", 0), where)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        where = f"the proxy for {where}"
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)):
        return Trouble(Failure("transient", f"{where} cannot be reached ({_reason(error)})", gone=True), alien=True)
    if isinstance(error, TimeoutError):
        detail = f"{where} sent no whole reply within {seconds:g} s"
        return Trouble(bill_unknown(detail), own=True, slow=True)
    if isinstance(error, (BadBody, aiohttp.ClientPayloadError)):
        told = f": {error}" if isinstance(error, BadBody) else " cut its reply off"
        return Trouble(bill_unknown(where + told), 200, own=True)
    detail = f"{where} broke the connection off, or does not speak HTTP ({type(error).__name__})"
    failure = bill_unknown(detail)
    failure.gone = isinstance(error, _BROKEN)
    return Trouble(failure, alien=True, own=True)


def _no_tunnel(status: int, where: str) -> Trouble:
    """Return what it means that a proxy opens no way to a server."""
    detail = f"the proxy refuses the way to {where} ({status})"
    if 400 <= status < 500:
        return fatal(status, f"{detail}. Check its address and password")
    return Trouble(Failure("transient", detail), alien=True)


def _reason(error: Exception) -> str:
    """Return why a connection failed in the system's words, which hold no part of the request."""
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    return "no connection in time" if isinstance(error, TimeoutError) else type(cause).__name__
