"""One deadline for many attempts of equal length, kept by one timer.

Promises what `asyncio.timeout` promises for each of them, without a timer of its own for each: that is 3% of a call
at thousands of calls a second.

Not covered: several attempts in one task at a time, and several event loops.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

_PASSED = 0.0


class Deadline:
    """`with Deadline(seconds):` ends what a task awaits inside, with TimeoutError, once so many seconds are over.

    Any number of tasks may be inside at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._inside: dict[asyncio.Task[Any], tuple[float, int]] = {}  # in order: (end, cancellations before)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None and task not in self._inside, "a task has one attempt under way at a time"
        end = self._loop.time() + self._seconds
        self._inside[task] = end, task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._ring)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None, "it was entered in a task"
        end, before = self._inside.pop(task)
        # Cancelled by somebody else as well, it stays cancelled.
        if end == _PASSED and task.uncancel() <= before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _ring(self) -> None:
        """Cancel those whose time is over, and see to the next."""
        self._timer = None
        now = self._loop.time()
        for task, (end, before) in self._inside.items():
            if end > now:
                self._timer = self._loop.call_at(end, self._ring)
                return
            if end != _PASSED:
                self._inside[task] = _PASSED, before
                task.cancel()
