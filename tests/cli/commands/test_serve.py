"""`maker serve`: it says where it serves, answers, and leaves with 0 when it is told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest

from maker.testing import FaultServer

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals, tmp_path):
    """One line with the address, votes as it was told, a journal, and a clean end."""
    told = {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}}
    with FaultServer(lambda _: '{"a": 1}') as server:
        command = [sys.executable, "-m", "maker", "serve", "--model", server.spec("m"), "--k", "2", "--port", "0",
                   "--journal", str(tmp_path / "asked")]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                line = child.stdout.readline()
                address = next(word.rstrip(",") for word in line.split() if "://" in word)
                reply = urlopen(Request(f"{address}/chat/completions", json.dumps(told).encode()))
                assert json.loads(reply.read())["maker"]["margin"] == 2
                child.send_signal(number)
                assert (child.wait(30), child.stderr.read()) == (0, "")
            finally:
                child.kill()
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [(["--host", "0.0.0.0"], "--auth-key"), (["--max-cost", "1"], "prices"), (["--journal", "/no/where"], "/no/where"),
     (["--k", "0"], "--k"), (["--max-cost-per-key", "1"], "--auth-key"),
     (["--weights", "calibrated"], "calibrated: a calibration is part of a run"),
     (["--max-cost-per-key", "1", "--auth-key", "a"], "prices"), (["--extra", "x"], "--extra")],
)  # fmt: skip
def test_bad_input_is_told_in_a_line(maker: Call, args: list[str], said: str):
    """Before anything is served."""
    code, out, err = maker("serve", "--model", "http://127.0.0.1:9/v1#m", *args)
    assert (code in (2, 6), out) == (True, "") and said in err and "Traceback" not in err


def test_a_missing_extra_is_named(maker: Call, monkeypatch: pytest.MonkeyPatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("maker.serving")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = maker("serve", "--model", "http://127.0.0.1:9/v1#m")
    assert code == 2 and "pip install 'maker[serve]'" in err


def test_a_key_comes_from_the_environment(maker: Call):
    """So that no list of processes shows it."""
    assert "MAKER_AUTH_KEY" in maker("serve", "--help")[1] and "MAKER_AUTH_KEY" not in os.environ
