"""`maker compare`: one table, one object, one figure, and an exit code."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maker.api.compare import Compared, Comparison
from maker.cli.app import app
from maker.cli.commands import compare
from maker.errors import TaskError
from maker.testing import FaultServer
from maker.testing.replies import Received

HANOI = ("hanoi", "--disks", "9", "--steps", "200")


def shell(*arguments: str) -> tuple[int, str]:
    """Run the command line in this process."""
    result = CliRunner().invoke(app, ["compare", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_cheapest_feasible_model_stands_first() -> None:
    """A row each with p, v, rho, k, tokens, cost and time; the one that was dropped says why; then the pairs."""
    code, out = shell(*HANOI, "--models", "oracle:p=0.6,oracle:p=0.97,v=0.9,oracle:p=0.3")
    rows = dict(line.split(": ", 1) for line in out.strip().splitlines())
    assert code == 3
    assert list(rows)[:3] == ["oracle:p=0.97,v=0.9", "oracle:p=0.6", "oracle:p=0.3"]
    best = rows["oracle:p=0.97,v=0.9"]
    assert best.startswith("feasible unless errors cluster: k = ")
    assert all(word in best for word in ("p = 0.9", "v = 0.", "rho = 0.", " samples", "tokens ", "cost ", "time "))
    assert rows["oracle:p=0.6"].startswith("DROPPED: 511 steps, p = 0.")
    assert "and its run would be dearer" in rows["oracle:p=0.6"]
    assert rows["oracle:p=0.3"].startswith(("DROPPED", "INFEASIBLE"))
    assert out.count("\npairs: ") == 3


def test_the_command_prints_one_object() -> None:
    """With --json the arms in order, each with its whole estimate, the pairs, and what stopped it."""
    code, out = shell(*HANOI, "--models", "oracle:p=0.9,oracle:p=0.95", "--max-calls", "200", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 3
    assert said["stopped"] == "max_calls"
    assert set(said["arms"]) == {"oracle:p=0.9", "oracle:p=0.95"}
    for arm in said["arms"].values():
        assert {"model", "design", "dropped", "why", "p", "p_low", "v", "rho", "k", "tokens", "cost_low"} <= set(arm)
    (pair,) = said["pairs"]
    assert pair["n"] >= 30
    assert 0 <= pair["chance"] <= 1


def summing(share: float) -> FaultServer:
    """Return a server that adds two numbers rightly, but for a share of the questions."""

    def reply(request: Received) -> str:
        one, other = map(int, re.findall(r"\d+", request.prompt)[-2:]) if "+" in request.prompt else (0, 0)
        errs = zlib.crc32(f"{request.prompt} {request.number}".encode()) / 2**32 < share
        return str(one + other + errs)

    return FaultServer(reply)


def test_models_at_three_addresses_stand_in_one_table() -> None:
    """Each is asked at its own server about the same states, and every two are paired."""
    number = "".join(str(digit * 7 % 10) for digit in range(1, 41))
    with summing(0.0) as one, summing(0.05) as two, summing(0.6) as three:
        specs = [server.spec(name) for server, name in ((one, "a"), (two, "b"), (three, "c"))]
        code, out = shell("addition", "--x", number, "--y", number, "--designs", "questions", "--steps", "40",
                          "--models", ",".join(specs), "--json")  # fmt: skip
    said = json.loads(out)
    assert code == said["exit_code"] and sorted(arm["model"] for arm in said["arms"].values()) == sorted(specs)
    assert len(said["pairs"]) == 3 and all(pair["n"] > 0 for pair in said["pairs"])
    p = {arm["model"]: arm.get("p", 0.0) for arm in said["arms"].values()}
    assert p[specs[0]] > p[specs[1]] > p[specs[2]]
    assert all(len(server.requests) > 30 for server in (one, two, three))


def test_what_was_dropped_before_much_was_seen_is_not_called_infeasible() -> None:
    """Fewer than 30 votes make no estimate; that it was left for another is all that is known of it."""
    reason = "dropped after 29 pairs: wrong alone in 19, b alone in 0, and its run would be dearer"
    found = Comparison([Compared("a", "a", "", None, dropped=True, reason=reason)], [], None)
    assert compare.compared_rows(found) == [("a", f"DROPPED: {reason}")]


def test_designs_of_each_model_are_arms() -> None:
    """Models times designs; parameters go to the task."""
    options = ["--x", "9" * 60, "--y", "1", "--steps", "60", "--designs", "lines,questions"]
    _, out = shell("addition", *options, "--models", "oracle:p=0.9,oracle:p=0.99", "--json")
    assert set(json.loads(out)["arms"]) == {
        f"oracle:p={p} {design}" for p in ("0.9", "0.99") for design in ("lines", "questions")
    }  # fmt: skip


def test_a_figure_is_drawn(tmp_path: Path) -> None:
    """A PNG file with a mark for each arm; where it cannot be written it is said."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "models.png"
    assert shell(*HANOI, "--models", "oracle:p=0.9,oracle:p=0.3", "--figure", str(path))[0] == 3
    assert path.read_bytes().startswith(b"\x89PNG")
    told = CliRunner().invoke(app, ["compare", *HANOI, "--models", "oracle:p=0.9", "--figure", str(tmp_path)])
    assert isinstance(told.exception, TaskError)
    assert "Give another file" in str(told.exception)
    assert told.stdout.startswith("oracle:p=0.9: feasible")  # what was paid for is not lost


def test_a_figure_without_matplotlib_is_refused_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to install, and asks no model."""
    monkeypatch.setattr(compare, "can_draw", lambda: False)
    with pytest.raises(TaskError, match="matplotlib is missing"):
        shell(*HANOI, "--models", "no such model", "--figure", "x.png")


def test_an_interrupt_says_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after some looks, the table says so in its last row."""
    real = compare.compare_sync

    def stopping(*task: Any, **settings: Any) -> Any:
        seen: list[int] = []
        settings["progress"] = lambda count, _: seen.append(count)
        return real(*task, **{**settings, "interrupted": lambda: len(seen) >= 2})

    monkeypatch.setattr(compare, "compare_sync", stopping)
    _, out = shell(*HANOI, "--models", "oracle:p=0.9,oracle:p=0.95")
    assert out.strip().splitlines()[-1] == "stopped: by interrupted: this is what is known so far"
