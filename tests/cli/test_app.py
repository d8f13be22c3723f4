"""The command line: what a newcomer types, what scripts read, and what each failure leaves."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from maker.cli import options
from maker.cli.commands import lists
from maker.task.load import load_task
from maker.testing import FaultServer

MAKER = [sys.executable, "-m", "maker"]
TASK = load_task("hanoi", disks=3)
RIGHT = {TASK.prompt(TASK.state_at(i), i): TASK.render(TASK.truth(TASK.state_at(i), i)) for i in range(7)}


def test_the_same_command_resumes(maker, tmp_path):
    """A run stopped by a limit leaves with 3 and says what to do; raised, the same command finishes it."""
    command = ["run", "hanoi", "--disks", 6, "--model", "oracle:p=0.99", "--k", 3, "--journal", tmp_path / "a.db"]
    code, out, _ = maker(*command, "--max-steps", 20)
    assert code == 3 and "max_steps" in out and "Raise max_steps and resume" in out
    code, out, _ = maker(*command, "--json")
    assert code == 0 and json.loads(out)["replayed"] == 20
    undisturbed = json.loads(maker(*command[:-1], tmp_path / "b.db", "--json")[1])
    assert json.loads(out)["chain"] == undisturbed["chain"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "nope", "--model", "oracle:p=0.9"], 2, "Built in: addition, blocks, checkers"),
        (["run", "hanoi", "--diks", "3", "--model", "oracle:p=0.9"], 2, "no parameter 'diks'"),
        (["run", "hanoi", "--disks", "many", "--model", "oracle:p=0.9"], 2, "disks = 'many'"),
        (["run", "hanoi", "--disks", "65", "--model", "oracle:p=0.9"], 2, "1 to 64"),
        (["run", "hanoi", "--disks"], 2, "Missing option '--model'"),
        (["run", "hanoi", "--model", "oracle:p=1.5"], 2, "from 0 to 1"),
        (["run", "hanoi", "--model", "oracle:q=1"], 2, "no parameter 'q'"),
        (["run", "hanoi", "--model", "gpt"], 2, "there is no model 'gpt'"),
        (["run", "hanoi", "--model", "oracle:p=0.9", "--k", "some"], 2, "a whole number, auto or table"),
        (["run", "hanoi", "--model", "oracle:p=0.9", "--k", "0"], 2, "k = 0"),
        (["run", "hanoi", "--model", "oracle:p=0.9", "--target", "1.5"], 2, "target"),
        (["run", "hanoi", "--model", "oracle:p=0.45"], 2, "no k helps"),
        (["run", "hanoi", "--model", "oracle:p=0.9", "--journal", "/nowhere/at/all/run.db"], 6, "folder"),
        (["run", "hanoi", "--disks", "4", "--model", "oracle:v=0", "--k", "2"], 4, "undecided"),
        (["run", "hanoi", "--disks", "4", "--model", "oracle:p=0", "--k", "1", "--segments", "1"], 1, "NOT solved"),
        (["run", "hanoi", "--disks", "4", "--model", "oracle:p=0", "--k", "1", "--segments", "4"], 1, "join_mismatch"),
        (["show", "/nowhere.db"], 6, "no such journal"),
        (["verify", "/nowhere.db"], 6, "no such journal"),
        (["frobnicate"], 2, "No such command"),
    ],
)  # fmt: skip
def test_every_mistake_has_one_message_and_its_exit_code(maker, args, code, words):
    """A mistake gives one clear message, the documented exit code, and never a traceback."""
    left, out, err = maker(*args)
    assert left == code
    assert words in out + err
    assert "Traceback" not in out + err


ASKING = [["run", "hanoi", "--k", "2"], ["estimate", "hanoi"], ["solve", "2 * 3?"]]
RUN = ["run", "hanoi", "--model", "oracle", "--k", "2"]
NO_MODEL = ["gpt-17", "", "oracle:q=1", "oracle:p", "neural:x=1"]
ODD = [
    *([*command, "--model", spec] for command in ASKING for spec in NO_MODEL),
    *([command, "nope", "--model", "oracle"] for command in ("run", "estimate")),
    *([*command, "--model", "oracle", "--temperature", "hot"] for command in ASKING),
    ["run", "nowhere.py:Task", "--model", "oracle"], [*RUN, "--journal", ""], [*RUN, "--accept-change", "colour"],
    [*RUN, "--ladder", "another-model=nope"], [*RUN, "--system", "@nowhere.txt"], [*RUN, "--max-calls", "0"],
    ["demo", "--disks", "0"], ["verify", "JOURNAL", "--task", "nope"], ["verify", "JOURNAL", "--expect", "zz"],
    ["revote", "JOURNAL", "--task", "nope"], ["revote", "JOURNAL", "--rule", "most"], ["revote", "JOURNAL", "--k", "x"],
    ["export", "JOURNAL", "-o", "table.pdf"], ["export", "JOURNAL", "-o", "table.csv", "--what", "odd"],
    ["report", "JOURNAL", "--odd"], ["show", "JOURNAL", "--odd"], ["repair", "JOURNAL", "--odd"],
    ["experiment", "nope"], ["tasks", "--odd"], ["models", "--odd"], [],
]  # fmt: skip


@pytest.mark.parametrize("args", ODD, ids=" ".join)
def test_bad_input_leaves_with_2(maker, tmp_path, monkeypatch, args):
    """Every command refuses what it cannot mean with one message and exit code 2, an unknown model or task included."""
    monkeypatch.chdir(tmp_path)
    if "JOURNAL" in args:
        maker("run", "hanoi", "--disks", "2", "--model", "oracle:p=1", "--k", "1", "--journal", "JOURNAL")
    code, out, err = maker(*args)
    assert code == 2, err
    assert (err.count("\n") == 1 and err.startswith("maker: ")) or not args
    assert "Traceback" not in out + err


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
def test_a_model_that_cannot_be_used_leaves_with_5(maker, monkeypatch, command):
    """A server that nobody reaches, or a key that is missing, is not the input's fault: one message, exit code 5."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("maker.models.openai.client.GRACE", 0.0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}/v1#m"
        for spec, words in ((gone, "cannot be reached"), ("openai:m", "set OPENAI_API_KEY")):
            code, out, err = maker(*command, "--model", spec)
            assert (code, out, err.count("\n")) == (5, "", 1)
            assert words in err


