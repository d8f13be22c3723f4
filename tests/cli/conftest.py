"""The command line as a function, for tests of what it says."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from maker.cli import app


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `maker` in this process and gives exit code, stdout and stderr."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maker", *map(str, args)])
        with pytest.raises(SystemExit) as leave:
            app.main()
        out, err = capsys.readouterr()
        return int(leave.value.code or 0), out, err

    return call
