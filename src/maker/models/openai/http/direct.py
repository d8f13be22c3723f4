"""The way of most requests: posts over the connections of aiohttp, without the rest of its client.

aiohttp's session does for every request what a client for everything must: it merges headers, follows redirects, fills
cookie jars, and has a task write the body. Here the head is made once, and goes out in one piece with the body; a
connection comes from the session's own pool and goes back there, and aiohttp's parser reads the reply.

Promises: the bytes are those that the session would send, and what goes wrong raises what it would raise. A connection
is used again only after a whole reply to a whole request. Where aiohttp is another than this was tested with, or a
proxy stands between, there is no such way, and the session is asked.

Not covered: deadlines and what errors mean (`wire.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http import HttpProcessingError
from yarl import URL

from maker.models.openai.http.body import at_hand, read_body

Noticed = Callable[[int, Mapping[str, str]], None]  # sees status and headers
Post = Callable[[bytes, int, Noticed], Awaitable[tuple[int, Mapping[str, str], bytes]]]

_TESTED = (3, 14)  # the newest aiohttp that this was tested with: what is used here is not promised to stay


class _Standing(aiohttp.ClientRequest):
    """A request that stands for all to one address: which connections it may have is found once."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        """What connections are kept under."""
        return super().connection_key


class Direct:
    """Posts to one address over the connections of a session.

    Not documented of aiohttp, and so for tested versions alone: `connect` of connectors, and the protocol's
    `set_response_params` and `read`.
    """

    def __init__(self, session: aiohttp.ClientSession, request: aiohttp.ClientRequest) -> None:
        assert session.connector is not None, "the session is open"
        self._connector, self._timeout, self._request = session.connector, session.timeout, request
        fields = [(name, value) for name, value in request.headers.items() if name != "Content-Length"]
        lines = [f"POST {request.url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        self._head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode()

    async def post(self, body: bytes, most: int, noticed: Noticed) -> tuple[int, Mapping[str, str], bytes]:
        """Send a body and return status, headers and body of the reply; `noticed` sees the first two at once.

        Raises what aiohttp raises, and BadBody. Failed or cancelled, it closes the connection.
        """
        try:
            connection = await self._connector.connect(self._request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {self._request.url.host}") from error
        try:
            transport, protocol = connection.transport, connection.protocol
            if transport is None or protocol is None or transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            message, content = await protocol.read()
            while message.code < 200 and message.code != 101:  # more is to come
                message, content = await protocol.read()
            headers = message.headers
            noticed(message.code, headers)
            encoding = headers.get("Content-Encoding", "")
            whole = at_hand(content, encoding)
            if whole is None:
                length = headers.get("Content-Length")
                whole = await read_body(content.iter_any(), encoding, int(length) if length else None, most)
        except BaseException as error:
            connection.close()  # what is unread must not be taken for the next reply
            if isinstance(error, HttpProcessingError):
                raise aiohttp.ClientResponseError(self._request.request_info, (), status=error.code) from error
            raise
        if transport.get_write_buffer_size():  # it has answered before it was asked in full
            connection.close()
        else:
            connection.release()
        return message.code, headers, whole


def direct_to(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None, query: Mapping[str, str] | None
) -> Post | None:
    """Return what posts to an address, None where the session has to be asked."""
    if tuple(map(int, aiohttp.__version__.split(".")[:2])) != _TESTED:
        return None
    merged = session.headers.copy()
    merged.update(headers or {})
    loop = asyncio.get_running_loop()
    return Direct(session, _Standing("POST", URL(url), params=query, headers=merged, loop=loop)).post
