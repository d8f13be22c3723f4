"""The same seed draws the same decisions, a larger sample begins with every smaller one, and no kind is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.api.audit.decisions import MOST_KINDS, OTHER_KINDS, Decisions
from maker.journal.story import Story
from maker.testing import ScriptedModel


class Kinded(Adding):
    """Counts to its goal; every 50th step is of a rare kind."""

    def kind(self, state: int, step: int) -> str:
        return "rare" if step % 50 == 7 else "usual"


class Motley(Adding):
    """Each step is of a kind of its own."""

    def kind(self, state: int, step: int) -> str:
        return f"kind {step}"


def written(path: Path, task: Any) -> Path:
    """Write a run in which each 10th step has a vote against its answer, and each 30th two."""

    def reply(request: Any) -> str:
        step, draw = request.address.step, request.address.draw
        against = (0, 2) if step % 30 == 0 else (0,) if step % 10 == 0 else ()
        return "0" if draw in against else str(request.state + 1)

    assert maker.run_sync(task, model=ScriptedModel(reply), k=2, journal=path).solved
    return path


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of 300 steps."""
    return written(tmp_path_factory.mktemp("audit") / "run.db", Kinded(300))


def test_decisions_lie_in_strata_by_the_votes_against_them(journal: Path) -> None:
    """Of 300 decisions 10 have two votes against them and 20 one, and each knows its state and answer."""
    decisions = Decisions(Story(journal), Kinded(300), 0)
    assert decisions.sizes == [10, 20, 270]
    assert decisions.cells == {(0, "usual"): 10, (1, "usual"): 20, (2, "rare"): 6, (2, "usual"): 264}
    drawn = decisions.drawn(300)
    assert Counter(of.stratum for of in drawn) == {0: 10, 1: 20, 2: 270}
    for of in drawn:
        assert (of.state, of.answer, of.text, of.votes) == (of.step, of.step + 1, str(of.step + 1), 2 + of.against)
        assert of.stratum == 2 - of.against


def test_a_larger_sample_begins_with_every_smaller_one(journal: Path) -> None:
    """What is asked first stays first, so that a journal of answers can be gone on with."""
    decisions = Decisions(Story(journal), Kinded(300), 0)
    every = decisions.drawn(300)
    for sample in (1, 2, 40, 41, 150, 299):
        drawn = decisions.drawn(sample)
        assert drawn == every[: len(drawn)]
        assert len(drawn) == sum(up for _, up in decisions.shares(sample).values()) >= sample
        assert all(of.least <= sample for of in drawn)
        assert all(of.least > sample for of in every[len(drawn) :])
        assert all(of.number < decisions.shares(sample)[of.stratum, of.kind][1] for of in drawn)


def test_no_kind_is_left_out(journal: Path) -> None:
    """A sample of thirty has a step of a kind that makes up a fiftieth of the run."""
    decisions = Decisions(Story(journal), Kinded(300), 0)
    assert "rare" in {of.kind for of in decisions.drawn(30)}


def test_the_seed_draws(journal: Path) -> None:
    """The same seed gives the same sample, another seed another one."""
    first, again, other = (Decisions(Story(journal), Kinded(300), seed).drawn(40) for seed in (0, 0, 1))
    assert first == again and {of.step for of in first} != {of.step for of in other}


def test_every_decision_of_a_kind_is_as_likely_to_be_drawn(journal: Path) -> None:
    """Over 60 seeds the uncontested usual steps are drawn alike: early and late ones within 4 deviations."""
    early = late = 0
    for seed in range(60):
        steps = [of.step for of in Decisions(Story(journal), Kinded(300), seed).drawn(30) if of.stratum == 2]
        early += sum(step < 150 for step in steps)
        late += sum(step >= 150 for step in steps)
    assert abs(early - late) < 4 * (early + late) ** 0.5


def test_many_kinds_are_told_apart_only_so_far(tmp_path: Path) -> None:
    """The rarest kinds are one more, so that a sample is not as large as the run."""
    decisions = Decisions(Story(written(tmp_path / "run.db", Motley(60))), Motley(60), 0)
    kinds = {kind for _, kind in decisions.cells}
    assert len(kinds) == MOST_KINDS + 1 and OTHER_KINDS in kinds
    assert sum(decisions.cells.values()) == sum(decisions.sizes) == 60
    assert len(decisions.drawn(60)) == 60
