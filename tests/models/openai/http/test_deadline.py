"""One timer for many deadlines: each attempt ends at its own, and nobody else's cancellation is taken for it."""

from __future__ import annotations

import asyncio

import pytest

from maker.models.openai.http.deadline import Deadline


async def attempt(deadline: Deadline, ended: list[str], name: str = "") -> None:
    """Wait forever under a deadline, and say how it ended."""
    try:
        with deadline:
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        ended.append(f"{name}timeout")
    except asyncio.CancelledError:
        ended.append(f"{name}cancelled")
        raise


class Clock:
    """The running loop's timers, rung by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, asyncio.Handle]] = []
        loop = asyncio.get_running_loop()

        def call_at(when: float, call: object) -> asyncio.Handle:
            self.timers.append((when, asyncio.Handle(call, (), loop)))  # type: ignore[arg-type]
            return self.timers[-1][1]

        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", call_at)

    async def until(self, now: float) -> None:
        """Ring all timers up to a time, each at its own."""
        while self.timers and self.timers[0][0] <= now:
            self.now, handle = self.timers.pop(0)
            handle._run()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.now = now


@pytest.mark.asyncio
async def test_each_attempt_ends_at_its_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that began at different times end so, by one timer at a time; one that came to its end is left alone."""
    clock, ended = Clock(monkeypatch), list[str]()
    deadline = Deadline(10.0)
    tasks = []
    for start in (0.0, 1.0, 5.0):
        await clock.until(start)
        tasks.append(asyncio.create_task(attempt(deadline, ended, f"{start:g} ")))
        await asyncio.sleep(0)
    with deadline:
        pass
    assert len(clock.timers) == 1
    await clock.until(9.9)
    assert ended == []
    await clock.until(10.0)
    assert ended == ["0 timeout"]
    await clock.until(14.9)
    assert ended == ["0 timeout", "1 timeout"]
    await clock.until(15.0)
    assert ended == ["0 timeout", "1 timeout", "5 timeout"]
    assert clock.timers == []
    await asyncio.wait(tasks)
    assert [task.cancelling() for task in tasks] == [0, 0, 0]


@pytest.mark.asyncio
async def test_a_timer_begins_anew_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt after all others were over has its whole time."""
    clock, ended = Clock(monkeypatch), list[str]()
    deadline = Deadline(10.0)
    with deadline:
        pass
    await clock.until(9.0)
    task = asyncio.create_task(attempt(deadline, ended))
    await asyncio.sleep(0)
    await clock.until(18.9)
    assert ended == []
    await clock.until(19.0)
    assert ended == ["timeout"]
    await task
    assert clock.timers == []
    await asyncio.gather(attempt(deadline, ended), clock.until(29.0))
    assert ended == ["timeout"] * 2


@pytest.mark.asyncio
async def test_nobody_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that takes long to clean up after its deadline is left alone when the next one's has come."""
    clock, ended = Clock(monkeypatch), list[str]()
    deadline, let_go = Deadline(10.0), asyncio.Event()

    async def slow() -> None:
        try:
            with deadline:
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    await let_go.wait()
        except TimeoutError:
            ended.append("slow timeout")

    first = asyncio.create_task(slow())
    await asyncio.sleep(0)
    await clock.until(1.0)
    second = asyncio.create_task(attempt(deadline, ended))
    await asyncio.sleep(0)
    await clock.until(11.0)
    assert ended == ["timeout"]
    let_go.set()
    await asyncio.wait([first, second])
    assert ended == ["timeout", "slow timeout"]


@pytest.mark.parametrize("passed", [False, True])
@pytest.mark.asyncio
async def test_who_is_cancelled_stays_cancelled(monkeypatch: pytest.MonkeyPatch, passed: bool) -> None:
    """A cancellation from outside is no timeout, not even in the moment in which the deadline passes."""
    clock, ended = Clock(monkeypatch), list[str]()
    task = asyncio.create_task(attempt(Deadline(10.0), ended))
    await asyncio.sleep(0)
    task.cancel()
    if passed:
        clock.now = 10.0
        clock.timers[0][1]._run()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


@pytest.mark.asyncio
async def test_what_comes_with_the_deadline_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that raises something of its own in that moment raises that, and the task can go on."""
    clock = Clock(monkeypatch)
    deadline = Deadline(10.0)

    async def fails() -> str:
        try:
            with deadline:
                try:
                    await asyncio.get_running_loop().create_future()
                except asyncio.CancelledError:
                    raise ValueError from None
        except ValueError:
            await asyncio.sleep(0)
            return "went on"
        return ""

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await clock.until(10.0)
    assert await task == "went on"


@pytest.mark.asyncio
async def test_no_time_at_all() -> None:
    """A deadline of no seconds ends an attempt in the loop's next round."""
    ended = list[str]()
    await attempt(Deadline(0.0), ended)
    assert ended == ["timeout"]
