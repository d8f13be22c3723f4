"""How much an estimate draws: as many steps as asked, or as many as a tenth of the run is worth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import maker
from adding import Adding
from maker.decision.sample import Request
from maker.engine.probe import Pace
from maker.errors import Infeasible, TaskError
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel


class Known(Adding):
    """A task with its truth."""

    def truth(self, state: int, step: int) -> int:
        return state + 1


def wrong_in(eighths: int) -> Any:
    """Return a script that answers wrongly in so many eighths of the draws, always with the same answer."""
    return lambda request: str(request.state + (request.seed % 8 >= eighths))


@pytest.mark.parametrize(("steps", "eighths"), [(1000, 0), (3000, 1), (3000, 0)])
def test_an_estimate_takes_a_tenth_of_its_run_at_most(steps: int, eighths: int) -> None:
    """All draws, those repeated on erring steps included, are a tenth of the run's samples, and not far below it."""
    found = maker.estimate_sync(Known(steps), model=ScriptedModel(wrong_in(eighths)))
    assert found.samples is not None
    assert found.draws <= found.samples.value / 10 * 1.2  # the plan has changed a little since it was looked at
    assert found.draws >= found.samples.value / 10 * 0.3
    assert found.n > 30


def test_a_short_run_is_estimated_on_thirty_steps() -> None:
    """Fewer say nothing, so 30 are drawn on whatever the run is worth, and none of them again; more if asked for."""
    model = ScriptedModel(wrong_in(1))
    assert maker.estimate_sync(Known(60), model=model).draws == 60
    assert set(Counter(r.address.step for r in model.requests).values()) == {2}
    assert maker.estimate_sync(Known(60), model=ScriptedModel(wrong_in(1)), steps=60).draws > 120


def test_a_thousand_steps_are_the_most() -> None:
    """A run of a million steps is estimated on 1,000 of them."""
    assert maker.estimate_sync(maker.load_task("hanoi", disks=20), model=Oracle(p=0.99)).n == 1000


def test_what_voting_cannot_do_is_seen_early() -> None:
    """With p below 1/2 shown on 30 steps no more are drawn on, and five that erred are enough to look at rivals."""
    found = maker.estimate_sync(Known(3000), model=ScriptedModel(wrong_in(7)))
    assert (found.feasible, found.n, found.draws) == (False, 30, 60 + 5 * 20)


def test_replies_that_cannot_vote_are_seen_early() -> None:
    """After 30 steps without a vote it ends, and shows what was thrown away."""
    model = ScriptedModel(lambda r: f"I say {r.seed % 5}!")
    with pytest.raises(Infeasible, match=r"only 0 of 30 .*for example malformed: 'I say .!'; malformed: 'I say "):
        maker.estimate_sync(Known(3000), model=model)
    assert len(model.requests) == 60


def test_any_part_is_a_sample_of_the_whole() -> None:
    """What is drawn on first does not lie at the beginning of the run: a limit leaves an estimate of all of it."""
    model = ScriptedModel(lambda r: str(r.state + 1))
    found = maker.estimate_sync(Known(3000), model=model, steps=1000, limits={"max_calls": 520})
    assert (found.stopped, found.n) == ("max_calls", 256)
    thirds = Counter(r.address.step // 1000 for r in model.requests)
    assert min(thirds.values()) > 512 / 4


def test_an_interrupted_estimate_says_what_it_knows() -> None:
    """With 30 steps seen it is an estimate; before, an error that tells what came so far."""
    calls: list[Request] = []

    def count(request: Request) -> str:
        calls.append(request)
        return wrong_in(1)(request)

    enough = maker.estimate_sync(
        Known(3000), model=ScriptedModel(count), steps=1000, interrupted=lambda: len(calls) >= 100
    )
    assert (enough.stopped, enough.n) == ("interrupted", 64)
    calls.clear()
    slow = ScriptedModel(count, lockstep=False)
    slow.simulated = False
    with pytest.raises(TaskError, match=r"5 steps were seen, 30 are needed. So far \d of 5 that could vote were wrong"):
        maker.estimate_sync(Known(3000), model=slow, progress=lambda *_: None, interrupted=lambda: bool(calls))


def test_what_a_reply_takes_is_told_after_the_first_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds and dollars of a reply, and how many are still wanted, from the first ten replies on."""
    now = [0.0]
    monkeypatch.setattr("maker.engine.probe.time.monotonic", lambda: now[0])

    def slow(request: Request) -> maker.Sample:
        now[0] += 0.5
        return maker.Sample(str(request.state + 1), 100, 10)

    model = ScriptedModel(slow, lockstep=False)
    model.simulated = False
    model.prices = maker.Prices(input=1.0, output=10.0)  # type: ignore[attr-defined]
    told: list[Pace] = []
    maker.estimate_sync(Known(3000), model=model, steps=40, progress=lambda *_: None, pace=told.append)
    assert told[0] == Pace(10, 0.5, pytest.approx(0.0002), 70)
    assert [one.left for one in told] == [70, 40, 10, 0]
