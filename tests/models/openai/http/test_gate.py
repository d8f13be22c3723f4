"""The gate: a refusal slows one, most of them all; no slot is lost; a limit that adapts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from maker.models.openai.http.finder import FIRST_LIMIT, MOST
from maker.models.openai.http.gate import FIRST_WINDOW, LONGEST_WINDOW, Gate, Held, Ticket
from maker.sending.late import FAR, LOOK


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


def gate(time: Time, ceiling: int | None = 4, jitter: float = 0.0) -> Gate:
    """Return a gate on a clock of ours."""
    return Gate(ceiling, clock=time.clock, jitter=lambda: jitter, timer=time.timer)


class Sender:
    """Requests that hold a slot until they are told what came of them."""

    def __init__(self, door: Gate, patience: float = 100.0) -> None:
        self.door, self.patience = door, patience
        self.out: list[int] = []  # in order of entry
        self.tickets: dict[int, Ticket] = {}
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

    def back(self, name: int, what: Callable[[Ticket], object] | None = None) -> None:
        """End a request: `what` is told to the gate first."""
        (what or self.door.good)(self.tickets[name])
        self.door.leave(self.tickets[name])


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


async def all_out(senders: Sender, *names: int) -> None:
    """Send requests and see that they are out."""
    senders.send(*names)
    await settled()
    assert senders.out[-len(names) :] == list(names)


def refusing(door: Gate, wait: float | None) -> Callable[[Ticket], None]:
    """Return what a reply tells that refuses and names a wait."""
    return lambda ticket: door.refused(ticket, wait)


async def closed(time: Time, wait: float | None, ceiling: int = 8) -> Sender:
    """Return senders whose gate has just closed: as many as its ceiling were refused."""
    senders = Sender(gate(time, ceiling), patience=1e6)
    await all_out(senders, *range(ceiling))
    for name in range(ceiling):
        senders.back(name, refusing(senders.door, wait))
    return senders


@alone
async def test_one_refusal_slows_one_request():
    """A refusal among good replies closes nothing and costs the limit nothing that counts: the next one goes out."""
    time = Time()
    senders = Sender(gate(time, 64))
    await all_out(senders, *range(64))
    senders.back(0, refusing(senders.door, 3600.0))
    for name in range(1, 64):
        senders.back(name)
    assert (senders.door.closed_for, senders.door.limit) == (0.0, 64)
    await all_out(senders, *range(100, 164))
    for name in range(100, 164):
        senders.back(name)
    assert senders.door.limit >= 63


@alone
async def test_a_refused_slot_is_not_given_out_again_in_its_round():
    """Refusals come at once: the line does not run into more of them before a round trip is over."""
    time = Time()
    senders = Sender(gate(time, 16))
    await all_out(senders, *range(16))
    senders.send(*range(16, 40))
    for name in range(8):
        senders.back(name, refusing(senders.door, 1.0))
    await settled()
    assert len(senders.out) == 16
    for name in range(8, 16):
        senders.back(name)
        await settled()
    assert len(senders.out) > 16


@pytest.mark.parametrize("wait", [0.5, 30.0, 7200.0, None, 0.0])
def test_everybody_waits_where_most_are_refused_then_one_goes_first(wait):
    """More than half refused: nobody enters before the window is over; then one, then all others."""

    @alone
    async def check():
        time = Time()
        senders = await closed(time, wait)
        senders.send(100, 101, 102)
        window = wait or FIRST_WINDOW
        assert senders.door.closed_for == pytest.approx(window)
        await time.pass_by(window * 0.99)
        assert senders.out == list(range(8))
        await time.pass_by(window * 0.02)
        assert senders.out[8:] == [100]
        senders.back(100)
        await settled()
        assert senders.out[8:] == [100, 101, 102]

    check()


@alone
async def test_the_shortest_wait_counts():
    """The window is the shortest that a refusal of its round named."""
    time = Time()
    senders = Sender(gate(time, 8))
    await all_out(senders, *range(8))
    for name in range(8):
        senders.back(name, refusing(senders.door, 2.0 + name % 5))
    assert senders.door.closed_for == pytest.approx(2.0)
    assert senders.door.limit == 4, "halved once"


@alone
async def test_the_first_one_refused_closes_the_gate_again():
    """Refused once more, the gate closes for what that names, the limit as it was; unjudged, the next one tries."""
    time = Time()
    senders = await closed(time, 1.0)
    senders.send(100, 101, 102)
    await time.pass_by(1.01)
    senders.back(100, refusing(senders.door, 5.0))
    await settled()
    assert (senders.door.closed_for, senders.door.limit) == (pytest.approx(5.0), 4)
    await time.pass_by(5.01)
    assert senders.out[8:] == [100, 101]
    senders.door.leave(senders.tickets[101])  # cancelled, or an error that tells nothing
    await settled()
    assert senders.out[8:] == [100, 101, 102]


@alone
async def test_without_a_named_wait_the_window_doubles_until_a_good_reply():
    """Unnamed windows double up to a limit, as long as the first one is refused; a good reply starts over."""
    time = Time()
    senders = await closed(time, None)
    windows = []
    for name in range(100, 114):
        windows.append(senders.door.closed_for)
        senders.send(name)
        await time.pass_by(windows[-1] + 1e-6)
        senders.back(name, refusing(senders.door, None))
    assert windows[:5] == pytest.approx([FIRST_WINDOW * 2**n for n in range(5)])
    assert windows[-1] == LONGEST_WINDOW


@alone
async def test_jitter_lengthens_a_window_and_never_shortens_it():
    """The random part is added on top, at most a second."""
    for wait in (None, 0.2, 1.0, 600.0):
        windows = []
        for jitter in (0.0, 0.5, 1.0):
            senders = Sender(gate(Time(), 8, jitter=jitter))
            await all_out(senders, *range(8))
            for name in range(8):
                senders.back(name, refusing(senders.door, wait))
            windows.append(senders.door.closed_for)
        assert windows[0] == pytest.approx(wait or FIRST_WINDOW)
        assert windows[0] < windows[1] < windows[2] <= windows[0] + 1.0


async def a_round(senders: Sender, first: int, refused: float = 0.0, seconds: float = 0.0) -> int:
    """Send as many as may go out, refuse a share of them, and return the number after the last."""
    count = senders.door.limit
    await all_out(senders, *range(first, first + count))
    senders.door._clock.__self__.now += seconds  # type: ignore[attr-defined]
    for name in range(first, first + count):
        senders.back(name, refusing(senders.door, 0.0) if name - first < refused * count else None)
    return first + count


@alone
async def test_the_limit_shrinks_by_half_at_most_and_comes_back_in_a_few_rounds():
    """A burst at 512 at once halves the limit; it is at three quarters a round later, and whole in 20."""
    time = Time()
    senders = Sender(gate(time, 512), patience=1e6)
    after = await a_round(senders, 0, refused=1.0)
    assert senders.door.limit == 256
    await time.pass_by(1.0)
    limits = []
    for _ in range(20):
        senders.send(after)
        await settled()
        senders.back(after)
        after = await a_round(senders, after + 1)
        limits.append(senders.door.limit)
    assert limits[2] >= 384
    assert limits[-1] == 512


@pytest.mark.parametrize(("refused", "least"), [(0.01, 60), (0.05, 60), (0.3, 12)])
def test_a_server_that_refuses_a_share_of_all_keeps_most_of_its_limit(refused, least):
    """Refusals that no limit helps against do not shut the server: it keeps what 0.6 of its throughput needs."""

    @alone
    async def check():
        choose = random.Random(3)
        senders = Sender(gate(Time(), 64))
        after = 0
        for _ in range(200):
            count = senders.door.limit
            await all_out(senders, *range(after, after + count))
            for name in range(after, after + count):
                senders.back(name, refusing(senders.door, 0.0) if choose.random() < refused else None)
            assert not senders.door.closed_for
            after += count
        assert senders.door.limit >= least

    check()


@alone
async def test_slow_replies_make_fewer_and_close_nothing():
    """Deadlines that pass shrink the limit as refusals do, down to one, and nobody waits."""
    senders = Sender(gate(Time(), 16))
    after = 0
    for _ in range(40):
        count = senders.door.limit
        await all_out(senders, *range(after, after + count))
        for name in range(after, after + count):
            senders.back(name, senders.door.slowed)
        after += count
    assert (senders.door.limit, senders.door.closed_for) == (1, 0.0)


@alone
async def test_a_limit_that_finds_itself_doubles_while_it_is_worth_it():
    """At a server of 64 places it settles about there; where replies take as long however many, it goes to the most."""
    for places, least, most in ((64, 64, 128), (10_000, MOST, MOST)):
        senders = Sender(gate(Time(), None))
        after, limits = 0, []
        for _ in range(10):
            limits.append(senders.door.limit)
            after = await a_round(senders, after, seconds=max(1.0, senders.door.limit / places))
        assert limits[:3] == [FIRST_LIMIT, 2 * FIRST_LIMIT, 4 * FIRST_LIMIT]
        assert least <= senders.door.limit <= most, limits
        assert ("found" in str(senders.door)) is (places == 64)


@alone
async def test_a_limit_nobody_uses_does_not_grow():
    """Good replies one at a time say nothing of many at once."""
    senders = Sender(gate(Time(), None))
    for name in range(1000):
        await all_out(senders, name)
        senders.back(name)
    assert senders.door.limit == FIRST_LIMIT


@alone
async def test_a_window_longer_than_the_patience_is_told_at_once():
    """Who would have to wait longer than they will is held off at once, those who wait already as well."""
    time = Time()
    senders = Sender(gate(time, 8), patience=10)
    await all_out(senders, *range(8))
    senders.send(100)
    for name in range(8):
        senders.back(name, refusing(senders.door, 3600.0))
    senders.send(101)
    await settled()
    assert (sorted(senders.held), len(senders.out), len(senders.door._waiting), senders.door.out) == (
        [100, 101],
        8,
        0,
        0,
    )


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


@pytest.mark.parametrize("ceiling", [5, 20, None])
def test_random_traffic_loses_no_slot(ceiling):
    """Under random refusals, slow replies and cancellations all slots come back; never too many go out."""

    @alone
    async def check():
        choose = random.Random(4)
        time = Time()
        senders = Sender(gate(time, ceiling, jitter=0.3), patience=1e9)
        door = senders.door
        entries: list[bool] = []
        enter = door.enter

        async def watched(patience: float) -> Ticket:
            ticket = await enter(patience)
            entries.append(not door.closed_for and door.out <= door.ceiling)
            return ticket

        door.enter = watched  # type: ignore[method-assign]
        senders.send(*range(400))
        ended: set[int] = set()
        for turn in range(5000):
            await time.pass_by(choose.random())
            running = [name for name in senders.out if name not in ended]
            assert door.out == len(running) <= door.ceiling
            ill = turn % 300 > 100
            if running:
                name = choose.choice(running)
                ended.add(name)
                refused = refusing(door, choose.random())
                senders.back(name, choose.choice([door.good, door.slowed, refused] if ill else [refused]))
            else:
                waiting = [name for name, task in senders.tasks.items() if not task.done()]
                if not waiting:
                    break
                if choose.random() < 0.5:
                    senders.tasks[waiting[0]].cancel()
        assert (door.out, len(door._waiting), all(entries)) == (0, 0, True)

    check()


def test_a_slot_that_is_free_is_had_at_once():
    """Where all are taken, or somebody waits for one, nobody slips by; each ticket counts as one of `enter`."""
    door = Gate(1)

    async def come() -> None:
        ticket = door.enter_at_once()
        assert ticket is not None and door.out == 1 and door.enter_at_once() is None
        waiter = asyncio.create_task(door.enter(10))
        await asyncio.sleep(0)
        door.leave(ticket)
        assert door.enter_at_once() is None  # it is the waiter's
        door.leave(await waiter)
        assert door.out == 0

    asyncio.run(come())


def test_a_gate_outlives_its_loop():
    """Waiters and timers of a loop that is gone do not stop those of the next one; the window still holds."""
    door = Gate(8)

    async def leave_waiters() -> None:
        tickets = [await door.enter(10) for _ in range(8)]
        for ticket in tickets:
            door.refused(ticket, 0.05)
            door.leave(ticket)
        waiter = asyncio.create_task(door.enter(10))
        await asyncio.sleep(0)
        waiter.cancel()

    async def enter() -> float:
        door.leave(await door.enter(10))
        return door.closed_for

    asyncio.run(leave_waiters())
    assert door.closed_for > 0
    assert asyncio.run(enter()) == 0


def test_a_gate_without_room_cannot_be():
    """A ceiling of nothing is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        Gate(0)


@alone
async def test_a_request_that_is_late_lends_its_place():
    """Far longer out than its like, it holds up nobody; back, it holds no more than it did, whatever came of it."""
    time = Time()
    senders = Sender(gate(time, 2))
    for name in range(LOOK):
        await all_out(senders, name)
        time.now += 1.0
        senders.back(name)
    senders.send(100, 101, 102, 103)
    await settled()
    assert senders.out[-2:] == [100, 101]
    senders.back(101)
    await settled()
    await time.pass_by(FAR + 1)
    assert [name for name in (100, 102, 103) if senders.tickets[name].lent] == [100, 102]
    assert (senders.out[-1], senders.door.out) == (103, 1)
    for name, what in ((100, senders.door.slowed), (102, senders.door.good), (103, senders.door.good)):
        senders.back(name, what)
    assert senders.door.out == 0
    await all_out(senders, 104, 105)
    senders.send(106)
    await settled()
    assert senders.out[-1] == 105
