"""Prompt -> Sample: what is asked of a model, what comes back, and what it costs.

Not covered: retrying (`sending/dispatcher.py` owns it) and the meaning of the text (`flags.py`, the task).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from maker.decision.address import Address
from maker.decision.config import Frozen, validated
from maker.decision.pool import pool_name
from maker.errors import ModelError, TaskError
from maker.task.prompt import messages_of
from maker.task.task import Task
from maker.task.tools import Tools


@dataclass(slots=True)
class Request:
    """One draw, as a model sees it. It carries no ground truth.

    address: run, step and draw number; a retry keeps it.
    prompt: the whole text the model reads; messages: the same as chat servers take it.
    seed: 64-bit number, a hash of the address and the run's seed; a retry keeps it.
    temperature: 0 or more; 0 means the most probable answer, None the server's own.
    max_tokens: the most tokens the reply may have.
    stop: texts that end the reply.
    schema: JSON schema of the answer, for servers that can enforce one.
    state: the task's state at this step; simulated models read it, nothing sends it anywhere.
    tools: what the model may call; the text of a reply is then that of `task/tools.py`.
    """

    address: Address
    prompt: str
    seed: int
    temperature: float | None = 0.1
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    state: Any = None
    tools: Tools | None = None

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """What a chat server is sent."""
        return messages_of(self.prompt)

    def asks_the_same_as(self, other: Request) -> bool:
        """Say whether another request differs in address, seed and state alone."""
        return (
            self.prompt == other.prompt and self.temperature == other.temperature
            and self.max_tokens == other.max_tokens and self.stop == other.stop and self.schema == other.schema
            and self.tools == other.tools
        )  # fmt: skip


@dataclass(slots=True)
class Sample:
    """One reply, whatever its worth. Treat it as immutable: a model may return the same object for equal replies.

    text: what the model wrote, or None when the server sent no content.
    tokens_in, tokens_out: as reported by the model, or None when it does not say.
    finish_reason: "stop", "length", "content_filter", or the server's own word; None if not told.
    response_id: the server's id of the reply; equal ids mean copies.
    logprob: natural log of the probability of the whole text, when the server gives it.
    model: the name the server says it used; latency: seconds from request to reply.
    fingerprint: the server's mark of its configuration. cached: of tokens_in, those read from a cache.
    reasoning: what the model thought before it answered; never parsed, flagged or voted on. tokens_reasoning: of
    tokens_out, those it thought in. source: which of several servers it came from. cost: US dollars, where the server
    says what it charged.
    """

    text: str | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish_reason: str | None = "stop"
    response_id: str | None = None
    logprob: float | None = None
    model: str | None = None
    latency: float | None = None
    fingerprint: str | None = None
    cached: int | None = None
    reasoning: str | None = None
    tokens_reasoning: int | None = None
    source: str | None = None
    cost: float | None = None


@dataclass(slots=True)
class Failure:
    """A draw that brought no reply: never a red flag and never a vote.

    kind: "transient" (try again), "again" (put differently now: repeat at once, it was no attempt), "poison" (this
    request always fails), "fatal" (no request can succeed).
    detail: one line for a person. retry_after: seconds the server asked to wait, if it did.
    tokens_in, tokens_out: what it was billed all the same, None when nobody can know. gone: nobody was there to answer,
    whatever was asked, or as far as one can tell.
    """

    kind: str
    detail: str
    retry_after: float | None = None
    tokens_in: int | None = 0
    tokens_out: int | None = 0
    gone: bool = False

    @property
    def wait(self) -> float:
        """Seconds that it asks to wait; 0 where it names none, or a senseless one."""
        told = self.retry_after
        return told if told is not None and 0 < told < math.inf else 0.0


def groups(requests: Sequence[Request], most: int) -> list[list[int]]:
    """Return the positions of requests that can share one call, at most so many: neighbours that ask the same."""
    found: list[list[int]] = []
    for position, request in enumerate(requests):
        if found and len(found[-1]) < most and request.asks_the_same_as(requests[found[-1][0]]):
            found[-1].append(position)
        else:
            found.append([position])
    return found


@runtime_checkable
class Model(Protocol):
    """Anything that answers draws.

    `lockstep` is True for an in-process model that wants large batches, False for one that is called
    with single requests, as many at once as the limits allow.
    `draw` returns one Sample or Failure for each request, in the same order. It raises ModelError
    when the model cannot be used at all; it must survive cancellation. Optional attributes are told at `Traits`.
    What it sends beside its draws, such as a probe, it pays for at the `desk`.
    """

    lockstep: bool

    async def draw(self, requests: Sequence[Request]) -> Sequence[Sample | Failure]:
        """Answer every request, in order."""
        ...


# Made, by its specification or name, a function from prompt to reply, or a list of these: a pool, which take turns.
AnyModel = Model | str | Callable[[Any], Any] | Sequence[Any]


class Prices(Frozen):
    """What a model costs, in US dollars a million tokens. cached: of input tokens served from a cache."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)

    def cost(self, tokens_in: int, tokens_out: int, cached: int = 0) -> float:
        """Return dollars. cached: how many of `tokens_in` came from a cache."""
        cheap = self.input if self.cached is None else self.cached
        return ((tokens_in - cached) * self.input + cached * cheap + tokens_out * self.output) / 1e6


