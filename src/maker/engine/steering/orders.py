"""What a run that is under way can be told: to say how it stands, to pause, go on or stop, to keep other limits.

Orders change limits, never decisions: what would change those is refused by name. Each change is journaled before it
is made, as a note that no replay acts on: a resume has limits of its own.

A limit of the whole run that is met is such a pause, too, where `on_limit` is "pause" and somebody could answer; what
is out comes and is counted, and the draws that found no room are made when there is some.

Not covered: how orders come (`listener.py`); limits of a single step; a limit that is met while a run calibrates.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from maker.decision.config import Config, validated
from maker.decision.ending import Stop
from maker.engine.result import TICK_SECONDS, Reporter
from maker.engine.senders import Senders
from maker.engine.steering.listener import listening
from maker.errors import MakerError, TaskError
from maker.journal.writer import Journal
from maker.log import log
from maker.sending.budget.limits import Limits, must_have_prices

LIMITS = ("concurrency", "max_calls", "max_cost", "max_tokens", "max_steps")  # that can be set
MET = ("max_calls", "max_cost", "max_tokens", "max_steps")  # that a run may pause at
DECIDING = frozenset((*Config.model_fields, "model", "task", "max_votes", "max_flags", "ladder"))


class Steering:
    """The orders that one run takes, from when its journal is replayed until it ends.

    note: journals a note of the run. interrupted: as given to the run; asked while it is paused, too.
    """

    def __init__(
        self, journal: Journal, senders: Senders, note: Callable[[dict[str, Any]], None], reporter: Reporter,
        interrupted: Callable[[], bool] | None,
    ) -> None:  # fmt: skip
        self._journal, self._senders, self._note, self._reporter = journal, senders, note, reporter
        self._given = interrupted
        self._own = senders.own
        self._heard = self._stopped = False  # heard: there is a socket
        self._met = ""  # the limit that a pause is for
        self._look: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take orders while the block runs."""
        async with listening(self._journal.path, self.take) as heard:
            self._heard = heard
            try:
                yield
            finally:
                self._heard = False
                if self._look is not None:
                    self._look.cancel()

    def interrupted(self) -> bool:
        """Say whether the run is to end, told here or by its caller."""
        return self._stopped or (self._given is not None and self._given())

    async def goes_on(self, stop: Stop) -> bool:
        """Wait where a run is to ask at a limit that it met, and say whether it goes on. Raises Stop where it ends."""
        limits = self._own.limits
        if not self._heard or limits.on_limit != "pause" or stop.kind not in MET or self._stopped:
            return False
        if getattr(limits, stop.kind) is None:  # that of a budget which others share
            return False
        if not self._own.budget.halted:
            self._change({"order": "pause", "limit": stop.kind})
            self._pause(f"{stop.kind} is met, and the run asks: {stop}", stop.kind)
        await self._own.budget.until_resumed()
        return True

    # -- orders ----------------------------------------------------------------------------------------

    def take(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one order and return how the run stands; with an `error` where it was refused.

        An order is {"order": NAME}, with "limits": {NAME: VALUE} for "set" and "steps": N for "extend".
        """
        takers = {
            "status": lambda _: None, "pause": self._halt, "resume": self._resume, "stop": self._stop,
            "set": self._set, "extend": self._extend,
        }  # fmt: skip
        refused = {}
        try:
            taker = takers.get(str(order.get("order")))
            if taker is None:
                raise TaskError(f"there is no order {order.get('order')!r:.60}. There are: {', '.join(takers)}.")
            taker(order)
        except MakerError as error:
            refused = {"error": str(error)}
        return refused | self.status()

    def status(self) -> dict[str, Any]:
        """Return how the run stands now, as JSON."""
        seen, limits, halted = self._reporter.glimpse(), self._own.limits, self._own.budget.halted
        kept = {name: getattr(limits, name) for name in (*LIMITS, "max_seconds")}
        return {
            "state": "stopping" if self._stopped else "asking" if self._met else "paused" if halted else "running",
            "why": halted, **asdict(seen), "seconds": round(seen.seconds, 1), "calls": self._own.usage.dispatched,
            "limits": {name: value for name, value in kept.items() if value is not None}, "limit": self._met,
        }  # fmt: skip

    def _halt(self, _: Mapping[str, Any]) -> None:
        if not self._own.budget.halted:
            self._change({"order": "pause"})
            self._pause("paused by `maker ctl`")

    def _resume(self, _: Mapping[str, Any]) -> None:
        if self._own.budget.halted:
            self._change({"order": "resume"})
            self._go_on()

    def _stop(self, _: Mapping[str, Any]) -> None:
        if not self._stopped:
            self._change({"order": "stop"})
            self._end()

    def _extend(self, order: Mapping[str, Any]) -> None:
        steps, most = order.get("steps"), self._own.limits.max_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise TaskError(f"{steps!r:.60}: give how many more steps it may decide.")
        if most is None:
            raise TaskError("this run has no max_steps: it goes on to its end anyway.")
        self._keep({"max_steps": most + steps})

    def _set(self, order: Mapping[str, Any]) -> None:
        told = order.get("limits")
        if not isinstance(told, Mapping) or not told:
            raise TaskError(f"give limits: {', '.join(LIMITS)}.")
        for name in told:
            if name in DECIDING:
                raise TaskError(f"{name} changes decisions, and those of a run under way are not changed. Stop it "
                                "and resume with the other setting.")  # fmt: skip
            if name not in LIMITS:
                raise TaskError(f"{name!r:.60} is not to be set in a run under way; {', '.join(LIMITS)} are.")
        self._keep(told)

    def _keep(self, told: Mapping[str, Any]) -> None:
        """Keep other limits from now on, and go on where the run paused at one of them. Raises TaskError."""
        own, senders = self._own, list(self._senders)
        limits = validated(Limits, {**own.limits.model_dump(), **told})
        if "concurrency" in told and own.traits.lockstep:
            raise TaskError("concurrency: this model computes in the run's process; there are no calls at once.")
        if limits.max_tokens is not None and not all(sender.bounding for sender in senders):
            raise TaskError("max_tokens: this model counts its tokens only where it had such a limit from the start.")
        for sender in senders if "max_cost" in told else ():
            must_have_prices(limits, sender.prices)
        self._change({"order": "set", "limits": {name: getattr(limits, name) for name in told}})
        own.budget.allow(limits)
        for sender in senders if "concurrency" in told else ():
            if sender.traits.widen is not None and limits.concurrency is not None:
                sender.traits.widen(limits.concurrency)
        own.slots.resize(own.bears())
        if own.slots.when_lent is not None:
            own.slots.when_lent()
        if self._met in told:
            self._go_on()

    # -- what they change ------------------------------------------------------------------------------

    def _change(self, order: dict[str, Any]) -> None:
        log.info("run.steering", **order)
        self._note({"steering": order})

    def _pause(self, why: str, limit: str = "") -> None:
        self._met = limit
        self._own.budget.halt(why)
        if self._given is not None and self._look is None:
            self._look = asyncio.get_running_loop().call_later(TICK_SECONDS, self._look_up)

    def _go_on(self) -> None:
        self._met = ""
        self._own.budget.resume()

    def _end(self) -> None:
        self._stopped = True
        self._own.budget.stop(Stop("interrupted", "Run the same command to resume."))

    def _look_up(self) -> None:
        """Notice, as long as the run is paused, that its caller wants it to end."""
        self._look = None
        if self._given is not None and self._given():
            self._own.budget.stop(Stop("interrupted", "Run the same command to resume."))
        elif self._own.budget.halted:
            self._look = asyncio.get_running_loop().call_later(TICK_SECONDS, self._look_up)
