"""k = "table" from end to end: planned, journaled, decided by, resumed, verified, counted again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.decision.race import Verdict
from maker.decision.sample import Request
from maker.errors import Infeasible, JournalError
from maker.journal.database import read_records
from maker.journal.notes import note_of
from maker.journal.records import decode
from maker.journal.story import Story
from maker.models.oracle import Oracle
from maker.review.revote import revote
from maker.testing import ScriptedModel, check_journal
from maker.theory.votes.tables import Table

HARD: dict[str, Any] = {"k": "table", "target": 0.9, "segments": 4}


def mixed() -> Oracle:
    """Return a model whose steps differ: a few of them are contested."""
    return Oracle(p=0.97, rho=0.05, seed=5)


def hanoi(disks: int = 7) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


def table_of(path: Path) -> Table:
    """Return the table that a journal holds."""
    table = Story(path).summary().table
    assert table is not None
    return table


def test_every_step_is_decided_by_the_margin_of_its_total(tmp_path: Path) -> None:
    """The journal holds the table, each verdict leads by just what it asks for, and a contested one by more than k."""
    path = tmp_path / "run.db"
    result = maker.run_sync(hanoi(), model=mixed(), journal=path, **HARD)
    table = table_of(path)
    assert (result.solved, result.wrong, result.k) == (True, 0, table.k)
    assert result.calibration is not None
    assert result.calibration["table"]["digest"] == table.digest
    verdicts: list[Verdict[Any]] = list(result.verdicts())
    assert all(v.margin == table.need(v.samples) for v in verdicts)
    assert max(v.margin for v in verdicts) > table.k
    checked = check_journal(path, hanoi())
    assert (checked.solved, checked.summary.steps) == (True, 127)


def test_a_resumed_run_is_the_one_that_was_not_broken_off(tmp_path: Path) -> None:
    """Replayed from the journal alone, without another calibration, it has the same chain and the same samples."""
    whole = maker.run_sync(hanoi(), model=mixed(), **HARD)
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(), model=mixed(), journal=path, limits={"max_steps": 40}, **HARD)
    resumed = maker.run_sync(hanoi(), model=mixed(), journal=path, **HARD)
    assert (resumed.chain, resumed.samples, resumed.k) == (whole.chain, whole.samples, whole.k)
    assert resumed.replayed == 40


def test_stored_votes_are_counted_again_by_the_table_or_by_k(tmp_path: Path) -> None:
    """Without a k nothing changes and nothing is saved; with the least margin as a constant, votes are."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(), model=mixed(), journal=path, **HARD)
    same = revote(path)
    assert (same.same, same.undecidable, same.samples) == (127, 0, same.samples_recorded)
    assert "does as well" in same.notes[0]
    less = revote(path, k=table_of(path).k)
    assert less.undecidable == 0
    assert less.samples < less.samples_recorded
    assert "does not" in less.notes[0]


def test_a_table_that_was_tampered_with_is_no_table(tmp_path: Path) -> None:
    """A note whose margins were changed does not have its digest: whoever reads the journal refuses it."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(3), model=mixed(), journal=path, limits={"max_steps": 1}, **HARD)
    (note,) = (item for item in map(decode, read_records(path)) if isinstance(item, dict) and "calibration" in item)
    assert note_of(note, path)
    found = note["calibration"]
    for change in ({"widens": []}, {"most": 100}, {"digest": "0" * 32}):
        forged = {"calibration": found | {"table": found["table"] | change}}
        with pytest.raises(JournalError, match="contradicts itself"):
            note_of(forged, path)


def test_where_no_step_differs_the_table_is_constant_k() -> None:
    """A model that never errs has one margin, and takes the very samples that k = "auto" takes."""
    runs = [maker.run_sync(hanoi(6), model="oracle:p=1", k=k) for k in ("auto", "table")]
    assert [run.k for run in runs] == [runs[0].k] * 2
    assert runs[0].samples == runs[1].samples
    assert runs[0].chain == runs[1].chain


class Known(Adding):
    """The same with its truth."""

    def truth(self, state: int, step: int) -> int:
        return 1


def test_a_coin_is_not_decided_by_luck(tmp_path: Path) -> None:
    """Steps that are right every other time are decided by luck at a constant k; by the table the run stops there."""

    def toss(request: Request) -> str:
        errs = request.seed % 32 == 0 if request.state % 200 != 37 else request.seed % 2 == 0
        return "0" if errs else "1"

    task, model = Known(400), ScriptedModel(toss)
    steady = maker.run_sync(task, model=model, k=4)
    assert (steady.stopped, steady.steps) == (None, 400)
    path = tmp_path / "run.db"
    result = maker.run_sync(task, model=model, k="table", target=0.9, journal=path, limits={"max_votes": 3000})
    assert (result.stopped, result.steps) == ("undecided", 37)
    assert "Raise max_votes" not in result.detail
    assert "More votes would not decide it" in result.detail
    assert check_journal(path, task).summary.steps == 37


def test_what_auto_refuses_a_table_refuses_too() -> None:
    """Where the evidence forbids any k, or leaves p at 1/2 or below, there is no table either."""
    for model in (Oracle(p=0.45, seed=1), Oracle(p=0.9, rho=0.3, seed=1), Oracle(p=0.4, rivals=5, seed=2)):
        with pytest.raises(Infeasible, match="calibration"):
            maker.run_sync(hanoi(), model=model, k="table")


def test_settings_may_change_to_a_table(tmp_path: Path) -> None:
    """An accepted change from a constant k begins an epoch with a calibration of its own, and back again without."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(), model=mixed(), journal=path, k=3, segments=4, limits={"max_steps": 20})
    accepted = ("k", "target")
    result = maker.run_sync(
        hanoi(), model=mixed(), journal=path, accept_change=accepted, limits={"max_steps": 60}, **HARD
    )
    assert (result.epochs, result.steps, result.k) == (1, 60, table_of(path).k)
    last = maker.run_sync(hanoi(), model=mixed(), journal=path, k=3, segments=4, accept_change=accepted)
    assert (last.solved, last.k) == (True, 3)
    assert Story(path).summary().table is None
    assert check_journal(path, hanoi()).solved
