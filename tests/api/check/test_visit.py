"""A look at a model ends in time and within its calls, whatever the model does; each kind of server is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from maker.api.check import Findings, check, check_sync
from maker.api.check import visit as visit_module
from maker.api.check.visit import MOST_CALLS, PATIENCE, THINKING_CAP, WORDS
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.errors import TaskError
from maker.models.openai.client import OpenAI
from maker.testing import FaultServer, error
from maker.testing import Reply as Told
from maker.testing.replies import Received


class Clock:
    """A time that passes only where it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        await asyncio.sleep(0)


class Actor:
    """A model that does as a function of request and clock says, and takes a second for each draw."""

    name = "actor"

    def __init__(self, act: Callable[[Request, Clock], Reply], seconds: float = 1.0) -> None:
        self.act, self.clock, self.seconds = act, Clock(), seconds
        self.requests: list[Request] = []

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer, and let time pass."""
        self.requests += requests
        self.clock.now += self.seconds
        return [self.act(request, self.clock) for request in requests]

    def look(self) -> Findings:
        """Look at it."""
        return asyncio.run(check(self, clock=self.clock, sleep=self.clock.sleep))


def words(request: Request, _: object = None) -> Sample:
    """Answer well: seeds are obeyed, and schemas."""
    if request.schema is not None:
        return Sample('"alpha"', 9, 3)
    text = f"pear, word {request.seed}" if request.prompt == WORDS else "4"
    return Sample(text.partition(",")[0] if "," in request.stop else text, 9, 6)


def test_a_good_model_is_asked_few_questions() -> None:
    """Fourteen calls, all booked; one reply at a time comes as fast alone as in a crowd."""
    found = (actor := Actor(words)).look()
    assert (found.usable, found.calls, len(actor.requests), found.seconds, found.ended) == (True, 14, 14, 14.0, "")
    assert (found.seeds, found.schema, found.stop, found.draws, found.distinct) == (
        "obeyed",
        "enforced",
        "obeyed",
        10,
        10,
    )
    assert (found.latency, found.tokens_per_second, found.at_once, found.gain) == (1.0, 6.0, 8, 1.0)
    assert found.tokens == 14 * 9 + 13 * 6 + 3


def test_each_call_is_told() -> None:
    """Of thirty at most."""
    told: list[tuple[int, int]] = []
    actor = Actor(words)
    asyncio.run(check(actor, progress=lambda *made: told.append(made), clock=actor.clock, sleep=actor.clock.sleep))
    assert told == [(made, MOST_CALLS) for made in range(1, 15)]


def test_a_model_that_thinks_is_given_room() -> None:
    """A first reply that was cut off in its thoughts is asked for again with more tokens, and so is what follows."""

    def act(request: Request, _: Clock) -> Sample:
        if request.max_tokens < 1000:
            return Sample(None, 9, request.max_tokens, "length", reasoning="well, well")
        return Sample(words(request).text, 9, 700, reasoning="well, well", tokens_reasoning=690)

    found = (actor := Actor(act)).look()
    assert (found.usable, found.thought, found.settings) == (True, 690, {"max_tokens": 16_384})
    assert {request.max_tokens for request in actor.requests[1:]} == {THINKING_CAP}


def test_a_model_that_goes_on_and_on_is_given_a_stop() -> None:
    """A first reply of text without an end is asked for again with a line's end as its stop."""

    def act(request: Request, _: Clock) -> Sample:
        return words(request) if "\n" in request.stop else Sample("4\nQ: What", 9, request.max_tokens, "length")

    found = (actor := Actor(act)).look()
    assert (found.usable, found.thought, found.settings) == (True, 0, {"stop": ["\n"]})
    assert "\n" in actor.requests[-1].stop


