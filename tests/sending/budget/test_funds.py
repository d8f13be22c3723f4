"""Funds: a cap that is nearly used holds draws back until those that are out are booked, and is never passed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

import maker
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.sending import dispatcher as module
from maker.sending.budget.funds import Funds
from maker.sending.budget.limits import Budget, Limits
from maker.sending.budget.usage import TEMPLATE_TOKENS, Spent, Usage
from maker.sending.dispatcher import Dispatcher
from maker.sending.payer import Payer

PROMPT = "prompt"
CAP = 50
BOUND = len(PROMPT) + TEMPLATE_TOKENS + CAP


def requests(count: int, step: int = 0) -> list[Request]:
    """Return draws 0 .. count - 1 of one step."""
    return [Request(Address("run", step, draw), PROMPT, draw, max_tokens=CAP) for draw in range(count)]


class Paid:
    """A paid model called concurrently, whose replies take some turns of the loop.

    script: replies in order of the calls, then "yes" at 3 tokens. It keeps how many were out at most, and what it
    could have been billed at most at any time: its own books, and the most of what is out.
    """

    lockstep = False
    name = "paid"

    def __init__(self, script: Sequence[Sample | Failure] = (), prices: Prices | None = None) -> None:
        self.script, self.prices = deque(script), prices
        self.calls = self.tokens = self.out = self.most_out = self.exposed = 0

    async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
        """Answer after a while."""
        bound = sum(len(request.prompt.encode()) + TEMPLATE_TOKENS + request.max_tokens for request in batch)
        self.calls += len(batch)
        self.out += bound
        self.most_out = max(self.most_out, self.out // bound)
        self.exposed = max(self.exposed, self.tokens + self.out)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self.out -= bound
        replies = [self.script.popleft() if self.script else Sample("yes", 2, 1) for _ in batch]
        self.tokens += sum((reply.tokens_in or 0) + (reply.tokens_out or 0) for reply in replies)
        return replies


async def until_it_stops(sender: Dispatcher) -> None:
    """Draw on one step after the other."""
    for step in range(1000):
        await sender.draw(requests(3, step))


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let repetitions follow at once."""
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.0)
    monkeypatch.setattr(module, "LONGEST_AT_START", 0.0)
    monkeypatch.setattr(module, "LONGEST_BACKOFF", 0.0)


@pytest.mark.parametrize(("limits", "prices"), [
    ({"max_cost": 1.0}, Prices(input=10.0, output=40.0)), ({"max_tokens": 20_000}, None),
    ({"max_tokens": 3_600}, None),
])  # fmt: skip
def test_a_map_that_fits_is_not_stopped_by_what_is_out(limits: dict[str, float], prices: Prices | None) -> None:
    """A hundred items, each draw at 8 tokens and held at more than 1,000, are all decided within small caps."""
    model = Paid([Sample("yes", 7, 1)] * 500, prices)
    result = maker.map_sync("Is {item} a number?", range(100), model=model, limits=limits).result
    assert (result.stopped, result.steps, model.calls) == (None, 100, 300)
    assert model.exposed <= limits.get("max_tokens", model.exposed)
    assert result.usage.tokens == model.tokens == 2_400


@pytest.mark.asyncio
async def test_draws_wait_for_those_that_are_out_and_go_on() -> None:
    """With room for two of them at once, ten waves of three go out two at a time and all come."""
    model = Paid()
    sender = Dispatcher(model, Limits(max_tokens=2 * BOUND + 90), Usage())
    came = []

    async def wave(step: int) -> None:
        came.append(await sender.draw(requests(3, step)))

    async with anyio.create_task_group() as group:
        for step in range(10):
            group.start_soon(wave, step)
    assert [len(samples) for samples in came] == [3] * 10
    assert (model.most_out, sender.usage.tokens) == (2, 90)
    assert model.exposed <= 2 * BOUND + 90


@pytest.mark.asyncio
async def test_it_stops_only_when_not_one_draw_fits_and_nothing_is_out() -> None:
    """What stays unused of a cap is less than one draw's most."""
    model = Paid()
    sender = Dispatcher(model, Limits(max_tokens=1000), Usage())
    with pytest.raises(Stop, match=f"of 1000 tokens are used and the next draw could take {BOUND}") as stop:
        await until_it_stops(sender)
    assert stop.value.kind == "max_tokens"
    assert 1000 - BOUND < sender.usage.tokens <= 1000


