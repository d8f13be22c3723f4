"""A key is seen by the server that it belongs to, and by nothing and nobody else: the whole way, at debug level."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.errors import MakerError
from maker.models.openai.http import gate as gate_module
from maker.review.report.page import write_report
from maker.sending import dispatcher as settle
from maker.testing import FaultServer, Reply, error

CANARY = "sk-canary-c0ffee-5f1e77aa"
TASK = maker.load_task("hanoi", disks=2)
RIGHT = {TASK.prompt(TASK.state_at(i), i): TASK.render(TASK.truth(TASK.state_at(i), i)) for i in range(TASK.steps)}

Answer = Callable[[Any, str], Any]

# What a server could do with the key: `received` holds it, `key` is it.
CLASSES: dict[str, Answer] = {
    "a good reply": lambda received, key: RIGHT[received.prompt],
    "a body that is the key": lambda received, key: Reply(f"move = {key}"),
    "fields that are the key": lambda received, key: Reply(
        RIGHT[received.prompt], fields={"id": key, "system_fingerprint": key}, finish=key
    ),
    "another model": lambda received, key: Reply("x", fields={"model": key}),
    "a redirect": lambda received, key: Reply(body=b"", status=307, headers={"Location": f"http://{key}.example/{key}"}),
    "401": lambda received, key: error(401, f"Incorrect API key provided: {key}", code=key, headers={"X-Key": key}),
    "429": lambda received, key: error(429, key, headers={"Retry-After": key}),
    "500 with all headers": lambda received, key: error(500, json.dumps(dict(received.headers))),
    "400 with all headers": lambda received, key: error(400, json.dumps(dict(received.headers))),
    "an error in a good reply": lambda received, key: Reply(fields={"error": {"message": key, "code": key}}),
    "HTML": lambda received, key: Reply(body=f"<html>{key}".encode(), headers={"Content-Type": f"text/html; {key}"}),
    "no JSON": lambda received, key: Reply(body=key.encode()),
    "a broken encoding": lambda received, key: Reply(body=b"x", headers={"Content-Encoding": key}),
    "a huge header": lambda received, key: Reply(headers={"X-Huge": key * 1000}),
    "a hang": lambda received, key: Reply(hang=True),
    "a drip": lambda received, key: Reply(key, drip=0.2),
    "a cut": lambda received, key: Reply(key, cut=150),
    "a reset": lambda received, key: Reply(reset=True),
}  # fmt: skip


REPORTED = {"fields that are the key", "500 with all headers"}  # a report takes long to draw


def script(answer: Answer) -> Callable[[Any], Any]:
    """Return a server's script that has the key from the request."""
    return lambda received: answer(received, received.headers["Authorization"].removeprefix("Bearer "))


def traces(folder: Path) -> list[str]:
    """Return what files hold."""
    return [file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file()]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts short, and set the key."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(gate_module, "FIRST_WINDOW", 0.001)
    monkeypatch.setattr(gate_module, "LONGEST_WINDOW", 0.02)
    monkeypatch.setenv("MAKER_API_KEY", CANARY)


@pytest.mark.parametrize("row", CLASSES)
def test_the_key_is_nowhere(row: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In no log, journal, result, exception, traceback or report of a run, however the server throws it back."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with FaultServer(script(CLASSES[row])) as server:
        model = maker.load_model(server.spec("m"), timeout=0.4)
        try:
            result = maker.run_sync(TASK, model=model, k=2, journal=tmp_path / "run.db", segments=1,
                                    limits={"max_calls": 8, "max_flags": 6})  # fmt: skip
            seen += [repr(result), json.dumps(result.as_json())]
        except MakerError as problem:
            seen += [repr(problem), "".join(traceback.format_exception(problem))]
        seen += [repr(model), str(vars(model)), model.name]
        assert server.requests, "the server was never asked"
        assert all(CANARY in received.headers["Authorization"] for received in server.requests)
    if row in REPORTED:
        write_report(tmp_path / "run.db", tmp_path / "report.html")
    seen += [f"{record.getMessage()} {record.args} {record.exc_info}" for record in caplog.records]
    seen += traces(tmp_path)
    assert any("model.reply" in line for line in seen), "debug records were on"
    assert not [line[:200] for line in seen if CANARY in line or CANARY[:14] in line]


@pytest.mark.parametrize(
    ("answer", "code"), [("a good reply", 0), ("401", 5), ("500 with all headers", 3), ("HTML", 5)]
)
def test_the_key_is_not_on_the_command_line(answer: str, code: int, tmp_path: Path) -> None:
    """The process list, both outputs, at debug level, and all files of `maker run` are free of it."""
    lists: list[str] = []
    child: subprocess.Popen[str] | None = None

    def look(received: Any, key: str) -> Any:
        if child is not None and not lists:
            lists.append(Path(f"/proc/{child.pid}/cmdline").read_text())
        return CLASSES[answer](received, key)

    start = "import logging, sys; logging.basicConfig(level=logging.DEBUG); import maker.cli; maker.cli.main()"
    with FaultServer(script(look)) as server:
        command = [sys.executable, "-c", start, "run", "hanoi", "--disks", "2", "--k", "2", "--model", server.spec("m"),
                   "--journal", str(tmp_path / "run.db"), "--max-calls", "6", "--json"]  # fmt: skip
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        out, err = child.communicate(timeout=100)
    assert child.returncode == code, err
    assert "model.reply" in err
    assert lists or not Path("/proc/self/cmdline").exists()
    assert not [line[:200] for line in [out, err, *lists, *traces(tmp_path)] if CANARY in line or CANARY[:14] in line]
