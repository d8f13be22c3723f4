"""An estimate's journal: the run that goes on with it takes its k, and pays for none of its draws again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.errors import JournalError, TaskError
from maker.testing import ScriptedModel, check_journal

STEPS = 60


class Known(Adding):
    """A task with its truth; without, its samples are graded by agreement."""

    def truth(self, state: int, step: int) -> int:
        """Return the right answer."""
        return state + 1


class Paid:
    """A model over a network: wrong in one draw of sixteen, by its seed, always with the same answer."""

    lockstep = False
    name = "paid"
    prices = Prices(input=1.0, output=10.0)

    def __init__(self) -> None:
        self.asked: dict[tuple[int, int], str] = {}  # the run's name by step and seed

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer, and see that no draw is asked for twice."""
        replies: list[Sample | Failure] = []
        for request in requests:
            drawn = request.address.step, request.seed
            assert drawn not in self.asked, "it is paid for already"
            self.asked[drawn] = request.address.run
            text = str(request.state + (request.seed % 16 > 0))
            replies.append(Sample(text, 100, 20, "stop", f"id-{drawn}", None, "m-1", 0.1))
        return replies


def estimated(task: Any, path: Path | None, **settings: Any) -> tuple[Paid, maker.Estimate]:
    """Return the model that was asked, and what was estimated with it."""
    model = Paid()
    return model, maker.estimate_sync(task, model=model, journal=path, **settings)


@pytest.mark.parametrize("kind", [Known, Adding])
def test_the_run_counts_what_its_estimate_paid_for(tmp_path: Path, kind: Any) -> None:
    """No draw is made twice, the votes are those of a run that had no estimate, and the bill holds both."""
    path = tmp_path / "run.db"
    model, found = estimated(kind(STEPS), path)
    before = dict(model.asked)
    result = maker.run_sync(kind(STEPS), model=model, journal=path)
    plain = maker.run_sync(kind(STEPS), model=(alone := Paid()), k=found.k or 0)
    own = {drawn for drawn, run in before.items() if "@" in run}
    assert len(own) >= 30 and own <= set(alone.asked)
    assert set(alone.asked) <= set(model.asked)
    assert (result.solved, result.answer, result.steps) == (True, plain.answer, STEPS)
    apart = len(before) - len(own)
    assert result.samples == plain.samples + apart
    assert result.usage.tokens_in == 100 * len(model.asked) == plain.usage.tokens_in + 100 * apart
    assert result.usage.in_flight == 0
    assert check_journal(path, kind(STEPS)).solved


def test_weighed_draws_of_an_estimate_weigh_in_its_run(tmp_path: Path) -> None:
    """The run takes the k that the estimate says for weighed votes, and draws none of its draws again."""
    path, weights = tmp_path / "run.db", (2, 1)
    models = [Paid(), Paid()]
    found = maker.estimate_sync(Known(STEPS), model=models, weights=weights, journal=path)
    before = sum(len(model.asked) for model in models)
    result = maker.run_sync(Known(STEPS), model=models, weights=weights, journal=path)
    asked = sum(len(model.asked) for model in models)
    assert found.weights is not None and found.weights.votes == weights
    assert result.solved and result.k == found.weights.k and f"2, 1 takes {result.k}" in found.reason
    assert before < asked and result.usage.tokens_in == 100 * asked
    assert check_journal(path, Known(STEPS)).solved


def test_a_run_that_is_over_tells_the_same_again(tmp_path: Path) -> None:
    """A replay of the journal books each draw as the run did, and asks nobody."""
    path = tmp_path / "run.db"
    model, _ = estimated(Known(STEPS), path)
    first = maker.run_sync(Known(STEPS), model=model, journal=path)
    again = maker.run_sync(Known(STEPS), model=model, journal=path)
    assert (again.chain, again.samples, again.usage) == (first.chain, first.samples, first.usage)


class Astray(Known):
    """A task whose right way is not the one that its votes go: the truth of the estimate is of another path."""

    def truth(self, state: int, step: int) -> int:
        """Return another way on."""
        return state + 2

    def legal(self, state: int, action: int) -> bool:
        """Take both ways."""
        return action in (state + 1, state + 2)

    def apply(self, state: int, action: int) -> int:
        """Go on with the answer."""
        return action


def test_draws_on_another_way_are_lost(tmp_path: Path) -> None:
    """Where votes lead a run elsewhere, a draw of the estimate is no vote of its: it is paid for and counts as lost."""
    path, task = tmp_path / "run.db", Astray(STEPS)

    class Leading(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            replies = await super().draw(requests)
            ahead = "@" in requests[0].address.run and requests[0].address.step > 0
            return [Sample(str(request.state + 1 + ahead), 100, 20, "stop", f"{request.address.step}-{request.seed}",
                           None, "m-1", 0.1) for request, _ in zip(requests, replies, strict=True)]  # fmt: skip

    model = Leading()
    maker.estimate_sync(task, model=model, journal=path)
    before = len(model.asked)
    model.asked.clear()
    result = maker.run_sync(task, model=model, journal=path)
    assert result.usage.cancelled > 0 and result.usage.in_flight == 0
    assert result.usage.tokens_in == 100 * (before + len(model.asked))


def test_a_model_that_costs_nothing_leaves_its_k(tmp_path: Path) -> None:
    """A simulated model's run begins with the k that was found, without a calibration, and with draws of its own."""
    path = tmp_path / "run.db"
    found = maker.estimate_sync(Known(STEPS), model=ScriptedModel(lambda r: str(r.state + 1)), journal=path)
    model = ScriptedModel(lambda request: str(request.state + 1))
    result = maker.run_sync(Known(STEPS), model=model, journal=path)
    assert result.solved and result.k == found.k
    assert len(model.requests) == STEPS * (found.k or 0)


def test_only_a_journal_without_a_plan_is_taken(tmp_path: Path) -> None:
    """A second estimate, other settings, and steps that the task has not, are refused; nothing is lost by that."""
    path = tmp_path / "run.db"
    model, _ = estimated(Known(STEPS), path)
    for settings, said in (({}, "was planned already"), ({"temperature": 0.3}, "temperature")):
        with pytest.raises(JournalError, match=said):
            maker.estimate_sync(Known(STEPS), model=Paid(), journal=path, **settings)
    with pytest.raises(TaskError, match="own steps"):
        estimated(Known(STEPS), tmp_path / "other.db", total_steps=1000)
    assert maker.run_sync(Known(STEPS), model=model, journal=path).solved


def test_an_estimate_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    """What it had paid for is not paid for again, by an estimate that goes on or by the run."""
    path, model = tmp_path / "run.db", Paid()

    class Dying(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            gone: list[Sample | Failure] = [Failure("fatal", "the server is gone")] * len(requests)
            return gone if len(model.asked) >= 12 else await model.draw(requests)

    with pytest.raises(maker.ModelError, match="the server is gone"):
        maker.estimate_sync(Known(STEPS), model=Dying(), journal=path, limits={"concurrency": 1})
    assert len(model.asked) == 12
    maker.estimate_sync(Known(STEPS), model=model, journal=path)
    assert maker.run_sync(Known(STEPS), model=model, journal=path).solved