@pytest.mark.asyncio
async def test_a_wave_that_has_begun_is_served_before_those_that_came_later() -> None:
    """With room for one draw at a time, whole waves come one after the other: what is paid for can be counted."""
    model, ends = Paid(), []
    sender = Dispatcher(model, Limits(max_tokens=BOUND + 60), Usage())

    async def wave(step: int) -> None:
        await sender.draw(requests(3, step))
        ends.append((step, model.calls))

    async with anyio.create_task_group() as group:
        for step in range(5):
            group.start_soon(wave, step)
    assert ends == [(step, 3 * step + 3) for step in range(5)]


@pytest.mark.parametrize("concurrency", [1, 3, 32])
@pytest.mark.asyncio
async def test_a_failure_of_unknown_cost_waits_for_room_and_lends_its_slot(concurrency: int) -> None:
    """Its most counts as spent, so its repetition may not fit beside what is held; it goes when some of that is back.

    With one slot for all, those that hold the room need the very slot of the one that waits.
    """
    model = Paid([Failure("transient", "lost", None, None, None)])
    sender = Dispatcher(model, Limits(max_tokens=3 * BOUND + 20, concurrency=concurrency), Usage())
    came = []

    async def wave(step: int) -> None:
        came.append(await sender.draw(requests(1, step)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for step in range(3):
                group.start_soon(wave, step)
    assert (len(came), model.calls, sender.usage.tokens) == (3, 4, BOUND + 9)


@pytest.mark.asyncio
async def test_a_call_beside_a_draw_never_waits_for_it() -> None:
    """Draws that hold all there is wait for a probe: it has the room of the draw that wants it."""

    class Probing(Paid):
        async def draw(self, batch: Sequence[Request]) -> list[Sample | Failure]:
            if not self.calls:
                short = Request(batch[0].address, "?", 0, max_tokens=1)

                async def send(_: Request) -> Sample:
                    return Sample("ok", 1, 1)

                await Payer(sender.budget, sender._turns, sender.receipts).pay(short, send)
            return await super().draw(batch)

    model = Probing([Failure("again", "put differently")])
    sender = Dispatcher(model, Limits(max_tokens=BOUND), Usage())
    with pytest.raises(Stop, match="raise max_tokens"):  # the probe took 2 of what one draw needs whole
        await sender.draw(requests(1))
    assert (model.calls, sender.usage.dispatched, sender.usage.tokens) == (1, 2, 2)
    sender = Dispatcher(Probing([Failure("again", "put differently")]), Limits(max_tokens=BOUND + 2), Usage())
    assert len(await sender.draw(requests(1))) == 1


@pytest.mark.asyncio
async def test_what_is_cancelled_while_it_waits_gives_its_place_up() -> None:
    """Those behind it are served, and in the end nothing is held."""
    model = Paid()
    sender = Dispatcher(model, Limits(max_tokens=BOUND + 30), Usage())

    async def wave(step: int) -> None:
        await sender.draw(requests(1, step))

    async with anyio.create_task_group() as group:
        group.start_soon(wave, 0)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(wave, 1)
                await anyio.lowlevel.checkpoint()
                scope.cancel()
        group.start_soon(wave, 2)
    assert model.calls == 2
    assert len(await sender.draw(requests(1, 3))) == 1


@pytest.mark.asyncio
async def test_a_reply_past_its_bound_raises_the_bounds_after_it() -> None:
    """A server that counts in its own way is held at more from then on."""
    model = Paid([Sample("yes", BOUND, BOUND)])
    sender = Dispatcher(model, Limits(max_tokens=4 * BOUND - 1), Usage())
    await sender.draw(requests(1))
    with pytest.raises(Stop, match=f"the next draw could take {2 * BOUND + 1}"):
        await sender.draw(requests(1, step=1))


@pytest.mark.parametrize(
    ("limits", "kind"), [({"max_calls": 4}, "max_calls"), ({"max_tokens": 4 * BOUND}, "max_tokens")]
)
@pytest.mark.asyncio
async def test_a_stop_names_the_cause_behind_the_limit(limits: dict[str, int], kind: str) -> None:
    """Where calls failed, a limit that is met says how many, and how the last one did."""
    model = Paid([Failure("transient", "500 bad key", None, None, None)] * 9)
    sender = Dispatcher(model, Limits(**limits), Usage())
    with pytest.raises(Stop, match=r"4 of them failed: 500 bad key|4 calls failed: 500 bad key") as stop:
        await sender.draw(requests(1))
    assert (stop.value.kind, model.calls) == (kind, 4)


@pytest.mark.asyncio
async def test_both_a_run_and_the_budget_that_it_shares_are_kept() -> None:
    """A draw goes out where it fits into both; what it took is booked in both."""
    shared = Budget(max_tokens=3 * BOUND, max_calls=100)
    first, second = (
        Dispatcher(Paid(), Limits(max_calls=8), Usage(), shared=shared),
        Dispatcher(Paid(), Limits(), Usage(), shared=shared),
    )
    await first.draw(requests(8))
    await second.draw(requests(12))
    assert (shared.calls, shared.tokens) == (20, 60)
    with pytest.raises(Stop, match="8 of 8 calls are used"):
        await first.draw(requests(1, step=1))
    assert shared.calls == 20
    with pytest.raises(Stop, match=f"tokens of the budget shared by 2 calls are used and .* take {BOUND}"):
        await until_it_stops(second)
    with pytest.raises(Stop, match="of 100 calls of the budget shared by 2 calls are used"):
        await second.draw(requests(100, step=1000))


@pytest.mark.asyncio
async def test_a_halt_holds_repetitions_back_too():
    """What is out when calls are halted still comes; what failed of it is repeated after the halt alone."""
    model = Paid([Failure("again", "put differently")])
    sender = Dispatcher(model, Limits(concurrency=1), Usage())
    async with anyio.create_task_group() as group:
        group.start_soon(sender.draw, requests(2))
        while not model.out:
            await anyio.lowlevel.checkpoint()
        sender.budget.halt("for a test")
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert (model.calls, model.out, sender.retrying) == (1, 0, "for a test")
        sender.budget.resume()
    assert (model.calls, sender.retrying) == (3, "")


@pytest.mark.asyncio
async def test_a_stop_ends_what_is_halted():
    """Who waits for a halt to end hears of a stop, and who comes after the stop waits for nothing."""
    model = Paid([Failure("again", "put differently")])
    sender = Dispatcher(model, Limits(), Usage())
    sender.budget.halt("for a test")

    async def wait() -> None:
        with pytest.raises(Stop, match="for a test"):
            await sender.draw(requests(3))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        sender.budget.stop(Stop("interrupted", "for a test"))
    with pytest.raises(Stop, match="for a test"):
        await sender.budget.until_resumed()
    assert model.calls == 0


@pytest.mark.asyncio
async def test_another_limit_lets_those_go_on_who_wait():
    """Who waits for room under one cap has it under a higher one, while what is out is still out."""
    model = Paid()
    sender = Dispatcher(model, Limits(max_tokens=BOUND), Usage())
    async with anyio.create_task_group() as group:
        group.start_soon(sender.draw, requests(1))
        group.start_soon(sender.draw, requests(1, 1))
        while not model.out:
            await anyio.lowlevel.checkpoint()
        assert model.most_out == 1
        sender.budget.allow(Limits(max_tokens=3 * BOUND))
    assert (model.calls, model.most_out, sender.limits.max_tokens) == (2, 2, 3 * BOUND)


def test_a_block_is_held_until_it_ends() -> None:
    """A block holds its calls in the run's purse and in a shared one; what it took stays, the rest is free again."""
    usage, shared = Usage(), Budget(max_calls=10, max_tokens=100)
    funds = Funds(Limits(max_calls=8), usage, shared)
    bounds = [Spent(assumed=10)] * 6
    assert funds.take_beside(bounds)
    assert not funds.take_beside([Spent(assumed=10)] * 3), "of 8 calls 6 are held"
    spent = Usage(dispatched=2, tokens_in=7)
    usage.add(spent)
    funds.end_block(bounds, spent)
    assert (usage.dispatched, shared.calls, shared.tokens) == (2, 2, 7)
    assert not funds.take_beside([Spent(assumed=10)] * 7), "2 are sent"
    assert funds.take_beside(bounds)
    funds.lose_block(bounds)
    assert (usage.dispatched, usage.cancelled, shared.calls, shared.tokens) == (8, 6, 8, 67)
    assert funds.calls_left == 0
