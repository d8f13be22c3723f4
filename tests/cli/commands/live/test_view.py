"""`maker view`: a page on loopback, at an address with a token."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from maker.cli import app as cli


def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No journal and no folder of that name: one line, and exit code 6."""
    monkeypatch.setattr(sys, "argv", ["maker", "view", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    assert leave.value.code == 6
    assert "no such journal or folder" in capsys.readouterr().err


def test_it_says_where_and_stops_when_told(tmp_path: Path) -> None:
    """The address that is printed is answered, another token is not, and an interrupt ends it with 0."""
    view = subprocess.Popen(
        [sys.executable, "-m", "maker", "view", str(tmp_path), "--port", "0"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert view.stdout is not None
        found = re.search(r"see (http://127\.0\.0\.1:\d+/)#token=(\S+) ", view.stdout.readline())
        assert found is not None
        address, token = found.groups()
        with urllib.request.urlopen(f"{address}runs?token={token}") as answer:
            assert answer.read() == b'{"runs": []}'
        view.send_signal(signal.SIGINT)
        assert view.wait(20) == 0
    finally:
        view.kill()
        view.stdout.close()
