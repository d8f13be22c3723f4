"""Where a run stops, and where sending stops: calls, tokens, dollars, seconds.

`Limits` only say when to stop; a resume may raise them. What is about to be sent is held by the `Budget` before it
goes out, at the most it can take, and given back once what it really took is booked. So spent + held never passes a
cap, whatever is under way at once.

Not covered: holding over a crash; that is `receipts.py`, which makes every hold durable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import anyio
from pydantic import Field, field_validator

from maker.decision.config import MOST_VOTES, Frozen, validated
from maker.decision.ending import Stop
from maker.decision.sample import Prices, Request
from maker.errors import TaskError
from maker.sending.usage import Spent, Usage, most


class Limits(Frozen):
    """Where a run or a vote stops. None means no limit, except where a default is named.

    The default of max_votes and max_flags is max(100, 20 k). Steps, calls, tokens and cost count the whole run, resumes
    included; tokens are those reported, or the most they can be. patience: how long a run waits for a server that is
    gone, and a draw for one that tells it to wait. concurrency is that of free mode; None or "auto": as many as the
    model bears, 32 where it does not say.
    """

    max_steps: int | None = Field(default=None, ge=1, description="Decided steps of the run.")
    max_votes: int | None = Field(default=None, ge=1, le=MOST_VOTES, description="Valid votes of one step.")
    max_flags: int | None = Field(default=None, ge=1, le=MOST_VOTES, description="Flagged samples of one step.")
    max_calls: int | None = Field(default=None, ge=1, description="Draws sent, resumes included.")
    max_tokens: int | None = Field(default=None, ge=1, description="Tokens read and written.")
    max_cost: float | None = Field(default=None, gt=0, description="US dollars; needs --prices.")
    max_seconds: float | None = Field(default=None, gt=0, description="Wall seconds of this call.")
    patience: float = Field(default=600.0, gt=0, description="Seconds to wait for a server that is gone (600).")
    concurrency: int | None = Field(default=None, ge=1, description="Draws in flight at once.")

    @field_validator("concurrency", mode="before")
    @classmethod
    def _found(cls, told: Any) -> Any:
        """Read "auto", the default: as many as the model bears (`models/openai/http/gate.py`)."""
        return None if told == "auto" else told

    def votes_for(self, k: int) -> int:
        """Return the most valid votes that one step may take at margin k."""
        return self.max_votes or max(100, 20 * k)

    def flags_for(self, k: int) -> int:
        """Return the most flagged samples that one step may take at margin k."""
        return self.max_flags or max(100, 20 * k)


def make_limits(limits: Limits | Mapping[str, Any] | None) -> Limits:
    """Return `limits` as Limits; raises TaskError naming the field that does not fit."""
    if isinstance(limits, Limits):
        return limits
    if limits is not None and not isinstance(limits, Mapping):
        raise TaskError(f"limits = {limits!r}: give a Limits or a dict with {', '.join(Limits.model_fields)}")
    return validated(Limits, dict(limits or {}))


def must_have_prices(limits: Limits, prices: Prices | None) -> None:
    """Raise TaskError for a cap on money when the model has no prices."""
    if limits.max_cost is not None and prices is None:
        raise TaskError(
            "max_cost: the model has no prices, so it could not be kept. Give them (load_model(..., "
            "prices={'input': 0.4, 'output': 1.6}), US dollars a million tokens; --prices), or use max_tokens."
        )


class Budget:
    """The limits of one run, and what is held of them, whichever of its models is asked."""

    def __init__(self, limits: Limits, usage: Usage) -> None:
        self.limits, self.usage = limits, usage
        self._started = time.monotonic()
        self._calls = 0  # held and not yet sent
        self._tokens = 0  # the most that draws held and not yet answered can take
        self._cost = 0.0
        self._stop: Stop | None = None  # why no call is to be made any more
        self._pauses: set[anyio.CancelScope] = set()
        self._over = 1.0  # how far a reply has gone past its bound: the server counts in its own way

    def hold(self, requests: Sequence[Request], prices: Prices | None) -> list[Spent]:
        """Hold draws before their first attempt; return the bound of each. Raises Stop if a limit is in the way.

        prices: of the model that is asked.
        """
        self.hold_calls(len(requests))
        bounds: list[Spent] = []
        for number, request in enumerate(requests):
            same = number and request.asks_the_same_as(requests[number - 1])
            bounds.append(bounds[-1] if same else self._bound(request, prices))
        tokens, cost = sum([bound.assumed for bound in bounds]), sum([bound.cost for bound in bounds])
        try:
            self._check(tokens, cost)
        except Stop:
            self._calls -= len(requests)
            raise
        self._tokens += tokens
        self._cost += cost
        return bounds

    def hold_calls(self, count: int) -> None:
        """Hold calls that are about to be made. Raises Stop if there are not so many, or time is over."""
        if self._stop is not None:
            raise self._stop
        limits = self.limits
        calls = self.usage.dispatched + self._calls
        if limits.max_calls is not None and calls + count > limits.max_calls:
            raise Stop("max_calls", f"{calls} of {limits.max_calls} calls are used. Raise max_calls and resume.")
        if not self.seconds_left:
            raise self._too_late()
        self._calls += count

    def repeat(self, count: int) -> None:
        """Hold the calls of a repetition; its tokens are held still. Raises Stop where failures have used them up."""
        self._check(0, 0.0)
        self.hold_calls(count)

    @property
    def seconds_left(self) -> float:
        """Wall seconds until max_seconds is over; infinite without one."""
        most = self.limits.max_seconds
        return math.inf if most is None else max(0.0, most - (time.monotonic() - self._started))

    async def in_time(self, work: Awaitable[None]) -> None:
        """Await work that sends. Raises Stop when the time is over: it is then cancelled, wherever it waits."""
        if self.limits.max_seconds is None:
            return await work
        with anyio.move_on_after(self.seconds_left):
            return await work
        raise self._too_late()

    async def pause(self, wait: Awaitable[None]) -> None:
        """Await a wait between calls. Raises Stop where that ends it."""
        with anyio.CancelScope() as scope:
            self._pauses.add(scope)
            try:
                return await wait
            finally:
                self._pauses.discard(scope)
        assert self._stop is not None, "nothing else cancels a pause"
        raise self._stop

    def stop(self, stop: Stop) -> None:
        """Let no further call be made, and nobody wait for one; replies that are on their way still come."""
        self._stop = stop
        for scope in self._pauses:
            scope.cancel()

    def _too_late(self) -> Stop:
        return Stop("max_seconds", f"{self.limits.max_seconds} seconds are over. Run the same command to resume.")

    def sent(self, count: int) -> None:
        """Book calls that go out now."""
        self._calls -= count
        self.usage.dispatched += count

    def unsent(self, count: int) -> None:
        """Give back calls that will not be made."""
        self._calls -= count

    def settled(self, bound: Spent, spent: Spent | None = None) -> None:
        """Give back what was held of one draw, now that what it took is booked."""
        self._tokens -= bound.assumed
        self._cost -= bound.cost
        if spent is not None and bound.assumed:
            tokens = spent.tokens_in + spent.tokens_out
            self._over = max(self._over, tokens * self._over / bound.assumed)

    def _bound(self, request: Request, prices: Prices | None) -> Spent:
        bound = most(request, prices)
        if self._over == 1.0:
            return bound
        return Spent(assumed=int(bound.assumed * self._over) + 1, cost=bound.cost * self._over)

    def _check(self, tokens: int, cost: float) -> None:
        """Raise Stop if so many tokens or dollars more could pass a cap."""
        limits, usage = self.limits, self.usage
        if limits.max_tokens is not None and (spent := usage.tokens + self._tokens) + tokens > limits.max_tokens:
            raise Stop("max_tokens", f"{spent} of {limits.max_tokens} tokens are used or held and the next draws could "
                       f"take {tokens}. Raise max_tokens and resume.")  # fmt: skip
        if limits.max_cost is not None and (dollars := usage.cost + self._cost) + cost > limits.max_cost:
            raise Stop("max_cost", f"{dollars:.4f} of {limits.max_cost} dollars are spent or held and the next draws "
                       f"could take {cost:.4f}. Raise max_cost and resume.")  # fmt: skip
