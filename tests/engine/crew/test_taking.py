"""Taking stretches: what is counted again stands as a run has it, and what its votes do not bear out does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import maker
from maker.engine.course import Course
from maker.engine.crew import lead, order
from maker.engine.crew.stretch import Stretch
from maker.engine.crew.taking import catch_up, recount
from maker.engine.front import Lane
from maker.errors import MakerError

FIRST, STEPS = 15, 8


class EnoughError(MakerError):
    """Ends a run where it would begin."""


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Course:
    """Return a run that has not begun, with its journal open."""
    held: list[Course] = []

    async def hold(course: Course, *_: Any) -> None:
        held.append(course)
        course.journal.append = kept.append  # type: ignore[method-assign]
        raise EnoughError("it begins elsewhere")

    kept: list[bytes] = []
    monkeypatch.setattr("maker.engine.loop.lead", hold)
    with pytest.raises(EnoughError):
        maker.run_sync(maker.load_task("hanoi", disks=6), model="oracle:p=0.9,v=0.9", k=3, segments=4)
    held[0].journal.commit_if_due = lambda: None  # type: ignore[method-assign]
    held[0].kept = kept  # type: ignore[attr-defined]
    return held[0]


def lane_of(course: Course) -> Lane:
    """Return the lane of the second segment."""
    return course.front.open_lanes()[1]


async def decided(course: Course) -> Stretch:
    """Return what a worker decides of it."""
    (answer,) = await order.Worker(order.order_of(course)).decide([(FIRST, STEPS)])
    return Stretch.decode(answer)


@pytest.mark.asyncio
@pytest.mark.parametrize("take", [catch_up, recount])
async def test_both_ways_lead_to_the_same(take: Any, course: Course) -> None:
    """Trusted or counted again: records, steps, account and state are those of the stretch."""
    stretch, lane = await decided(course), lane_of(course)
    assert take(course, lane, stretch)
    assert course.kept == stretch.records  # type: ignore[attr-defined]
    assert (lane.index, course.front.steps, course.sampled, course.opened) == (FIRST + STEPS, STEPS, STEPS, STEPS)
    assert course.usage.dispatched == stretch.usage.dispatched
    assert course.usage.flags == stretch.usage.flags
    assert course.front.score == stretch.score
    assert lane.state == course.plan.state_at(FIRST + STEPS)


@pytest.mark.asyncio
@pytest.mark.parametrize(("spoil", "taken"), [
    (lambda records: records[1:], 0), (lambda records: [*records[:1], *records], None),
    (lambda records: records[::-1], 0), (lambda records: [b"{}", *records], 0),
    (lambda records: [*records[:-1], records[-1][:9]], STEPS - 1), (lambda records: records[:-1], STEPS - 1),
    (lambda records: [*records, records[-1]], STEPS),
])  # fmt: skip
async def test_records_that_do_not_follow_are_not_taken(spoil: Any, taken: int | None, course: Course) -> None:
    """Records that are missing, twice, cut off or in another order: what came before them stands, and no more."""
    stretch, lane = await decided(course), lane_of(course)
    assert not recount(course, lane, replace(stretch, records=spoil(stretch.records)))
    assert lane.poll is None
    assert taken is None or (lane.index, course.front.steps) == (FIRST + taken, taken)
    assert not recount(course, lane, stretch) or not taken, "it begins where the lane no longer is"


@pytest.mark.asyncio
async def test_a_verdict_that_the_votes_do_not_say_is_not_taken(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record whose verdict is another one than its votes lead to is refused, and nothing is journaled."""
    decode = lead.recount.__globals__["decode"]

    def other(record: bytes) -> Any:
        wave = decode(record)
        if wave.verdict is not None:
            wave.verdict = (wave.verdict[0], wave.verdict[1], bytes(16))
        return wave

    stretch, lane = await decided(course), lane_of(course)
    monkeypatch.setattr("maker.engine.crew.taking.decode", other)
    assert not recount(course, lane, stretch)
    assert course.kept == []  # type: ignore[attr-defined]
    assert lane.index == FIRST
