"""Processes that answer, and processes that go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from maker.errors import TaskError
from maker.serving.toolserver import commands


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a shell in the place of `maker`: its first word is a script."""
    monkeypatch.setattr(commands, "MAKER", ("/bin/sh", "-c"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return where a command says what it says."""
    return tmp_path / "run.out"


def wait() -> None:
    """Wait for the last command that was begun."""
    commands._children[-1].wait(60)


def test_a_command_answers_with_its_object():
    """The real `maker` is asked; its refusal is a TaskError in its own words."""

    async def asked() -> None:
        with pytest.raises(TaskError, match="no such journal"):
            await commands.said(["show", "--json", "--", "/nowhere.db"])

    asyncio.run(asked())


@pytest.mark.usefixtures("shell")
def test_notes_around_the_object_do_no_harm():
    """What a task prints is no result, and a command without a result is told of."""

    async def asked() -> None:
        told = await commands.said(["echo note; echo '{\"a\": 1}'; echo 17; echo; exit 3"])
        assert told == {"a": 1, "exit_code": 3}
        with pytest.raises(TaskError, match="ended without a word, 7"):
            await commands.said(["echo nothing; exit 7"])

    asyncio.run(asked())


@pytest.mark.usefixtures("shell")
def test_a_run_is_seen_to_run_and_stopped(output: Path):
    """The lock says that it lives; no second one begins; the signal ends it, and the lock with it."""
    assert not commands.runs(output)
    pid = commands.begin(["echo begun; exec sleep 60"], output)
    assert commands.runs(output)
    with pytest.raises(TaskError, match="stop it first"):
        commands.begin(["true"], output)
    commands.stop(pid)
    wait()
    assert not commands.runs(output)
    commands.stop(pid)  # it is gone: nothing happens


@pytest.mark.usefixtures("shell")
def test_what_a_run_said_last_is_its_outcome(output: Path):
    """The outcome is of the newest process; one that was killed leaves none."""
    assert commands.outcome(output) is None
    commands.begin(["echo '{\"calls\": 1}'; echo after"], output)
    wait()
    assert commands.outcome(output) == {"calls": 1}
    commands.begin(["true"], output)
    wait()
    assert commands.outcome(output) is None


@pytest.mark.usefixtures("shell")
def test_a_run_is_in_a_session_of_its_own(output: Path):
    """What ends the server's group does not end it."""
    pid = commands.begin(["ps -o sid= -p $$"], output)
    wait()
    assert int(output.read_text()) == pid


@pytest.mark.usefixtures("shell")
def test_a_link_in_the_place_of_the_output_is_not_followed(output: Path, tmp_path: Path):
    """Nothing outside is written over."""
    (tmp_path / "other").write_text("kept")
    output.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match=r"symbolic link|Too many levels"):
        commands.begin(["true"], output)
    assert (tmp_path / "other").read_text() == "kept"
