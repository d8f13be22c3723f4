"""Synchronous twins of asynchronous functions, usable anywhere.

Outside an event loop a coroutine simply runs in a new one; inside one (a notebook, a web server)
it runs in a new loop on a thread of its own, and the caller waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

T = TypeVar("T")


def in_new_loop(call: Callable[[], Awaitable[T]]) -> T:
    """Run `call` to its end in an event loop of its own and return its result."""

    async def main() -> T:
        """Await the call: an event loop runs coroutines, not awaitables."""
        return await call()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(main)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, main).result()