def make_prices(prices: Prices | Mapping[str, Any] | None) -> Prices | None:
    """Return `prices` as Prices; raises TaskError for what cannot be."""
    if prices is None or isinstance(prices, Prices):
        return prices
    if not isinstance(prices, Mapping):
        raise TaskError(f"prices = {prices!r}: give input and output, US dollars a million tokens")
    return validated(Prices, dict(prices))


# The request of a wave's first draw and the seeds of all -> their replies.
AtOnce = Callable[[Request, Sequence[int]], list[Sample]]


class Traits(NamedTuple):
    """What a model says of itself: all that is asked of one but to draw. Every attribute is optional.

    name: part of the run's fingerprint (else the name of its class). lockstep: see `Model` (False). callers: calls of
    `draw` at once, in lock-step (1). together: its `n`, draws of one step that one call may hold (1). prices: what it
    charges (None). simulated: its answers are made up (False). replicable: in lock-step,
    `load_model(name)` makes the same model, and replies are functions of the request alone, so that a long run may
    ask it in several processes (False). bind: called once with the task before the first draw. close: its `aclose`,
    awaited after the last. bears: says how many calls at once are worth sending now (None: it does not say). pace: says
    for a person what holds sending back (None). room: says how many tokens a reply may need for thoughts, beside those
    for its answer, which the token cap counts; they are asked for and held, too (None). native_tools: it reads the
    `tools` of a request (False). turns: of a pool, what each model says of itself whose turn it is at draws 0, 1, ...,
    and then from the first again (none). widen: has it bear so many calls at once, where it was made for fewer (None).
    whole: over a network, and yet all requests of a wave go in one call (False). left: says for a person what goes on
    without this process (None). at_once: in lock-step, answers draws of one step that differ in number and seed alone,
    told the request of the first and the seeds of all, as `draw` would and with no wait (None).
    """

    name: str
    lockstep: bool
    callers: int
    together: int
    prices: Prices | None
    simulated: bool
    replicable: bool
    bind: Callable[[Task], None] | None
    close: Callable[[], Awaitable[None]] | None
    bears: Callable[[], int] | None
    pace: Callable[[], str] | None
    room: Callable[[], int] | None
    native_tools: bool = False
    turns: tuple[Traits, ...] = ()
    widen: Callable[[int], None] | None = None
    whole: bool = False
    left: Callable[[], str] | None = None
    at_once: AtOnce | None = None

    @classmethod
    def of(cls, model: Model) -> Traits:
        """Read a model's traits; nobody else looks for an attribute that a model may lack."""
        lockstep = bool(getattr(model, "lockstep", False))
        return cls(
            name=cls.name_of(model), lockstep=lockstep, callers=getattr(model, "callers", 1),
            together=1 if lockstep else getattr(model, "n", 1),
            prices=getattr(model, "prices", None), simulated=bool(getattr(model, "simulated", False)),
            replicable=getattr(model, "replicable", False), bind=getattr(model, "bind", None),
            close=getattr(model, "aclose", None), bears=getattr(model, "bears", None),
            pace=getattr(model, "pace", None), room=getattr(model, "room", None),
            native_tools=getattr(model, "native_tools", False), turns=getattr(model, "turns", ()),
            widen=getattr(model, "widen", None), whole=getattr(model, "whole", False),
            left=getattr(model, "left", None), at_once=getattr(model, "at_once", None) if lockstep else None,
        )  # fmt: skip

    @staticmethod
    def name_of(model: AnyModel) -> str:
        """Return what a model is called; the name of one that is not made yet is its own."""
        if isinstance(model, str):
            return model
        if isinstance(model, (list, tuple)):
            return pool_name(map(Traits.name_of, model))
        return str(getattr(model, "name", getattr(model, "__qualname__", type(model).__name__)))

    @property
    def gathers(self) -> bool:
        """All requests of a wave go in one call."""
        return self.lockstep or self.whole

    @property
    def needs_truth(self) -> bool:
        """It answers steps of the task that it is bound to, and reads no other words."""
        return self.bind is not None


