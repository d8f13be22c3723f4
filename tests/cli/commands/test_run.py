"""Bad input on the command line of a run over HTTP: one line that says what to do, and the documented exit code."""

from __future__ import annotations

import io
import json
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

import maker
from batching import BatchServer, Plan
from maker.cli import app as cli
from maker.decision.sample import Request
from maker.models.openai import client as openai
from maker.sending import dispatcher as settle
from maker.testing import FaultServer, Reply, ScriptedModel, error

UNREACHABLE = "http://127.0.0.1:9/v1#m"  # the discard port: nothing listens there


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: object) -> tuple[int, str]:
    """Run the command line in this process; return the exit code and what it complained of."""
    monkeypatch.setattr(sys, "argv", ["maker", "run", "hanoi", "--disks", "3", "--k", "2", *map(str, args)])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    return int(leave.value.code or 0), capsys.readouterr().err


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time that a server has to show itself pass a hundred times as fast."""
    monkeypatch.setattr(openai, "GRACE", 0.1)
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(settle, "LONGEST_AT_START", 0.02)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--segments", 1, "--model", UNREACHABLE), "so each would be a batch"),
        (("--model", "oracle:p=1"), "takes no batches"),
        (("--model", UNREACHABLE, "--model", f"{UNREACHABLE}2"), "takes no batches"),
    ],
)
def test_what_cannot_be_asked_in_batches_is_refused(
    options: tuple[object, ...], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step at a time, a model in this process and a pool are told before anything is sent."""
    code, told = call(capsys, monkeypatch, "--batch", *options)
    assert (code, says in told) == (2, True), told


