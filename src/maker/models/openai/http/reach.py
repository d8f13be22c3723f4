"""How a server is reached: what goes with each request beside its body, and on which way.

A key that stands in a header is the key: it is scrubbed from what comes back as a bearer token is. So is what
other headers and the query hold under a name that speaks of a secret, unless it is so short that ordinary text would
suffer. Nothing here is ever shown: the repr says nothing, and messages name a header, never its value.

Not covered: sending (`wire.py`); secrets under innocent names.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from maker.errors import ModelError
from maker.models.headers import holds_key

_RESERVED = ("content-length", "transfer-encoding", "content-encoding", "accept-encoding", "host")
_SECRET = re.compile(r"auth|key|token|secret|pass|cookie|session|credential|signature|\bsig\b", re.I)
_SHORTEST_SECRET = 8  # characters
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, frozen=True, repr=False)
class Reach:
    """The way to a server.

    headers: sent with every request. query: of the address, such as Azure's api-version. proxy: its URL, or "env" for
    what the environment says; ca_file: certificates to trust instead of the system's. uds: a unix socket to connect to.
    Raises ModelError for what cannot be sent or read.
    """

    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)
    query: Mapping[str, str] = field(default_factory=lambda: _NONE)
    proxy: str | None = None
    ca_file: str | None = None
    uds: str | None = None

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not (name.isascii() and name.isprintable() and name and not set(name) & set(' :"')):
                raise ModelError("the name of a header has characters that headers do not have: write Name: value")
            if name.lower() in _RESERVED:
                raise ModelError(f"the header {name} is set for each request and cannot be given: take it out")
            if not (value.isascii() and value.isprintable()):
                raise ModelError(f"the header {name} has characters that headers do not have (a line break?)")
        if self.proxy not in (None, "env") and urlsplit(str(self.proxy)).scheme != "http":
            raise ModelError('the proxy is given as http://HOST:PORT, or as "env" for the environment\'s')
        self.trusted()

    @property
    def key(self) -> str | None:
        """The key, if a header holds it."""
        for name, value in self.headers.items():
            if holds_key(name):
                return value.removeprefix("Bearer ").strip() or None
        return None

    @property
    def way(self) -> tuple[object, ...]:
        """What requests must have in common to share a connection."""
        return tuple(sorted(self.headers.items())), self.ca_file, self.uds

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated from what a server says, the key apart."""
        return secrets_in(self.headers) + secrets_in(self.query)

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy that requests to a URL go through."""
        if self.proxy != "env":
            return self.proxy
        parts = urlsplit(url)
        if proxy_bypass(parts.netloc):
            return None
        found = getproxies()
        return found.get(parts.scheme) or found.get("all")

    def trusted(self) -> ssl.SSLContext | None:
        """Return whom to trust, None for the system's own choice."""
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise ModelError(f"ca_file {self.ca_file}: no certificates can be read ({type(error).__name__})") from None


def secrets_in(pairs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of headers or of a query whose names speak of a secret."""
    told = (value for name, value in pairs.items() if isinstance(value, str) and _SECRET.search(name))
    found = (value.removeprefix("Bearer ").strip() for value in told)
    return tuple(value for value in found if len(value) >= _SHORTEST_SECRET)