def test_errors_are_json_too(maker):
    """With --json a failure is one JSON object as well."""
    code, out, err = maker("run", "nope", "--model", "oracle:p=0.9", "--json")
    said = json.loads(out)
    assert said["solved"] is False and said["exit_code"] == code == 2 and said["error"] in err


def test_demo_is_verified_and_can_be_shown_again(maker, tmp_path):
    """The demo ends with the independent check, and a second call shows the finished run again."""
    for replayed in (0, 1023):
        code, out, _ = maker("demo", "--disks", 10, "--journal", tmp_path / "demo.db", "--json")
        said = json.loads(out)
        assert code == 0 and said["wrong"] == 0 and said["replayed"] == replayed
        assert "independent checker" in said["checked"]


def test_no_bar_and_no_colour_in_a_pipe(tmp_path):
    """In a pipe the output is plain text: no escape codes, nothing on stderr."""
    done = subprocess.run([*MAKER, "run", "hanoi", "--disks", "4", "--model", "oracle:p=0.99", "--k", "2"],
                          capture_output=True, text=True, cwd=tmp_path, check=True)  # fmt: skip
    assert done.stderr == "" and "\x1b" not in done.stdout and "result: solved" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_cleanly_and_the_run_can_be_resumed(number, tmp_path):
    """SIGINT, SIGTERM or SIGHUP drains the wave, leaves with 3, and a resume reaches the undisturbed end."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("it is ignored here, as under nohup, and stays so")
    command = [*MAKER, "run", "hanoi", "--disks", "13", "--model", "oracle:p=0.99", "--k", "3", "--json"]
    path = tmp_path / "run.db"
    child = subprocess.Popen([*command, "--journal", str(path)], stdout=subprocess.PIPE, text=True)
    wal = path.with_name("run.db-wal")
    while not wal.exists() or wal.stat().st_size < 100_000:
        assert child.poll() is None, "the run was over before it could be interrupted"
        os.sched_yield()
    child.send_signal(number)
    said = json.loads(child.communicate(timeout=30)[0])
    assert child.returncode == 3 and said["stopped"] == "interrupted" and 0 < said["steps"] < 8191
    resumed = json.loads(subprocess.run([*command, "--journal", str(path)], capture_output=True, check=True).stdout)
    undisturbed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert resumed["chain"] == undisturbed["chain"] and resumed["replayed"] >= said["steps"]


def held(command: list[object], *, signals: int, answered: int) -> tuple[int, list[str], str]:
    """Run a command against a server that hangs after some replies, send it signals, and return what it leaves."""
    asked, go_on = threading.Semaphore(0), threading.Event()
    count = itertools.count(1)

    def reply(request: Any) -> str:
        number = next(count)
        asked.release()
        if number > answered:
            go_on.wait(30)
        return RIGHT.get(request.prompt, "7")

    with FaultServer(reply) as server:
        options = ["--model", server.spec("m"), "--prices", "1,2", "--concurrency", "1"]
        child = subprocess.Popen([*MAKER, *map(str, [*command, *options])], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)  # fmt: skip
        for _ in range(answered + 1):
            assert asked.acquire(timeout=30)
        for _ in range(signals):
            child.send_signal(signal.SIGINT)
            threading.Event().wait(0.1)  # two signals at once are one
        if signals == 1 and command[0] == "run":
            go_on.set()
        out, err = child.communicate(timeout=30)
        go_on.set()
    return child.returncode, out.splitlines(), err


@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupted_run_says_three_lines(signals, maker, tmp_path):
    """Drained at the first Ctrl-C or ended at the second: what is done, what it cost, how to resume; it can be."""
    path = tmp_path / "run.db"
    code, lines, err = held(["run", "hanoi", "--disks", 3, "--k", 2, "--journal", path], signals=signals, answered=4)
    assert (code, err, [line.split(":")[0] for line in lines]) == (3, "", ["done", "cost", "resume"])
    assert lines[0].startswith("done: ") and " of 7 steps" in lines[0]
    if signals == 1:  # the second may come before anything was shown
        assert lines[1].startswith("cost: $0.0") and lines[1].endswith(" tokens at most")
    assert lines[2] == f"resume: run the same command: all that is done is in {path}"
    stopped = json.loads(maker("show", path, "--json")[1])["stopped"]
    assert stopped == ("interrupted" if signals == 1 else "running or killed")


@pytest.mark.parametrize("command", [["estimate", "hanoi", "--disks", 3], ["solve", "What is 3 + 4?"]])
def test_an_interrupted_command_without_a_journal_says_three_lines(command):
    """With calls still out an estimate and a solve end at the second Ctrl-C: in three lines, without a traceback."""
    code, lines, err = held(command, signals=2, answered=0)
    assert (code, err, [line.split(":")[0] for line in lines]) == (3, "", ["done", "cost", "resume"])
    assert "nothing is kept without a journal" in lines[2]


def test_an_interrupted_look_at_a_journal_is_no_traceback(maker, monkeypatch):
    """Ctrl-C in any other command is one line and exit code 3."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lists, "builtin_tasks", interrupted)
    code, out, err = maker("tasks")
    assert (code, out.strip(), err) == (3, "", "maker: interrupted. Run the same command again.\n")


