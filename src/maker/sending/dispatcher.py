"""Sends draws to a model: each is held, booked, asked for, and repeated where it fails.

`Dispatcher` is the one owner of sending: it holds and books every draw before it is sent, asks the model,
and repeats what failed with the same draw and seed. A limit raises `Stop`, which ends the run and can be resumed; when
the time is over, what is out is cancelled, and booked at the most it can have taken.

Not covered: the vote on what comes (`settle.py`), and the journal, except that receipts are written through
`Dispatcher.receipts`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial

import anyio
from anyio.lowlevel import checkpoint

from maker.decision.address import Address
from maker.decision.ending import Stop, hopeless
from maker.decision.sample import Failure, Model, Reply, Request, Sample, Traits, desk, readable
from maker.errors import first_error
from maker.log import log
from maker.sending.budget.funds import Funds
from maker.sending.budget.limits import Budget, Limits, must_have_prices
from maker.sending.budget.usage import Spent, Usage, spent_on
from maker.sending.draw import FREE, Draw, answered, in_calls, unanswered
from maker.sending.late import Call
from maker.sending.outage import refuse_long_pause
from maker.sending.payer import Payer
from maker.sending.receipts import Receipts
from maker.sending.slots import Slots
from maker.sending.turns import Turns

ATTEMPTS = 10  # of one draw before the model counts as lost; refusals that name a wait are none
UNTOLD = 32  # calls at once, of a model that does not say what it bears
MOST_LANES = 512  # steps side by side, of one that does
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 60.0  # seconds; doubles with each attempt
LONGEST_AT_START = 1.75  # seconds, before any draw has succeeded: ten attempts then last as long as a server's grace
MOST_JITTER = 1.0  # seconds of a wait, at most a quarter of it, so that many do not come back as one
MOST_REWORDED = 10  # repetitions of one draw that are no attempts: the model has put it differently (kind "again")

jitter = random.random


class Dispatcher:
    """Sends draws to one model within the limits, and repeats those that failed.

    In lock-step, and to a model that takes a wave as a whole, all requests go in one call; otherwise each goes alone
    (or `model.n` of one step together), at most `limits.concurrency` calls at once. Safe under cancellation: what was
    in flight is booked as cancelled. `receipts`, if set, makes reservations and samples durable; a slot's next call
    then waits for its last sample to be.
    beside: the dispatcher of the run's own model, with which this one of another model shares account, limits and
    slots; name: what that one is called. shared: a budget that others take from, too.
    """

    def __init__(
        self, model: Model, limits: Limits, usage: Usage, *, beside: Dispatcher | None = None, name: str = "",
        shared: Budget | None = None,
    ) -> None:  # fmt: skip
        self.model, self.usage = model, usage
        self.traits = traits = Traits.of(model)
        self.prices = traits.prices
        self.budget: Funds = Funds(limits, usage, shared) if beside is None else beside.budget
        if beside is None or not traits.lockstep:
            must_have_prices(limits, self.prices, self.budget.shared)
        self.bounding = not traits.lockstep or self.budget.capped or self.prices is not None
        self.receipts: Receipts | None = None
        self._retrying, self._proven = "", False  # proven: a draw has succeeded
        self.out = 0  # draws that are with the model now
        self.slots: Slots = beside.slots if beside else Slots(self.bears())
        self._turns = Turns(traits, limits, name)
        self._payer = Payer(self.budget, self._turns, None)

    @property
    def limits(self) -> Limits:
        """Those in force: they may be changed while the run is under way."""
        return self.budget.limits

    @property
    def retrying(self) -> str:
        """What a call waits for, "" when nothing does."""
        return self.budget.halted or self._turns.gone or self._retrying

    @property
    def lanes(self) -> int:
        """How many steps are worth having under way side by side."""
        return self.limits.concurrency or (MOST_LANES if self.traits.bears else UNTOLD)

    def bears(self) -> int:
        """Return how many calls may be under way at once: as told, or as the model says it bears now."""
        return self.limits.concurrency or (self.traits.bears() if self.traits.bears else UNTOLD)

    def draw(self, requests: Sequence[Request]) -> Awaitable[list[Sample]]:
        """Return one sample for each request, in order.

        Raises Stop at a limit (before anything of this call is sent), for a lost model and for a
        request that always fails; ModelError when the model is unusable.
        """
        if self.receipts is None or not self.receipts.known:
            return self._draw(requests)
        return self._draw_others(requests, self.receipts.known)

    async def _draw_others(self, requests: Sequence[Request], known: Mapping[Address, Sample]) -> list[Sample]:
        """Return one sample for each request, drawing those that no process has drawn so far."""
        unsent = [request for request in requests if request.address not in known]
        came = [known.get(request.address) for request in requests]  # before others are awaited: a wave drops its own
        drawn = iter(await self._draw(unsent))
        return [next(drawn) if sample is None else sample for sample in came]

    async def _draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Return one sample for each request that was never answered."""
        if not requests:
            return []
        self.budget.hold_calls(len(requests))
        draws = self.bounded(list(map(Draw, requests)))
        if self._payer.receipts is not self.receipts:  # they come when the run has its journal
            self._payer = Payer(self.budget, self._turns, self.receipts)
        at = desk.set(self._payer)
        try:
            await self.budget.in_time(self._send_all(draws))
        except BaseException as error:
            self._give_up(draws)
            if isinstance(error, BaseExceptionGroup):
                first = first_error(error)
                raise first from first.__cause__
            raise
        finally:
            desk.reset(at)
        return [draw.sample for draw in draws if draw.sample is not None]

    def bounded(self, draws: list[Draw]) -> list[Draw]:
        """Give draws the room for thoughts that the model needs now, and the bounds that follow."""
        self._turns.have_room(draws)
        if self.bounding:
            for draw, bound in zip(draws, self._turns.bounds(draws, self.budget.bounds), strict=True):
                draw.bound = bound
        return draws

    def _send_all(self, draws: list[Draw]) -> Awaitable[None]:
        """Send draws once they are held: at once where there is room for all, which is no coroutine more."""
        if not self.bounding or self.budget.take_now([draw.bound for draw in draws]):
            return self._send_held(draws)
        return self._send_in_turn(draws)

    async def _send_in_turn(self, draws: list[Draw]) -> None:
        """Send as many draws at a time as there is room for."""
        with self.budget.place() as place:
            while draws:
                count = await place.take([draw.bound for draw in draws])
                now, draws = draws[:count], draws[count:]
                await self._send_held(now)

    def _send_held(self, draws: list[Draw]) -> Awaitable[None]:
        for draw in draws:
            draw.held = self.bounding
        calls = in_calls(draws, self.traits.together)
        return self._send(draws) if self.traits.gathers else self.slots.each(calls, self._send)

    async def _hold_again(self, draws: list[Draw]) -> None:
        """Hold draws that failed; where failures have used up their room, others have the slot until there is some."""
        self.budget.hold_calls(len(draws))
        before = [draw.bound for draw in draws]
        self.bounded(draws)
        again = self.bounding and not (self.budget.sound and before == [draw.bound for draw in draws])
        for draw in draws:
            draw.sent, draw.held = False, draw.held and not again
        if again:
            await self._lent(self.budget.take_anew(before, [draw.bound for draw in draws]))
            for draw in draws:
                draw.held = True

    def _give_up(self, draws: Sequence[Draw]) -> None:
        """Give back what is held of draws that ended in an error, and keep what came."""
        came = {draw.request.address: draw.sample for draw in draws if draw.sample is not None}
        if self.receipts is None:  # their wave will not be counted
            self.usage.lose(came.values())
        else:
            self.receipts.known.update(came)
        self.budget.give_back([draw.bound for draw in draws if draw.held and draw.sample is None])
        self.budget.unsent(sum([not draw.sent for draw in draws]))

    async def _send(self, draws: list[Draw]) -> None:
        """Send some draws in one call; repeat those that fail, each with its draw and seed."""
        waiting, tries, attempts, reworded, waited = draws, 0, 0, 0, 0.0
        outage = self._turns.of(draws[0].request).outage
        while attempts < ATTEMPTS and waited < outage.patience:
            if self.budget.halted:
                await self.budget.until_resumed()
            if waiting[0].sent:
                await self._hold_again(waiting)
            if outage.on:
                await self._lent(outage.turn())
            heard = outage.heard
            if not (failed := await self._call(waiting)):
                return
            for draw, failure in failed:
                if (end := hopeless(draw.request.address.step, failure)) is not None:
                    raise end
            waiting, failures = [draw for draw, _ in failed], [failure for _, failure in failed]
            if outage.heard == heard and all(failure.gone and not failure.wait for failure in failures):
                outage.begin(failures[0].detail)
                continue
            if reworded < MOST_REWORDED and all(failure.kind == "again" for failure in failures):
                reworded += 1
                continue
            wait = _backoff(tries, failures, proven=self._proven)
            tries += 1
            if all(failure.wait for failure in failures):
                waited += wait
            else:
                attempts += 1
            if attempts < ATTEMPTS:
                refuse_long_pause(failures, waiting[0].request, self.limits)
                await self._pause(wait, failures)
        step, failure = waiting[0].request.address.step, failed[0][1]
        tried = f"{ATTEMPTS} attempts failed" if attempts == ATTEMPTS else f"refused for {waited:.0f} s"
        raise Stop("model_lost", f"step {step}: {tried}, the last with: {failure.detail}. "
                   "When the model answers again, run the same command to resume.")  # fmt: skip

    async def _pause(self, wait: float, failures: Sequence[Failure]) -> None:
        """Sleep before a repetition; the slot of a draw that was told to wait serves others meanwhile."""
        wait += jitter() * min(MOST_JITTER, wait / 4)
        log.warning("model.retry", failures=len(failures), detail=failures[0].detail, wait=wait)
        self._retrying = failures[0].detail
        await (self._lent if failures[0].wait else self.budget.pause)(anyio.sleep(wait))

    def _lent(self, wait: Awaitable[None]) -> Awaitable[None]:
        """Lend the slot of a call to others while it waits; where all go in one call there is none."""
        return self.budget.pause(wait if self.traits.gathers else self.slots.lend(wait))

    async def _call(self, draws: list[Draw]) -> list[tuple[Draw, Failure]]:
        """Make one call and book what came of it; return what failed. If late, it is made again, or lends its slot."""
        asked, count = [draw.request for draw in draws], len(draws)
        to, replies = self._turns.of(asked[0]), list[Reply]()
        for draw in draws:
            draw.sent = True
        self.budget.sent(count)
        try:
            if self.receipts is not None:
                await self.receipts.reserve(asked, [draw.bound for draw in draws], batched=self.traits.whole)
            self.out += count
            call = None if self.traits.gathers else self.slots.late.begin(Call())
            try:
                if call is None or to.hedges is None:  # no coroutine between: cold by then, they cost the most
                    replies = readable(await self.model.draw(asked), count)
                else:
                    ask, book = partial(answered, self.model, asked), partial(self._book_second, draws, asked)
                    replies = await to.hedges.first(call, ask, book)
            except Exception as error:  # noqa: BLE001 -- whatever a model raises is told apart there
                replies = unanswered(error, count)
            finally:
                self.out -= count
                if call is not None:
                    for reply in replies:  # one nearly always
                        call.replied = call.replied or isinstance(reply, Sample)
                    self.slots.late.end(call)
                if self.traits.bears is not None and self.limits.concurrency is None:
                    self.slots.resize(self.bears())
        except BaseException:
            self.budget.cancelled([draw.bound for draw in draws])
            raise
        to.outage.hear(replies)
        return self._book(draws, replies) if self.bounding else self._book_reported(draws, replies)

    def _book_second(self, draws: Sequence[Draw], asked: Sequence[Request]) -> asyncio.Future[None] | None:
        """Book a second call of draws that are out: sent, and spent at the most, since one reply is never seen.

        Returns what is done when that is durable; None, and books nothing, where there is no room for it now.
        """
        bounds = [draw.bound for draw in draws]  # as of the first: a replay of this reservation books that one
        if self.budget.halted or any(draw.hedged for draw in draws) or not self.budget.take_beside(bounds):
            return None
        for draw in draws:
            draw.hedged = True
        self.budget.sent(len(draws))
        durable = checkpoint() if self.receipts is None else self.receipts.reserve(asked, bounds)
        self.budget.cancelled(bounds)
        self.budget.give_back(bounds)
        log.info("model.hedge", step=asked[0].address.step, draws=len(draws))
        return asyncio.ensure_future(durable)

    def _book(self, draws: Sequence[Draw], replies: Sequence[Sample | Failure]) -> list[tuple[Draw, Failure]]:
        """Book the replies of a model that costs something, within the bounds that were held for them."""
        failed: list[tuple[Draw, Failure]] = []
        came: list[tuple[Request, Sample, Spent]] = []
        for draw, reply in zip(draws, replies, strict=True):
            spent = spent_on(reply, draw.bound, self._turns.prices(draw))
            if isinstance(reply, Failure):
                failed.append((draw, reply))
                self.budget.failed(spent, reply.detail)
                if self.receipts is not None:
                    self.receipts.fail(draw.request, reply, spent)
                continue
            draw.sample = reply
            self.budget.came(draw.bound, spent)
            came.append((draw.request, reply, spent))
        if came:
            self._proven, self._retrying = True, ""
            if self.receipts is not None:
                self.receipts.keep(came, self._turns.of(came[0][0]).name)
        return failed

    def _book_reported(self, draws: Sequence[Draw], replies: Sequence[Sample | Failure]) -> list[tuple[Draw, Failure]]:
        """Book the replies of a model that costs nothing: tokens as they are reported, and no bounds."""
        failed: list[tuple[Draw, Failure]] = []
        for draw, reply in zip(draws, replies, strict=True):
            if isinstance(reply, Failure):
                failed.append((draw, reply))
                self.budget.failed(spent_on(reply, FREE, None), reply.detail)
                continue
            draw.sample = reply
            self.usage.tokens_in += reply.tokens_in or 0
            self.usage.tokens_out += reply.tokens_out or 0
        return failed


def _backoff(tries: int, failures: Sequence[Failure], *, proven: bool) -> float:
    """Return the seconds to wait: doubling, or what the server asked for if that is longer."""
    own: float = min(FIRST_BACKOFF * 2**tries, LONGEST_BACKOFF if proven else LONGEST_AT_START)
    return max([own, *[failure.wait for failure in failures]])