Reply = Sample | Failure


def readable(replies: Any, count: int) -> list[Reply]:
    """Return what a draw gave as samples and failures; text alone is a sample. Raises ModelError for anything else."""
    if type(replies) is list and len(replies) == count == 1 and type(replies[0]) is Sample:  # nearly always, over HTTP
        return [replies[0]]
    if type(replies) is not list and (not isinstance(replies, Sequence) or isinstance(replies, str)):
        raise ModelError(f"the model gave a {type(replies).__name__}, not a list of replies. Mend the model's draw().")
    if len(replies) != count:
        raise ModelError(f"the model gave {len(replies)} replies to {count} requests: mend its draw()")
    read: list[Reply] = []
    for reply in replies:
        if isinstance(reply, (Sample, Failure)):
            read.append(reply)
        elif isinstance(reply, str):
            read.append(Sample(reply))
        else:
            raise ModelError(f"the model gave a {type(reply).__name__} where a Sample, a Failure or text was due: "
                             "mend its draw()")  # fmt: skip
    return read


class Book(Protocol):
    """The batches of a run, each under a tag. ids: of the server, by tag; "" where it may not have that batch."""

    ids: dict[str, str]

    def tag_of(self, address: Address) -> str | None:
        """Return the tag of the batch that has a draw, None where none has it."""
        ...

    async def begin(self, addresses: Sequence[Address]) -> str:
        """Note that these draws are about to be one batch; return its tag once that is durable."""
        ...

    async def named(self, tag: str, identity: str) -> None:
        """Note the id that the server gave to a batch; return once that is durable."""
        ...


class Desk(Protocol):
    """What a driver offers a model while it draws."""

    @property
    def batches(self) -> Book | None:
        """The batches of the run, None where nothing is kept of it."""
        ...

    def wait(self, wait: Awaitable[None]) -> Awaitable[None]:
        """Await a long wait; what is returned raises Stop where the run ends meanwhile."""
        ...

    async def pay(self, request: Request, send: Callable[[Request], Awaitable[Reply]]) -> Reply:
        """Await `send(request)`, a call beside the draws: held, booked and made durable as a draw is.

        Returns what `send` did. Raises what it raises; Stop at a limit, before it is sent.
        """
        ...

    def found(self, model: str, takes: Mapping[str, Any]) -> None:
        """Keep with the run what a model was found to take, as JSON; said again, it changes nothing."""
        ...

    def recall(self, model: str) -> Mapping[str, Any] | None:
        """Return what the run keeps of a model, or None."""
        ...


# The desk of whoever asked for the draws that are under way; None where nobody keeps an account. A model reads it in
# `draw`, or in a task begun there. It belongs to the call, not to the model: several runs may share one model at once.
desk: ContextVar[Desk | None] = ContextVar("desk", default=None)
