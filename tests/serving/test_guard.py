"""Who is let in: hosts, origins, keys, places and sizes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from maker.errors import TaskError
from maker.serving import guard
from maker.serving.guard import Guard
from maker.serving.refused import Refused


def status(guarded: Guard, **headers: str) -> int:
    """Return how a request is received, 200 for let in."""
    try:
        guarded.admit({name.replace("_", "-"): value for name, value in headers.items()})
    except Refused as why:
        return why.status
    return 200


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [("127.0.0.1:8010", None, 200), ("localhost", None, 200), ("[::1]:8010", None, 200), ("127.9.9.9", None, 200),
     ("evil.example", None, 403), ("", None, 403), ("127.0.0.1.evil.example", None, 403), ("localhost.", None, 403),
     ("[", None, 403), ("evil@127.0.0.1:80", None, 200), ("127.0.0.1@evil.example", None, 403),
     ("127.0.0.1:8010", "http://127.0.0.1:8010", 200), ("127.0.0.1:8010", "https://evil.example", 403),
     ("127.0.0.1:8010", "null", 403), ("127.0.0.1:8010", "http://127.0.0.1:9", 403), ("localhost:1", "", 403)],
)  # fmt: skip
def test_on_loopback_only_its_own_names_and_pages_are_let_in(host: str, origin: str | None, expected: int):
    """A page of another site reaches it neither by a name of its own nor from its own origin."""
    told = {"host": host} | ({} if origin is None else {"origin": origin})
    assert status(Guard("127.0.0.1"), **told) == expected


def test_elsewhere_a_key_is_needed():
    """It cannot be started without one; each of its keys is let in and nothing else is."""
    with pytest.raises(TaskError, match="--auth-key"):
        Guard("0.0.0.0")
    guarded = Guard("0.0.0.0", ["one", "zwei-\u00e4"])
    for sent, expected in (
        ("Bearer one", 200),
        ("bearer zwei-\u00e4", 200),
        ("Bearer on", 401),
        ("one", 401),
        ("", 401),
    ):
        assert status(guarded, host="proxy.example", authorization=sent) == expected
    assert status(guarded, host="proxy.example") == 401


def test_places_are_counted(monkeypatch: pytest.MonkeyPatch):
    """One request too many is asked to come again, and a place that is left is free."""
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 1)
    guarded = Guard("127.0.0.1")
    with guarded.place():
        with pytest.raises(Refused) as why, guarded.place():
            pass
        assert (why.value.status, why.value.headers) == (503, {"Retry-After": "1"})
    with guarded.place():
        pass


def read(guarded: Guard, chunks: list[bytes], length: str | None = None, *, hang: bool = False) -> bytes:
    """Read a body that comes in chunks."""
    events: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events += [] if hang else [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.Event().wait()
        return {}

    headers = [] if length is None else [(b"content-length", length.encode())]
    return asyncio.run(guarded.body(Request({"type": "http", "headers": headers}, receive)))


def test_bodies_are_limited_in_size_and_time(monkeypatch: pytest.MonkeyPatch):
    """Too large by what it says or by what it is: 413; too slow: 408; no room for all: 503. What is read is let go."""
    monkeypatch.setattr(guard, "MOST_BYTES", 8)
    monkeypatch.setattr(guard, "BODY_WITHIN", 0.001)
    guarded = Guard("127.0.0.1")
    assert read(guarded, [b"12", b"34"]) == b"1234"
    for expected, told in (
        (413, {"chunks": [], "length": "9"}), (413, {"chunks": [], "length": "9" * 5000}),
        (413, {"chunks": [b"12345", b"6789"]}), (408, {"chunks": [b"1"], "hang": True}),
    ):  # fmt: skip
        with pytest.raises(Refused) as why:
            read(guarded, **told)
        assert why.value.status == expected
    monkeypatch.setattr(guard, "MOST_HELD", 3)
    with pytest.raises(Refused) as why:
        read(guarded, [b"1234"])
    assert why.value.status == 503 and guarded._held == 0
