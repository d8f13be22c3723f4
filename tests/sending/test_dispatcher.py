"""Sending: every draw is booked, failures are repeated and never flags, limits are never passed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Request, Sample
from maker.errors import ModelError, TaskError
from maker.models.openai.client import GRACE
from maker.sending import dispatcher as module
from maker.sending.budget import funds
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import TEMPLATE_TOKENS, Usage
from maker.sending.dispatcher import ATTEMPTS, Dispatcher
from maker.testing import ScriptedModel

BUSY = Failure("transient", "503 from the server")


def requests(count: int, step: int = 0) -> list[Request]:
    """Return draws 0 .. count - 1 of one step."""
    return [Request(Address("run", step, draw), "prompt", 1000 + draw, max_tokens=50) for draw in range(count)]


def dispatcher(model: Any, **limits: Any) -> Dispatcher:
    """Return a dispatcher with an empty account."""
    return Dispatcher(model, Limits(**limits), Usage())


def failing(times: Callable[[Request], int], failure: Failure = BUSY, *, lockstep: bool = True) -> ScriptedModel:
    """Return a model that fails each draw `times(request)` times before it answers."""
    tries: Counter[Address] = Counter()

    def reply(request: Request) -> str | Failure:
        tries[request.address] += 1
        return failure if tries[request.address] <= times(request) else "yes"

    return ScriptedModel(reply, lockstep=lockstep)


def parts(usage: Usage) -> tuple[int, int, int, int, int, int]:
    """Return dispatched, voted, flagged, failed, cancelled, in flight."""
    return usage.dispatched, usage.voted, usage.flagged, usage.failed, usage.cancelled, usage.in_flight


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record how long the engine wants to sleep, without sleeping."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(module.anyio, "sleep", sleep)
    monkeypatch.setattr(module, "jitter", lambda: 0.0)
    return slept


class Gate:
    """A model called concurrently whose replies wait until they are let through."""

    lockstep = False
    name = "gate"

    def __init__(self, *, opened: Callable[[Request], bool] = lambda request: False) -> None:
        self.opened = opened
        self.go = anyio.Event()
        self.active = self.most = self.seen = 0

    async def draw(self, batch: Sequence[Request]) -> list[Sample]:
        """Wait for `go` unless the request is let through, counting who is inside."""
        self.active += len(batch)
        self.seen += len(batch)
        self.most = max(self.most, self.active)
        try:
            for request in batch:
                if not self.opened(request):
                    await self.go.wait()
        finally:
            self.active -= len(batch)
        return [Sample("yes", 1, 1) for _ in batch]


async def rest() -> None:
    """Let every other task run until it waits."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


# -- replies and failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_one_sample_for_each_request_in_order(lockstep: bool) -> None:
    """Replies come back in the order of the requests, whether in one call or many."""
    model = ScriptedModel(lambda request: f"reply {request.address.draw}", lockstep=lockstep)
    samples = await dispatcher(model, concurrency=3).draw(requests(10))
    assert [sample.text for sample in samples] == [f"reply {draw}" for draw in range(10)]


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_transient_failures_are_repeated_with_the_same_draw(lockstep: bool, waits: list[float]) -> None:
    """A failed draw is sent again with its address and seed until it brings a reply; others are not sent again."""
    model = failing(lambda request: request.address.draw, lockstep=lockstep)
    sender = dispatcher(model)
    samples = await sender.draw(requests(4))
    assert [sample.text for sample in samples] == ["yes"] * 4
    sent = Counter((request.address.draw, request.seed) for request in model.requests)
    assert sent == {(draw, 1000 + draw): draw + 1 for draw in range(4)}
    assert (sender.usage.dispatched, sender.usage.failed) == (10, 6)
    assert len(waits) == (3 if lockstep else 6)


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_lost_model(lockstep: bool, waits: list[float]) -> None:
    """After 10 failed attempts the model counts as lost: a resumable stop that names the step and the reason."""
    sender = dispatcher(failing(lambda request: 99, lockstep=lockstep))
    with pytest.raises(Stop, match=r"step 7: 10 attempts failed.*503 from the server.*resume") as stop:
        await sender.draw(requests(1, step=7))
    assert (stop.value.kind, stop.value.exit_code) == ("model_lost", 3)
    assert parts(sender.usage) == (ATTEMPTS, 0, 0, ATTEMPTS, 0, 0)


