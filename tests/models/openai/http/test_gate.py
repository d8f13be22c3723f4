"""The gate: nobody inside the window, no slot lost, a limit that adapts."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Awaitable, Callable

import pytest

from maker.models.openai.http.gate import FIRST_WINDOW, LONGEST_WINDOW, Gate, Held, gate_of


class Time:
    """A clock that stands still until it is moved, and rings on its way."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def clock(self) -> float:
        return self.now

    def timer(self, seconds: float, call: Callable[[], None]) -> None:
        self.alarms.append((self.now + seconds, call))

    async def pass_by(self, seconds: float) -> None:
        """Move the clock, ring what is due, and let everybody run."""
        await settled()
        self.now += seconds
        due = [alarm for alarm in self.alarms if alarm[0] <= self.now]
        self.alarms = [alarm for alarm in self.alarms if alarm[0] > self.now]
        for _, call in due:
            call()
        await settled()


async def settled() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


def gate(time: Time, ceiling: int = 4, jitter: float = 0.0) -> Gate:
    """Return a gate on a clock of ours."""
    return Gate(ceiling, clock=time.clock, jitter=lambda: jitter, timer=time.timer)


class Sender:
    """Requests that hold a slot until they are told what came of them."""

    def __init__(self, door: Gate, patience: float = 100.0) -> None:
        self.door, self.patience = door, patience
        self.out: list[int] = []  # in order of entry
        self.tickets: dict[int, int] = {}
        self.held: list[int] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def send(self, *names: int) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._enter(name))

    async def _enter(self, name: int) -> None:
        try:
            self.tickets[name] = await self.door.enter(self.patience)
        except Held:
            self.held.append(name)
        else:
            self.out.append(name)

    def back(self, name: int, what: Callable[[int], object] | None = None) -> None:
        """End a request: `what` is told to the gate first."""
        (what or self.door.good)(self.tickets[name])
        self.door.leave()


