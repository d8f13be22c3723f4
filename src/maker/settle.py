"""Drives the vote for a batch of ready steps against a model.

`settle(polls, dispatcher)` takes one wave of every poll at once; who calls it with many polls
(lock-step) or with one (free) is `run.py`'s affair.

`Dispatcher` is the one owner of sending: it books every draw before it is sent, asks the model,
and repeats what failed with the same draw and seed. A limit raises `Stop`, which ends the run and
can be resumed. The account always balances: dispatched = voted + flagged + failed + cancelled + in flight.

Not covered: the journal. A wave that was cancelled leaves no trace in its poll.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import anyio

from maker.config import Limits
from maker.errors import MakerError, ModelError, TaskError
from maker.log import log
from maker.poll import Poll
from maker.records import UNKNOWN_TOKENS, Wave
from maker.sample import Failure, Model, Request, Sample

ATTEMPTS = 10  # of one draw before the model counts as lost
FIRST_BACKOFF = 0.1  # seconds; doubles with each attempt
LONGEST_BACKOFF = 60.0  # seconds
MAX_REFUSALS = 10  # of one step without a valid answer make it a poison step


class Stop(Exception):
    """A named, resumable end: `kind` is its name, the message says where and what to do."""

    def __init__(self, kind: str, detail: str, exit_code: int = 3) -> None:
        super().__init__(detail)
        self.kind = kind
        self.exit_code = exit_code


@dataclass(slots=True)
class Usage:
    """What a run has sent and got, resumes included. Tokens as reported; what was not reported is not counted."""

    dispatched: int = 0
    voted: int = 0
    flagged: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    lost_in: int = 0  # of these, tokens of samples that no wave will count
    lost_out: int = 0
    flags: Counter[str] = field(default_factory=Counter)

    @property
    def in_flight(self) -> int:
        """Draws sent and not yet accounted for."""
        return self.dispatched - self.voted - self.flagged - self.failed - self.cancelled

    def book(self, wave: Wave) -> None:
        """Account for the judged samples of a wave."""
        lost = 0
        if wave.extras:  # a flagged draw has its kind there
            kinds = [facts["flag"] for facts in wave.extras.values() if "flag" in facts]
            self.flags.update(kinds)
            lost = len(kinds)
        self.flagged += lost
        self.voted += len(wave) - lost

    def lose(self, samples: Collection[Sample]) -> None:
        """Book samples that came and will never be judged: paid for, and lost."""
        self.cancelled += len(samples)
        self.lost_in += sum(sample.tokens_in or 0 for sample in samples)
        self.lost_out += sum(sample.tokens_out or 0 for sample in samples)

    def replay(self, wave: Wave) -> None:
        """Account for a wave that an earlier process drew, tokens included."""
        self.dispatched += len(wave)
        self.book(wave)
        self.tokens_in += sum(n for n in wave.draws[2::4] if n != UNKNOWN_TOKENS)
        self.tokens_out += sum(n for n in wave.draws[3::4] if n != UNKNOWN_TOKENS)


class Dispatcher:
    """Sends draws to one model within the limits, and repeats those that failed.

    In lock-step all requests go in one call; otherwise each goes alone, at most
    `limits.concurrency` at once. Safe under cancellation: what was in flight is booked as cancelled.
    """

    def __init__(self, model: Model, limits: Limits, usage: Usage) -> None:
        if limits.max_cost is not None:
            raise TaskError("max_cost: no prices are known yet, so it could not be kept. Use max_tokens or max_calls.")
        self.model = model
        self.limits = limits
        self.usage = usage
        self._slots = anyio.CapacityLimiter(limits.concurrency)
        self._started = time.monotonic()
        self._held_calls = 0  # reserved and not yet sent
        self._held_tokens = 0  # the most that draws reserved and not yet answered can take

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Return one sample for each request, in order.

        Raises Stop at a limit (before anything of this call is sent), for a lost model and for a
        request that always fails; ModelError when the model is unusable.
        """
        self._hold_calls(len(requests))
        try:
            bound = self._hold_tokens(requests)
        except Stop:
            self._held_calls -= len(requests)
            raise
        samples: dict[int, Sample] = {}
        unsent = set(range(len(requests)))
        try:
            if self.model.lockstep:
                which, unsent = unsent, set()
                await self._send(requests, which, samples)
            else:
                await self._send_each(requests, unsent, samples)
        except BaseException:
            self.usage.lose(samples.values())  # they came, but their wave will not be counted
            raise
        finally:
            self._held_tokens -= bound
            self._held_calls -= len(unsent)
        return [samples[i] for i in range(len(requests))]

    async def _send_each(self, requests: Sequence[Request], unsent: set[int], samples: dict[int, Sample]) -> None:
        """Send every request alone, as slots allow."""

        async def one(position: int) -> None:
            async with self._slots:
                unsent.discard(position)
                await self._send(requests, {position}, samples)

        try:
            async with anyio.create_task_group() as group:
                for position in range(len(requests)):
                    group.start_soon(one, position)
        except BaseExceptionGroup as errors:
            error = first_error(errors)
            raise error from error.__cause__

    async def _send(self, requests: Sequence[Request], which: set[int], samples: dict[int, Sample]) -> None:
        """Send some requests in one call, filling `samples`; repeat those that fail, each with its draw and seed."""
        waiting = sorted(which)
        for attempt in range(ATTEMPTS):
            batch = [requests[i] for i in waiting]
            if attempt:
                self._hold_calls(len(batch))  # the draws' tokens are held still
            failed: list[tuple[int, Failure]] = []
            for i, reply in zip(waiting, await self._call(batch), strict=True):
                if isinstance(reply, Failure):
                    failed.append((i, reply))
                else:
                    samples[i] = reply
            if not failed:
                return
            self.usage.failed += len(failed)
            _raise_hopeless([(requests[i], failure) for i, failure in failed])
            waiting = [i for i, _ in failed]
            if attempt < ATTEMPTS - 1:
                _refuse_long_pause(failed[0][1], requests[waiting[0]])
                wait = _backoff(attempt, [failure for _, failure in failed])
                log.warning("model.retry", failures=len(failed), detail=failed[0][1].detail, wait=wait)
                await anyio.sleep(wait)
        step, failure = requests[waiting[0]].address.step, failed[0][1]
        raise Stop("model_lost", f"step {step}: {ATTEMPTS} attempts failed, the last with: {failure.detail}. "
                   "When the model answers again, run the same command to resume.")  # fmt: skip

    async def _call(self, requests: list[Request]) -> Sequence[Sample | Failure]:
        usage = self.usage
        usage.dispatched += len(requests)
        self._held_calls -= len(requests)
        try:
            replies = await _drawn(self.model, requests)
            if len(replies) != len(requests):
                raise ModelError(f"the model gave {len(replies)} replies to {len(requests)} requests: mend its draw()")
        except BaseException:
            usage.cancelled += len(requests)
            raise
        for reply in replies:
            if isinstance(reply, Sample):
                usage.tokens_in += reply.tokens_in or 0
                usage.tokens_out += reply.tokens_out or 0
        return replies

    def _hold_calls(self, count: int) -> None:
        """Hold calls that are about to be made. Raises Stop if there are not so many, or time is over."""
        limits = self.limits
        calls = self.usage.dispatched + self._held_calls
        if limits.max_calls is not None and calls + count > limits.max_calls:
            raise Stop("max_calls", f"{calls} of {limits.max_calls} calls are used. Raise max_calls and resume.")
        if limits.max_seconds is not None and time.monotonic() - self._started > limits.max_seconds:
            raise Stop("max_seconds", f"{limits.max_seconds} seconds are over. Run the same command to resume.")
        self._held_calls += count

    def _hold_tokens(self, requests: Sequence[Request]) -> int:
        """Hold the most tokens that these draws can take, and return them. Raises Stop if there are not so many.

        Input tokens are bounded by bytes: no tokenizer makes more tokens than bytes.
        """
        limit = self.limits.max_tokens
        if limit is None:
            return 0
        spent = self.usage.tokens_in + self.usage.tokens_out + self._held_tokens
        bound = sum(len(r.prompt.encode("utf-8", "replace")) + r.max_tokens for r in requests)
        if spent + bound > limit:
            raise Stop("max_tokens", f"{spent} of {limit} tokens are used and the next draws could "
                       f"take {bound}. Raise max_tokens and resume.")  # fmt: skip
        self._held_tokens += bound
        return bound


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