@pytest.mark.asyncio
async def test_backoff_doubles(waits: list[float]) -> None:
    """Waits double, up to a limit before a first success; none follows the last, which is just past the grace."""
    with pytest.raises(Stop):
        await dispatcher(failing(lambda request: 99)).draw(requests(1))
    assert waits == pytest.approx([min(0.1 * 2**n, module.LONGEST_AT_START) for n in range(ATTEMPTS - 1)])
    assert GRACE < sum(waits) < GRACE + 0.5


@pytest.mark.parametrize(
    ("asked", "first", "second"),
    [(7.5, 7.5, 7.5), (0.15, 0.15, 0.2), (0.0, 0.1, 0.2), (-5.0, 0.1, 0.2), (60.0, 60.0, 60.0)],
)
@pytest.mark.asyncio
async def test_retry_after_is_honoured(asked: float, first: float, second: float, waits: list[float]) -> None:
    """The engine waits at least as long as the server asked, up to a minute."""
    await dispatcher(failing(lambda request: 2, Failure("transient", "429", asked))).draw(requests(1))
    assert waits == pytest.approx([first, second])


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_a_retry_does_not_loosen_the_token_limit(lockstep: bool, waits: list[float]) -> None:
    """What a failed attempt held is given back once: the draw after it still cannot pass the limit."""
    bound = len("prompt") + TEMPLATE_TOKENS + 50
    costly = failing(lambda request: 2, lockstep=lockstep)
    answer = Sample("yes", bound - 50, 50)
    told = costly._script
    costly._script = lambda request: answer if told(request) == "yes" else told(request)
    sender = dispatcher(costly, max_tokens=2 * bound - 1)
    await sender.draw(requests(1))
    assert sender.usage.tokens_in + sender.usage.tokens_out == bound
    with pytest.raises(Stop, match=f"{bound} of {2 * bound - 1} tokens are used"):
        await sender.draw(requests(1, step=1))


def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    """Without prices a cap on money would be an empty promise: it is refused, not ignored."""
    with pytest.raises(TaskError, match="has no prices"):
        dispatcher(ScriptedModel(["yes"]), max_cost=1.0)


@pytest.mark.asyncio
async def test_a_pause_longer_than_any_backoff_is_a_stop(waits: list[float]) -> None:
    """Rather than sleep for an hour the run stops, resumable, and says how long the server asked to wait."""
    with pytest.raises(Stop, match="asks to wait 3600 s") as stop:
        await dispatcher(failing(lambda request: 1, Failure("transient", "429", 3600.0))).draw(requests(1))
    assert stop.value.exit_code == 3 and waits == []


@pytest.mark.parametrize("asked", [float("inf"), float("nan")])
@pytest.mark.asyncio
async def test_senseless_retry_after_counts_as_absent(asked: float, waits: list[float]) -> None:
    """An infinite or undefined wish for a wait is no wish."""
    await dispatcher(failing(lambda request: 1, Failure("transient", "429", asked))).draw(requests(1))
    assert waits == pytest.approx([0.1])


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_poison_step(lockstep: bool, waits: list[float]) -> None:
    """A request that always fails stops the run at once, naming its step; the account balances."""
    model = ScriptedModel(
        lambda request: Failure("poison", "400 bad request") if request.address.draw == 2 else "yes", lockstep=lockstep
    )
    sender = dispatcher(model)
    with pytest.raises(Stop, match=r"step 5: 400 bad request.*resume") as stop:
        await sender.draw(requests(4, step=5))
    assert (stop.value.kind, stop.value.exit_code) == ("poison_step", 4)
    assert waits == []
    assert (sender.usage.failed, sender.usage.in_flight) == (1, 0)
    assert sender.usage.cancelled == sender.usage.dispatched - 1


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_fatal_failure(lockstep: bool) -> None:
    """A failure that no request can survive is a ModelError, at once; the account balances."""
    sender = dispatcher(ScriptedModel([Failure("fatal", "401 unauthorised")], lockstep=lockstep))
    with pytest.raises(ModelError, match="401 unauthorised") as error:
        await sender.draw(requests(3))
    assert error.value.exit_code == 5
    assert sender.usage.in_flight == 0


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_wrong_number_of_replies(change: int, lockstep: bool) -> None:
    """A model that loses or invents replies is refused with both numbers; the account balances."""

    class Careless(ScriptedModel):
        async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
            return [Sample("yes")] * (len(batch) + change)

    sender = dispatcher(Careless(["yes"], lockstep=lockstep))
    with pytest.raises(ModelError, match=r"gave \d+ replies to \d+ requests"):
        await sender.draw(requests(2))
    assert sender.usage.in_flight == 0


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_a_model_that_gives_no_replies_at_all(lockstep: bool) -> None:
    """A model that forgets its return statement is a broken model, and no traceback of ours."""

    class Forgetful(ScriptedModel):
        async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
            return None  # type: ignore[return-value]

    sender = dispatcher(Forgetful(["yes"], lockstep=lockstep))
    with pytest.raises(ModelError, match="Mend the model"):
        await sender.draw(requests(2))
    assert sender.usage.in_flight == 0


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_a_model_that_raises(lockstep: bool) -> None:
    """What a model raises leaves the account balanced."""

    class Broken(ScriptedModel):
        async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
            raise ModelError("the server is gone for good")

    sender = dispatcher(Broken(["yes"], lockstep=lockstep))
    with pytest.raises(ModelError, match="gone for good"):
        await sender.draw(requests(3))
    assert sender.usage.in_flight == 0


