"""Synchronous twins of asynchronous functions, usable anywhere.

In the main thread, outside an event loop, a coroutine runs in one that is kept for the next call, so that calls in a
row share connections; Ctrl-C cancels it. Inside a loop (a notebook, a web server) it runs in a new loop on a thread of
its own, and the caller waits.

Promises: a caller who gives up ends the work, wherever it runs, and the call returns once it is cancelled: at Ctrl-C,
at any other exception that comes over the caller, and when the interpreter is about to end. Where the handler
of Ctrl-C raises nothing, as asyncio's, the call raises CancelledError.

Not covered: connections shared by calls of other threads than the main one; a call in another thread whose own caller
no longer waits (a cancelled `asyncio.to_thread`).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")

LOOK_SECONDS = 0.1  # between two looks at whether the caller has given up
ENDING_SECONDS = 5.0  # that an interpreter waits for cancelled work


def twin(call: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Return the synchronous twin of an asynchronous function: the same arguments, usable inside a running loop too."""

    @functools.wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        main = functools.partial(call, *args, **kwargs)
        if _inside_a_loop():
            return _Work(main).in_a_thread()
        if threading.current_thread() is threading.main_thread():
            return _kept.run(main)
        return _Work(main).carry_out()

    called.__name__ = called.__qualname__ = f"{call.__name__}_sync"
    return called


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Kept:
    """The event loop of the main thread's calls, opened with the first, closed with the interpreter.

    A forked process opens its own: what was opened before belongs to its parent.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._process = 0

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Await `main()` in it."""
        if self._runner is None or self._process != os.getpid():
            self._runner, self._process = asyncio.Runner(loop_factory=asyncio.new_event_loop), os.getpid()
        return self._runner.run(_alone(main), context=contextvars.copy_context())

    def close(self) -> None:
        """Close it, with all that is open in it."""
        if self._runner is not None and self._process == os.getpid():
            self._runner.close()


async def _alone(main: Callable[[], Awaitable[T]]) -> T:
    """Await `main()` as if the loop were its own: what happened since the last call is seen to, and no task stays."""
    for _ in range(2):  # connections that were closed meanwhile are read, then known to be
        await asyncio.sleep(0)
    try:
        return await main()
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Work(Generic[T]):
    """A call in a thread that gets no Ctrl-C. given_up: nobody waits for it any more; over: it has ended."""

    def __init__(self, main: Callable[[], Awaitable[T]]) -> None:
        self._main = main
        self.given_up = False
        self.over = threading.Event()

    def in_a_thread(self) -> T:
        """Carry it out in a thread of its own, and wait."""
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(self.carry_out)
            try:
                with self._hearing():
                    return done.result()
            finally:
                self.given_up = True

    def carry_out(self) -> T:
        """Carry it out in this thread."""
        _under_way.add(self)
        try:
            return anyio.run(self._watched)
        finally:
            _under_way.discard(self)
            self.over.set()

    async def _watched(self) -> T:
        self._look(asyncio.get_running_loop(), asyncio.current_task())
        return await self._main()

    def _look(self, loop: asyncio.AbstractEventLoop, work: asyncio.Task[Any] | None) -> None:
        """Cancel the work once it is given up."""
        if not self.given_up:
            loop.call_later(LOOK_SECONDS, self._look, loop, work)
        elif work is not None:
            work.cancel()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Give up at Ctrl-C even where its handler only takes a note, for a loop that does not run meanwhile."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield
            return

        def heard(number: int, frame: Any) -> None:
            self.given_up = True
            before(number, frame)

        signal.signal(signal.SIGINT, heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


_kept = _Kept()
_under_way: set[_Work[Any]] = set()


def _end_all() -> None:
    """End all work, while journals can still be written, and close the kept loop."""
    works = list(_under_way)
    for work in works:
        work.given_up = True
    for work in works:
        work.over.wait(ENDING_SECONDS)
    _kept.close()


# `atexit` is too late: by then the interpreter has waited for all threads, and ended those that write journals.
threading._register_atexit(_end_all)  # type: ignore[attr-defined]
