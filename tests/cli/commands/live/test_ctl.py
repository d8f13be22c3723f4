"""`maker ctl`: orders read from the command line, sent to a run, and its answer shown."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.cli import app as cli
from maker.cli.commands.live.ctl import read_order
from maker.engine.steering.address import tell
from maker.errors import JournalError, TaskError
from maker.testing import ScriptedModel
from scratch import scratch


@pytest.mark.parametrize(
    ("order", "told", "sent"),
    [
        ("status", [], {"order": "status"}),
        ("set", ["max-cost=2.5", "concurrency=8"], {"order": "set", "limits": {"max_cost": 2.5, "concurrency": 8}}),
        ("set", ["--max-calls=none"], {"order": "set", "limits": {"max_calls": None}}),
        ("set", ["max-cost=lots"], {"order": "set", "limits": {"max_cost": "lots"}}),
        ("extend", ["100"], {"order": "extend", "steps": 100}),
    ],
)
def test_an_order_is_read(order: str, told: list[str], sent: dict[str, Any]) -> None:
    """What is typed becomes what is sent."""
    assert read_order(order, told) == sent


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("set", ["max-cost"]),
        ("set", ["=3"]),
        ("extend", []),
        ("extend", ["-3"]),
        ("extend", ["1", "2"]),
        ("stop", ["it"]),
    ],
)
def test_an_order_that_cannot_be_read_is_refused(order: str, told: list[str]) -> None:
    """Each of them says what to give instead, and nothing is sent."""
    with pytest.raises(TaskError, match=f"ctl {order}"):
        read_order(order, told)


@pytest.fixture
def asking() -> Iterator[Path]:
    """Offer the journal of a run that asks at a limit, and stop it in the end."""
    with scratch() as folder:
        journal = folder / "run.db"
        model, limits = ScriptedModel(["yes"], lockstep=False), {"max_calls": 2, "on_limit": "pause"}
        run = threading.Thread(
            target=lambda: maker.map_sync("{item}?", range(3), model=model, k=2, journal=journal, limits=limits)
        )
        run.start()
        while _state(journal) != "asking":
            assert run.is_alive()
        yield journal
        with suppress(JournalError):
            tell(journal, {"order": "stop"})
        run.join()


def _state(journal: Path) -> str:
    with suppress(JournalError):
        return str(tell(journal, {"order": "status"})["state"])
    return ""


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["maker", "ctl", *map(str, args)])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    said = capsys.readouterr()
    return int(leave.value.code or 0), said.out, said.err


def test_a_run_is_asked_and_told(
    asking: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One screen says how it stands and what it asks; an order that it takes leaves with 0, as JSON too."""
    code, said, _ = call(monkeypatch, capsys, asking)
    assert code == 0
    assert "state: asking: max_calls is met" in said
    assert " of 3 (0 from the journal)" in said
    code, said, _ = call(monkeypatch, capsys, asking, "set", "max-calls=3", "--json")
    assert (code, json.loads(said)["limits"]["max_calls"]) == (0, 3)


def test_what_it_refuses_is_said(
    asking: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal leaves with 2 and one line that names what was refused."""
    code, _, complaint = call(monkeypatch, capsys, asking, "set", "k=5")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "k changes decisions" in complaint


def test_no_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing runs, it leaves with 6 and says so."""
    assert call(monkeypatch, capsys, tmp_path / "none.db")[0] == 6