class Wild(ScriptedModel):
    """A model whose draws raise, or return, what they are told."""

    def __init__(self, *told: Any, lockstep: bool = False) -> None:
        super().__init__(["yes"], lockstep=lockstep)
        self.told = list(told)

    async def draw(self, batch: Sequence[Request]) -> Any:
        """Raise or return the next of what was told, then answer."""
        if not self.told:
            return ["yes"] * len(batch)
        told = self.told.pop(0)
        if isinstance(told, Exception):
            raise told
        return told


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_a_draw_that_raises_is_a_failed_attempt(lockstep: bool, waits: list[float]) -> None:
    """Whatever a client raises is tried again; after ten attempts the stop names it."""
    sender = dispatcher(Wild(RuntimeError("529 overloaded"), TypeError("'NoneType'"), lockstep=lockstep))
    (sample,) = await sender.draw(requests(1))
    assert (sample.text, sender.usage.failed, len(waits)) == ("yes", 2, 2)
    sender = dispatcher(Wild(*[RuntimeError("529 overloaded")] * ATTEMPTS, lockstep=lockstep))
    with pytest.raises(Stop, match=r"10 attempts failed.*draw raised RuntimeError: 529 overloaded"):
        await sender.draw(requests(1))
    assert sender.usage.in_flight == 0


@pytest.mark.asyncio
async def test_a_bug_of_the_model_is_told_at_once(waits: list[float]) -> None:
    """A name that does not exist comes of no reply: trying again would only take time."""
    with pytest.raises(ModelError, match=r"NameError.*Mend the model"):
        await dispatcher(Wild(NameError("name 'clinet' is not defined"))).draw(requests(1))
    assert waits == []


@pytest.mark.asyncio
async def test_text_alone_is_a_sample_and_lockstep_is_optional() -> None:
    """An object with nothing but `draw` is a model, and may return text."""

    class Bare:
        async def draw(self, batch: Sequence[Request]) -> Any:
            return [f"reply {request.address.draw}" for request in batch]

    samples = await dispatcher(Bare()).draw(requests(3))
    assert [sample.text for sample in samples] == ["reply 0", "reply 1", "reply 2"]


@pytest.mark.parametrize("told", [[None], [7], "yes", {"text": "yes"}])
@pytest.mark.asyncio
async def test_what_no_reply_can_be_is_a_broken_model(told: Any) -> None:
    """Anything but samples, failures and text in a list is refused in one line; the account balances."""
    sender = dispatcher(Wild(told))
    with pytest.raises(ModelError, match="the model gave a"):
        await sender.draw(requests(1))
    assert sender.usage.in_flight == 0


