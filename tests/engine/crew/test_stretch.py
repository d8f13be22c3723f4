"""Stretches: what is decided without anybody to ask is what a run decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import maker
from maker.decision.address import seed_key
from maker.decision.flags import DEFAULT
from maker.decision.method import Method
from maker.decision.sample import Failure, Model, Request, Sample
from maker.decision.wave import Wave
from maker.engine.course import Course
from maker.engine.crew.lead import is_known
from maker.engine.crew.stretch import Stretch, run_stretch
from maker.engine.front import Front, Lane
from maker.journal.records import decode
from maker.task.canonical import DIGEST_SIZE
from maker.task.plan import Plan, plan_of
from maker.task.task import Task

FIRST, STEPS = 3, 9
NUMBER = maker.load_task("hanoi", disks=4)


def method(**changed: Any) -> Method:
    """Return how the steps are voted on."""
    settings = {"run": "run", "key": seed_key(0), "k": 3, "max_votes": 60, "max_flags": 60, "flags": DEFAULT,
                "temperature": 0.1, "first_temperature": None, "token_cap": 1024, "long_answer": 750,
                "keep": "none"}  # fmt: skip
    return Method(**{**settings, **changed})


def oracle(spec: str = "oracle:p=0.9,v=0.9", task: Task = NUMBER) -> Model:
    """Return a simulated model of a task."""
    model = maker.load_model(spec)
    model.bind(task)  # type: ignore[attr-defined]
    return model


async def stretch(model: Model, how: Method, task: Task = NUMBER) -> Stretch:
    """Return a stretch in the middle of the task."""
    return await run_stretch(task, model, how, FIRST, plan_of(task, None).state_at(FIRST), STEPS)


@pytest.mark.asyncio
async def test_a_stretch_is_what_a_run_decides() -> None:
    """Records, hashes, counts and tokens of a stretch are those of the same steps in a run."""
    task = maker.load_task("hanoi", disks=4)
    found = await stretch(oracle(), method(run="other"))
    result = await maker.run(task, model="oracle:p=0.9,v=0.9", k=3)
    verdicts = {verdict.step: verdict for verdict in result.verdicts()}
    decided = [decode(record) for record in found.records]
    assert all(isinstance(wave, Wave) for wave in decided)
    assert [wave.step for wave in decided if wave.verdict] == list(range(FIRST, FIRST + STEPS))  # type: ignore[union-attr]
    theirs = [verdicts[step] for step in range(FIRST, FIRST + STEPS)]
    assert found.usage.dispatched == sum(verdict.samples for verdict in theirs)
    assert found.usage.flagged == sum(verdict.flagged for verdict in theirs) > 0
    assert sum(waves * steps for waves, steps in found.score.waves.items()) == sum(verdict.waves for verdict in theirs)
    assert len(found.records) == sum(verdict.waves for verdict in theirs)


@pytest.mark.asyncio
async def test_as_bytes_nothing_is_lost() -> None:
    """What `encode` writes, `decode` reads."""
    found = await stretch(oracle("oracle:p=0.8,v=0.8"), method(k=2))
    assert Stretch.decode(found.encode()) == found


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\0", b"\xff\xff\xff\xff{}", b"\2\0\0\0{}"])
def test_other_bytes_are_refused(damage: bytes) -> None:
    """Bytes that are no stretch raise one of the errors that `decode` names."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- any of four, see below
        Stretch.decode(damage)
    assert type(caught.value).__name__ in ("error", "JSONDecodeError", "KeyError", "TypeError")


class Failing:
    """Fails at one step, else says what another model says."""

    lockstep = True

    def __init__(self, model: Model, at: int, replies: Sequence[Sample | Failure]) -> None:
        self.model, self.at, self.replies = model, at, replies

    async def draw(self, requests: Sequence[Request]) -> Sequence[Sample | Failure]:
        if requests[0].address.step == self.at:
            return (list(self.replies) * len(requests))[: len(requests)]
        return await self.model.draw(requests)


@pytest.mark.parametrize("reply", [
    Failure("transient", "busy"), Sample("rambling"), Sample("I'm sorry, I can't"), Sample("move = [9, 0, 1]"),
])  # fmt: skip
@pytest.mark.asyncio
async def test_it_ends_before_what_is_not_plain(reply: Sample | Failure) -> None:
    """A failed draw, a step that meets its limit and one that is refused end the stretch before that step."""
    found = await stretch(Failing(oracle("oracle:p=1"), FIRST + 2, [reply]), method())
    assert found.steps == 2
    assert [decode(record).step for record in found.records] == [FIRST, FIRST + 1]  # type: ignore[union-attr]


@pytest.mark.asyncio
async def test_it_ends_before_a_step_that_is_refused_again_and_again() -> None:
    """Ten refusals without a valid answer are a poison step for a run, even where the next draws would decide it."""
    right = oracle("oracle:p=1")

    class Reluctant:
        lockstep = True

        async def draw(self, requests: Sequence[Request]) -> Sequence[Sample | Failure]:
            if requests[0].address.step == FIRST + 2 and requests[0].address.draw < 12:
                return [Sample("I'm sorry, I can't")] * len(requests)
            return await right.draw(requests)

    found = await stretch(Reluctant(), method())
    assert found.steps == 2


@pytest.mark.asyncio
async def test_it_ends_before_an_answer_against_the_rules() -> None:
    """Without flags an illegal answer wins; the stretch ends before that step, and the run says what is wrong."""
    illegal = Sample("move = [4, 1, 2]\nnext_state = [[4, 3, 2, 1], [], []]")
    found = await stretch(Failing(oracle("oracle:p=1"), FIRST + 4, [illegal]), method(flags=()))
    assert found.steps == 4


@pytest.mark.asyncio
async def test_it_ends_before_task_code_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the task's own code raises ends the stretch before that step."""
    task = maker.load_task("hanoi", disks=4)
    apply = task.apply

    def applied(state: Any, action: Any) -> Any:
        if action.move[0] == 4:
            raise RuntimeError("the largest disk is stuck")
        return apply(state, action)

    model = oracle("oracle:p=1", task)
    monkeypatch.setattr(task, "apply", applied)
    found = await stretch(model, method(), task)
    assert FIRST + found.steps == 7  # the largest of four disks moves at step 7 alone


@pytest.mark.asyncio
async def test_a_lane_catches_up_with_a_stretch() -> None:
    """Steps decided elsewhere move a lane, its fold and its score as steps decided here do."""
    plan = Plan.chain(NUMBER.steps or 0, NUMBER.state_at, 1)  # type: ignore[attr-defined]
    front = Front(NUMBER, plan)
    (lane,) = front.open_lanes()
    found = await run_stretch(NUMBER, oracle(), method(), 0, lane.state, STEPS)
    front.catch_up(lane, found.score, found.hashes, plan.state_at(STEPS), found.state_digest)
    assert (lane.index, lane.state, front.steps, front.fold.steps) == (STEPS, plan.state_at(STEPS), STEPS, STEPS)
    assert front.fold.state_digest == found.state_digest
    assert len(found.hashes) == STEPS * DIGEST_SIZE
    assert front.score == found.score


def test_only_known_states_are_handed_out() -> None:
    """A lane that left the path of the plan is not one that another process can go on with."""
    plan = Plan.chain(NUMBER.steps or 0, NUMBER.state_at, 4)  # type: ignore[attr-defined]
    course = Course.__new__(Course)
    course.plan = plan
    lane = Lane(plan.segments[1], plan.segments[1].start, plan.segments[1].entry)
    assert is_known(course, lane)
    lane.state = NUMBER.initial_state()
    assert not is_known(course, lane)
