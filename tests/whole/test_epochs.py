"""Settings that change in mid-run: refused with a difference, or a journaled epoch when accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.config import Config
from maker.errors import JournalError
from maker.journal.header import FIXED
from maker.testing import ScriptedModel, check_journal

BASE: dict[str, Any] = {"model": "oracle:p=0.9,v=0.9", "k": 3, "segments": 4}
CHANGES: dict[str, Any] = {
    "model": "oracle:p=0.95", "k": 4, "target": 0.9, "seed": 1, "temperature": 0.2, "first_temperature": 0.0,
    "token_cap": 512, "long_answer": 700, "flags": "paper", "keep_samples": "all",
}  # fmt: skip


def begun(path: Path) -> maker.RunResult:
    """Run the first 20 steps of 31."""
    return maker.run_sync(maker.load_task("hanoi", disks=5), journal=path, limits={"max_steps": 20}, **BASE)


def test_every_field_of_the_configuration_is_tried() -> None:
    """A new field of Config must be added to this file, so that its change is known to be noticed."""
    assert set(Config.model_fields) == set(CHANGES) - {"model"} | {
        "segments", "paraphrase", "system", "stop", "examples", "worst_case", "weights",
    }  # fmt: skip


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_a_change_is_refused_with_a_difference(tmp_path: Path, field: str) -> None:
    """Another value than the journal's is refused, naming field, old and new value and the remedy; nothing is lost."""
    path = tmp_path / "run.db"
    begun(path)
    before = path.read_bytes()
    task = maker.load_task("hanoi", disks=5)
    with pytest.raises(JournalError, match=rf"{field}.*journal .*, now .*--accept-change"):
        maker.run_sync(task, journal=path, **{**BASE, field: CHANGES[field]})
    assert path.read_bytes() == before
    assert maker.run_sync(task, journal=path, **BASE).solved


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_an_accepted_change_is_a_journaled_epoch(tmp_path: Path, field: str) -> None:
    """Accepted, the run goes on with new draws, verifies, and replays; the old settings are then refused."""
    path = tmp_path / "run.db"
    begun(path)
    task = maker.load_task("hanoi", disks=5)
    settings = {**BASE, field: CHANGES[field]}
    accepted = [field] if field != "flags" else ["flags", "first_temperature"]
    result = maker.run_sync(task, journal=path, accept_change=accepted, **settings)
    assert (result.solved, result.epochs, result.replayed) == (True, 1, 20)
    assert check_journal(path, task).solved
    again = maker.run_sync(task, journal=path, **settings)
    assert (again.chain, again.epochs, again.samples) == (result.chain, 1, result.samples)
    assert [v.step for v in again.verdicts()] == [v.step for v in result.verdicts()]
    with pytest.raises(JournalError, match=field):
        maker.run_sync(task, journal=path, **BASE)


def test_paraphrase_is_part_of_the_run(tmp_path: Path) -> None:
    """Asking in other views is a change like any other: refused with a difference, or accepted as an epoch."""
    path, task = tmp_path / "run.db", maker.load_task("hanoi", disks=3)
    right = {task.prompt(task.state_at(i), i): task.render(task.truth(task.state_at(i), i)) for i in range(7)}
    model = ScriptedModel(lambda request: right.get(request.prompt, "?"))
    settings: dict[str, Any] = {"model": model, "k": 1, "segments": 1, "journal": path}
    maker.run_sync(task, limits={"max_steps": 3}, **settings)
    with pytest.raises(JournalError, match=r"paraphrase: journal False, now True.*--accept-change"):
        maker.run_sync(task, paraphrase=True, **settings)
    result = maker.run_sync(task, paraphrase=True, accept_change=["paraphrase"], **settings)
    assert (result.solved, result.epochs) == (True, 1)


@pytest.mark.parametrize("change", [{"segments": 2}, {"disks": 6}])
def test_what_makes_it_another_run_cannot_be_accepted(tmp_path: Path, change: dict[str, int]) -> None:
    """Task, parameters and segments are what the journal is about: they are refused whatever is accepted."""
    path = tmp_path / "run.db"
    begun(path)
    task = maker.load_task("hanoi", disks=change.get("disks", 5))
    settings = {**BASE, "segments": change.get("segments", 4)}
    with pytest.raises(JournalError, match="another --journal"):
        maker.run_sync(task, journal=path, accept_change=list(FIXED), **settings)


def test_an_open_step_begins_anew_in_a_new_epoch(tmp_path: Path) -> None:
    """Ballots cast under other settings are kept in the journal and counted no more."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=3)
    stopped = maker.run_sync(task, model="oracle:p=0.5", k=6, journal=path, segments=1, limits={"max_votes": 6})
    assert stopped.stopped == "undecided"
    spent = stopped.samples
    result = maker.run_sync(
        task, model="oracle:p=0.99", k=2, journal=path, segments=1, limits={"max_votes": 60},
        accept_change=["model", "k"],
    )  # fmt: skip
    assert result.solved
    assert result.samples > spent
    audit = check_journal(path, task)
    assert audit.solved
    assert [verdict.samples for verdict in result.verdicts()][stopped.steps] < 6


def test_two_epochs_have_different_draws(tmp_path: Path) -> None:
    """The epoch's number enters the seeds: a step voted on again sees other samples."""
    task = maker.load_task("hanoi", disks=4)
    counts = set()
    for change in ([], ["temperature"], ["temperature", "temperature"]):
        path = tmp_path / f"{len(change)}.db"
        settings = {**BASE, "segments": 1, "k": 4, "model": "oracle:p=0.7"}
        maker.run_sync(task, journal=path, limits={"max_steps": 1}, **settings)
        for number, _ in enumerate(change, 1):
            settings["temperature"] = 0.1 + number / 100
            maker.run_sync(task, journal=path, accept_change=["temperature"], limits={"max_steps": 1}, **settings)
        counts.add(maker.run_sync(task, journal=path, **settings).samples)
    assert len(counts) == 3
