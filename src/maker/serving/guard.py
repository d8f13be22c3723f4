"""Who may ask, how much, and how slowly: what is settled before a request is read.

Promises: on loopback only names of loopback are taken as the host, so that no web page reaches the proxy by a name of
its own (DNS rebinding); elsewhere a key is needed. An `Origin` must be the proxy's own. Bodies are limited each and all
together, have to arrive in time, and only so many requests are held at once.

Not covered: TLS (put a reverse proxy before it); heads that never end (`listening.py`).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import anyio
from starlette.requests import ClientDisconnect, Request

from maker.errors import TaskError
from maker.serving.refused import Refused

MOST_BYTES = 4 * 2**20  # of one body
MOST_HELD = 128 * 2**20  # of all that are held
MOST_AT_ONCE = 1_024  # requests
BODY_WITHIN = 30.0  # seconds in which a body has to arrive


def is_loopback(host: str) -> bool:
    """Say whether an address or a name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Lets requests in. host: what the proxy listens on. keys: those of clients; none is needed on loopback."""

    def __init__(self, host: str, keys: Sequence[str] = ()) -> None:
        if not is_loopback(host) and not keys:
            raise TaskError(f"serve: --host {host} can be reached by others: give --auth-key, or put the key into "
                            "MAKER_AUTH_KEY. Clients send it as their API key.")  # fmt: skip
        self._local = is_loopback(host)
        self._keys = [key.encode() for key in keys]
        self.at_once = 0
        self._held = 0

    def admit(self, headers: Mapping[str, str]) -> int:
        """Return the number of the key that a request was sent with, 0 where none is needed.

        Raises Refused for a request that may not come in.
        """
        host = headers.get("host", "")
        if self._local and not is_loopback(_named(host)):
            raise Refused(403, f"the host {host[:80]!r} is not this proxy's: ask it at 127.0.0.1", code="bad_host")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, "pages of other origins may not ask this proxy", code="bad_origin")
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip().encode("utf-8", "replace") if scheme.lower() == "bearer" else b""
        # All are compared, so that the time tells nothing.
        fits = [hmac.compare_digest(given, known) for known in self._keys]
        if self._keys and not sum(fits):
            raise Refused(401, "no key of this proxy was sent: give it as the client's API key", code="invalid_api_key")
        return fits.index(True) if fits else 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for requests. Raises Refused where there is none."""
        if self.at_once >= MOST_AT_ONCE:
            raise Refused(503, f"{MOST_AT_ONCE} requests are under way", code="overloaded", wait=1)
        self.at_once += 1
        try:
            yield
        finally:
            self.at_once -= 1

    async def body(self, request: Request) -> bytes:
        """Read a body. Raises Refused for one that is too large, comes too slowly, or finds no room."""
        too_large = Refused(413, f"the body is larger than {MOST_BYTES:,} bytes", code="too_large")
        told = request.headers.get("content-length", "0")
        if told.isdigit() and int(told[:20]) > MOST_BYTES:
            raise too_large
        read = bytearray()
        try:
            with anyio.fail_after(BODY_WITHIN):
                async for chunk in request.stream():
                    read += chunk
                    self._held += len(chunk)
                    if len(read) > MOST_BYTES:
                        raise too_large
                    if self._held > MOST_HELD:
                        raise Refused(503, "too much is being read", code="overloaded", wait=1)
            return bytes(read)
        except TimeoutError:
            raise Refused(408, f"the body did not arrive within {BODY_WITHIN:.0f} s", code="too_slow") from None
        except ClientDisconnect:
            raise Refused(400, "the client left before the body was there") from None
        finally:
            self._held -= len(read)


def _named(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
