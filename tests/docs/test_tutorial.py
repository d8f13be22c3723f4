"""The tutorial: its files and commands do what the page shows, against the server that it brings along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from followed import DOCS, Reader, commands_of, files_of, tutorial_reply
from maker.testing import FaultServer

PAGE = (DOCS / "tutorial.md").read_text()
COMMANDS = commands_of(PAGE)
INTERRUPTED_AT = 300  # requests
NEEDS = {"frame.py": "pandas"}


class Interrupter:
    """The page's server, which presses Ctrl-C for whoever is to be interrupted."""

    def __init__(self) -> None:
        self.reply = tutorial_reply()
        self.victim: subprocess.Popen[str] | None = None
        self.asked = 0

    def __call__(self, received: Any) -> Any:
        """Reply as the page's server does."""
        self.asked += 1
        if self.victim is not None and self.asked == INTERRUPTED_AT:
            self.victim.send_signal(signal.SIGINT)
        return self.reply(received)

    def interrupted(self, script: str) -> tuple[int, str]:
        """Run a script of its own process until Ctrl-C; return its code and what it said."""
        self.asked = 0
        self.victim = subprocess.Popen(
            [sys.executable, script], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(DOCS.parent / "src")},
        )  # fmt: skip
        _, said = self.victim.communicate(timeout=100)
        code, self.victim = self.victim.returncode, None
        return code, said


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Reader, Interrupter]]:
    """Follow the page in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    replying = Interrupter()
    with FaultServer(replying, models=["small"]) as server:
        yield Reader(PAGE, server), replying
    sys.modules.pop("tickets", None)


@pytest.mark.timeout(600)  # a dozen commands
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="loops of the main thread")
def test_every_command_does_what_the_page_shows(followed: tuple[Reader, Interrupter]):
    """In the page's order, with one Ctrl-C before the resume, each command prints the lines shown under it."""
    reader, replying = followed
    for command, shown in COMMANDS:
        name = command.split()[-1]
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        if name == "run.py":
            code, said = replying.interrupted(name)
            assert (code, said.splitlines()[-1:]) == (1, ["interrupted: run it again"])
        assert reader.missing(command, shown) == []


def test_every_file_is_used():
    """Each file is run, imported, or started as the server."""
    used = " ".join(command for command, _ in COMMANDS) + " tickets.py"
    assert {name for name in files_of(PAGE) if name not in used} == {"server.py"}
    assert "python server.py" in PAGE
