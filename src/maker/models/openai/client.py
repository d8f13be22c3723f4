"""Any OpenAI-compatible server as a model: vLLM, llama.cpp, Ollama, OpenAI and the many that speak the same.

How one is named, and the addresses of providers: `models/providers.py`.

Promises: one draw is one HTTP request, and every reply, however wild, becomes a Sample or a Failure
(the table is in `reply.py`), in time, of a limited size, and without the key (`wire.py`). A refusal slows the
request that met it, not the others (`gate.py`). What was cancelled leaves no slot, task or socket. One model serves any
number of event loops and threads at once: connections and gates belong to a loop, what was found out to all.

What a server does not take (a temperature, seeds, logprobs, schemas, ...) is left out: at once where its complaint
names one field, else what it takes is found by asking with less (`negotiate.py`); the failure's kind is then "again",
which is no attempt. A model that is seen to think says what room that needs (`room`); a reply that was cut off in
thought is asked for again, with that room. What was found is kept by address and model, told to the run (`Desk.found`)
and logged once. A request that the server calls wrong is a poison step only if a short one with the same settings
succeeds; where the same prompt was answered before, it is a flagged sample. Probes are held and booked as draws are
(`sample.desk`).

Not covered: retrying, which is `sending/dispatcher.py`'s: a draw here is one attempt. Streaming.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakMethod

from maker.decision.address import Address
from maker.decision.flags import cut_in_thought, thoughtful
from maker.decision.sample import Failure, Prices, Reply, Request, Sample, groups, make_prices
from maker.errors import ModelError, ungrouped
from maker.log import debugging, log
from maker.models.openai.health import meant
from maker.models.openai.http.borrowed import Borrowed
from maker.models.openai.http.gate import Held
from maker.models.openai.http.gates import Door, gate_of
from maker.models.openai.http.reach import Reach
from maker.models.openai.http.wire import Wire
from maker.models.openai.negotiate import Negotiator
from maker.models.openai.refusal import REFUSED, Asked, Trouble
from maker.models.openai.reply import read_reply
from maker.models.openai.request import Dialect, encode_request, extra_mark
from maker.models.openai.schema import unwrapped
from maker.models.openai.target import Target
from maker.models.openai.thought import ROOM, apart
from maker.models.retry_after import retry_after
from maker.sending.dispatcher import ATTEMPTS
from maker.task.tools import INSTEAD

GRACE = 10.0  # seconds from the first use in which a server has to show itself
LOADING = 300.0  # seconds in which a server that says so may load its model
FIRST_LOADING, LONGEST_LOADING = 1.0, 60.0  # seconds of one wait for it
PROBE_TIMEOUT = 30.0  # seconds
_MOST_SUSPECTS = 10_000  # requests whose failures are counted


class OpenAI:
    """A model behind an OpenAI-compatible HTTP interface.

    base_url: for example http://127.0.0.1:8080/v1; with /completions behind it, for plain completions of base
    models. model: its name there. key: sent as a bearer token, to this origin alone. timeout: seconds of one
    attempt, body included. concurrency: the most requests out at once, None: as many as the server bears (`gate.py`);
    the gate goes lower when the server asks for it. n: draws of one prompt that may share a call (if one `draw` holds
    them together). gate: by default all models of one origin share one in a loop. prices: US dollars a million tokens
    (`input`, `output`, `cached`); none are built in. reach: headers, query and way to the server. extra: fields
    of the body. wire: exchanges requests in place of connections to base_url.

    Raises ModelError for an address or a key that cannot be used. `name` is part of a run's fingerprint.
    """

    lockstep = False

    def __init__(
        self, base_url: str, model: str, *, key: str | None = None, timeout: float = 120.0,
        concurrency: int | None = None, n: int = 1, prices: Prices | Mapping[str, float] | None = None,
        gate: Door | None = None, clock: Callable[[], float] = time.monotonic,
        reach: Reach | None = None, extra: Mapping[str, Any] | None = None, wire: Wire | Borrowed | None = None,
    ) -> None:  # fmt: skip
        if not timeout > 0 or (concurrency is not None and concurrency < 1) or n < 1:
            raise ModelError("a model over HTTP needs a timeout above 0, and concurrency and n of at least 1")
        self._wire = wire or Wire(Target.of(base_url, model), key, reach or Reach())
        self._target = self._wire.target
        self._own_gate, self._ceiling = gate, concurrency
        self._gate_in: tuple[object, Door] | None = None  # of the loop that asked last
        self._clock = clock
        mark = extra_mark(extra or {})
        self.name = self._target.name + mark
        self.timeout, self.n, self._extra = timeout, n, dict(extra or {})
        self.negotiator = Negotiator((self._target.url + mark, model), self.name, clock, WeakMethod(self._send_probe),
                                     WeakMethod(self._meant))  # fmt: skip
        self.prices = make_prices(prices)
        self.native_tools = self._target.api == "chat"
        self._first_use: float | None = None
        self._reached = False  # it has answered something
        self._proven = False  # it has answered a request well
        self._suspects: dict[tuple[Address, int], int] = {}  # failures in a row that may be the request's own fault

    @property
    def _gate(self) -> Door:
        """The gate of the running loop."""
        if self._own_gate is not None:
            return self._own_gate
        loop, known = asyncio._get_running_loop(), self._gate_in
        if known is None or known[0] is not loop:
            self._gate_in = known = loop, gate_of(self._target.origin, self._ceiling)
        return known[1]

    def __repr__(self) -> str:
        return f"OpenAI({self.name!r})"

    def draw(self, requests: Sequence[Request]) -> Coroutine[Any, Any, Sequence[Reply]]:
        """Return one sample or failure for each request, in order; each is tried once.

        Raises TaskError for a prompt that JSON cannot hold. Cancelled, it closes what it had opened.
        """
        return self._ask(requests) if len(requests) == 1 else self._ask_in_parts(requests)

    async def aclose(self) -> None:
        """Close what the running loop has open, unless other models use it. Used again, the model opens new ones."""
        await self._wire.aclose()

    def bears(self) -> int:
        """Return how many calls at once are worth bringing: twice what the gate lets out, so that some are at hand."""
        return 2 * self._gate.limit

    def widen(self, concurrency: int) -> None:
        """Have so many requests out at once, where it was made for fewer."""
        if self._ceiling is not None:
            self._ceiling, self._gate_in = max(self._ceiling, concurrency), None

    def room(self) -> int:
        """Return the tokens that a reply may need for thoughts, beside those for its answer."""
        return ROOM if self.negotiator.dialect.thinks else 0

    def pace(self) -> str:
        """Say what limit is in force, for a person; "" when none is felt."""
        return str(self._gate)

    # -- one attempt -----------------------------------------------------------------------------------

    async def _ask_in_parts(self, requests: Sequence[Request]) -> list[Reply]:
        """Send requests in as many calls as they need, all at once."""
        parts = groups(requests, 1 if "n" in self.negotiator.dialect.refused else self.n)
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(self._ask([requests[i] for i in part])) for part in parts]
        return [reply for call in calls for reply in call.result()]

    async def _ask(self, alike: Sequence[Request]) -> list[Reply]:
        """Send one call for requests that share a prompt, and judge what comes of it."""
        dialect, request = self.recalled(), alike[0]
        if request.tools is not None and "tools" in dialect.refused:
            detail = f"{self._target.origin} takes no tools for {self._target.model}. {INSTEAD}"
            return [Failure("fatal", detail)] * len(alike)
        outcome = await self._send(request, len(alike), dialect, self.timeout)
        if isinstance(outcome, Trouble):
            reply = await self._judge(request, outcome, dialect, len(alike))
            billed_once = reply if reply.tokens_in is None else replace(reply, tokens_in=0, tokens_out=0)
            return [reply] + [billed_once] * (len(alike) - 1)
        return self._learned(request, outcome, dialect)

    def _learned(self, request: Request, outcome: list[Reply], dialect: Dialect) -> list[Reply]:
        """Learn from what came, and return it as it is meant in a dialect."""
        self._proven = True
        self.negotiator.took(request, dialect)
        if dialect.thinks or any(map(thoughtful, outcome)):
            self.negotiator.thinks(dialect)
            outcome = [_of_thinker(one, request) if isinstance(one, Sample) else one for one in outcome]
        if self._suspects:
            self._suspects.pop(_identity(request), None)
        if "stop" in dialect.refused and request.stop and request.tools is None:  # calls have no such ends
            outcome = [_cut(one, request.stop) if isinstance(one, Sample) else one for one in outcome]
        if dialect.wraps(request):
            return [replace(one, text=unwrapped(one.text)) if isinstance(one, Sample) else one for one in outcome]
        return outcome

    async def _send(self, request: Request, choices: int, dialect: Dialect, seconds: float) -> list[Reply] | Trouble:
        """Wait for the gate, exchange once, and tell the gate what came of it."""
        body = encode_request(request, self._target, dialect, choices, self._extra)
        asked = self._asked(request, choices)
        gate = self._gate
        try:
            ticket = gate.enter_at_once() or await gate.enter(self.timeout)
        except Held as held:
            detail = f"{self._target.origin} asked for a pause, {held.seconds:.0f} s of it are left"
            return Trouble(Failure("transient", detail, held.seconds))
        began, counted = self._clock(), False

        def noticed(status: int, headers: Mapping[str, str]) -> None:
            nonlocal counted
            self._reached = True
            if status in REFUSED:  # at once: the body may take its time
                counted = True
                gate.refused(ticket, retry_after(headers))
                log.debug("model.refused", model=self.name, status=status, limit=gate.limit)

        try:
            outcome = await self._wire.exchange(body, asked, seconds, noticed)
            if isinstance(outcome, list) or outcome.failure.kind == "poison":
                gate.good(ticket)
            elif outcome.slow or outcome.status in (502, 504):
                gate.slowed(ticket)
            elif outcome.status in REFUSED and not counted:  # an error object in a good reply
                gate.refused(ticket, outcome.failure.retry_after)
        finally:
            gate.leave(ticket)
        if debugging():
            where, to = request.address, self._target
            log.debug("model.reply", run=where.run, step=where.step, draw=where.draw, model=to.model, server=to.origin,
                      api=to.api, choices=choices, temperature=request.temperature, max_tokens=request.max_tokens,
                      seed=request.seed, seconds=self._clock() - began, **_came(outcome))  # fmt: skip
        return outcome

    def _asked(self, request: Request, choices: int) -> Asked:
        return Asked(self._target.origin, self._target.model, request.prompt, self._wire.secrets, choices,
                     request.max_tokens, request.tools is not None)  # fmt: skip

    # -- by another way (`batch/`) ----------------------------------------------------------------------

    @property
    def wire(self) -> Wire | Borrowed:
        """What exchanges requests."""
        return self._wire

    def recalled(self) -> Dialect:
        """Return what the server takes, as far as this process or the run knows."""
        if self._first_use is None:
            self._first_use = self._clock()
        if not self._proven:
            self.negotiator.recall()
        return self.negotiator.dialect

    def encoded(self, request: Request, dialect: Dialect) -> bytes:
        """Return the body that asks for one reply in a dialect. Raises TaskError for a prompt that JSON cannot hold."""
        return encode_request(request, self._target, dialect, 1, self._extra)

    async def read(self, request: Request, dialect: Dialect, status: int, body: bytes) -> Reply:
        """Return what a reply means that came by another way: what it would as the answer to a draw."""
        outcome = read_reply(status, {}, body, self._asked(request, 1), 0.0)
        if isinstance(outcome, Trouble):
            return await self._judge(request, outcome, dialect, 1)
        (reply,) = self._learned(request, outcome, dialect)
        return replace(reply, latency=None) if isinstance(reply, Sample) else reply

    # -- what went wrong ------------------------------------------------------------------------------

    async def _judge(self, request: Request, trouble: Trouble, dialect: Dialect, choices: int) -> Reply:
        """Return what a trouble is, given what is known of the server and of this request."""
        failure = trouble.failure
        if trouble.loading:
            return self._loading(trouble)
        if trouble.about:
            return await self.negotiator.refused(request, trouble, dialect, choices)
        if failure.kind == "transient" and trouble.alien and self._hopeless(trouble):
            lasting = f", and nothing usable has come for {GRACE:g} s. Start the server, or check the address"
            return replace(failure, kind="fatal", detail=failure.detail + ("" if trouble.page else lasting))
        if failure.kind == "transient" and trouble.own:
            failures = self._suspects.pop(_identity(request), 0) + 1
            if failures >= ATTEMPTS:
                return await self.negotiator.blame(request, trouble)
            if len(self._suspects) < _MOST_SUSPECTS:
                self._suspects[_identity(request)] = failures
            if failures > 1 and not self._proven and trouble.status in (500, 501):  # it may fall over a field
                return await self.negotiator.refused(request, trouble, dialect, choices)
        return failure

    def _loading(self, trouble: Trouble) -> Failure:
        """Wait for a model that is loading, no more than twice as long as it takes, for some minutes."""
        assert self._first_use is not None, "a trouble comes after the first use"
        waited = self._clock() - self._first_use
        if trouble.status == 404 and not self._proven and waited >= LOADING:
            return Failure(
                "fatal", f"{trouble.failure.detail}, for {LOADING:g} s now. Load the model, then start again"
            )
        wait = trouble.failure.retry_after or min(max(waited, FIRST_LOADING), LONGEST_LOADING)
        return replace(trouble.failure, retry_after=wait)

    def _hopeless(self, trouble: Trouble) -> bool:
        """Say whether the server has had its time to show itself, and has not."""
        assert self._first_use is not None, "a trouble comes after the first use"
        if trouble.page and trouble.status < 500:  # a web server is there, and it is not this one
            return not self._proven
        shown = self._proven or (trouble.status == 0 and self._reached)
        return not shown and self._clock() - self._first_use >= GRACE

    async def _send_probe(self, request: Request, dialect: Dialect) -> list[Reply] | Trouble:
        return await self._send(request, 1, dialect, min(self.timeout, PROBE_TIMEOUT))

    async def _meant(self) -> str:
        """Return which models the server has instead of this one, for a message; "" where it has it or lists none."""
        listing = await self._wire.listed(PROBE_TIMEOUT)
        return meant(listing, Asked(self._target.origin, self._target.model, secrets=self._wire.secrets))


def _of_thinker(sample: Sample, request: Request) -> Reply:
    """Return a reply of a model that thinks: one that ended before its answer is asked for again, with more room."""
    if request.max_tokens < ROOM and cut_in_thought(sample):
        return Failure("again", "the reply ended before its answer began", None, sample.tokens_in, sample.tokens_out)
    return apart(sample)


def _came(outcome: list[Reply] | Trouble) -> dict[str, Any]:
    """Return what is told of an exchange's end: nothing of what the model wrote."""
    if isinstance(outcome, Trouble):
        failure, status = outcome.failure, outcome.status or None
        return {"outcome": failure.kind, "status": status, "tokens_in": failure.tokens_in,
                "tokens_out": failure.tokens_out}  # fmt: skip
    samples = [one for one in outcome if isinstance(one, Sample)]
    first = samples[0] if samples else Sample(None)
    read, written = [one.tokens_in for one in samples], [one.tokens_out for one in samples]
    return {
        "outcome": "sample", "status": 200, "tokens_in": None if None in read else sum(filter(None, read)),
        "tokens_out": None if None in written else sum(filter(None, written)),
        "finish": [one.finish_reason for one in samples], "named": first.model, "id": first.response_id,
    }  # fmt: skip


def _cut(sample: Sample, stops: Sequence[str]) -> Sample:
    """Return a sample that ends before the first of some texts, as a server that takes them would have ended it."""
    text = sample.text or ""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return replace(sample, text=text[: min(ends)], finish_reason="stop") if ends else sample


def _identity(request: Request) -> tuple[Address, int]:
    """Return what stays when a request is repeated; votes without a run share addresses, but not prompts."""
    return request.address, hash(request.prompt)