def test_a_hangup_that_is_ignored_stays_ignored(monkeypatch):
    """Under nohup a run goes on when its terminal is closed; elsewhere it is stopped cleanly."""
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler, stops in ((signal.SIG_IGN, False), (signal.SIG_DFL, True)):
            signal.signal(signal.SIGHUP, handler)
            with options._interrupts(1, lambda: None) as interrupted:
                signal.raise_signal(signal.SIGHUP)
                assert interrupted() is stops
            assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    """A closed stdout ends the command quietly."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*MAKER, "tasks"], stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr


def test_a_users_task_runs_and_its_bug_is_named(maker, tmp_path):
    """path/to/file.py:Class runs; when its code raises, the message names step and method and the code is 2."""
    example = Path(__file__).parents[2] / "examples" / "own_task.py"
    code, out, _ = maker("run", f"{example}:Total", "--numbers", "3,1,4", "--model", "oracle:p=0.9", "--k", 3, "--json",
                         "--journal", tmp_path / "t.db")  # fmt: skip
    assert code == 0 and json.loads(out)["answer"] == "8"
    assert maker("verify", tmp_path / "t.db")[0] == 2  # its code is never loaded because a journal says so
    assert maker("verify", tmp_path / "t.db", "--task", f"{example}:Total", "--numbers", "3,1,4")[0] == 0
    broken = tmp_path / "broken.py"
    broken.write_text(example.read_text().replace("return (action, state[1] + 1)", "return (action, state[2] + 1)"))
    code, _, err = maker("run", f"{broken}:Total", "--model", "oracle:p=0.9", "--k", 3)
    assert code == 2 and "step 0: apply raised IndexError" in err and "Traceback" not in err


def test_a_shell_completes_commands_and_options() -> None:
    """What `maker --show-completion` installs asks the command line itself, which knows its commands and options."""
    for words, found in (("maker ver", "verify"), ("maker run hanoi --dry", "--dry-run")):
        asked = {"_MAKER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        code = "import sys; sys.argv = ['maker']; from maker.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
        )
        assert (done.stdout.split(), done.stderr) == ([found], "")