def test_what_passes_is_waited_for() -> None:
    """As long as a wait is named, the model may load."""

    def act(request: Request, clock: Clock) -> Reply:
        return words(request) if clock.now > 25 else Failure("transient", "it is loading", 2.0)

    found = Actor(act, seconds=0.5).look()
    assert found.usable
    assert found.seconds > 25
    assert found.calls <= 14 + 8, "it is asked more and more seldom"


def test_what_does_not_pass_is_not_waited_for() -> None:
    """Failures that name no wait end the look after some seconds, with their words."""
    found = (actor := Actor(lambda *_: Failure("transient", "the line is bad"), seconds=0.1)).look()
    assert (found.usable, found.remedy) == (False, "the line is bad")
    assert PATIENCE < actor.clock.now < 2 * PATIENCE


def test_a_wait_that_is_too_long_is_told() -> None:
    """A server that opens tomorrow is not waited for."""
    found = (actor := Actor(lambda *_: Failure("transient", "come back tomorrow", 86_400.0))).look()
    assert found.calls == len(actor.requests) == 1
    assert found.remedy == "come back tomorrow. It asks to wait 86,400 s: look again then"


def test_no_more_calls_than_thirty() -> None:
    """Not even where each is to be put otherwise."""
    found = (actor := Actor(lambda *_: Failure("again", "put it otherwise"), seconds=0.1)).look()
    assert (found.usable, found.calls, len(actor.requests)) == (False, MOST_CALLS, MOST_CALLS)


def test_a_slow_model_is_not_asked_several_at_once() -> None:
    """What is left out is said, and what was seen still counts."""
    found = (actor := Actor(words, seconds=10.0)).look()
    assert (found.usable, found.at_once, found.draws, found.distinct) == (True, 0, 2, 2)
    assert "too slow" in found.ended
    assert actor.clock.now <= 60


def test_a_model_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look ends by the clock of the machine, too."""
    monkeypatch.setattr(visit_module, "SECONDS", 0.01)

    async def hangs(_: str) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    found = check_sync(hangs)
    assert not found.usable
    assert "no reply came within" in found.remedy


def test_what_a_crowd_is_refused_is_counted() -> None:
    """A refusal in the crowd is not repeated."""
    crowd = 0

    def act(request: Request, _: Clock) -> Reply:
        nonlocal crowd
        crowd += request.seed > 2
        return Failure("transient", "429", 1.0) if crowd > 5 else words(request)

    found = Actor(act).look()
    assert (found.usable, found.at_once, found.refused, found.calls) == (True, 8, 3, 14)


@pytest.mark.parametrize("raised", [ValueError("x"), TimeoutError(), KeyError("y")])
def test_a_callable_that_raises_is_told(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its client raises ends in a finding."""
    monkeypatch.setattr(visit_module, "PATIENCE", 0.0)

    def broken(_: str) -> str:
        raise raised

    found = check_sync(broken)
    assert (found.usable, type(raised).__name__ in found.remedy) == (False, True)


@pytest.mark.parametrize("spec", ["neural", "oracle:p=0.9", "nothing"])
def test_a_model_that_reads_no_questions_is_bad_input(spec: str) -> None:
    """One message says what to do instead."""
    with pytest.raises(TaskError, match=r"maker estimate|there is no model"):
        check_sync(spec)


# -- over HTTP -----------------------------------------------------------------------------------------


def well(received: Received) -> str:
    """Answer as a good server does."""
    seed = received.body.get("seed")
    text = "4" if "2 + 2" in received.prompt else f"pear, word {received.number if seed is None else seed}"
    return text.partition(",")[0] if received.body.get("stop") else text


def without(*fields: str) -> Callable[[Received], Any]:
    """Refuse some fields, in words that tell nothing."""
    return lambda received: error(400, "нет") if set(fields) & set(received.body) else well(received)


