"""Worker processes of the bundled model: each owns the weights and one thread.

Promises: a worker is a fresh interpreter, so it needs no
`if __name__ == "__main__"` in the caller's script, and its thread limits are set before numpy
loads; jobs and replies are lines of JSON on its own pipes, so neither side runs what the other
sends; it ends when its input ends, so it cannot outlive its parent. Several threads may call `answer`
at once; each call takes a free worker. A worker that dies raises `ModelError`, and the next call
starts a new one.

Not covered: what a job is (`sampler.py`).
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from maker.errors import InternalError, ModelError
from maker.models.process import fresh_interpreter

if TYPE_CHECKING:
    from maker.models.neural.sampler import Answered, Job


_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Workers:
    """`count` worker processes, each started at the first call that needs it."""

    def __init__(self, options: Mapping[str, Any], count: int) -> None:
        self.count = count
        self._options = dict(options)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._free: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)  # a place for a worker that is not started yet
        self._end = weakref.finalize(self, _end, self.processes)

    def answer(self, jobs: Sequence[Job]) -> list[Answered]:
        """Let a free worker answer the jobs, waiting for one if all are busy."""
        process = self._free.get()
        if process is None:
            process = _start(self._options)
            self.processes.append(process)
        alive: subprocess.Popen[bytes] | None = None
        try:
            _send(process.stdin, jobs)
            kind, value = _receive(process.stdout)
            alive = process
        except (OSError, EOFError, ValueError) as error:
            self.processes.remove(process)
            _end([process])
            raise ModelError(
                f"a worker process of the bundled model died (exit code {process.poll()}, {error!r}); was it killed, "
                "or out of memory? Resume the run, or use fewer workers ('neural:workers=1')."
            ) from error
        finally:
            self._free.put(alive)
        if kind != "replies":
            raise InternalError(f"a worker of the bundled model failed: {value}")
        from maker.models.neural.sampler import Text  # noqa: PLC0415 -- numpy is loaded where it is used

        return [([Text(*text) for text in texts], own) for texts, own in value]

    def close(self) -> None:
        """End all workers and wait for them; no call may be under way."""
        for _ in range(self.count):
            self._free.get()
        _end(self.processes)
        for _ in range(self.count):
            self._free.put(None)


def _start(options: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start one worker with one thread."""
    variables = dict.fromkeys(_THREADS, "1")
    process = fresh_interpreter("maker.models.neural.worker", variables=variables)
    _send(process.stdin, {key: str(value) if isinstance(value, Path) else value for key, value in options.items()})
    return process


def _send(pipe: IO[bytes] | None, value: object) -> None:
    assert pipe is not None, "a worker is started with pipes"
    pipe.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None, "a worker is started with pipes"
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError("its answer was cut off")
    return json.loads(line)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Close the workers' input, which ends them; kill one that does not end within two seconds."""
    while processes:
        process = processes.pop()
        assert process.stdin is not None, "a worker is started with pipes"
        assert process.stdout is not None, "a worker is started with pipes"
        with contextlib.suppress(OSError):  # what it had not read is lost with it
            process.stdin.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main() -> None:
    """Read options, then jobs, a line each; write a line of replies for each, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write to the pipe
    from maker.models.neural.bundled import build  # noqa: PLC0415 -- neural.py imports this module
    from maker.models.neural.sampler import Job  # noqa: PLC0415 -- after the thread limits are set

    sampler = build(**json.loads(source.readline()))
    for line in source:
        try:
            answer = ["replies", sampler.answer([Job(*job) for job in json.loads(line)])]
        except Exception as error:  # noqa: BLE001 -- told to the parent, which raises it
            answer = ["error", repr(error)]
        try:
            _send(target, answer)
        except BrokenPipeError:  # the parent is gone
            return
