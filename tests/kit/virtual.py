"""A clock that jumps: what would take minutes is over at once, and always in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import anyio
import pytest

from maker.journal.writer import Journal

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._select, self._selector.select = self._selector.select, self._jump  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now

    def _jump(self, timeout: float | None = None) -> Any:
        self._now += timeout or 0.0
        return self._select(0 if timeout is not None else None)


def virtually(main: Callable[[], Awaitable[T]], *, plain: bool = False) -> tuple[T, float]:
    """Carry out `main` on a virtual clock; return what it does, and how many virtual seconds that took.

    plain: in a loop of asyncio's, as programs have that know nothing of anyio. The limits of a run are kept by the
    same clock. Commits are waited for at once: a thread's time is not virtual.
    """

    async def at_once(journal: Journal) -> None:
        journal.flush()

    async def timed() -> tuple[T, float]:
        return await main(), asyncio.get_running_loop().time()

    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "committed", at_once)
        patch.setattr("maker.sending.budget.funds.time", clock)
        if plain:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                return runner.run(timed())
        return anyio.run(timed, backend_options={"loop_factory": VirtualLoop})
