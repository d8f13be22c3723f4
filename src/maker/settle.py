"""Drives the vote for a batch of ready steps against a model.

`settle(polls, dispatcher)` takes one wave of every poll at once; who calls it with many polls
(lock-step) or with one (free) is `run.py`'s affair.

`Dispatcher` is the one owner of sending: it holds and books every draw before it is sent, asks the model,
and repeats what failed with the same draw and seed (a failure of the kind "again" at once, and it is no attempt).
What a model sends beside its draws goes through `Dispatcher.pay`. A limit raises `Stop`, which ends the run and can
be resumed.

Not covered: the journal, except that receipts are written through `Dispatcher.receipts` where there are
any. A wave that was cancelled leaves no trace in its poll.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

import anyio

from maker.budget import Budget, Reply, must_have_prices, paying
from maker.config import Limits
from maker.errors import MakerError, ModelError
from maker.log import log
from maker.poll import Poll
from maker.receipts import Receipts
from maker.records import Wave
from maker.sample import Failure, Model, Request, Sample
from maker.stop import Stop
from maker.usage import Spent, Usage, spent_on

ATTEMPTS = 10  # of one draw before the model counts as lost
FIRST_BACKOFF = 0.1  # seconds; doubles with each attempt
LONGEST_BACKOFF = 60.0  # seconds
LONGEST_AT_START = 1.75  # seconds, as long as no draw has succeeded: the last attempt is then 10.1 s after the first,
# just past the time in which a server has to show itself
MOST_REWORDED = 10  # repetitions of one draw that are no attempts: the model has put it differently (kind "again")


_FREE = Spent()


class Dispatcher:
    """Sends draws to one model within the limits, and repeats those that failed.

    In lock-step all requests go in one call; otherwise each goes alone (or `model.n` of one step together),
    at most `limits.concurrency` calls at once. Safe under cancellation: what was in flight is booked as cancelled.
    `receipts`, if set, makes reservations and samples durable; a slot is then free once its sample is.
    `retrying` says what a repetition waits for, "" when nothing does. beside: the dispatcher of the run's own
    model, with which this one of another model shares account, limits and slots; name: what that one is called.
    """

    def __init__(
        self, model: Model, limits: Limits, usage: Usage, *, beside: Dispatcher | None = None, name: str = ""
    ) -> None:
        self.model = model
        self.limits = limits
        self.usage = usage
        self.name = name
        self.prices = getattr(model, "prices", None)
        if beside is not None and not model.lockstep:
            must_have_prices(limits, self.prices)
        self.budget: Budget = Budget(limits, usage, self.prices) if beside is None else beside.budget
        self.bounding = not model.lockstep or limits.max_tokens is not None or self.prices is not None
        self.receipts: Receipts | None = None
        self.retrying = ""
        self.out = 0  # draws that are with the model now
        self._slots: anyio.Semaphore = (
            beside._slots
            if beside
            else anyio.Semaphore(limits.concurrency, fast_acquire=True)  # the faster when contended
        )
        self._together = 1 if model.lockstep else getattr(model, "n", 1)
        self._proven = False  # a draw has succeeded

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Return one sample for each request, in order.

        Raises Stop at a limit (before anything of this call is sent), for a lost model and for a
        request that always fails; ModelError when the model is unusable.
        """
        samples: dict[int, Sample] = {}
        unsent = list(range(len(requests)))
        if self.receipts is not None and self.receipts.known:
            known = self.receipts.known
            samples = {i: known[requests[i].address] for i in unsent if requests[i].address in known}
            unsent = [i for i in unsent if i not in samples]
        if unsent:
            await self._draw(requests, unsent, samples)
        return list(map(samples.__getitem__, range(len(requests))))

    async def _draw(self, requests: Sequence[Request], which: list[int], samples: dict[int, Sample]) -> None:
        budget, lockstep = self.budget, self.model.lockstep
        bounds: dict[int, Spent] = {}
        if self.bounding:
            bounds = dict(zip(which, budget.hold([requests[i] for i in which], self.prices), strict=True))
        else:
            budget.hold_calls(len(which))
        unsent = set() if lockstep else set(which)
        payer = paying.set(self.pay)
        try:
            if lockstep:
                await self._send(requests, which, bounds, samples)
            else:
                await self._send_each(requests, which, bounds, unsent, samples)
        except BaseException:
            came = {requests[i].address: samples[i] for i in which if i in samples}
            if self.receipts is None:  # their wave will not be counted
                self.usage.lose(came.values())
            else:
                self.receipts.known.update(came)
            raise
        finally:
            paying.reset(payer)
            for i, bound in bounds.items():
                if i not in samples:
                    budget.settled(bound)
            budget.unsent(len(unsent))

    async def _send_each(
        self, requests: Sequence[Request], which: list[int], bounds: dict[int, Spent], unsent: set[int],
        samples: dict[int, Sample],
    ) -> None:  # fmt: skip
        """Send every request alone, or some of one step together, as slots allow."""

        async def one(part: list[int]) -> None:
            async with self._slots:
                unsent.difference_update(part)
                await self._send(requests, part, bounds, samples)

        parts = _parts(requests, which, self._together)
        if len(parts) == 1:
            await one(parts[0])
            return
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts[1:]:
                    group.create_task(one(part))
                await one(parts[0])
        except BaseExceptionGroup as errors:
            error = first_error(errors)
            raise error from error.__cause__

    async def _send(
        self, requests: Sequence[Request], which: list[int], bounds: dict[int, Spent], samples: dict[int, Sample]
    ) -> None:
        """Send some requests in one call, filling `samples`; repeat those that fail, each with its draw and seed."""
        waiting, attempt, reworded = which, 0, 0
        while attempt < ATTEMPTS:
            if attempt or reworded:
                self.budget.repeat(len(waiting))
            failed = await self._call(requests, waiting, bounds, samples)
            if not failed:
                return
            _raise_hopeless([(requests[i], failure) for i, failure in failed])
            waiting = [i for i, _ in failed]
            if reworded < MOST_REWORDED and all(failure.kind == "again" for _, failure in failed):
                reworded += 1
                continue
            attempt += 1
            if attempt < ATTEMPTS:
                _refuse_long_pause(failed[0][1], requests[waiting[0]])
                wait = _backoff(attempt - 1, [failure for _, failure in failed], proven=self._proven)
                log.warning("model.retry", failures=len(failed), detail=failed[0][1].detail, wait=wait)
                self.retrying = failed[0][1].detail
                await anyio.sleep(wait)
        step, failure = requests[waiting[0]].address.step, failed[0][1]
        raise Stop("model_lost", f"step {step}: {ATTEMPTS} attempts failed, the last with: {failure.detail}. "
                   "When the model answers again, run the same command to resume.")  # fmt: skip

    async def _call(
        self, requests: Sequence[Request], which: list[int], bounds: dict[int, Spent], samples: dict[int, Sample]
    ) -> list[tuple[int, Failure]]:
        """Make one call and book what came of it; return what failed. Samples are durable where receipts are kept."""
        asked = [requests[i] for i in which]
        self.budget.sent(len(asked))
        try:
            if self.receipts is not None:
                await self.receipts.reserve(asked, [bounds[i] for i in which])
            self.out += len(asked)
            try:
                replies = await _drawn(self.model, asked)
            finally:
                self.out -= len(asked)
            if len(replies) != len(asked):
                raise ModelError(f"the model gave {len(replies)} replies to {len(asked)} requests: mend its draw()")
        except BaseException:
            self.usage.cancel(bounds.get(i, _FREE) for i in which)
            raise
        if not self.bounding:
            return self._book_reported(which, replies, samples)
        failed: list[tuple[int, Failure]] = []
        came: list[tuple[Request, Sample, Spent]] = []
        usage, receipts = self.usage, self.receipts
        for i, reply in zip(which, replies, strict=True):
            spent = spent_on(reply, bounds[i], self.prices)
            if isinstance(reply, Failure):
                failed.append((i, reply))
                usage.fail(spent)
                if receipts is not None:
                    receipts.fail(requests[i], reply, spent)
                continue
            samples[i] = reply
            usage.spend(spent)
            self.budget.settled(bounds[i], spent)
            came.append((requests[i], reply, spent))
        if came:
            self._proven, self.retrying = True, ""
            if receipts is not None:
                await receipts.keep(came, self.name)
        return failed

    def _book_reported(
        self, which: list[int], replies: Sequence[Sample | Failure], samples: dict[int, Sample]
    ) -> list[tuple[int, Failure]]:
        """Book the replies of a model that costs nothing: tokens as they are reported, and no bounds."""
        came = dict(zip(which, replies, strict=True))
        failed = [(i, reply) for i, reply in came.items() if isinstance(reply, Failure)]
        for i, failure in failed:
            del came[i]
            self.usage.fail(spent_on(failure, _FREE, None))
        samples.update(came)  # type: ignore[arg-type]  # the failures are out
        self.usage.tokens_in += sum([sample.tokens_in or 0 for sample in came.values()])
        self.usage.tokens_out += sum([sample.tokens_out or 0 for sample in came.values()])
        return failed

    async def pay(self, request: Request, send: Callable[[Request], Awaitable[Reply]]) -> Reply:
        """Send one call that is no draw, within the limits, and book it as one that brought no sample.

        Raises Stop at a limit, before it is sent.
        """
        (bound,) = self.budget.hold([request], self.prices)
        self.budget.sent(1)
        try:
            if self.receipts is not None:
                await self.receipts.reserve([request], [bound])
            reply = await send(request)
        except BaseException:
            self.usage.cancel([bound])
            raise
        finally:
            self.budget.settled(bound)
        spent = spent_on(reply, bound, self.prices)
        self.usage.fail(spent)
        if self.receipts is not None:
            self.receipts.fail(request, Failure("transient", "not a draw: a probe of the model's"), spent)
        return reply