THINKS = "m thinks before it answers (its token limit is higher for that)"
ID = {"id": "chatcmpl-0123456789abcdef"}
SERVERS: dict[str, tuple[Callable[[Received], Any], dict[str, Any]]] = {  # what it does, and what is found
    "good": (well, {"usable": True, "taken": "m takes all fields", "logprobs": "given", "ids": "differ", "calls": 14}),
    "no temperature": (without("temperature"), {
        "usable": True, "settings": {"temperature": None},
        "taken": "m takes no temperature: drawn at the server's own temperature",
    }),
    "no logprobs": (without("logprobs"), {"taken": "m takes no logprobs", "logprobs": "refused"}),
    "no seeds": (without("seed"), {"taken": "m takes no seed", "seeds": "refused", "distinct": 10}),
    "no schema": (without("response_format"), {"schema": "told in words"}),
    "no schema, nor stop": (without("response_format", "stop"), {"schema": "told in words", "stop": "cut here"}),
    "a schema that binds nobody": (well, {"schema": "not enforced"}),
    "another name": (lambda r: Told(well(r), fields={"model": "m-large"}), {"served_as": "m-large", "usable": True}),
    "one short id": (lambda r: Told(well(r), fields={"id": "chatcmpl-1"}), {"ids": "tell nothing", "usable": True}),
    "one long id": (lambda r: Told(well(r), fields=ID), {"ids": "repeat", "usable": False}),
    "thoughts": (lambda r: f"<think>hm</think>{well(r)}", {"usable": True, "settings": {}, "taken": THINKS}),
    "a long thought": (lambda r: well(r) if r.body["max_tokens"] > 5000 else Told(
        None, finish="length", message={"reasoning_content": "well, "}), {"usable": True, "taken": THINKS}),
    "a cache": (lambda r: "4" if "2 + 2" in r.prompt else "pear, oak", {"usable": False, "distinct": 1}),
    "a bad key": (lambda _: error(401, "who are you?"), {"usable": False, "calls": 1}),
    "no such model": (lambda _: error(404, "no such model"), {"usable": False}),
    "tool calls": (
        lambda _: Told(None, finish="tool_calls", message={"tool_calls": [{"id": "t"}]}), {"usable": False, "calls": 1}
    ),
}  # fmt: skip
SAYS = {"a bad key": "No key was sent: set OPENAI_API_KEY", "no such model": "Check the model's name (m)",
        "tool calls": "tool calls came instead of text", "a cache": "turn off the cache"}  # fmt: skip


@pytest.mark.parametrize("kind", SERVERS)
def test_each_kind_of_server_is_told_apart(kind: str) -> None:
    """By what it does, within the calls that are counted on the server's side."""
    behaviour, wanted = SERVERS[kind]
    with FaultServer(behaviour) as server:
        found = check_sync(server.spec("m"))
        assert len(server.requests) == found.calls <= MOST_CALLS
    assert {name: getattr(found, name) for name in wanted} == wanted
    assert SAYS.get(kind, "") in found.remedy
    assert found.code.count(server.spec("m")) == 1


def test_several_servers_are_looked_at_together() -> None:
    """What one of them refuses counts for all."""

    def picky(field: str) -> Callable[[Received], Any]:
        return lambda received: error(400, f"unknown field: {field}") if field in received.body else well(received)

    with FaultServer(picky("seed")) as one, FaultServer(picky("logprobs")) as two:
        found = check_sync(f"{one.url},{two.url}#m")
        assert found.calls == len(one.requests) + len(two.requests)
    assert (found.usable, found.takes["refused"]) == (True, ["logprobs", "seed"])


def test_a_server_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr("maker.models.openai.client.GRACE", 0.0)
    found = check_sync("http://127.0.0.1:9/v1#m")
    assert not found.usable
    assert "Start the server, or check the address" in found.remedy


def test_no_key_is_in_what_is_found() -> None:
    """Nor in the line to copy, even where the server repeats it."""
    with FaultServer(lambda _: error(401, "bad key sk-canary-77aa")) as server:
        found = check_sync(OpenAI(server.url, "m", key="sk-canary-77aa"))
    assert "canary" not in repr(found)