def test_a_run_is_asked_in_batches(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All segments of a run share a batch, wave for wave; nothing goes out call by call but the first short request."""
    task = maker.load_task("hanoi", disks=3)
    right = {
        task.prompt(task.plan().state_at(i), i): task.render(task.truth(task.plan().state_at(i), i)) for i in range(7)
    }
    with BatchServer(lambda body: right.get(body["messages"][-1]["content"], "OK"), repeat(Plan(looks=0))) as server:
        code, told = call(capsys, monkeypatch, "--batch", "--model", server.spec)
        assert (code, len(server.batches), len(server.drawn), len(server.plain)) == (0, 1, 14, 1), told


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("model", "says"),
    [
        (UNREACHABLE, "Start the server, or check the address"),
        ("http://no-such-host.invalid/v1#m", "Start the server, or check the address"),
        ("http://127.0.0.1:9/v1", "Add its name to the URL"),
        ("http://127.0.0.1:9/v1#", "Add its name to the URL"),
        ("http://user:secret@127.0.0.1:9/v1#m", "MAKER_API_KEY"),
        ("http://127.0.0.1:9/v1?key=secret#m", "MAKER_API_KEY"),
        ("http:///v1#m", "http://HOST:PORT/v1#NAME"),
        ("http://127.0.0.1:port/v1#m", "http://HOST:PORT/v1#NAME"),
        ("openai:gpt-4.1-mini", "set OPENAI_API_KEY"),
    ],
)
def test_an_address_that_cannot_be_used(
    model: str, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5 and one line that says what to do; a key in the URL is not repeated."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, complaint = call(capsys, monkeypatch, "--model", model)
    assert (code, complaint.count("\n")) == (5, 1)
    assert says in complaint
    assert "secret" not in complaint


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (error(404, "not found"), "Check the model's name (m) and the address"),
        (error(404, "The model `m` does not exist", code="model_not_found"), "Check the model's name (m)"),
        (error(401, "no key"), "MAKER_API_KEY"),
        (Reply(body=b"<!DOCTYPE html><title>Welcome</title>"), "often ends in /v1"),
        (Reply(body=b"", status=301, headers={"Location": "https://elsewhere.example/"}), "elsewhere.example"),
    ],
    ids=["wrong path", "wrong model name", "missing key", "HTML", "redirect"],
)
def test_a_server_that_is_not_the_right_one(
    reply: Reply, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 5 at once, and one line that says what to do."""
    monkeypatch.delenv("MAKER_API_KEY", raising=False)
    with FaultServer(lambda received: reply) as server:
        code, complaint = call(capsys, monkeypatch, "--model", server.spec("m"), "--journal", tmp_path / "run.db")
    assert (code, complaint.count("\n")) == (5, 1)
    assert says in complaint


@pytest.mark.usefixtures("hasty")
def test_what_never_speaks_this_protocol(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that is none, or another API's, for as long as a server has to show itself: exit code 5, one line."""
    for body in (b"pong", b'{"status": "ok"}', b"[]", b""):
        with FaultServer(lambda received, body=body: Reply(body=body)) as server:
            code, complaint = call(capsys, monkeypatch, "--model", server.spec("m"))
        assert (code, complaint.count("\n")) == (5, 1), body
        assert "check the address" in complaint


def test_a_calibration_is_announced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With k = auto a line says what will be drawn before anything is; not for a program, and not at a resume."""
    journal = tmp_path / "run.db"
    with FaultServer(lambda received: "no move") as server:
        options = ["--model", server.spec("m"), "--k", "auto", "--max-calls", "1", "--journal", journal]
        code, said = call(capsys, monkeypatch, *options, "--json")
        assert (code, said) == (3, "")
        journal.unlink()
        code, said = call(capsys, monkeypatch, *options)
        assert (code, said.count("\n")) == (3, 1)
        assert said.startswith("maker: k = auto: a calibration comes first: 300 random steps are drawn on once")
        assert call(capsys, monkeypatch, *options) == (3, "")
        journal.unlink()
        assert call(capsys, monkeypatch, *options, "--quiet") == (3, "")


def test_a_calibration_for_a_table_is_announced_as_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With k = table the line says so; another word for k is refused with what may be given."""
    with FaultServer(lambda received: "no move") as server:
        options = ["--model", server.spec("m"), "--max-calls", "1", "--k"]
        assert call(capsys, monkeypatch, *options, "table")[1].startswith("maker: k = table: a calibration comes first")
        code, said = call(capsys, monkeypatch, *options, "some")
    assert (code, "give a whole number, auto or table" in said) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("model", [UNREACHABLE, "http://no-such-host.invalid/v1#m", "http://10.255.255.1/v1#m"])
def test_an_unreachable_host_is_told_in_time(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real clock it takes 10 to 12 seconds until an unreachable server is given up."""
    began = time.monotonic()
    code, complaint = call(capsys, monkeypatch, "--model", model)
    seconds = time.monotonic() - began
    print(f"{model}: {seconds:.1f} s")
    assert (code, complaint.count("\n")) == (5, 1)
    assert seconds < openai.GRACE + 2


@pytest.mark.usefixtures("hasty")
def test_a_name_server_that_hangs_is_no_hang(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking a name up counts as connecting: it has seconds, not minutes."""
    from maker.models.openai.http import line

    async def hang(self: Any, *args: Any, **options: Any) -> Any:
        import asyncio

        await asyncio.Event().wait()

    monkeypatch.setattr(line, "CONNECT", 0.05)
    monkeypatch.setattr(line.aiohttp.ThreadedResolver, "resolve", hang)
    code, complaint = call(capsys, monkeypatch, "--model", "http://slow.example/v1#m")
    assert (code, complaint.count("\n")) == (5, 1)
    assert "cannot be reached (Connection timed out)" in complaint


@pytest.mark.parametrize("command", [("run", "hanoi", "--k", "2"), ("solve", "Why?"), ("estimate", "hanoi")])
def test_options_of_asking_are_the_same_everywhere(
    maker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """What the command line sets of asking reaches the request, a system message from a file too."""
    seen: list[Request] = []

    def reply(request: Request) -> str:
        seen.append(request)
        return "no answer"

    monkeypatch.setattr(sys.modules["maker.api.opened"], "load_model", lambda spec: ScriptedModel(reply))
    (tmp_path / "system.txt").write_text("Be brief, ü.", encoding="utf-8")
    maker(*command, "--model", "mine", "--system", f"@{tmp_path / 'system.txt'}", "--temperature", "server",
          "--stop", "#", "--stop", "%",
          "--max-tokens-per-reply", 9, "--long-answer", 8, "--first-temperature", 0.5)  # fmt: skip
    assert {(r.temperature, r.max_tokens, r.stop, r.messages[0]["content"]) for r in seen} <= {
        (warmth, 9, ("#", "%"), "Be brief, ü.") for warmth in (None, 0.5)
    }
    assert seen
    assert seen[-1].temperature is None


@pytest.mark.parametrize("args", [("--temperature", "warm"), ("--system", "@/no/such/file"), ("--system", "")])
def test_options_that_cannot_be_meant_leave_with_two(maker: Any, args: tuple[str, ...]) -> None:
    """A temperature that is no number, a file that is not there and an empty text are bad input."""
    code, _, err = maker("run", "hanoi", "--k", "2", "--model", "oracle", *args)
    assert (code, "Traceback" in err) == (2, False)


def test_the_bundled_model_is_asked_as_it_reads(maker: Any) -> None:
    """The model says which style of the task it reads: nobody has to know."""
    code, out, _ = maker("run", "hanoi", "--disks", 3, "--model", "neural:workers=0", "--k", 2, "--json")
    assert (code, json.loads(out)["solved"]) == (0, True)


def test_workers_that_could_not_help_are_not_started(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where steps follow one another the command says so in a line, joins no cluster, and goes on here."""
    monkeypatch.setattr("maker.engine.crew.cluster._imported", lambda: None)
    code, _, err = maker(*HANOI, "--segments", "1", "--workers", "ray")
    assert code == 0
    assert "follow one another" in err


def test_workers_make_a_model_from_its_name(maker: Any) -> None:
    """What the command alone knows of a model is refused before a cluster is joined, with where to put it."""
    command = [*HANOI[:-1], "http://127.0.0.1:9/v1#m", "--workers", "ray"]
    code, _, err = maker(*command, "--prices", "1,2")
    assert (code, "maker.toml" in err, "--prices" in err) == (2, True, True)


HANOI = ("run", "hanoi", "--disks", "3", "--k", "2", "--model", "oracle")


@pytest.mark.parametrize("odd", ["\udcff", "a\x00b", "ü\u2028"])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "{}", "--model", "oracle"), ("run", "hanoi", "--model", "{}"), ("solve", "{}", "--model", "oracle"),
        ("show", "{}"), (*HANOI, "--journal", "{}/x"), (*HANOI, "--system", "{}", "--flags", "{}"),
    ],
)  # fmt: skip
def test_no_text_breaks_a_command(maker: Any, command: tuple[str, ...], odd: str) -> None:
    """Lone surrogates, NUL and odd line ends in any argument bring one line and an exit code, no traceback."""
    code, _, err = maker(*(part.format(odd) for part in command))
    assert code in (2, 6)
    assert err.startswith("maker: ")
    err.encode()


def test_what_an_encoding_lacks_is_written_as_an_escape(
    maker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A terminal that knows ASCII alone gets the whole summary, with the journal's name in it."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert maker(*HANOI, "--journal", tmp_path / "ü\udcff.db")[0] == 0
    assert rb"\xfc\udcff.db" in written.getvalue()


def test_a_dry_run_shows_what_would_be_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, first and middle question as sent, calls and money thrice; no server is needed, no journal made."""
    model = ("--model", UNREACHABLE, "--prices", "1,2", "--system", "be [bold]", "--journal", "no.db", "--dry-run")
    monkeypatch.setattr(sys, "argv", ["maker", "run", "hanoi", "--disks", "3", "--k", "2", *model])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    said = capsys.readouterr().out
    assert leave.value.code == 0 and not Path("no.db").exists()
    assert "step 0, system: be [bold]\n" in said and "state = [[3, 2, 1], [], []]" in said
    assert "step 3, with: temperature 0.1, at most 1,024 tokens\n" in said
    assert "least: 14 calls at k = 2, " in said and "\nmost: 1,400 calls at k = 2, " in said
    assert said.endswith("sent: nothing\n") and "$" in said
    assert call(capsys, monkeypatch, *model, "--json")[0] == 0
