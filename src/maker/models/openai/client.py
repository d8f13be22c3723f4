"""Any OpenAI-compatible server as a model: vLLM, llama.cpp, Ollama, OpenAI and the many that speak the same.

How one is named, and the addresses of providers: `models/providers.py`.

Promises: one draw is one HTTP request, and every reply, however wild, becomes a Sample or a Failure
(the table is in `reply.py`), in time, of a limited size, and without the key (`wire.py`). After a refusal nobody
sends anything before the window is over (`gate.py`). What was cancelled leaves no slot, task or socket.

What a server does not take (seeds, logprobs, schemas, several choices, the old name of the token limit) is
left out from its first complaint on: the failure's kind is then "again", which is no attempt. A request that the
server calls wrong is a poison step only if a probe, at most one a minute, shows that others succeed; probes are
held and booked as draws are (`sample.desk`).

Not covered: retrying, which is `sending/dispatcher.py`'s: a draw here is one attempt. Streaming. Several event
loops at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from maker.decision.address import Address
from maker.decision.sample import Failure, Prices, Reply, Request, groups, make_prices
from maker.errors import ModelError, ungrouped
from maker.log import debugging, log
from maker.models.openai.health import Prober
from maker.models.openai.http.gate import Gate, Held, gate_of
from maker.models.openai.http.reach import Reach
from maker.models.openai.http.wire import Wire
from maker.models.openai.refusal import REFUSED, Asked, Trouble
from maker.models.openai.request import Dialect, encode_request
from maker.models.openai.retry_after import retry_after
from maker.models.openai.target import Target
from maker.sending.dispatcher import ATTEMPTS
from maker.task.prompt import words_in

GRACE = 10.0  # seconds from the first use in which a server has to show itself
PROBE_TIMEOUT = 30.0  # seconds
_MOST_SUSPECTS = 10_000  # requests whose failures are counted


class OpenAI:
    """A model behind an OpenAI-compatible HTTP interface.

    base_url: for example http://127.0.0.1:8080/v1; with /completions behind it, for plain completions of base
    models. model: its name there. key: sent as a bearer token, to this origin alone. timeout: seconds of one
    attempt, body included. concurrency: the most requests out at once; the gate goes lower when the
    server asks for it. n: draws of one prompt that may share a call (if one `draw` holds them together).
    gate: by default all models of one origin share one. prices: US dollars a million tokens (`input`, `output`,
    `cached`); none are built in. reach: headers, query and way to the server. extra: fields of the body.

    Raises ModelError for an address or a key that cannot be used. `name` is part of a run's fingerprint.
    """

    lockstep = False

    def __init__(
        self, base_url: str, model: str, *, key: str | None = None, timeout: float = 120.0,
        concurrency: int = 512, n: int = 1, prices: Prices | Mapping[str, float] | None = None,
        gate: Gate | None = None, clock: Callable[[], float] = time.monotonic,
        reach: Reach | None = None, extra: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if not timeout > 0 or concurrency < 1 or n < 1:
            raise ModelError("a model over HTTP needs a timeout above 0, and concurrency and n of at least 1")
        self._target = Target.of(base_url, model)
        self._wire = Wire(self._target, key, reach or Reach())
        self._gate = gate or gate_of(self._target.origin, concurrency)
        self._clock = clock
        self.name = self._target.name
        self.timeout, self.n, self._extra = timeout, n, dict(extra or {})
        self.dialect = Dialect()
        self.probes = Prober(clock)  # counts what probing costs
        self.prices = make_prices(prices)
        self._first_use: float | None = None
        self._reached = False  # it has answered something
        self._proven = False  # it has answered a request well
        self._suspects: dict[tuple[Address, int], int] = {}  # failures in a row that may be the request's own fault

    def __repr__(self) -> str:
        return f"OpenAI({self.name!r})"

    def draw(self, requests: Sequence[Request]) -> Coroutine[Any, Any, Sequence[Reply]]:
        """Return one sample or failure for each request, in order; each is tried once.

        Raises TaskError for a prompt that JSON cannot hold. Cancelled, it closes what it had opened.
        """
        return self._ask(requests) if len(requests) == 1 else self._ask_in_parts(requests)

    async def aclose(self) -> None:
        """Close all connections. The model can be used again, and then opens new ones."""
        await self._wire.aclose()

    # -- one attempt -----------------------------------------------------------------------------------

    async def _ask_in_parts(self, requests: Sequence[Request]) -> list[Reply]:
        """Send requests in as many calls as they need, all at once."""
        parts = groups(requests, 1 if "n" in self.dialect.refused else self.n)
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(self._ask([requests[i] for i in part])) for part in parts]
        return [reply for call in calls for reply in call.result()]

    async def _ask(self, alike: Sequence[Request]) -> Sequence[Reply]:
        """Send one call for requests that share a prompt, and judge what comes of it."""
        if self._first_use is None:
            self._first_use = self._clock()
        dialect = self.dialect
        outcome = await self._send(alike[0], len(alike), dialect, self.timeout)
        if isinstance(outcome, Trouble):
            failure = await self._judge(alike[0], outcome, dialect)
            billed_once = failure if failure.tokens_in is None else replace(failure, tokens_in=0, tokens_out=0)
            return [failure] + [billed_once] * (len(alike) - 1)
        self._proven = True
        if self._suspects:
            self._suspects.pop(_identity(alike[0]), None)
        return outcome

    async def _send(self, request: Request, choices: int, dialect: Dialect, seconds: float) -> list[Reply] | Trouble:
        """Wait for the gate, exchange once, and tell the gate what came of it."""
        body = encode_request(request, self._target, dialect, choices, self._extra)
        asked = Asked(self._target.origin, self._target.model, words_in(request.prompt), self._wire.key, choices)
        gate = self._gate
        try:
            ticket = await gate.enter(self.timeout)
        except Held as held:
            detail = f"{self._target.origin} asked for a pause, {held.seconds:.0f} s of it are left"
            return Trouble(Failure("transient", detail, held.seconds))
        closed = False

        def noticed(status: int, headers: Mapping[str, str]) -> None:
            nonlocal closed
            self._reached = True
            if status in REFUSED:  # at once: the body may take its time
                closed = True
                window = gate.refused(ticket, retry_after(headers))
                log.debug("model.closed", model=self.name, status=status, seconds=window, limit=gate.limit)

        try:
            outcome = await self._wire.exchange(body, asked, seconds, noticed)
            if isinstance(outcome, list) or outcome.failure.kind == "poison":
                gate.good(ticket)
            elif outcome.slow or outcome.status in (502, 504):
                gate.slowed(ticket)
            elif outcome.status in REFUSED and not closed:  # an error object in a good reply
                gate.refused(ticket, outcome.failure.retry_after)
        finally:
            gate.leave()
        if debugging():
            log.debug("model.reply", model=self.name, step=request.address.step, draw=request.address.draw,
                      outcome=outcome.failure.kind if isinstance(outcome, Trouble) else "sample")  # fmt: skip
        return outcome

    # -- what went wrong ------------------------------------------------------------------------------

    async def _judge(self, request: Request, trouble: Trouble, dialect: Dialect) -> Failure:
        """Return the failure that a trouble is, given what is known of the server and of this request."""
        failure = trouble.failure
        if trouble.optional is not None:
            return await self._do_without(request, trouble, dialect)
        if failure.kind == "poison":
            return await self._blame(request, trouble)
        if failure.kind == "transient" and trouble.alien and self._hopeless(trouble):
            return replace(failure, kind="fatal", detail=f"{failure.detail}, and nothing usable has come for "
                           f"{GRACE:g} s. Start the server, or check the address")  # fmt: skip
        if failure.kind == "transient" and trouble.own:
            failures = self._suspects.pop(_identity(request), 0) + 1
            if failures >= ATTEMPTS:
                return await self._blame(request, trouble)
            if len(self._suspects) < _MOST_SUSPECTS:
                self._suspects[_identity(request)] = failures
        return failure

    def _hopeless(self, trouble: Trouble) -> bool:
        """Say whether the server has had its time to show itself, and has not."""
        assert self._first_use is not None, "a trouble comes after the first use"
        shown = self._proven or (trouble.status == 0 and self._reached)
        return not shown and self._clock() - self._first_use >= GRACE

    async def _do_without(self, request: Request, trouble: Trouble, dialect: Dialect) -> Failure:
        """Leave out the field that the server refuses from now on; refused again, it is the request's fault."""
        assert trouble.optional is not None
        detail = trouble.failure.detail
        if dialect == self.dialect:  # otherwise another request has found out meanwhile
            less = dialect.without(trouble.optional)
            if less is None:
                return await self._blame(request, trouble)
            self.dialect = less
            log.debug("model.without", model=self.name, field=trouble.optional)
            detail += f". It is asked without {trouble.optional} now"
        return replace(trouble.failure, kind="again", detail=detail)

    async def _blame(self, request: Request, trouble: Trouble) -> Failure:
        """Probe: if another request succeeds, this one is poison; if not, the endpoint is what is wrong."""
        ill = await self.probes.ask(request, self._send_probe)
        detail = trouble.failure.detail
        if ill is None:
            return replace(trouble.failure, kind="poison")
        settings = ill.optional is not None and self.dialect.without(ill.optional) is None
        if ill.failure.kind == "transient" and not settings:
            return replace(trouble.failure, kind="transient", retry_after=ill.failure.retry_after)
        return Failure("fatal", f"{detail}. A short request with the same settings fails, too: {ill.failure.detail}. "
                       "Change the settings or the model")  # fmt: skip

    async def _send_probe(self, request: Request) -> list[Reply] | Trouble:
        return await self._send(request, 1, self.dialect, min(self.timeout, PROBE_TIMEOUT))


def _identity(request: Request) -> tuple[Address, int]:
    """Return what stays when a request is repeated; votes without a run share addresses, but not prompts."""
    return request.address, hash(request.prompt)
