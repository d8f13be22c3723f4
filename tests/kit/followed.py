"""A reader who does what a page of the docs says: its files in an empty folder, its commands in its order.

A page's files are Python blocks with a title, its commands console blocks of one `$` line each, with lines that the
command prints; `...` stands for lines left out. Where the page names the tutorial's server, a server of the test
replies as that does, on a port of its own.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from batching import BatchServer
from maker.cli.app import app
from maker.errors import MakerError
from maker.testing import FaultServer

DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = "http://127.0.0.1:8080/v1"  # where the tutorial's server is


def files_of(page: str) -> dict[str, str]:
    """Return the files that a page has one write."""
    return dict(re.findall(r'```python title="([\w.]+)"\n(.*?)```', page, re.DOTALL))


def commands_of(page: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a page, each with the lines that it shows."""
    found = re.findall(r"```console\n\$ (.*)\n((?:.*\n)*?)```", page)
    return [(command, shown.splitlines()) for command, shown in found]


def tutorial_reply() -> Callable[[Any], Any]:
    """Return how the tutorial's server replies."""
    code: dict[str, Any] = {"__name__": "server"}
    exec(files_of((DOCS / "tutorial.md").read_text())["server.py"], code)
    return code["reply"]  # type: ignore[no-any-return]


class Reader:
    """Whoever follows a page, in the working folder."""

    def __init__(self, page: str, server: FaultServer | BatchServer) -> None:
        self._server = server
        for name, code in files_of(page).items():
            Path(name).write_text(code.replace(WRITTEN, server.url))

    def says(self, command: str) -> list[str]:
        """Return the lines that a command prints, in this process. A command of maker may leave with any code."""
        words = shlex.split(command.replace(WRITTEN, self._server.url))
        if words[0] == "maker":
            done = CliRunner().invoke(app, words[1:], env={"COLUMNS": "200"})
            said = done.output
            if isinstance(done.exception, MakerError):
                said += f"maker: {done.exception}\n"
            else:
                assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        else:
            assert words[0] == "python", command
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                runpy.run_path(words[1], run_name="__main__")
            said = out.getvalue()
        return [line.rstrip() for line in said.replace(self._server.url, WRITTEN).splitlines()]

    def missing(self, command: str, shown: list[str]) -> list[str]:
        """Return what of the shown lines the command does not print, and all that it prints where that is any."""
        said = self.says(command)
        missing = [line for line in shown if line != "..." and line.rstrip() not in said]
        return [*missing, "-- it says:", *said] if missing else []
