"""`maker init`: what it writes runs and passes its test, and nothing is written over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maker.cli import app as cli


def init(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> int:
    """Run `maker init NAME` in a folder and return its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["maker", "init", name])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    return int(leave.value.code or 0)


def run(folder: Path, *args: str) -> str:
    """Run a Python module in a folder and return what it prints."""
    done = subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_it_writes_works_by_the_commands_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder the test passes and the task runs, each by the command that is printed."""
    assert init(monkeypatch, tmp_path, "my-words") == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_words.py", "test_my_words.py"]
    assert "2 passed" in run(tmp_path, *said["test"].split()[2:], "-p", "no:cacheprovider")
    assert "answer: khoor zruog" in run(tmp_path, *said["run"].split())
    task = (tmp_path / "my_words.py").read_text()
    assert "class MyWords:" in task and "template" not in task and "Shift" not in task


@pytest.mark.parametrize("there", ["words.py", "test_words.py"])
def test_nothing_is_written_over(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where one of the files is there, both are left alone."""
    (tmp_path / there).write_text("mine")
    assert init(monkeypatch, tmp_path, "words") == 2
    assert f"{there} is there already" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["../x", "Words", "2x", "class", "json", "maker", "a b", "", "a/b"])
def test_names_that_cannot_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is no module's, or another module's, is refused before anything is written."""
    assert init(monkeypatch, tmp_path, name) == 2
    assert "init: " in capsys.readouterr().err and list(tmp_path.iterdir()) == []
