"""Slots: never more jobs than slots, no idle slot while a job waits, none lost."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar

import pytest

from maker.sending.late import LOOK, SHORTEST, Call
from maker.sending.slots import Slots


class Jobs:
    """Jobs that wait until they are let go, and who is under way."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.begun: list[str] = []
        self.out: dict[str, asyncio.Future[None]] = {}

    async def do(self, job: str) -> None:
        """Be under way until `end(job)`."""
        self.begun.append(job)
        self.out[job] = asyncio.get_running_loop().create_future()
        try:
            await self.out[job]
        finally:
            await asyncio.sleep(0)  # as closing a connection may
            await asyncio.sleep(0)
            del self.out[job]

    def wave(self, *jobs: str) -> asyncio.Task[None]:
        """Begin a wave."""
        return asyncio.create_task(self.slots.each(jobs, self.do))

    async def end(self, job: str, error: Exception | None = None) -> None:
        """End a job, and let the others react."""
        if error is None:
            self.out[job].set_result(None)
        else:
            self.out[job].set_exception(error)
        await rest()


async def rest() -> None:
    """Let every other task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def free(slots: Slots) -> int:
    """Return how many jobs could be under way at once now."""
    jobs = Jobs(slots)
    wave = jobs.wave(*map(str, range(50)))
    await rest()
    count = len(jobs.out)
    wave.cancel()
    await asyncio.wait([wave])
    await rest()
    return count


@pytest.mark.asyncio
async def test_spare_slots_are_used_at_once() -> None:
    """A wave alone has as many jobs under way as there are slots, and begins them in order."""
    jobs = Jobs(Slots(3))
    wave = jobs.wave("a", "b", "c", "d")
    await rest()
    assert jobs.begun == ["a", "b", "c"]
    await jobs.end("b")
    assert list(jobs.out) == ["a", "c", "d"]
    for job in "acd":
        await jobs.end(job)
    assert wave.done()
    assert await free(jobs.slots) == 3


@pytest.mark.asyncio
async def test_who_has_no_slot_comes_first() -> None:
    """A slot goes to a wave that has none before one that could use a second, and in order of arrival."""
    jobs = Jobs(Slots(2))
    first, second, third = jobs.wave("a1", "a2", "a3", "a4"), jobs.wave("b1"), jobs.wave("c1")
    await rest()
    assert jobs.begun == ["a1", "a2"]
    await jobs.end("a2")
    assert jobs.begun == ["a1", "a2", "a3"]  # its wave keeps the slot for its own jobs
    await jobs.end("a1")
    await jobs.end("a4")
    assert list(jobs.out) == ["a3", "b1"]
    await jobs.end("a3")
    assert list(jobs.out) == ["b1", "c1"]
    await jobs.end("b1")
    await jobs.end("c1")
    assert first.done() and second.done() and third.done()


@pytest.mark.asyncio
async def test_no_slot_is_idle_while_a_job_waits() -> None:
    """When another wave is over, its slot goes to one whose only job hangs."""
    jobs = Jobs(Slots(2))
    jobs.wave("other")
    hangs = jobs.wave("hangs", "next", "last")
    await rest()
    assert list(jobs.out) == ["other", "hangs"]
    await jobs.end("other")
    assert list(jobs.out) == ["hangs", "next"]
    await jobs.end("next")
    await jobs.end("last")
    await jobs.end("hangs")
    assert hangs.done()
    assert await free(jobs.slots) == 2


@pytest.mark.asyncio
async def test_as_many_waves_as_slots_need_no_tasks() -> None:
    """Where every wave has a slot, its jobs are done one after another in its own task, wave after wave."""
    slots, seen = Slots(3), set[asyncio.Task[None] | None]()

    async def do(job: int) -> None:
        seen.add(asyncio.current_task())
        await asyncio.sleep(0)

    async def lane() -> None:
        await slots.each([0], do)
        for _ in range(5):
            await slots.each([1, 2, 3], do)

    lanes = [asyncio.create_task(lane()) for _ in range(3)]
    await asyncio.wait(lanes)
    assert seen == set(lanes)


@pytest.mark.asyncio
async def test_jobs_see_what_is_set_where_their_wave_began() -> None:
    """A job sees the context of its own wave, also when the end of another one gave it its slot."""
    whose: ContextVar[str] = ContextVar("whose")
    seen: list[str] = []
    slots, let_go = Slots(2), {"B": asyncio.Event(), "A": asyncio.Event()}

    async def do(job: str) -> None:
        seen.append(f"{job} of {whose.get()}")
        await let_go[whose.get()].wait()

    async def wave(name: str, *jobs: str) -> None:
        whose.set(name)
        await slots.each(jobs, do)

    both = asyncio.create_task(wave("B", "0")), asyncio.create_task(wave("A", "1", "2"))
    await rest()
    assert seen == ["0 of B", "1 of A"]
    let_go["B"].set()
    await rest()
    assert seen == ["0 of B", "1 of A", "2 of A"]
    let_go["A"].set()
    await asyncio.wait(both)


@pytest.mark.asyncio
async def test_a_job_that_fails_ends_its_wave() -> None:
    """What a job raises ends its wave's other jobs; those that were not begun never are, other waves go on."""
    jobs = Jobs(Slots(3))
    other, wave = jobs.wave("other"), jobs.wave("a", "b", "c", "d")
    await rest()
    await jobs.end("b", ValueError("b"))
    with pytest.raises(ExceptionGroup) as raised:
        await wave
    assert [str(error) for error in raised.value.exceptions] == ["b"]
    assert (jobs.begun, list(jobs.out)) == (["other", "a", "b"], ["other"])
    await jobs.end("other")
    assert other.done()
    alone = jobs.wave("alone")
    await rest()
    await jobs.end("alone", ValueError("alone"))
    with pytest.raises(ValueError, match="alone"):
        await alone
    assert await free(jobs.slots) == 3


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.asyncio
async def test_no_slot_is_lost(seed: int) -> None:
    """Whatever is cancelled, failing or over at whichever moment: no more than `count` at once, and all come back."""
    chance, count = random.Random(seed), 1 + seed % 4
    slots = Slots(count)
    out = most = 0

    async def do(job: int) -> None:
        nonlocal out, most
        out += 1
        most = max(most, out)
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if chance.random() < 0.1:
                raise ValueError
        finally:
            out -= 1

    waves: list[asyncio.Task[None]] = []
    for _ in range(60):
        waves.append(asyncio.create_task(slots.each(range(chance.randint(1, 5)), do)))
        if chance.random() < 0.3:
            chance.choice(waves).cancel()
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    await asyncio.wait(waves)
    [wave.exception() for wave in waves if not wave.cancelled()]
    await rest()
    assert (out, most) == (0, count)
    assert await free(slots) == count


