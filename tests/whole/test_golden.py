"""Golden journals: files that earlier versions wrote are read, verified and resumed for ever."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import maker
from maker.journal.story import Story
from maker.testing import check_journal

HERE = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((HERE / "expected.json").read_text())


@pytest.fixture(scope="module")
def maker_of_them() -> ModuleType:
    """Return the script that made the golden journals."""
    spec = importlib.util.spec_from_file_location("golden_make", HERE / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_golden_journal_is_expected() -> None:
    """No file stands there of which nothing is expected, and none is missing."""
    assert {path.name for path in HERE.glob("*.journal")} == set(EXPECTED)


def run_of(name: str) -> str:
    """Return which golden run a file is of."""
    return name.removesuffix(".journal").split("-", 2)[2]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_journal_says_what_it_always_said(tmp_path: Path, maker_of_them: ModuleType, name: str) -> None:
    """Steps, votes, flags, chain, state and head are read as they were when it was written, and it verifies."""
    said = Story(HERE / name).summary().as_json()
    assert {key: said[key] for key in EXPECTED[name]} == EXPECTED[name]
    run = run_of(name)
    task = maker_of_them.task_of(run)
    if run == "map-keyed":  # the task of a map is made by the call alone
        task = maker_of_them.carry_out(run, tmp_path / "again.db", to_the_end=False).task
    check_journal(HERE / name, task)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_journal_is_resumed(tmp_path: Path, maker_of_them: ModuleType, name: str) -> None:
    """The run goes on where it was left, and comes to the end that one begun today has."""
    path = tmp_path / "run.db"
    shutil.copy(HERE / name, path)
    run = run_of(name)
    answer = maker_of_them.OTHERS[run][2] if run in maker_of_them.OTHERS else 12
    result = maker_of_them.carry_out(run, path, to_the_end=True)
    assert (result.solved, result.replayed, result.answer) == (True, EXPECTED[name]["steps"], answer)
    assert check_journal(path, result.task).solved
    maker_of_them.begin(run, tmp_path / "whole.db")
    with contextlib.suppress(maker.ModelError):  # a server that was gone
        maker_of_them.carry_out(run, tmp_path / "whole.db", to_the_end=False)
    whole = maker_of_them.carry_out(run, tmp_path / "whole.db", to_the_end=True)
    assert (result.chain, result.flags) == (whole.chain, whole.flags)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_journal_is_recounted_as_it_was_voted(name: str) -> None:
    """A re-vote under the journal's own settings gives each step the winner that it has, from the samples it took."""
    found = maker.revote(HERE / name)
    assert (found.steps, found.same, len(found.changed)) == (EXPECTED[name]["steps"], EXPECTED[name]["steps"], 0)
    assert found.undecidable == len(found.settled) == 0
    assert found.samples == found.samples_recorded
