"""Your own callable as a model: what it returns is a sample, what it raises a failure."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Failure, Request
from maker.errors import Undecided
from maker.models.own import failure_of, from_callable


class Refused(Exception):
    """A client's error, with the status and the headers of the response."""

    def __init__(self, status: object, **headers: str) -> None:
        super().__init__("sk-canary")
        self.status_code = status
        self.response = type("Response", (), {"headers": headers})


async def aware(prompt: str) -> str:
    """Answer."""
    return f"to {prompt}"


def plain(prompt: str) -> str:
    """Answer, in a thread."""
    return f"to {prompt}"


@pytest.mark.parametrize("function", [aware, plain, lambda prompt: aware(prompt + "")])
def test_a_callable_can_be_voted_on(function):
    """An async function, a sync one, and a sync one that returns an awaitable are models as they stand."""
    assert maker.vote_sync("all", model=function, k=2).answer == "to all"


@pytest.mark.parametrize(
    ("error", "kind", "wait"),
    [
        (Refused(401), "fatal", None), (Refused(403), "fatal", None), (Refused(400), "poison", None),
        (Refused(429, **{"retry-after": "3"}), "transient", 3.0),
        (Refused(429, **{"retry-after": "soon"}), "transient", None),
        (Refused(529), "transient", None), (TimeoutError(), "transient", None), (ConnectionError(), "transient", None),
    ],
)  # fmt: skip
def test_what_a_client_raises_is_a_failure_by_its_status(error, kind, wait):
    """The status decides, and no word of the error is repeated."""
    failure = failure_of(error)
    assert (failure.kind, failure.retry_after) == (kind, wait)
    assert "canary" not in repr(failure)


def test_a_reply_of_another_type_is_told():
    """A number in place of text is a fatal failure that says what to return."""
    (reply,) = asyncio.run(from_callable(lambda prompt: 7).draw([Request(Address("r", 0, 0), "what?", 1)]))
    assert isinstance(reply, Failure)
    assert "returned int" in reply.detail


def test_nobody_waits_for_a_sync_function_that_takes_too_long():
    """When the time is over the call ends, although the function does not; no interpreter waits for its thread."""
    end, threads = threading.Event(), []

    def silent(prompt: str) -> str:
        threads.append(threading.current_thread())
        end.wait(10)
        return "late"

    with pytest.raises(Undecided, match="seconds are over"):
        maker.vote_sync("all", model=silent, k=2, limits={"max_seconds": 0.02})
    alive = [thread.is_alive() and thread.daemon for thread in threads]
    end.set()
    assert alive == [True, True]


def test_a_sync_function_sees_the_context_of_its_call():
    """What a tracer keeps in context variables is there in the function's thread, too."""
    traced: ContextVar[str] = ContextVar("traced")
    traced.set("here")
    assert maker.vote_sync("all", model=lambda prompt: traced.get(), k=2).answer == "here"


def test_two_callables_of_a_ladder_are_told_apart():
    """A callable is known by its own name, as a rung and as a model."""
    assert [maker.ladder.another_model(model).__name__ for model in (aware, plain)] == [
        "another_model(aware)", "another_model(plain)"
    ]  # fmt: skip
    assert (from_callable(aware).name, from_callable(aware, name="mine").name) == ("aware", "mine")
