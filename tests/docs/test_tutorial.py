"""The tutorial: its files and commands do what the page shows, against the server that it brings along."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maker.cli.app import app
from maker.testing import FaultServer

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
WRITTEN = "http://127.0.0.1:8080/v1"  # where the page's server is
FILES = dict(re.findall(r'```python title="([\w.]+)"\n(.*?)```', PAGE, re.DOTALL))
COMMANDS = re.findall(r"```console\n\$ (.*)\n((?:.*\n)*?)```", PAGE)
INTERRUPTED_AT = 300  # requests
NEEDS = {"frame.py": "pandas"}


class Tutorial:
    """A reader who does what the page says, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        for name, code in FILES.items():
            (folder / name).write_text(code)
        self.reply = runpy.run_path(str(folder / "server.py"))["reply"]
        self.victim: subprocess.Popen[str] | None = None
        self.asked = 0
        self.server = FaultServer(self.replied, models=["small"])

    def replied(self, received: Any) -> str:
        """Reply as the page's server does; press Ctrl-C for whoever is to be interrupted."""
        self.asked += 1
        if self.victim is not None and self.asked == INTERRUPTED_AT:
            self.victim.send_signal(signal.SIGINT)
        return str(self.reply(received))

    def move(self) -> None:
        """Let the files name the port that the server has."""
        for name, code in FILES.items():
            Path(name).write_text(code.replace(WRITTEN, self.server.url))

    def says(self, command: str) -> str:
        """Return what a command prints, in this process."""
        words = shlex.split(command.replace(WRITTEN, self.server.url))
        if words[0] == "maker":
            said = CliRunner().invoke(app, words[1:], env={"COLUMNS": "200"})
            assert said.exit_code == 0, said.output
            return said.output.replace(self.server.url, WRITTEN)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            runpy.run_path(words[1], run_name="__main__")
        return out.getvalue()

    def interrupted(self, script: str) -> tuple[int, str]:
        """Run a script of its own process until Ctrl-C; return its code and what it said."""
        self.asked = 0
        source = str(Path(__file__).parents[2] / "src")
        self.victim = subprocess.Popen(
            [sys.executable, script], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}
        )
        _, said = self.victim.communicate(timeout=100)
        code, self.victim = self.victim.returncode, None
        return code, said


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tutorial]:
    """Follow the page in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    reader = Tutorial(tmp_path)
    with reader.server:
        reader.move()
        yield reader
    sys.modules.pop("tickets", None)


@pytest.mark.timeout(600)  # a dozen commands
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="loops of the main thread")
def test_every_command_does_what_the_page_shows(tutorial: Tutorial):
    """In the page's order, with one Ctrl-C before the resume, each command prints the lines shown under it."""
    assert [command for command, _ in COMMANDS if not command.startswith(("python ", "maker "))] == []
    for command, shown in COMMANDS:
        name = command.split()[-1]
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        if name == "run.py":
            code, said = tutorial.interrupted(name)
            assert (code, said.splitlines()[-1:]) == (1, ["interrupted: run it again"])
        told = [line.rstrip() for line in tutorial.says(command).splitlines()]
        assert [line for line in shown.splitlines() if line != "..." and line.rstrip() not in told] == [], told


def test_every_file_is_used():
    """Each file is run, imported, or started as the server."""
    used = " ".join(command for command, _ in COMMANDS) + " tickets.py"
    assert {name for name in FILES if name not in used} == {"server.py"}
    assert "python server.py" in PAGE
