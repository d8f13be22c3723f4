"""maker.audit: what a judged sample says of a run is true of it, ends when it may, and goes on where it was stopped."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.errors import JournalError, TaskError
from maker.testing import ScriptedModel
from maker.theory.acceptance import FIRST_LOOK

WRONG = {3, 70, 71, 190}  # steps that the run decided wrongly


def right(state: int, step: int, answer: int) -> bool:
    """Check a step of a task that adds."""
    return answer == state + 1


def reply(request: Any) -> str:
    """Answer as the run's model does: wrong at four steps, at one of them after a vote for what is right."""
    step = request.state
    if step == 3 and request.address.draw == 0:
        return str(step + 1)
    return str(step + 1 if step not in WRONG else step)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of 200 steps, four of them wrong."""
    path = tmp_path_factory.mktemp("audit") / "run.db"
    assert maker.run_sync(Adding(200), model=ScriptedModel(reply), k=2, journal=path).steps == 200
    return path


def audited(journal: Path, **asked: Any) -> maker.Acceptance:
    """Audit that run, by the checker where nothing else is said."""
    return maker.audit_sync(journal, task=Adding(200), **{"by": right, **asked})


def test_all_decisions_judged_are_all_that_is_known(journal: Path) -> None:
    """A sample of the whole run finds each wrong step, and leaves nothing to chance."""
    found = audited(journal, sample=500)
    assert {one.step for one in found.disputed} == WRONG and (found.low, found.high) == (4, 4)
    assert found.expected == pytest.approx(4) and (found.sample, found.judged, found.wrong) == (200, 200, 4)
    assert found.exit_code == 1 and found.words == "wrong" and found.kept is None
    assert [(part.stratum, part.size, part.wrong) for part in found.parts] == [
        ("1 vote against", 1, 1), ("no vote against", 199, 3),
    ]  # fmt: skip


def test_contested_decisions_are_judged_first(journal: Path) -> None:
    """The only step with a vote against it is in every sample of a sixteenth of the run or more."""
    assert all(3 in {one.step for one in audited(journal, sample=16, seed=seed).disputed} for seed in range(5))


def test_over_many_seeds_the_bounds_hold(journal: Path) -> None:
    """Of 200 samples of 60 decisions each bound is missed by one in twenty at most."""
    every = [audited(journal, sample=60, seed=seed) for seed in range(200)]
    assert sum(found.high < 4 for found in every if found.high is not None) <= 10  # of 200, at 5%
    assert sum(found.low > 4 for found in every if found.low is not None) <= 10
    assert sum(found.expected or 0 for found in every) / 200 == pytest.approx(4, abs=1)


def test_it_ends_once_the_bound_is_shown_or_refuted(journal: Path) -> None:
    """A generous bound takes a part of the sample, one that does not hold is refuted by the wrong ones seen."""
    shown = audited(journal, bound=0.2)
    assert shown.shown and not shown.refuted and shown.exit_code == 0 and shown.judged < 100
    refuted = audited(journal, bound=0.001)
    assert refuted.refuted and refuted.exit_code == 1 and refuted.judged <= 200
    still = audited(journal, bound=0.02, sample=199)
    assert not still.refuted and (still.exit_code == 0 if still.shown else still.exit_code == 3)


def test_the_truth_of_a_task_is_a_judge(tmp_path: Path) -> None:
    """A simulated model with a few hard steps: the wrong steps that the run counted are those that are found."""
    path = tmp_path / "run.db"
    model = "oracle:p=0.99,hard=0.02,p_hard=0.2"
    run = maker.run_sync(maker.load_task("hanoi", disks=8), model=model, k=3, journal=path, segments=1)
    found = maker.audit_sync(path, by="truth", sample=255)
    assert run.wrong and found.wrong == run.wrong == found.high and found.simulated
    assert found.judge == "the task's truth"


def test_a_model_judges_by_its_own_answers(journal: Path, tmp_path: Path) -> None:
    """What it answers otherwise is a disagreement, with its answer; a right model finds what is wrong."""
    kept = tmp_path / "answers.db"
    model = ScriptedModel(lambda request: request.prompt.split()[0] if "190 " in request.prompt else _sum(request))
    found = audited(journal, by=model, sample=200, to=kept)
    assert found.words == "disagreement" and found.kept == kept
    assert {one.step: one.said for one in found.disputed} == {3: "4", 70: "71", 71: "72"}  # it errs at 190 alike
    assert found.asked is not None and found.asked.usage.dispatched == 600


def test_a_stopped_audit_goes_on_with_the_same_sample(journal: Path, tmp_path: Path) -> None:
    """Stopped by a number of calls it says so; the same call asks about the rest, and a larger sample about more."""
    kept, asked = tmp_path / "answers.db", []

    def answer(request: Any) -> str:
        asked.append(request.prompt)
        return _sum(request)

    model = ScriptedModel(answer)
    stopped = audited(journal, by=model, sample=150, to=kept, limits={"max_calls": 400})
    assert stopped.stopped == "max_calls" and stopped.exit_code == 3 and stopped.high is None
    assert 0 < stopped.judged < 150 and "max_calls" in stopped.detail
    found = audited(journal, by=model, sample=150, to=kept)
    assert found.stopped is None and found.judged == 150 and len(asked) == 450
    assert audited(journal, by=model, sample=150, to=kept).as_json() == found.as_json() and len(asked) == 450
    fresh = audited(journal, by=model, sample=150, to=tmp_path / "other.db")
    assert fresh.disputed == found.disputed and sorted(asked[:450]) == sorted(asked[450:])
    del asked[:]
    more = audited(journal, by=model, sample=170, to=kept)
    assert more.judged == 170 and len(asked) == 60  # three votes on each of the 20 new ones
    with pytest.raises(TaskError, match="holds answers on 170 decisions, those of a larger sample"):
        audited(journal, by=model, sample=150, to=kept)


def test_an_audit_with_several_looks_goes_on_too(journal: Path, tmp_path: Path) -> None:
    """Begun anew at its first look, it takes the answers that are there, ends at the same look and asks nothing."""
    kept, model = tmp_path / "answers.db", ScriptedModel(_sum)
    first = audited(journal, by=model, bound=0.1, to=kept)
    asked = len(model.requests)
    again = audited(journal, by=model, bound=0.1, to=kept)
    assert first.shown and again.as_json() == first.as_json() and len(model.requests) == asked == 3 * first.judged
    assert first.judged >= 2 * FIRST_LOOK  # so there was a look before


def test_what_a_judge_leaves_undecided_counts_for_the_upper_bound_alone(journal: Path, tmp_path: Path) -> None:
    """A model that answers at random about a step comes to no verdict on it: it may be wrong."""
    turn = iter(range(10**6))

    def answer(request: Any) -> str:
        return str(next(turn) % 150) if request.prompt.startswith("5 ") else _sum(request)

    model = ScriptedModel(answer)
    found = audited(journal, by=model, sample=200, to=tmp_path / "answers.db", limits={"max_votes": 20})
    assert [one.step for one in found.disputed if one.said is None] == [5] and found.stopped is None
    assert (found.low, found.high, found.wrong) == (4, 5, 4)
    assert sum(part.undecided for part in found.parts) == 1


def test_the_answers_of_another_judge_are_refused(journal: Path, tmp_path: Path) -> None:
    """A journal of answers is that of one model, one margin and one run; each message says what to give."""
    kept = tmp_path / "answers.db"
    model = ScriptedModel(_sum)
    audited(journal, by=model, sample=10, to=kept)
    with pytest.raises(JournalError, match="A judge with other settings needs another --to"):
        audited(journal, by=model, sample=10, to=kept, k=2)
    with pytest.raises(TaskError, match="is the journal itself"):
        audited(journal, by=model, sample=10, to=journal)


def test_a_person_is_asked_look_by_look(journal: Path, tmp_path: Path) -> None:
    """A small sample is written first; once it is filled it decides, or more rows are added."""
    sheet = tmp_path / "sheet.csv"
    counts = []
    for _ in range(8):
        found = audited(journal, by="csv", bound=0.1, to=sheet)
        if found.stopped is None:
            break
        assert found.exit_code == 3 and found.stopped == "to be filled"
        with sheet.open(newline="") as file:
            rows = list(csv.DictReader(file))
        counts.append(len(rows))
        for row in rows:
            row["right"] = "no" if int(row["step"]) in WRONG else "yes"
        with sheet.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    assert found.shown and len(counts) > 1 and counts == sorted(set(counts)) and found.judged == counts[-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sample": 0}, "sample = 0"), ({"sample": 2.5}, r"sample = 2\.5"), ({"sample": True}, "sample = True"),
        ({"bound": 1}, "bound = 1"), ({"bound": -0.1}, r"bound = -0\.1"), ({"bound": float("nan")}, "bound = nan"),
        ({"bound": 0.01, "sample": 40}, "cannot be shown by 40 of 200 decisions.*give a sample of"),
        ({"k": "auto"}, "k = 'auto'"), ({"by": "truth"}, "has no truth"),
        ({"by": "nobody"}, "there is no model 'nobody'"),
        ({"to": "file"}, "a checker keeps nothing"), ({"samples": 3}, "no setting 'samples'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_asked(journal: Path, asked: Any, said: str) -> None:
    """Each wrong argument is named."""
    with pytest.raises(TaskError, match=said):
        audited(journal, **asked)


def test_journals_that_cannot_be_judged_are_refused(journal: Path, tmp_path: Path) -> None:
    """One of another task, one whose task is not given, and one without a decided step."""
    with pytest.raises(TaskError, match="is the journal of another task"):
        maker.audit_sync(journal, by=right, task=Adding(201))
    with pytest.raises(TaskError, match="the task of the journal, 'adding', is not built in"):
        maker.audit_sync(journal, by=right)
    with pytest.raises(JournalError, match="no such journal"):
        maker.audit_sync(tmp_path / "none.db", by=right)
    path = tmp_path / "short.db"
    maker.run_sync(Adding(), model=ScriptedModel(lambda request: "0"), k=2, journal=path, limits={"max_calls": 1})
    with pytest.raises(TaskError, match="holds no decided step yet"):
        maker.audit_sync(path, by=right, task=Adding())


def _sum(request: Any) -> str:
    """Answer the question of a task that adds."""
    return str(int(request.prompt.split()[0]) + 1)