async def settle(polls: Sequence[Poll], dispatcher: Dispatcher) -> list[Wave]:
    """Take one wave of every poll and return what the journal keeps of each, in order.

    Each poll is then either decided, undecided at a limit, or ready for its next wave. Raises Stop
    and ModelError as `Dispatcher.draw` does; polls are then as they were.
    """
    requests = [request for poll in polls for request in poll.requests()]
    samples = await dispatcher.draw(requests)
    waves, at = [], 0
    for poll in polls:
        wave = poll.take(samples[at : at + poll.need])
        at += len(wave)
        dispatcher.usage.book(wave)
        waves.append(wave)
    return waves


async def _drawn(model: Model, requests: list[Request]) -> Sequence[Sample | Failure]:
    """Ask the model; what it raises beside its own ModelError becomes one."""
    try:
        return list(await model.draw(requests))
    except (MakerError, Stop):
        raise
    except Exception as error:
        raise ModelError(
            f"the model's draw raised {type(error).__name__}: {error}. Mend the model and resume."
        ) from error


def _raise_hopeless(failed: Sequence[tuple[Request, Failure]]) -> None:
    for request, failure in failed:
        if failure.kind == "fatal":
            raise ModelError(f"step {request.address.step}: {failure.detail}")
        if failure.kind == "poison":
            raise Stop("poison_step", f"step {request.address.step}: {failure.detail}. "
                       "Other requests succeed; mend this step and resume.", 4, step=request.address.step)  # fmt: skip


