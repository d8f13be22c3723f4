"""The synchronous twins: the same call, in any loop and any thread."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import given_up
import maker
from maker.api.sync import twin
from maker.errors import TaskError, Undecided
from maker.testing import FaultServer, ScriptedModel


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


# -- giving up -------------------------------------------------------------------------------------------------

CHILD = Path(given_up.__file__)
IN_TIME = 5.0  # seconds after which a call that was given up must have ended; to its own end it needs a minute


@pytest.mark.parametrize("how", ["notebook", "asyncio", "server", "exception", "thread", "pool"])
def test_a_call_that_is_given_up_ends_at_once(how: str, tmp_path: Path) -> None:
    """Ctrl-C inside a loop, whoever handles it, and the end of the interpreter: no call more, and a resume goes on."""
    journal = tmp_path / "map.db"
    with subprocess.Popen(
        [sys.executable, CHILD, how, journal], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "under way\n"
        began = time.monotonic()
        if how not in ("thread", "pool"):
            child.send_signal(signal.SIGALRM if how == "exception" else signal.SIGINT)
        said, complaint = child.communicate(timeout=30)
        seconds = time.monotonic() - began
    assert seconds < IN_TIME, complaint
    assert said.split() == {
        "notebook": ["KeyboardInterrupt"], "asyncio": ["CancelledError", "KeyboardInterrupt"],
        "server": ["CancelledError"], "exception": ["ZeroDivisionError"], "thread": [], "pool": [],
    }[how], complaint  # fmt: skip
    assert "RuntimeError" not in complaint
    resumed = given_up.ask(journal, seconds=0)
    usage = resumed.result.usage
    assert [item.answer for item in resumed] == ["yes"] * given_up.ITEMS
    assert 0 < usage.cancelled <= given_up.AT_ONCE
    assert usage.dispatched == given_up.ITEMS * given_up.K + usage.cancelled


def test_calls_in_a_row_share_connections() -> None:
    """Ten sync votes that name the model need no more connections than one of them; one that was lost is replaced."""
    with FaultServer() as server:
        for turn in range(10):
            maker.vote_sync(f"question {turn}", model=server.spec(), k=2, limits={"concurrency": 2})
        assert len({request.peer for request in server.requests}) == 2
        port = server.port
    with FaultServer(port=port) as server:  # the old connections are closed, which nobody has read so far
        verdict = maker.vote_sync("question", model=server.spec(), k=2, limits={"concurrency": 2})
        assert (verdict.samples, len(server.requests)) == (2, 2)


def test_a_call_leaves_no_task_to_the_next() -> None:
    """What a call began and did not end is cancelled with it."""
    begun: list[asyncio.Task[None]] = []

    async def careless() -> int:
        begun.append(asyncio.ensure_future(asyncio.sleep(60)))
        await asyncio.sleep(0)
        return 1

    assert twin(careless)() == 1
    assert begun[0].cancelled()


def says(text: str) -> Any:
    """Return a model that says one thing."""

    async def answer(prompt: str) -> str:
        return text

    return answer


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """A child that is forked after a call does not touch its parent's loop."""
    assert maker.vote_sync("a", model=says("yes"), k=1).answer == "yes"
    with warnings.catch_warnings():  # newer versions of Python warn of threads, which the child does not use
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if maker.vote_sync("b", model=says("no"), k=1).answer == "no" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert maker.vote_sync("c", model=says("yes"), k=1).answer == "yes"
