"""A voting proxy on a free port of loopback, in a thread of its own, for tests of what its clients see."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from maker.decision.sample import Model
from maker.models import load_model
from maker.serving.app import Proxy
from maker.serving.guard import Guard
from maker.serving.listening import Listener
from maker.serving.record import Record
from maker.serving.voting import Rules, Voter


@contextmanager
def proxied(
    upstream: Model | str, rules: Rules | None = None, *, keys: Sequence[str] = (), record: Record | None = None
) -> Iterator[str]:
    """Serve an upstream; yield the address. It is stopped as by a signal: what is under way is answered."""
    model = load_model(upstream) if isinstance(upstream, str) else upstream
    proxy = Proxy(Voter(model, rules or Rules()), Guard("127.0.0.1", keys), record)
    began, told = threading.Event(), []

    def listening(address: str) -> None:
        told.append(address)
        began.set()

    own = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = Listener(proxy.app, listening)
    thread = threading.Thread(target=server.run, args=([own],))
    thread.start()
    try:
        assert began.wait(30)
        yield told[0]
    finally:
        server.should_exit = True
        thread.join()
        own.close()