@pytest.mark.asyncio
async def test_refusals_that_name_a_wait_are_no_attempts(waits: list[float]) -> None:
    """More refusals than attempts lose nothing, as long as they name a wait; in all they are bounded by time."""
    busy = Failure("transient", "429", 1.0)
    (sample,) = await dispatcher(failing(lambda request: ATTEMPTS + 3, busy)).draw(requests(1))
    assert sample.text == "yes"
    waits.clear()
    with pytest.raises(Stop, match=r"refused for \d+ s, the last with: 429"):
        await dispatcher(failing(lambda request: 10**9, busy)).draw(requests(1))
    assert sum(waits) < Limits().patience + module.LONGEST_BACKOFF


@pytest.mark.asyncio
async def test_a_wait_longer_than_max_seconds_is_a_stop_that_says_when(waits: list[float]) -> None:
    """There is no use in waiting for what comes after the end: the stop names the time of day."""
    model = failing(lambda request: 1, Failure("transient", "429", 90.0))
    with pytest.raises(Stop, match=r"asks to wait 90 s, until \d{4}-\d\d-\d\d \d\d:\d\d.*longer than 60 s"):
        await dispatcher(model, max_seconds=60).draw(requests(1))
    assert waits == []


@pytest.mark.asyncio
async def test_a_refused_draw_lends_its_slot() -> None:
    """While one draw waits as it was told to, the others have its slot."""
    model = failing(lambda request: int(request.address.draw == 0), Failure("transient", "429", 0.02), lockstep=False)
    samples = await dispatcher(model, concurrency=1).draw(requests(4))
    assert [request.address.draw for request in model.requests] == [0, 1, 2, 3, 0]
    assert len(samples) == 4


@pytest.mark.asyncio
async def test_calls_at_once_follow_what_the_model_bears() -> None:
    """Without a number of the run's own, as many go out as the model says it bears, and more as it says more."""
    model = Gate()
    model.bears = lambda: 2 + model.seen // 8  # type: ignore[attr-defined]
    sender = dispatcher(model)
    async with anyio.create_task_group() as group:
        for step in range(4):
            group.start_soon(sender.draw, requests(10, step))
        await rest()
        assert model.active == 2
        model.go.set()
    assert (model.seen, sender.slots._count) == (40, 7)


# -- cancellation and concurrency ---------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [0, 2])
@pytest.mark.asyncio
async def test_cancellation_is_booked(arrived: int) -> None:
    """What was in flight, and what had come for a wave that never counts, is booked as cancelled."""
    model = Gate(opened=lambda request: request.address.draw < arrived)
    sender = dispatcher(model, concurrency=4)
    async with anyio.create_task_group() as group:
        group.start_soon(sender.draw, requests(6))
        await rest()
        assert sender.usage.in_flight == min(4 + arrived, 6)
        group.cancel_scope.cancel()
    assert parts(sender.usage) == (model.seen, 0, 0, 0, model.seen, 0)


@pytest.mark.asyncio
async def test_native_cancellation_is_booked() -> None:
    """Cancelling the asyncio task, as agent code does, leaves the account balanced too."""
    model = Gate(opened=lambda request: request.address.draw == 0)
    sender = dispatcher(model)
    task = asyncio.ensure_future(sender.draw(requests(3)))
    await rest()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts(sender.usage) == (3, 0, 0, 0, 3, 0)


@pytest.mark.parametrize("concurrency", [1, 3, 20])
@pytest.mark.asyncio
async def test_concurrency_is_never_above_its_limit(concurrency: int) -> None:
    """In free mode at most `concurrency` draws are inside the model, and that many really are."""
    model = Gate()
    sender = dispatcher(model, concurrency=concurrency)
    async with anyio.create_task_group() as group:
        for step in range(4):
            group.start_soon(sender.draw, requests(10, step))
        await rest()
        assert model.active == concurrency
        model.go.set()
    assert model.most == concurrency
    assert model.seen == 40


# -- limits ------------------------------------------------------------------------------------------------


