"""The synchronous twins: the same call, in any loop and any thread."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

import maker
from maker.errors import TaskError, Undecided
from maker.testing import ScriptedModel


def ask(script: Any, **settings: Any) -> maker.Verdict[Any]:
    """Vote on a script."""
    return maker.vote_sync("What?", model=ScriptedModel(script), **settings)


def test_the_synchronous_twin_is_the_same_call() -> None:
    """It has the signature and the docstring of its twin, a name of its own, and is no coroutine."""
    assert inspect.signature(maker.vote_sync) == inspect.signature(maker.vote)
    assert (maker.vote_sync.__name__, maker.vote_sync.__doc__) == ("vote_sync", maker.vote.__doc__)
    assert not inspect.iscoroutinefunction(maker.vote_sync)
    with pytest.raises(maker.TaskError, match="kk"):
        maker.vote_sync("?", model=ScriptedModel(["a"]), kk=3)


@pytest.mark.asyncio
async def test_vote_sync_inside_a_running_loop() -> None:
    """The synchronous call works in a notebook or a server, where a loop is running already."""
    assert ask(["a"]).answer == "a"
    assert (await maker.vote("What?", model=ScriptedModel(["b"]))).answer == "b"


def test_vote_sync_in_threads() -> None:
    """Threads vote side by side, each with its own answer."""
    answers: dict[int, Any] = {}

    def one(number: int) -> None:
        answers[number] = ask([str(number)], answer=int).answer

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(8)}


def test_errors_cross_the_thread() -> None:
    """What the vote raises arrives as it is, also through the thread of a running loop."""

    async def main() -> None:
        with pytest.raises(Undecided):
            ask(["a", "b"], limits={"max_votes": 4})
        with pytest.raises(TaskError):
            ask(["a"], k=0)

    asyncio.run(main())