@pytest.mark.parametrize("moment", range(8))
@pytest.mark.asyncio
async def test_a_pause_lends_the_slot_and_loses_none(moment: int) -> None:
    """Another job runs meanwhile; cancelled at whatever moment, the pause has given back just what it held."""
    slots, begun = Slots(1), []

    async def do(job: str) -> None:
        begun.append(job)
        if job == "a":
            await slots.lend(asyncio.sleep(0))
            begun.append("a again")

    first = asyncio.create_task(slots.each(["a"], do))
    second = asyncio.create_task(slots.each(["b"], do))
    for _ in range(moment):
        await asyncio.sleep(0)
    if moment < 7:
        first.cancel()
    await asyncio.wait([first, second])
    await rest()
    assert moment < 7 or begun == ["a", "b", "a again"]
    assert await free(slots) == 1


@pytest.mark.asyncio
async def test_slots_may_become_more_or_fewer() -> None:
    """More let those who wait begin; fewer let those under way end, and no others begin before there is room."""
    slots = Slots(2)
    jobs = Jobs(slots)
    waves = [jobs.wave(name) for name in "abcdef"]
    await rest()
    slots.resize(4)
    await rest()
    assert jobs.begun == ["a", "b", "c", "d"]
    slots.resize(1)
    for name in "abc":
        await jobs.end(name)
    assert jobs.begun == ["a", "b", "c", "d"]
    await jobs.end("d")
    assert jobs.begun[4:] == ["e"]
    await jobs.end("e")
    await jobs.end("f")
    await asyncio.wait(waves)
    assert await free(slots) == 1


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.asyncio
async def test_a_late_call_lends_its_slot_and_loses_none(cancelled: bool) -> None:
    """Another job has its slot, and somebody is told; back or cancelled, it goes on at once and none is lost."""
    slots, relieved = Slots(1), []
    slots.when_lent = lambda: relieved.append(True)
    now, timers = [0.0], []  # type: ignore[var-annotated]
    slots.late._clock, slots.late._timer = lambda: now[0], lambda seconds, ring: timers.append(ring)
    for _ in range(LOOK):
        quick = slots.late.begin(Call())
        quick.replied = True
        slots.late.end(quick)
    jobs = Jobs(slots)

    async def hangs(job: str) -> None:
        call = slots.late.begin(Call())
        try:
            await jobs.do(job)
        finally:
            slots.late.end(call)

    late = asyncio.create_task(slots.each(["late"], hangs))
    await rest()
    wave = jobs.wave("other", "next")
    await rest()
    assert (jobs.begun, relieved) == (["late"], [])
    now[0] += 2 * SHORTEST
    timers.pop()()
    await rest()
    assert (jobs.begun, relieved) == (["late", "other"], [True])
    if cancelled:
        late.cancel()
        await rest()
    else:
        await jobs.end("late")
    assert late.done() and jobs.begun == ["late", "other"]
    await jobs.end("other")
    await jobs.end("next")
    assert wave.done() and await free(slots) == 1
