"""A purse: spent + held never passes a cap, whoever waits is served in order, and threads may share it."""

from __future__ import annotations

import random
import threading

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.ending import Stop
from maker.sending.budget.limits import Limits
from maker.sending.budget.purse import Purse, Turn
from maker.sending.budget.usage import Spent, Usage

BOUND = Spent(assumed=10, cost=0.1)


def purse(**caps: float) -> Purse:
    """Return a purse from which nothing is taken."""
    return Purse(Limits(**caps), Usage())


async def spend(shared: Purse, bounds: list[Spent], chance: random.Random, seen: list[tuple[int, float]]) -> int:
    """Take draws as they fit and book what each took, or that it failed; return how many went out."""
    turn, out = Turn(), 0
    try:
        while bounds:
            count = await shared.take(bounds, turn)
            seen.append((shared.usage.tokens + shared._tokens, shared.usage.cost + shared._cost))
            now, bounds, out = bounds[:count], bounds[count:], out + count
            for bound in now:
                for _ in range(chance.randint(0, 2)):
                    await anyio.lowlevel.checkpoint()
                took = Spent(chance.randint(0, bound.assumed), 0, 0, bound.cost * chance.choice((0.0, 0.5, 1.0)))
                shared.came(bound, took)
    except Stop:
        pass
    finally:
        shared.leave(turn)
    return out


@given(seed=st.integers(0, 10**6), tokens=st.integers(1, 300), waves=st.integers(1, 12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_spent_and_held_never_pass_a_cap_and_all_is_given_back(seed: int, tokens: int, waves: int) -> None:
    """Waves of all sizes at once: none is lost, none waits for ever, and at a stop less than one draw is unused."""
    chance = random.Random(seed)
    shared = purse(max_tokens=tokens, max_cost=tokens / 90)
    seen: list[tuple[int, float]] = []
    wanted = [
        [Spent(assumed=chance.randint(1, 20), cost=0.1) for _ in range(chance.randint(1, 5))] for _ in range(waves)
    ]
    out: list[int] = []

    async def one(bounds: list[Spent]) -> None:
        out.append(await spend(shared, bounds, chance, seen))

    async def go() -> None:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for bounds in wanted:
                    group.start_soon(one, bounds)

    anyio.run(go)
    assert all(spent <= tokens and cost <= tokens / 90 + 1e-9 for spent, cost in seen)
    assert (shared._out, shared._tokens, shared._cost, len(shared._queue)) == (0, 0, 0.0, 0)
    if sum(out) < sum(map(len, wanted)):
        assert tokens - shared.usage.tokens < 20 or tokens / 90 - shared.usage.cost < 0.1 + 1e-9


def test_many_threads_share_one() -> None:
    """Eight loops in eight threads wait for each other's room, and every draw goes out once."""
    shared = purse(max_tokens=8 * 50 * 2 + 25)
    done: list[int] = []
    least: list[int] = []

    async def one() -> None:
        out = 0
        for _ in range(50):
            turn = Turn()
            out += await shared.take([BOUND], turn)
            shared.leave(turn)
            least.append(shared.usage.tokens + shared._tokens)
            await anyio.lowlevel.checkpoint()
            shared.came(BOUND, Spent(1, 1))
        done.append(out)

    threads = [threading.Thread(target=anyio.run, args=(one,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (done, shared.usage.tokens) == ([50] * 8, 800)
    assert max(least) <= 825


@pytest.mark.asyncio
async def test_a_repetition_goes_before_those_who_wait_and_holds_all_or_none() -> None:
    """It has a place under way already: who waits for room may wait for that place."""
    shared, order = purse(max_tokens=25), []
    first = Turn()
    assert await shared.take([BOUND, BOUND], first) == 2

    async def one(name: str, bounds: list[Spent], *, ahead: bool) -> None:
        turn = Turn()
        await shared.take(bounds, turn, first=ahead)
        order.append(name)
        shared.leave(turn)
        shared.give_back(bounds)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: one("new", [BOUND], ahead=False))
        await anyio.lowlevel.checkpoint()
        group.start_soon(lambda: one("again", [BOUND, BOUND], ahead=True))
        await anyio.lowlevel.checkpoint()
        shared.give_back([BOUND, BOUND])
    assert order == ["again", "new"]
    turn = Turn()
    with pytest.raises(Stop):
        await shared.take([BOUND] * 3, turn, first=True)
    shared.leave(turn)


@pytest.mark.asyncio
async def test_what_is_held_at_once_fits_and_goes_before_nobody() -> None:
    """Draws are held at once only if all of them fit, and nobody waits: a small one does not overtake a large one."""
    shared, line = purse(max_tokens=30), Turn()
    assert shared.take_at_once([BOUND, BOUND]) and shared._tokens == 20
    assert not shared.take_at_once([BOUND, BOUND]) and shared._tokens == 20
    assert shared.take_now([BOUND, BOUND], line) == 0
    assert not shared.take_at_once([BOUND])
    shared.leave(line)
    assert shared.take_at_once([BOUND]) and shared._tokens == 30


def test_calls_are_held_and_given_back() -> None:
    """What was held and not sent can be held again; what was sent is used for good."""
    one = purse(max_calls=3)
    one.hold_calls(3)
    one.unsent(1)
    one.sent(2)
    one.hold_calls(1)
    with pytest.raises(Stop, match=r"3 of 3 calls are used\. Raise max_calls and resume"):
        one.hold_calls(1)
