"""Workers that are processes of this machine: all its cores for one long run.

A process is told its order and jobs over its input, and answers over its output; each message is its length and its
bytes. It ends when its input ends: it cannot outlive its parent.

Not covered: what the messages say (`order.py`, `stretch.py`), and who hands out the work (`lead.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import IO

from anyio import to_thread

from maker.engine.crew.launcher import Lost
from maker.engine.crew.order import Worker
from maker.models.process import collect_seldom, fresh_interpreter

FEWEST_STEPS = 20_000  # still to do; for less, starting processes takes longer than they save
JOB_STEPS = 1_000  # of one job at most, some 40 ms: so far is an interrupt or a crash behind
MOST_PROCESSES = 8  # one process journals for all

_SIZE = struct.Struct("<Q")


class Process:
    """One worker, as the process sees it that started it."""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        self._started, self.name = started, started.pid

    async def ask(self, told: bytes, answers: int) -> list[bytes]:
        """Tell the process something and wait for so many answers. Raises Lost when it has ended."""
        return await to_thread.run_sync(self._ask, told, answers)

    async def end(self) -> None:
        """Do nothing: its jobs are over in a moment."""

    def _ask(self, told: bytes, answers: int) -> list[bytes]:
        process = self._started
        assert process.stdin is not None, "a process is started with pipes"
        assert process.stdout is not None, "a process is started with pipes"
        try:
            _write(process.stdin, told)
            return [_read(process.stdout) for _ in range(answers)]
        except (OSError, EOFError) as error:
            raise Lost(self.name, f"it has ended: {error!r}") from error


class Processes:
    """Starts them: one a core, which are taken at their word when they lead to the states that the plan knows."""

    model: str | None = None
    trusted: bool = True
    aim: float | None = None

    def __init__(self) -> None:
        self.job = JOB_STEPS

    async def count(self, lanes: int, steps: int) -> int:
        """Say how many are worth starting: one a core, and none for a short run or a single core."""
        count = min(_cores(), MOST_PROCESSES, lanes)
        return count if count > 1 and steps >= FEWEST_STEPS else 0

    @contextlib.asynccontextmanager
    async def worker(self, order: bytes) -> AsyncIterator[Process]:
        """Have a process at work; it has ended when the block has, however that ends. Raises Lost where none starts."""
        try:
            # Unbuffered: what a process that was killed has not read must not fail once more when its pipe is closed.
            started = fresh_interpreter("maker.engine.crew.processes", buffered=False)
        except OSError as error:  # no interpreter to be found, or no room for another process
            raise Lost(None, repr(error)) from error
        with started:
            try:
                process = Process(started)
                await process.ask(order, 1)
                yield process
            finally:
                started.kill()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- in the other process ------------------------------------------------------------------------------------


def main() -> None:
    """Read an order, then jobs; answer each with its stretches, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    collect_seldom()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write to the pipe
    with contextlib.suppress(BrokenPipeError, EOFError):  # the parent is gone
        asyncio.run(serve(source, target))


async def serve(source: IO[bytes], target: IO[bytes]) -> None:
    """Do as `main` does, on two streams. Raises EOFError at the end, MakerError for an order that is not as it was."""
    worker = Worker(_read(source))
    _write(target, b"")
    while True:
        for answer in await worker.decide(**json.loads(_read(source))):
            _write(target, answer)


def _read(source: IO[bytes]) -> bytes:
    """Return the next message. Raises EOFError at the end."""
    (length,) = _SIZE.unpack(_exactly(source, _SIZE.size))
    return _exactly(source, length)


def _exactly(source: IO[bytes], length: int) -> bytes:
    parts = []
    while length:
        part = source.read(length)  # of a pipe: what is there
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(target: IO[bytes], content: bytes) -> None:
    left = memoryview(_SIZE.pack(len(content)) + content)
    while left:
        left = left[target.write(left) :]
    target.flush()
