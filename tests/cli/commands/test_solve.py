"""`maker solve` and `maker show --tree`: what a person and a script read of a solve."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import maker as package
from maker.decision.sample import Request
from maker.testing import FaultServer, ScriptedModel
from solve_model import NoisySolver

PROBLEM, ANSWER = "4608 * 42098765", str(4608 * 42098765)


@pytest.fixture
def maker(maker, monkeypatch):
    """Return the command line as a function; any model it names is the noisy solver."""
    monkeypatch.setattr(sys.modules["maker.api.opened"], "load_model", lambda spec: NoisySolver(0.1, 0.05))
    return maker


def test_solve_and_show_agree(maker, tmp_path):
    """solve, show and show --tree print one JSON object each, with the same answer, tree and counts."""
    path = tmp_path / "s.db"
    code, out, err = maker("solve", PROBLEM, "--model", "noisy", "--journal", path, "--json")
    solved = json.loads(out)
    assert (code, err) == (0, "")
    assert solved["solved"] is True and solved["answer"] == ANSWER == solved["tree"]["answer"]
    for options in ((), ("--tree",)):
        code, out, err = maker("show", path, *options, "--json")
        shown = json.loads(out)
        assert (code, err) == (0, "")
        for field in ("solved", "steps", "samples", "flagged", "answer", "chain", "state_digest", "stopped", "tree"):
            assert shown[field] == solved[field], field
        assert sum(counts.get("decisions", 0) for counts in shown["roles"].values()) == solved["steps"]


def test_a_person_sees_answer_and_tree(maker, tmp_path):
    """The summary has the answer and says how to see the tree; the tree has a line for each problem."""
    path = tmp_path / "s.db"
    code, out, _ = maker("solve", PROBLEM, "--model", "noisy", "--journal", path)
    assert code == 0 and f"answer: {ANSWER}" in out and f"maker show {path} --tree" in out and "(simulated)" in out
    _, out, _ = maker("show", path)
    assert "task: solve" in out and f"answer: {ANSWER}" in out and "decomposition judge: " in out
    _, out, _ = maker("show", path, "--tree")
    lines = out.splitlines()
    assert lines[0].startswith(f"1  {PROBLEM} = {ANSWER}  (compose: ")
    assert len(lines) == out.count(" samples)") >= 9
    assert lines[1].startswith("├─ 2  4608 * ") and any(line.startswith("└─ 3  4608 * ") for line in lines)
    assert any("(atomic; " in line for line in lines)


def test_a_stopped_solve_says_so_and_resumes(maker, tmp_path):
    """Stopped by a limit it leaves with 3, its tree shows what is open, and the same command finishes it."""
    path = tmp_path / "s.db"
    command = ["solve", PROBLEM, "--model", "noisy", "--journal", path]
    code, out, _ = maker(*command, "--max-calls", 12)
    assert code == 3 and "Raise max_calls and resume" in out and "answer: none" in out
    code, out, _ = maker("show", path, "--tree")
    assert code == 0 and out.startswith(f"1  {PROBLEM} = ...  (") and "not decomposed" in out
    assert json.loads(maker("show", path, "--json")[1])["stopped"] == "max_calls"
    assert maker(*command)[0] == 0


def test_a_tree_is_shown_of_a_solve_only(maker, tmp_path):
    """The journal of a run has no tree; that is a usage error in one line."""
    path = tmp_path / "r.db"
    package.run_sync("hanoi", model=package.load_model("oracle:p=0.99"), k=3, journal=path, limits={"max_steps": 3})
    code, _, err = maker("show", path, "--tree")
    assert code == 2 and "not of a solve: it has no tree" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["", "--model", "noisy"], "not empty"),
        (["1 * 1", "--model", "noisy", "--depth", "40"], "depth = 40"),
        (["1 * 1", "--model", "noisy", "--k", "0"], "k = 0"),
        (["1 * 1", "--model", "noisy", "--max-cost", "1"], "no prices"),
        (["1 * 1", "--model", "noisy", "--accept-change", "k"], "only a server's model"),
    ],
)
def test_bad_input_leaves_with_two(maker, args, message):
    """What cannot be meant is one message and exit code 2."""
    code, _, err = maker("solve", *args)
    assert code == 2 and message in err and "Traceback" not in err


def test_what_a_model_writes_cannot_drive_the_terminal(maker, monkeypatch, tmp_path):
    """Control characters and markup in problems and answers are shown escaped, line breaks as spaces."""

    def reply(request: Request) -> str:
        role = json.loads(request.prompt.splitlines()[-1])["role"]
        said: dict[str, Any] = {"split": None} if role == "decomposer" else {"answer": "\x1b[31mred\n[bold]x"}
        return json.dumps(said)

    monkeypatch.setattr(sys.modules["maker.api.opened"], "load_model", lambda spec: ScriptedModel(reply))
    path = tmp_path / "s.db"
    _, out, _ = maker("solve", "say \x1b[31mred", "--model", "m", "--journal", path)
    _, tree, _ = maker("show", path, "--tree")
    _, shown, _ = maker("show", path)
    assert "\x1b" not in out + tree + shown
    assert tree == "1  say \\x1b[31mred = \\x1b[31mred [bold]x  (atomic; 6 samples)\n"


def test_over_http_the_schema_goes_along_and_the_money_is_kept(maker, tmp_path):
    """Over HTTP each role's schema is sent, every draw has a seed of its own, and a cap on money holds."""
    path = tmp_path / "s.db"
    with FaultServer(lambda received: NoisySolver(0.1).reply(received.prompt, received.body["seed"])) as server:
        command = ["solve", PROBLEM, "--model", server.spec(), "--journal", path, "--prices", "1,2", "--json"]
        code, out, _ = maker(*command, "--max-cost", "0.008")
        stopped = json.loads(out)
        assert (code, stopped["stopped"]) == (3, "max_cost") and 0 < stopped["cost"] <= 0.008
        code, out, _ = maker(*command)
        solved = json.loads(out)
        assert (code, solved["answer"], solved["simulated"]) == (0, ANSWER, False)
        assert solved["cost"] > stopped["cost"] and solved["calls"] == len(server.requests)
        schemas = {
            json.dumps(received.body["response_format"]["json_schema"]["schema"]) for received in server.requests
        }
        assert len(schemas) == 3, "proposal, answer and choice"
        assert len({received.body["seed"] for received in server.requests}) == len(server.requests)
    assert json.loads(maker("show", path, "--json")[1])["answer"] == ANSWER