def _refuse_long_pause(failure: Failure, request: Request) -> None:
    """Stop rather than sleep through a pause that is longer than any backoff."""
    pause = failure.retry_after
    if pause is not None and LONGEST_BACKOFF < pause < math.inf:
        raise Stop("model_lost", f"step {request.address.step}: {failure.detail}; the server asks to wait "
                   f"{pause:.0f} s. Run the same command to resume then.")  # fmt: skip


def _backoff(attempt: int, failures: Sequence[Failure], *, proven: bool) -> float:
    """Return the seconds to wait: doubling, or what the server asked for; a senseless wish counts as none."""
    wished = [f.retry_after for f in failures if f.retry_after is not None and 0 <= f.retry_after < math.inf]
    own = min(FIRST_BACKOFF * 2**attempt, LONGEST_BACKOFF if proven else LONGEST_AT_START)
    return float(min(max([own, *wished]), LONGEST_BACKOFF))


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first plain exception of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parts(requests: Sequence[Request], which: list[int], together: int) -> list[list[int]]:
    """Cut the requests into calls: one each, or up to `together` with the same prompt."""
    parts: list[list[int]] = []
    for i in which:
        last = parts[-1] if parts else []
        if 0 < len(last) < together and requests[last[0]].prompt == requests[i].prompt:
            last.append(i)
        else:
            parts.append([i])
    return parts
