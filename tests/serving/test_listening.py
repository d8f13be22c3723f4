"""The port: slow heads are cut off, and a stop lets what is under way be answered."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from starlette.applications import Starlette

from maker.errors import TaskError
from maker.serving import listening
from maker.serving.listening import listen
from maker.testing import FaultServer, Reply
from maker.testing.replies import Received
from proxied import proxied

GOOD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_a_head_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    """Whether it is the first of its connection or a later one, and whatever is in it; others are served meanwhile."""
    monkeypatch.setattr(listening, "HEAD_WITHIN", 0.1)
    with FaultServer() as server, proxied(server.spec("m")) as address:
        at = urlsplit(address)
        for first, begun in ((b"", b""), (b"", GOOD[:14]), (GOOD, GOOD[:14])):
            with socket.create_connection((at.hostname, at.port), timeout=10) as client:
                client.sendall(first)
                assert not first or client.recv(4096).startswith(b"HTTP/1.1 200")
                client.sendall(begun)
                while client.recv(4096):  # ends when the connection is closed
                    pass


@pytest.mark.parametrize("junk", [b"\0" * 100_000, b"GET / HTTP/9.9\r\n\r\n", b"A: " + b"x" * 200_000, b"\r\n" * 50])
def test_what_is_no_http_is_refused_and_harms_nobody(junk: bytes):
    """The next request is served."""
    with FaultServer() as server, proxied(server.spec("m")) as address:
        at = urlsplit(address)
        with socket.create_connection((at.hostname, at.port), timeout=10) as client:
            client.sendall(junk)
        assert urlopen(address.replace("/v1", "/health")).status == 200


def test_a_stop_lets_what_is_under_way_be_answered():
    """The answer that was being waited for comes, and the server ends after it."""
    asked, found = threading.Event(), []

    def slowly(received: Received) -> Reply:
        asked.set()
        return Reply("late", delay=0.2)

    def go(address: str) -> None:
        told = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
        found.append(json.loads(urlopen(Request(f"{address}/chat/completions", told)).read()))

    with FaultServer(slowly) as server:
        with proxied(server.spec("m")) as address:
            thread = threading.Thread(target=go, args=(address,))
            thread.start()
            assert asked.wait(10)
        thread.join()
    assert found[0]["choices"][0]["message"]["content"] == "late"


def test_a_port_that_is_taken_is_told():
    """In one line, before anything is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(TaskError, match="in use"):
        listen(Starlette(), "127.0.0.1", taken.getsockname()[1], print)