def alone(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test in a loop of its own."""

    def run() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    run.__doc__, run.__name__ = test.__doc__, test.__name__
    return run


@alone
async def test_no_more_than_the_limit_are_out_and_the_line_is_in_order():
    """At most `limit` hold a slot; the others enter in order of arrival."""
    time = Time()
    senders = Sender(gate(time, 2))
    senders.send(0, 1, 2, 3, 4)
    await settled()
    assert (senders.out, len(senders.door._waiting)) == ([0, 1], 3)
    senders.back(1)
    await settled()
    senders.back(0)
    await settled()
    assert (senders.out, senders.door.out) == ([0, 1, 2, 3], 2)


@pytest.mark.parametrize("wait", [0.5, 30.0, 7200.0, None, 0.0])
def test_nobody_goes_out_inside_the_window(wait):
    """After a refusal nobody enters before the window is over, whatever its length; then they do."""

    @alone
    async def check():
        time = Time()
        senders = Sender(gate(time), patience=10_000)
        senders.send(0)
        await settled()
        senders.back(0, lambda ticket: senders.door.refused(ticket, wait))
        senders.send(1, 2)
        window = wait or FIRST_WINDOW
        assert senders.door.closed_for == pytest.approx(window)
        await time.pass_by(window * 0.99)
        assert senders.out == [0]
        await time.pass_by(window * 0.02)
        assert senders.out[1] == 1

    check()


@alone
async def test_a_refusal_between_grant_and_departure_counts():
    """One who was granted a slot in the very round in which the gate closed does not go out."""
    time = Time()
    senders = Sender(gate(time, 2))
    senders.send(0, 1, 2)
    await settled()
    senders.back(0)  # grants 2, which has not run yet
    senders.back(1, lambda ticket: senders.door.refused(ticket, 5.0))
    await settled()
    assert senders.out == [0, 1]
    await time.pass_by(5.1)
    assert (senders.out, senders.door.out) == ([0, 1, 2], 1)


def test_jitter_lengthens_a_window_and_never_shortens_it():
    """The random part is added on top, at most a second."""
    for wait in (None, 0.2, 1.0, 600.0):
        windows = []
        for jitter in (0.0, 0.5, 1.0):
            door = gate(Time(), jitter=jitter)
            door.out = 1
            windows.append(door.refused(0, wait))
        assert windows[0] == pytest.approx(wait or FIRST_WINDOW)
        assert windows[0] < windows[1] < windows[2] <= windows[0] + 1.0


def test_without_a_named_wait_the_window_doubles_until_a_good_reply():
    """Unnamed windows double to a limit; a good reply to a later request starts over; a stale one does not."""
    time = Time()
    door = gate(time, 8)
    door.out = 8
    windows = []
    for ticket in range(14):
        windows.append(door.refused(ticket, None))
        time.now += windows[-1]
        if ticket == 2:
            door.good(0)
    assert windows[:5] == pytest.approx([FIRST_WINDOW * 2**n for n in range(5)])
    assert windows[-1] == LONGEST_WINDOW
    door.good(14)
    assert door.refused(14, None) == pytest.approx(FIRST_WINDOW)


@alone
async def test_one_burst_of_refusals_is_one_event():
    """Refusals of what was sent before the window lengthen it to the longest asked, and halve the limit once."""
    time = Time()
    senders = Sender(gate(time, 8))
    senders.send(*range(8))
    await settled()
    for name in range(8):
        senders.back(name, lambda ticket, wait=1.0 + name % 5: senders.door.refused(ticket, wait))
    assert senders.door.limit == 4
    assert senders.door.closed_for == pytest.approx(5.0)


@alone
async def test_the_limit_halves_and_grows_by_one_a_round():
    """Halved from what was out, not from a ceiling nobody reached; grown by one a round, never above the ceiling."""
    door = gate(Time(), 100)
    door.out = 8
    door.slowed(0)
    assert door.limit == 4
    door.slowed(0)
    assert door.limit == 4, "the same event"
    for _ in range(5):
        door.good(1)
    assert door.limit == 5
    for _ in range(10_000):
        door.good(1)
    assert door.limit == 100
    for ticket in range(1, 20):
        door.slowed(ticket)
    assert door.limit == 1


@alone
async def test_a_window_longer_than_the_patience_is_told_at_once():
    """Who would have to wait longer than they will is held off at once, those who wait already as well."""
    time = Time()
    senders = Sender(gate(time, 1), patience=10)
    senders.send(0, 1)
    await settled()
    senders.back(0, lambda ticket: senders.door.refused(ticket, 3600.0))
    senders.send(2)
    await settled()
    assert (sorted(senders.held), senders.out, len(senders.door._waiting), senders.door.out) == ([1, 2], [0], 0, 0)


@alone
async def test_patience_ends_when_nothing_comes_through():
    """Short windows one after the other wear out a waiter's patience; good replies in between renew it."""
    for works in (False, True):
        time = Time()
        senders = Sender(gate(time, 1), patience=10)
        senders.send(0, 1)
        await settled()
        for _ in range(20):  # 0 is never let go, and the window is extended again and again
            if works:
                senders.door.good(senders.door._event)
            senders.door.refused(senders.door._event, 2.0)
            await time.pass_by(1.0)
        assert senders.held == ([] if works else [1])
        assert senders.out == [0]
        for task in senders.tasks.values():
            task.cancel()


@alone
async def test_cancelled_waiters_hold_nothing():
    """Cancelled in line, cancelled with the slot just granted, or cancelled when held off: no slot is lost."""
    time = Time()
    for moment in range(6):
        senders = Sender(gate(time, 1))
        senders.send(0, 1, 2)
        await settled()
        senders.back(0)  # grants 1
        for _ in range(moment):
            await asyncio.sleep(0)
        entered = 1 in senders.out
        senders.tasks[1].cancel()
        await settled()
        if entered:
            senders.back(1)
            await settled()
        assert senders.out[-1] == 2, moment
        senders.back(2)
        assert (senders.door.out, len(senders.door._waiting)) == (0, 0)


@alone
async def test_random_traffic_loses_no_slot():
    """Under random refusals, slow replies and cancellations, all slots come back and nobody enters a closed gate."""
    choose = random.Random(4)
    time = Time()
    senders = Sender(gate(time, 5, jitter=0.3), patience=1e9)
    closed_entries = []
    enter = senders.door.enter

    async def watched(patience: float) -> int:
        ticket = await enter(patience)
        if senders.door.closed_for:
            closed_entries.append(time.now)
        return ticket

    senders.door.enter = watched  # type: ignore[method-assign]
    senders.send(*range(400))
    ended: set[int] = set()
    for _ in range(3000):
        await time.pass_by(choose.random())
        running = [name for name in senders.out if name not in ended]
        assert senders.door.out == len(running) <= 5
        if running:
            name = choose.choice(running)
            ended.add(name)
            door = senders.door
            told = choose.choice([door.good, door.good, door.slowed, lambda t, d=door: d.refused(t, choose.random())])
            senders.back(name, told)
        else:
            waiting = [name for name, task in senders.tasks.items() if not task.done()]
            if not waiting:
                break
            if choose.random() < 0.5:
                senders.tasks[waiting[0]].cancel()
    assert (senders.door.out, len(senders.door._waiting), closed_entries) == (0, 0, [])


def test_a_gate_outlives_its_loop():
    """Waiters and timers of a loop that is gone do not stop those of the next one; the window still holds."""
    door = Gate(1)

    async def leave_waiters() -> None:
        await door.enter(10)
        door.refused(0, 0.05)
        waiter = asyncio.create_task(door.enter(10))
        await asyncio.sleep(0)
        waiter.cancel()
        door.leave()

    async def enter() -> float:
        await door.enter(10)
        door.leave()
        return door.closed_for

    asyncio.run(leave_waiters())
    assert door.closed_for > 0
    assert asyncio.run(enter()) == 0


def test_models_of_one_origin_share_a_gate():
    """One origin, one gate, in a thread: the highest ceiling counts, and a gate nobody holds is forgotten."""
    one = gate_of("http://h:1", 4)
    assert gate_of("http://h:1", 2) is one
    assert gate_of("http://h:1", 9) is one
    assert (one.ceiling, one.limit) == (9, 9)
    assert gate_of("http://h:2", 4) is not one
    others: list[Gate] = []
    thread = threading.Thread(target=lambda: others.append(gate_of("http://h:1", 4)))
    thread.start()
    thread.join()
    assert others[0] is not one
    del one
    gc.collect()
    assert gate_of("http://h:1", 3).ceiling == 3
    with pytest.raises(ValueError, match="at least 1"):
        Gate(0)
