"""What it takes to have others decide: a way to start a worker, to ask it, and to know that it is lost.

Two keep it: processes of this machine (`processes.py`) and actors of a Ray cluster (`cluster.py`). What is handed out,
checked and journaled is the same for both (`lead.py`).

Not covered: what the messages say (`order.py`, `stretch.py`).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Lost(Exception):
    """A worker is gone, or says what makes no sense. name: the worker's, None where it never began."""

    def __init__(self, name: object, detail: str) -> None:
        super().__init__(detail)
        self.name = name


class Worker(Protocol):
    """Somebody at work. name: for a person to find it by."""

    @property
    def name(self) -> object:
        """What it is called."""
        ...

    async def ask(self, told: bytes, answers: int) -> list[bytes]:
        """Tell it something and wait for so many answers. Raises Lost when it cannot answer any more."""
        ...

    async def end(self) -> None:
        """Have it end its jobs early: what is out still comes, and is answered. It may be gone already."""
        ...


class Launcher(Protocol):
    """Who starts workers.

    model: the specification that they make their model from; None where a model that is `replicable` has to say it
    itself, and a run with limits has no workers.
    trusted: what they send is taken if it leads to the state that the plan knows; else each of its votes is counted
    again here first. job: steps of a worker's first job. aim: seconds that a job should take, to which the later ones
    are fitted; None for jobs that stay as they are.
    """

    model: str | None
    trusted: bool
    job: int
    aim: float | None

    async def count(self, lanes: int, steps: int) -> int:
        """Say how many are worth starting for so many lanes with so many steps to go; 0 for none."""
        ...

    def worker(self, order: bytes) -> AbstractAsyncContextManager[Worker]:
        """Have a worker that was told an order; it is gone when the block ends. Raises Lost where none can be had."""
        ...
