"""`maker demo`: the bundled model, or one of the user's own beside one call."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from maker.testing import FaultServer, error


def reply(received: Any) -> str:
    """Add two short numbers, and get the last digit of long ones wrong."""
    one, other = (int(number) for number in re.findall(r"\d+", received.prompt)[-2:])
    return str(one + other + (one > 99))


def test_both_answers_stand_below_each_other(maker: Any) -> None:
    """The sum, one call and maker, what each took, what the trial showed, how to go on: 100 columns wide."""
    with FaultServer(reply) as server:
        code, out, err = maker("demo", "--model", server.spec("m"))
    said = dict(line.split(": ", 1) for line in out.splitlines())
    assert code == 0
    assert int(said["their sum"]) == int(said["first number"]) + int(said["second number"])
    assert said["one call"].split() == [str(int(said["their sum"]) + 1), "WRONG"]
    assert said["maker"].split() == [said["their sum"].strip(), "right"]
    assert said["verdict"] == "maker is right, one call is not."
    assert re.fullmatch(r"[\d,]+ tokens, [\d.]+ s", said["one call took"])
    assert re.fullmatch(r"[\d,]+ tokens, [\d.]+ s: 80 steps, 240 replies, 0 flagged, k = 3", said["maker took"])
    assert (said["digits tried"], said["carry tried"]) == ("6 of 6 right", "6 of 6 right")
    assert max(map(len, out.splitlines()[:-1])) <= 100  # the last is a command to copy
    assert [line.split(":")[0] for line in err.splitlines()] == ["demo"] * 3


def test_a_kind_that_it_cannot_do_is_shown_with_a_reply(maker: Any) -> None:
    """No maker row, exit code 2, and what the model said is shown without what could drive a terminal."""
    with FaultServer(lambda _: "\x1b[2Jno") as server:
        code, out, _ = maker("demo", "--model", server.spec("m"))
    assert code == 2
    assert "\nmaker: " not in out
    assert "0 of 6 right; 'What is" in out
    assert "\x1b" not in out


def test_a_program_reads_one_object(maker: Any) -> None:
    """And nothing else is said."""
    with FaultServer(reply) as server:
        code, out, err = maker("demo", "--model", server.spec("m"), "--json")
    said = json.loads(out)
    assert (code, err, said["exit_code"], said["solved"], said["one_call"]["right"]) == (0, "", 0, True, False)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--model", "gpt"), "there is no model 'gpt'"), (("--model", "neural"), "no question can be put to it"),
        (("--model", "oracle:p=1"), "no question can be put to it"),
        (("--model", "http://h/v1#m", "--disks", "3"), "--disks is for the Towers of Hanoi"),
        (("--model", "http://h/v1#m", "--journal", "a.db"), "--journal is for the Towers of Hanoi"),
    ],
)  # fmt: skip
def test_bad_input_leaves_with_two(maker: Any, args: tuple[str, ...], words: str) -> None:
    """One line that says what to do."""
    code, out, err = maker("demo", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_server_that_refuses_leaves_with_five(maker: Any) -> None:
    """As everywhere."""
    with FaultServer(lambda _: error(401, "who are you?")) as server:
        code, out, err = maker("demo", "--model", server.spec("m"))
    assert (code, out) == (5, "")
    assert "Traceback" not in err


def test_ctrl_c_says_three_lines() -> None:
    """Whatever is asked just now, the first interrupt ends it."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(_: Any) -> str:
        asked.set()
        go_on.wait(30)
        return "7"

    with FaultServer(hang) as server:
        child = subprocess.Popen([sys.executable, "-m", "maker", "demo", "--model", server.spec("m")],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert asked.wait(30)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        go_on.set()
    assert (child.returncode, [line.split(":")[0] for line in out.splitlines()]) == (3, ["done", "cost", "resume"])
    assert "Traceback" not in err
