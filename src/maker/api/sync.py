"""Synchronous twins of asynchronous functions, usable anywhere.

Outside an event loop a coroutine simply runs in a new one; inside one (a notebook, a web server)
it runs in a new loop on a thread of its own, and the caller waits.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")


def twin(call: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Return the synchronous twin of an asynchronous function: the same arguments, usable inside a running loop too."""

    @functools.wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        main = functools.partial(call, *args, **kwargs)
        if not _inside_a_loop():
            return anyio.run(main)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(anyio.run, main).result()

    called.__name__ = called.__qualname__ = f"{call.__name__}_sync"
    return called


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