class Meter:
    """A model that counts what it is asked, gives the event loop away, and fails now and then."""

    name = "meter"
    simulated = True

    def __init__(self, *, lockstep: bool, fail_every: int = 0) -> None:
        self.lockstep = lockstep
        self.fail_every = fail_every
        self.calls = self.tokens = 0

    def bind(self, task: Any) -> None:
        """Learn the truth."""
        self.task = task

    async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
        """Answer rightly, at the largest bill that the limits allow for."""
        replies: list[Sample | Failure] = []
        for request in batch:
            self.calls += 1
            if self.fail_every and self.calls % self.fail_every == 0:
                replies.append(BUSY)
                continue
            text = self.task.render(self.task.truth(request.state, request.address.step))
            sample = Sample(text, len(request.prompt.encode()), min(request.max_tokens - 1, 700))
            self.tokens += (sample.tokens_in or 0) + (sample.tokens_out or 0)
            replies.append(sample)
        for _ in range(batch[0].seed % 4 if batch else 0):
            await anyio.lowlevel.checkpoint()
        return replies


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 70), st.booleans(), st.sampled_from([1, 4, 15]), st.sampled_from([0, 3, 7]))
def test_max_calls_is_never_passed(limit: int, lockstep: bool, segments: int, fail_every: int) -> None:
    """No more draws than max_calls are ever sent, retries included, whatever the concurrency."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "FIRST_BACKOFF", 0.0)
    model = Meter(lockstep=lockstep, fail_every=fail_every)
    task = maker.load_task("hanoi", disks=4)
    result = maker.run_sync(task, model=model, k=2, segments=segments, limits={"max_calls": limit})
    patch.undo()
    usage = result.usage
    assert model.calls <= usage.dispatched <= limit
    assert usage.dispatched - usage.cancelled <= model.calls  # what was cancelled may not have left, and is booked so
    assert result.usage.in_flight == 0 or not lockstep  # samples that came before the stop wait for a resume
    assert result.stopped in ("max_calls", None)
    assert result.solved == (result.stopped is None)
    if limit < 30:  # 15 steps at k = 2
        assert result.stopped == "max_calls"
        assert result.exit_code == 3


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 16_000), st.booleans(), st.sampled_from([1, 4, 15]))
def test_max_tokens_is_never_passed(limit: int, lockstep: bool, segments: int) -> None:
    """The tokens of all replies together never exceed max_tokens, whatever the concurrency."""
    model = Meter(lockstep=lockstep)
    task = maker.load_task("hanoi", disks=4)
    result = maker.run_sync(
        task, model=model, k=2, segments=segments, token_cap=200, limits={"max_tokens": limit}, long_answer=300
    )
    assert model.tokens <= limit
    assert result.usage.tokens_in + result.usage.tokens_out == model.tokens
    assert (result.stopped, result.exit_code) == ("max_tokens", 3)


def test_limits_that_are_just_enough() -> None:
    """A run that needs exactly max_calls draws is not stopped."""
    task = maker.load_task("hanoi", disks=4)
    for lockstep in (True, False):
        model = Meter(lockstep=lockstep)
        result = maker.run_sync(task, model=model, k=2, limits={"max_calls": 30})
        assert (result.solved, result.stopped, model.calls) == (True, None, 30)


@pytest.mark.asyncio
async def test_a_limit_sends_nothing_of_the_call() -> None:
    """A call that could pass the limit is refused before any of its draws is sent."""
    model = ScriptedModel(["yes"])
    sender = dispatcher(model, max_calls=5)
    await sender.draw(requests(4))
    with pytest.raises(Stop, match=r"4 of 5 calls are used\. Raise max_calls and resume") as stop:
        await sender.draw(requests(2))
    assert stop.value.kind == "max_calls"
    assert len(model.requests) == 4


@pytest.mark.asyncio
async def test_retries_count_as_calls(waits: list[float]) -> None:
    """A draw that is sent again is a call of its own."""
    model = failing(lambda request: 99)
    sender = dispatcher(model, max_calls=3)
    with pytest.raises(Stop, match="max_calls"):
        await sender.draw(requests(1))
    assert len(model.requests) == 3
    assert parts(sender.usage) == (3, 0, 0, 3, 0, 0)


@pytest.mark.asyncio
async def test_max_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """After max_seconds nothing more is sent."""
    now = [0.0]
    monkeypatch.setattr(funds.time, "monotonic", lambda: now[0])
    model = ScriptedModel(["yes"])
    sender = dispatcher(model, max_seconds=10)
    now[0] = 9.9
    await sender.draw(requests(1))
    now[0] = 10.1
    with pytest.raises(Stop, match=r"10.* seconds are over") as stop:
        await sender.draw(requests(1))
    assert stop.value.kind == "max_seconds"
    assert len(model.requests) == 1
