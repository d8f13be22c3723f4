"""Where a model is: its address, read and checked.

What could carry a key (user names, queries) is refused, and messages never repeat a URL that was refused.

Not covered: how it is reached (`http/wire.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from maker.errors import ModelError

OPENAI = "https://api.openai.com/v1"
_CHAT, _PLAIN = "/chat/completions", "/completions"  # the routes


@dataclass(slots=True, frozen=True)
class Target:
    """Where a model is: origin for messages, url to post to, and its name for the fingerprint."""

    origin: str
    url: str
    model: str
    api: Literal["chat", "completions"]
    name: str

    @classmethod
    def of(cls, base_url: str, model: str) -> Target:
        """Read a base URL such as http://127.0.0.1:8080/v1; one that ends in a route names the API, too.

        Raises ModelError, without repeating the URL, for one that is not usable or could hold a key.
        """
        try:
            parts = urlsplit(base_url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ModelError(_EXPECTED + " The one given cannot be read.") from None
        if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in host):
            raise ModelError(_EXPECTED)
        if "@" in parts.netloc:
            raise ModelError(f"the URL of {host} has a user name or password in it. {_KEYS}")
        if "?" in base_url:
            raise ModelError(f"the URL of {host} has a query ('?...') in it. {_KEYS}")
        if not model:
            raise ModelError(f"which model of {host}? Add its name to the URL: http://HOST:PORT/v1#NAME")
        path = parts.path.rstrip("/")
        shown = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
        if path.endswith(_PLAIN) and not path.endswith(_CHAT):
            return cls(origin, origin + path, model, "completions", f"{origin}{path}#{model}")
        base = origin + path.removesuffix(_CHAT)
        return cls(origin, base + _CHAT, model, "chat", f"openai:{model}" if base == OPENAI else f"{base}#{model}")

    @property
    def route(self) -> str:
        """The last part of its URL, which is the same at all servers."""
        return _CHAT if self.api == "chat" else _PLAIN

    @property
    def base(self) -> str:
        """What all URLs of the server begin with."""
        return self.url.removesuffix(self.route)

    @property
    def listing(self) -> str:
        """Where the server lists its models."""
        return self.base + "/models"


_EXPECTED = "the address of a model is http://HOST:PORT/v1#NAME (or https://)."
_KEYS = "Keys do not belong into URLs, they end up in logs: put the key into MAKER_API_KEY and take it out of the URL."
