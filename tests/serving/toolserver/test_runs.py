"""Runs are started, stopped, gone on with and told of from their files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from maker.errors import TaskError
from maker.serving.toolserver import commands
from maker.serving.toolserver.allowance import Allowance
from maker.serving.toolserver.runs import Runs

# In the place of `maker`: keeps the words that it was given, and does what the file `then` says.
SCRIPT = 'echo "$@" >> "{root}/words"; . "{root}/then"'


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return the runs of a root whose processes are shells."""
    monkeypatch.setattr(commands, "MAKER", ("/bin/sh", "-c", SCRIPT.format(root=tmp_path), "maker"))
    then(tmp_path, 'echo \'{"solved": true, "steps": 7, "calls": 21, "answer": 42, "exit_code": 0}\'')
    return Runs(tmp_path, ["--model=m"], Allowance(tmp_path / "spent", 1_000))


def then(root: Path, script: str) -> None:
    """Say what the next processes do."""
    (root / "then").write_text(script)


def wait() -> None:
    """Wait for the last process."""
    commands._children[-1].wait(60)


def taken(runs: Runs) -> int:
    """Return the calls that are out or spent."""
    return json.loads((runs.root / "spent").read_text())["calls"]


def test_a_run_is_a_command_with_caps(runs: Runs):
    """Everything that the client named stands behind `--`; what it did not spend comes back when it is looked at."""
    told = runs.start("hanoi", {"disks": 3}, 3, seconds=60)
    wait()
    run = told["id"]
    assert told == {"id": run, "state": "running", "max_calls": 500, "max_cost": None}
    words = (runs.root / "words").read_text().split()
    assert words[:3] == ["run", "--model=m", "--k=3"]
    assert words[3:] == [
        f"--journal={runs.root}/{run}.db", "--quiet", "--json", "--max-calls=500", "--max-seconds=60.0", "--", "hanoi",
        "--disks=3",
    ]  # fmt: skip
    assert taken(runs) == 500
    state = runs.state(run)
    assert (state["state"], state["solved"], state["steps"], state["task"]) == ("ended", True, 7, "hanoi")
    assert taken(runs) == 21
    assert runs.state(run) == state and taken(runs) == 21
    assert runs.result(run)["answer"] == 42


def test_what_cannot_be_run_takes_nothing(runs: Runs):
    """Neither a process nor a share of the day, and no file stays."""
    for task, parameters, calls in (("nope", {}, None), ("../x.py:T", {}, None), ("hanoi", {"a b": 1}, None),
                                    ("hanoi", {}, 1_001)):  # fmt: skip
        with pytest.raises(TaskError, match=r"."):
            runs.start(task, parameters, "auto", calls)
    assert not (runs.root / "words").exists() and list(runs.names()) == []
    runs.allowance.take("run", 1_000)


def test_a_process_that_cannot_begin_takes_nothing(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    """The share comes back, and no run is left behind."""
    monkeypatch.setattr(commands, "MAKER", ("/no/such/program",))
    with pytest.raises(FileNotFoundError):
        runs.start("hanoi", {}, 3)
    assert taken(runs) == 0 and list(runs.names()) == []


def test_a_run_is_stopped_and_gone_on_with(runs: Runs):
    """A stopped run says so; it is resumed by the same command, with new caps; a running one is not."""
    then(runs.root, "trap 'echo {\\\"stopped\\\": \\\"interrupted\\\", \\\"calls\\\": 5}; exit 3' TERM; echo > "
         f"{runs.root}/ready; while :; do sleep 0.01; done")  # fmt: skip
    run = runs.start("hanoi", {}, 3)["id"]
    with pytest.raises(TaskError, match="is running"):
        runs.resume(run)
    while not (runs.root / "ready").exists():
        assert runs.state(run)["state"] == "running"
    runs.stop(run)
    wait()
    assert runs.state(run)["stopped"] == "interrupted" and taken(runs) == 5
    runs.stop(run)  # it has ended: nothing happens
    then(runs.root, 'echo \'{"solved": true, "calls": 30}\'')
    assert runs.resume(run, calls=100)["max_calls"] == 100
    wait()
    first, second = (runs.root / "words").read_text().splitlines()
    assert second == first.replace("--max-calls=500", "--max-calls=100")
    assert runs.state(run)["solved"] and taken(runs) == 35


def test_a_killed_run_keeps_its_share(runs: Runs):
    """Nobody knows what it spent; the client is told how to go on."""
    then(runs.root, "kill -9 $$")
    run = runs.start("hanoi", {}, 3)["id"]
    wait()
    state = runs.state(run)
    assert state["stopped"] == "killed" and "resume_run" in state["detail"] and taken(runs) == 500


def test_a_run_that_was_refused_says_why(runs: Runs):
    """What `maker` says of bad parameters stands in the state; nothing was spent."""
    then(runs.root, 'echo \'{"solved": false, "error": "hanoi has no parameter x", "exit_code": 2}\'')
    run = runs.start("hanoi", {"x": 1}, 3)["id"]
    wait()
    assert runs.state(run)["error"] == "hanoi has no parameter x" and taken(runs) == 0


def test_another_server_knows_the_runs(runs: Runs):
    """All is in the files; what is no run of this server is left out."""
    ids = {runs.start("hanoi", {}, 3)["id"] for _ in range(2)}
    wait()
    (runs.root / "notes.json").write_text("{}")
    again = Runs(runs.root, ["--model=m"], runs.allowance)
    assert {told["id"] for told in again.all()} == ids


def test_the_status_has_what_the_journal_says(runs: Runs):
    """`maker show` is asked; where there is no journal yet, the state alone is told."""
    run = runs.start("hanoi", {}, 3)["id"]
    wait()
    then(runs.root, 'echo \'{"steps": 3, "total": 7, "task": "other", "flags": {}}\'')
    runs.file(run, "db").touch()
    seen = asyncio.run(runs.status(run))
    assert (seen["total"], seen["steps"], seen["task"], seen["state"]) == (7, 7, "hanoi", "ended")
    then(runs.root, 'echo \'{"error": "no such file"}\'; exit 6')
    assert "total" not in asyncio.run(runs.status(run))


def test_a_file_that_says_something_else_is_refused(runs: Runs):
    """Neither a missing run nor a damaged one is a traceback."""
    with pytest.raises(TaskError, match="there is no run"):
        runs.state("0" * 12)
    (runs.root / f"{'1' * 12}.json").write_text("{}")
    with pytest.raises(TaskError, match="does not say what was asked"):
        runs.state("1" * 12)
    assert [(told["id"], told["state"]) for told in runs.all()] == [("1" * 12, "unknown")]