def undecided(poll: Poll) -> Stop:
    """Return the stop of a poll that met a limit: which, where it stood, and what to do."""
    limit = poll.outcome.limit if poll.outcome else None
    tally = poll.tally
    counts = ", ".join(str(n) for n in sorted(tally.counts.values(), reverse=True)[:5]) or "none"
    kinds = ", ".join(f"{kind} {n}" for kind, n in poll.flags.items()) or "none"
    message = (
        f"step {poll.step.index} is undecided after {poll.drawn} samples: votes {counts} (k = {poll.method.k} ahead "
        f"is needed), flagged {kinds}. Raise {limit} and resume, make the step finer, or take another model."
    )
    return Stop("undecided", message, 4)


def poisoned(poll: Poll) -> Stop | None:
    """Return the stop of a step that is refused again and again without one valid answer."""
    if poll.flags.get("refused", 0) < MAX_REFUSALS or poll.tally.total:
        return None
    return Stop("poison_step", f"step {poll.step.index} was refused {poll.flags['refused']} times without a valid "
                "answer. Reword the step or take another model, then resume.", 4)  # fmt: skip


async def _drawn(model: Model, requests: list[Request]) -> Sequence[Sample | Failure]:
    """Ask the model; what it raises beside its own ModelError becomes one."""
    try:
        return list(await model.draw(requests))
    except MakerError:
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
                       "Other requests succeed; mend this step and resume.", 4)  # fmt: skip


def _refuse_long_pause(failure: Failure, request: Request) -> None:
    """Stop rather than sleep through a pause that is longer than any backoff."""
    pause = failure.retry_after
    if pause is not None and LONGEST_BACKOFF < pause < math.inf:
        raise Stop("model_lost", f"step {request.address.step}: {failure.detail}; the server asks to wait "
                   f"{pause:.0f} s. Run the same command to resume then.")  # fmt: skip


def _backoff(attempt: int, failures: Sequence[Failure]) -> float:
    """Return the seconds to wait: doubling, or what the server asked for; a senseless wish counts as none."""
    wished = [f.retry_after for f in failures if f.retry_after is not None and 0 <= f.retry_after < math.inf]
    return float(min(max([FIRST_BACKOFF * 2**attempt, *wished]), LONGEST_BACKOFF))


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first plain exception of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
