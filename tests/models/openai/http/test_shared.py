"""A gate that many workers share: fifty of them ask a server no more than one does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from maker.models.openai.http.gate import Gate, Held
from maker.models.openai.http.gates import Door
from maker.models.openai.http.keeper import EXPIRY, Keeper
from maker.models.openai.http.shared import AGAIN, SharedGate
from virtual import virtually

WORKERS, REQUESTS, SLOTS = 50, 20, 16
WAY = 0.001  # seconds that a message to the keeper takes


class Kept:
    """A keeper at the end of a way; it counts the messages, and can be gone."""

    def __init__(self, ceiling: int | None) -> None:
        self.clock = asyncio.get_running_loop().time
        self.gate = Gate(ceiling, clock=self.clock, jitter=lambda: 0.0)
        self.keeper = Keeper(ceiling, clock=self.clock, gate=self.gate)
        self.messages, self.gone = 0, False

    async def call(self, method: str, *told: Any) -> Any:
        self.messages += 1
        await asyncio.sleep(WAY)
        if self.gone:
            raise RuntimeError("the actor died")
        return await getattr(self.keeper, method)(*told)

    def door(self, name: str = "w") -> SharedGate:
        return SharedGate(self.call, None, name=name, clock=self.clock)


class Server:
    """Answers in a tenth of a second, and refuses what comes while it has no slot. most: that were there at once."""

    def __init__(self) -> None:
        self.here = self.served = self.most = self.good = self.refused = 0

    async def ask(self, door: Door, ticket: Any) -> bool:
        serves = self.served < SLOTS
        self.here, self.served = self.here + 1, self.served + serves
        self.most = max(self.most, self.here)
        await asyncio.sleep(0.1 if serves else 0.005)
        self.here, self.served = self.here - 1, self.served - serves
        if serves:
            self.good += 1
            door.good(ticket)
        else:
            self.refused += 1
            door.refused(ticket, 1.0)
        return serves


async def storm(door_of: Callable[[int], Door]) -> Server:
    """Let many workers send many requests each, all at once; what is refused waits, and is sent again."""
    server = Server()

    async def send(door: Door) -> None:
        while True:
            ticket = await door.enter(600.0)
            try:
                if await server.ask(door, ticket):
                    return
            finally:
                door.leave(ticket)
            await asyncio.sleep(1.0)

    doors = [door_of(number) for number in range(WORKERS)]
    await asyncio.gather(*(send(door) for door in doors for _ in range(REQUESTS)))
    return server


def test_fifty_workers_do_not_storm_a_server() -> None:
    """A thousand requests of fifty workers, at a server of 16 slots: as one gate sends them, not as fifty would."""

    async def shared() -> tuple[Server, int]:
        kept = Kept(None)
        return await storm(lambda number: kept.door(f"w{number}")), kept.messages

    async def alone() -> Server:
        one = Gate(None, clock=asyncio.get_running_loop().time, jitter=lambda: 0.0)
        return await storm(lambda _: one)

    async def each() -> Server:
        clock = asyncio.get_running_loop().time
        return await storm(lambda _: Gate(None, clock=clock, jitter=lambda: 0.0))

    (together, messages), seconds = virtually(shared)
    (one, least), (apart, _) = virtually(alone), virtually(each)
    assert (together.good, one.good, apart.good) == (WORKERS * REQUESTS,) * 3
    assert together.most <= 1.25 * one.most
    assert apart.most > 4 * together.most, "it would be a storm"
    assert together.refused <= one.refused + SLOTS
    assert apart.refused > 4 * together.refused
    assert seconds < 2 * least
    assert messages < 4 * (together.good + together.refused)


def test_who_would_not_wait_so_long_is_told() -> None:
    """A window that another worker closed holds all back; those whose patience is shorter hear so at once."""

    async def test() -> None:
        kept = Kept(8)
        one, other = kept.door("one"), kept.door("other")
        tickets = [await one.enter(9.0) for _ in range(8)]
        for ticket in tickets:
            one.refused(ticket, 30.0)
            one.leave(ticket)
        with pytest.raises(Held) as held:
            await other.enter(9.0)
        assert 29.0 < held.value.seconds <= 30.0
        with pytest.raises(Held):
            await other.enter(9.0)
        await other.enter(100.0)
        assert kept.clock() >= 30.0

    virtually(test)


def test_a_waiter_that_is_cancelled_holds_nothing() -> None:
    """Cancelled before or after its permit came, a request leaves the slot to others."""

    async def test() -> None:
        kept = Kept(1)
        door = kept.door()
        for steps in range(6):
            waiter = asyncio.ensure_future(door.enter(9.0))
            await asyncio.sleep(steps * WAY / 2)
            waiter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                door.leave(await waiter)
        await asyncio.sleep(1.0)
        assert kept.gate.out == 0

    virtually(test)


def test_a_long_request_keeps_its_permit() -> None:
    """While a request is out, the keeper hears of its worker, so that its permit is not given to another."""

    async def test() -> None:
        kept = Kept(1)
        one, other = kept.door("one"), kept.door("other")
        permit = await one.enter(9.0)
        waiting = asyncio.ensure_future(other.enter(9.0))
        await asyncio.sleep(3 * EXPIRY)
        assert not waiting.done()
        one.leave(permit)
        other.leave(await waiting)

    virtually(test)


def test_a_keeper_that_is_gone_holds_requests_back() -> None:
    """While the keeper cannot be asked, requests wait, or fail by their patience; none goes out without a permit."""

    async def test() -> None:
        kept = Kept(4)
        door = kept.door()
        kept.gone = True
        with pytest.raises(Held):
            await door.enter(AGAIN / 2)
        waiting = asyncio.ensure_future(door.enter(9.0))
        await asyncio.sleep(5 * AGAIN)
        assert not waiting.done()
        kept.gone = False
        door.leave(await waiting)

    virtually(test)
