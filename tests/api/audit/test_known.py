"""A judge that errs: its mistakes are counted on decisions that a person judged, and the bounds of errors hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maker
from adding import Adding
from maker.api.audit.decisions import Decision
from maker.api.audit.judges import Opinion
from maker.api.audit.known import Known
from maker.api.audit.result import Corrected
from maker.errors import TaskError
from maker.testing import ScriptedModel
from maker.theory.acceptance import Look, Stratum

WRONG = {3, 70, 71, 190}  # steps that the run decided wrongly
ALARM, MISSED = 150, 70  # where the judge disagrees with what is right, and agrees with what is wrong


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of 200 steps, four of them wrong."""
    path = tmp_path_factory.mktemp("known") / "run.db"
    model = ScriptedModel(lambda request: str(request.state + (request.state not in WRONG)))
    assert maker.run_sync(Adding(200), model=model, k=1, journal=path).steps == 200
    return path


def filled(journal: Path, path: Path, sample: int, **asked: Any) -> Path:
    """Return the file of an audit by csv, filled with what is right."""
    maker.audit_sync(journal, by="csv", task=Adding(200), sample=sample, to=path, **asked)
    head, *rows = path.read_text().splitlines()
    steps = [int(row.split(",")[1]) for row in rows]
    path.write_text("\n".join([head, *(f"{row}{'no' if step in WRONG else 'yes'}" for row, step in zip(rows, steps,
                                                                                     strict=True))]))  # fmt: skip
    return path


def audited(journal: Path, tmp_path: Path, known: Path, **asked: Any) -> maker.Acceptance:
    """Audit that run by a model that errs twice."""
    decided = {}

    def reply(request: Any) -> str:
        step = decided.setdefault(request.prompt, _step(request.prompt))
        return str(step + (step != MISSED) + (step == ALARM))

    return maker.audit_sync(
        journal, by=ScriptedModel(reply), task=Adding(200), k=1, to=tmp_path / "judge.db", known=known, **asked
    )  # fmt: skip


def _step(prompt: Any) -> int:
    task = Adding(200)
    return next(step for step in range(200) if task.prompt(step, step) == prompt)


def test_the_judge_is_compared_with_the_person_and_the_bounds_are_of_errors(journal: Path, tmp_path: Path) -> None:
    """All of it judged by both: one false alarm and one miss are two mistakes, and the person's word stands alone."""
    found = audited(journal, tmp_path, filled(journal, tmp_path / "sheet.csv", 200), sample=200)
    of = found.corrected
    assert of is not None and (of.known, of.mistaken) == (200, 2) and (found.low, found.high) == (4, 4)
    assert of.low == of.high_alone == 4 <= of.high and of.missed == pytest.approx(0.25) and found.exit_code == 1
    assert found.as_json()["corrected"]["mistaken"] == 2


def test_a_bound_is_then_about_errors(journal: Path, tmp_path: Path) -> None:
    """Looks that hold fewer than the person judged are left out; what is shown is shown of wrong decisions."""
    known = filled(journal, tmp_path / "sheet.csv", 60)
    found = audited(journal, tmp_path, known, bound=0.4, sample=120)
    assert found.corrected is not None and found.sample >= 60 and found.shown
    assert found.corrected.high <= 80 and found.corrected.high > (found.high or 0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace(",yes", ",", 1), "1 of 40 rows are not filled"),
        (lambda text: "\n".join(text.splitlines()[:20] + text.splitlines()[21:]), "not the first of this sample"),
        (lambda text: text.splitlines()[0], "not the first of this sample"),
    ],
)  # fmt: skip
def test_what_is_no_random_sample_is_refused(journal: Path, tmp_path: Path, spoil: Any, said: str) -> None:
    """Rows that are left empty, or were taken out, would let a person choose what the judge is measured on."""
    path = filled(journal, tmp_path / "sheet.csv", 40)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(TaskError, match=said):
        audited(journal, tmp_path, path, sample=100)


def test_another_seed_a_checker_and_a_missing_file_are_refused(journal: Path, tmp_path: Path) -> None:
    """The decisions must be those of the sample; who knows needs no correction."""
    path = filled(journal, tmp_path / "sheet.csv", 40, seed=3)
    with pytest.raises(TaskError, match="seed of the audit by csv"):
        audited(journal, tmp_path, path, sample=100)
    with pytest.raises(TaskError, match="taken at their word"):
        maker.audit_sync(journal, by=lambda *_: True, task=Adding(200), known=path)
    with pytest.raises(TaskError, match="is not there"):
        audited(journal, tmp_path, tmp_path / "none.csv")


# -- by simulation ---------------------------------------------------------------------------------

SIZE, LARGE, SMALL = 20_000, 3_000, 300


def simulated(rng: np.random.Generator, wrong: int, alarms: float, misses: float) -> Corrected:
    """Return what one audit shows of a run with so many wrong decisions, by a judge with these rates."""
    bad = np.zeros(SIZE, bool)
    bad[rng.choice(SIZE, wrong, replace=False)] = True
    agrees = np.where(bad, rng.random(SIZE) < misses, rng.random(SIZE) >= alarms)
    order = rng.permutation(SIZE)[:LARGE]  # a sample, and the smaller one that it begins with

    def strata(sample: int, wrong: Counter[int], sure: Counter[int]) -> list[Stratum]:
        return [Stratum(SIZE, sample, sample, wrong[2], sure[2])]

    known = Known.__new__(Known)
    known._first = [Decision(int(at), 2, "", i, i + 1, 0, 0, "", 1, 0) for i, at in enumerate(order[:SMALL])]
    known._right, known.sample = [not bad[at] for at in order[:SMALL]], SMALL
    opinions: Sequence[Opinion] = [Opinion(bool(agrees[at])) for at in order[:SMALL]]
    seen = Counter({2: int((~agrees[order]).sum())})
    return known.correct(opinions, Look(LARGE, 0.05), strata, seen, seen)


@pytest.mark.parametrize(
    ("wrong", "alarms", "misses"),
    [(40, 0.005, 0.01), (400, 0.02, 0.02), (20, 0.0, 0.01), (0, 0.01, 0.0)],
    ids=["few", "many", "no alarms", "none wrong"],
)
def test_the_bounds_of_errors_hold_in_simulated_audits(wrong: int, alarms: float, misses: float) -> None:
    """Of 300 audits each bound is missed by one in twenty at most; few alarms make the upper one far smaller."""
    rng = np.random.default_rng(5)
    every = [simulated(rng, wrong, alarms, misses) for _ in range(300)]
    assert sum(of.low > wrong for of in every) <= 15  # of 300, at 5%
    assert sum(of.high < wrong for of in every) <= 15
    assert sum(of.high_alone < wrong for of in every) <= 15
    if wrong * SMALL < SIZE and alarms < 0.01:
        assert np.mean([of.high for of in every]) < np.mean([of.high_alone for of in every])


def test_a_judge_that_misses_what_the_run_gets_wrong_is_seen_by_the_person_alone() -> None:
    """Both get the same wrong: the bound that assumes otherwise fails, as is said; that of the person alone holds."""
    rng = np.random.default_rng(6)
    every = [simulated(rng, 200, 0.0, 1.0) for _ in range(100)]
    assert sum(of.high_alone < 200 for of in every) <= 5
    assert sum(of.high < 200 for of in every) <= 10  # where the person met one that it missed, all may be missed
