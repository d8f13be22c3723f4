"""Each row of the fault table, the whole way: a server that misbehaves, a run, a journal, and the server's own books.

A row ends as the undisturbed run does, or with its documented stop; a stop is then resumed against a server that
is well again, and ends as the undisturbed run does. The books agree each time.
"""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.api.sync import twin
from maker.errors import ModelError
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.models import retry_after
from maker.models.openai.client import OpenAI
from maker.models.openai.http import gate as gate_module
from maker.models.openai.http.gate import Gate
from maker.sending import dispatcher as settle
from maker.testing import FaultServer, Reply, check_journal, error
from maker.testing.faults import Told

K = 2
TASK = maker.load_task("hanoi", disks=3)
RIGHT = {TASK.prompt(TASK.state_at(i), i): TASK.render(TASK.truth(TASK.state_at(i), i)) for i in range(TASK.steps)}
FIRST, FOURTH = (TASK.prompt(TASK.state_at(i), i) for i in (0, 3))
AS_ASKED = "(the right answer)"
DEADLINE = 1.0  # seconds of one attempt, in the rows that wait for it
LATE = 2.0  # seconds after its deadline by which an attempt must have ended
HUNG = 60  # seconds after which a run counts as hung; a busy machine needs some

Fault = Callable[[Any], Told]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts a hundred times shorter."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(gate_module, "FIRST_WINDOW", 0.001)
    monkeypatch.setattr(gate_module, "LONGEST_WINDOW", 0.02)
    monkeypatch.setattr(retry_after, "LOADING", 0.01)


@cache
def golden() -> str:
    """Return the chain of the undisturbed run."""
    result = maker.run_sync(TASK, model="oracle:p=1", k=K)
    assert result.solved
    return result.chain


def served(fault: Fault) -> Fault:
    """Return a script that answers rightly wherever the fault has nothing to say."""

    def told(received: Any) -> Told:
        right = RIGHT.get(received.prompt, "OK")
        reply = fault(received)
        if isinstance(reply, Reply) and reply.text == AS_ASKED:
            return replace(reply, text=right)
        return right if reply is None else reply

    return told


def carry(server: FaultServer, path: Path, *, model: Mapping[str, Any] | None = None, **settings: Any) -> Any:
    """Run the task against a server, four calls at a time, and see that the account balances.

    What came and was not judged yet is in the journal, for the run that resumes. No attempt may go on past its
    deadline by more than LATE.
    """
    settings = {"k": K, "segments": 2, "limits": {"concurrency": 4}, **settings}
    longest = 0.0

    async def go() -> Any:
        engine = OpenAI(server.url, "m", **(model or {}))
        draw = engine.draw

        async def timed(requests: Any) -> Any:
            nonlocal longest
            begun = time.monotonic()
            try:
                return await draw(requests)
            finally:
                longest = max(longest, time.monotonic() - begun - engine.timeout)

        engine.draw = timed
        try:
            with anyio.fail_after(HUNG):
                return await maker.run(TASK, model=engine, journal=path, **settings)
        finally:
            await engine.aclose()

    result = twin(go)()
    assert longest <= LATE
    assert result.usage.in_flight == len(kept(path)) - result.samples
    return result


def kept(path: Path) -> list[dict[str, Any]]:
    """Return the samples that a journal holds."""
    found = (decode(record) for record in read_records(path))
    return [note["sample"] for note in found if isinstance(note, dict) and "sample" in note]


def books_agree(result: Any, server: FaultServer, path: Path) -> None:
    """See that what the server billed is in samples, in failures that reported it, or was lost and is assumed."""
    bills = {f"fault-{server.port}-{e.number:012}": e for e in server.ledger.entries if e.event == "billed"}
    samples = kept(path)
    delivered = [bills[note["response_id"].partition("#")[0]] for note in samples]
    usage = result.usage
    assert (usage.tokens_in - usage.lost_in, usage.tokens_out - usage.lost_out) == (
        sum(bill.tokens_in for bill in delivered),
        sum(bill.tokens_out for bill in delivered),
    )
    lost = server.ledger.tokens_in + server.ledger.tokens_out - sum(b.tokens_in + b.tokens_out for b in delivered)
    assert usage.lost_in + usage.lost_out <= lost <= usage.lost_in + usage.lost_out + usage.assumed
    assert usage.dispatched >= server.ledger.calls


# -- rows that change nothing ---------------------------------------------------------------------------------


def first(*replies: Told) -> Fault:
    """Return a fault of the first requests, whatever they ask."""
    told = iter(replies)
    return lambda received: next(told, None)


def first_of_each_step(reply: Told) -> Fault:
    """Return a fault of the first request of each step."""
    seen: set[str] = set()

    def fault(received: Any) -> Told:
        if received.prompt in seen:
            return None
        seen.add(received.prompt)
        return reply

    return fault


def busy(**headers: str) -> Reply:
    """Return a 429 that says when to come back."""
    return error(429, "slow down", headers={name.replace("_", "-"): value for name, value in headers.items()})


NOON = "Mon, 23 Nov 2026 12:00:00 GMT"
PAST = "Mon, 23 Nov 2026 11:00:00 GMT"

SURVIVED: dict[str, Fault] = {
    "no fault": first(),
    "429 in seconds": first(busy(Retry_After="0.02")),
    "429 in milliseconds": first(busy(Retry_After_Ms="20")),
    "429 with a date": first(busy(Retry_After=NOON, Date=NOON)),
    "429 with a date that is past": first(busy(Retry_After=PAST, Date=NOON)),
    "429 with 0": first(busy(Retry_After="0")),
    "429 with a negative number": first(busy(Retry_After="-5")),
    "429 with inf": first(busy(Retry_After="inf")),
    "429 with nan": first(busy(Retry_After="nan")),
    "429 with garbage": first(busy(Retry_After="soon\x7f")),
    "429 with years": first(busy(Retry_After="1e12")),
    "429 with nothing": first(busy(), busy(), busy()),
    "429 to every third": lambda received: busy() if received.number % 3 == 0 else None,
    "burst of 5xx": first(500, 502, 503, 504, 529, 500, 503),
    "503 while loading": first(*[error(503, "Loading model", code=503)] * 5),
    "HTML from a proxy": first(Reply(status=502, body=b"<html>bad gateway")),
    "reset": first(Reply(reset=True), None, Reply(reset=True)),
    "cut off": first_of_each_step(Reply(AS_ASKED, cut=40)),
    "cut off, unframed": first_of_each_step(Reply(AS_ASKED, cut=40, framed=False)),
    "error in a good reply": first_of_each_step(Reply(AS_ASKED, fields={"error": {"message": "overloaded"}})),
    "choices null": first_of_each_step(Reply(AS_ASKED, fields={"choices": None})),
    "choices empty": first_of_each_step(Reply(AS_ASKED, fields={"choices": []})),
    "choices of another kind": first_of_each_step(Reply(AS_ASKED, fields={"choices": ["what?"]})),
    "content null": first_of_each_step(Reply(None)),
    "content a list": first_of_each_step(Reply([{"type": "text", "text": "?"}, {"type": "image"}])),
    "refusal": first_of_each_step(Reply(None, message={"refusal": "no"})),
    "content filter": first_of_each_step(Reply("", finish="content_filter")),
    "finish by length": first_of_each_step(Reply(AS_ASKED, finish="length")),
    "no finish reason, and garbage": first_of_each_step(Reply("gar", finish=None)),
    "a stream nobody asked for": first_of_each_step(Reply(body=b'data: {"choices": []}\n\ndata: [DONE]\n\n')),
    "gzip bomb": first_of_each_step(
        Reply(body=gzip.compress(bytes(17 * 2**20), 9), headers={"Content-Encoding": "gzip"})
    ),
    "damaged gzip": first_of_each_step(Reply(body=b"\x1f\x8b-", headers={"Content-Encoding": "gzip"})),
    "huge header": first_of_each_step(Reply(AS_ASKED, headers={"X-Huge": "x" * 10_000})),
    "endless body": first(Reply(endless=b"[" * 1000)),
    "cookies": first_of_each_step(Reply(AS_ASKED, headers={"Set-Cookie": "a=b"})),
}


@pytest.mark.parametrize("row", SURVIVED)
def test_a_fault_that_passes_changes_nothing(row: str, tmp_path: Path) -> None:
    """The run ends as the undisturbed one does, its journal verifies, and the books agree."""
    path = tmp_path / "run.db"
    with FaultServer(served(SURVIVED[row])) as server:
        result = carry(server, path)
    assert (result.solved, result.wrong, result.chain) == (True, 0, golden())
    books_agree(result, server, path)
    assert check_journal(path).solved


SLOW_ROWS: dict[str, Fault] = {
    "hang": first(Reply(hang=True), None, Reply(hang=True)),
    "drip": first(Reply(AS_ASKED, drip=0.4), None, Reply(AS_ASKED, drip=0.4)),
    "stream without end": first(Reply(endless=b"data: {}\n\n", headers={"Content-Type": "text/event-stream"}), None),
    "late": first(Reply(AS_ASKED, delay=3)),
}


@pytest.mark.parametrize("row", SLOW_ROWS)
def test_what_takes_for_ever_ends_at_its_deadline(row: str, tmp_path: Path) -> None:
    """Nobody else waits for a reply that hangs or drips; its draw is tried again; what it may have cost is assumed."""
    path = tmp_path / "run.db"
    with FaultServer(served(SLOW_ROWS[row])) as server:
        result = carry(server, path, model={"timeout": DEADLINE})
    assert (result.solved, result.chain) == (True, golden())
    assert result.usage.failed >= 1
    books_agree(result, server, path)


@pytest.mark.parametrize(
    "told", [busy(Retry_After="0.2"), busy(Retry_After_Ms="200"), Reply(status=503, headers={"retry-after": "0.2"})]
)
def test_a_refused_request_waits_as_told_and_the_others_go_on(told: Reply, tmp_path: Path) -> None:
    """The refused draw comes again when its wait is over, not before; what others ask does not wait for it."""
    with FaultServer(served(lambda received: told if received.number == 5 else None)) as server:
        result = carry(server, tmp_path / "run.db")
    assert result.chain == golden()
    refused = server.requests[5]
    again = [later for later in server.requests[6:] if later.body["seed"] == refused.body["seed"]]
    assert len(again) == 1
    assert again[0].at >= refused.at + 0.2


# -- the server itself ----------------------------------------------------------------------------------------


def test_a_server_that_restarts_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused connections in mid-run are retried until the server is there again; the result is the same."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 1.0)
    path = tmp_path / "run.db"

    async def go() -> Any:
        server = FaultServer(served(lambda received: reached.set() if received.number == 9 else None))
        reached = anyio.Event()
        await server.start()
        engine = OpenAI(server.url, "m", timeout=5)  # of a call that is lost between the two servers
        results: list[Any] = []

        async def run() -> None:
            results.append(await maker.run(TASK, model=engine, k=K, segments=2, journal=path))

        with anyio.fail_after(HUNG):
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await reached.wait()
                await server.stop()
                await anyio.sleep(0.1)
                await server.start()
        await engine.aclose()
        await server.stop()
        return results[0], server

    result, server = anyio.run(go)
    assert (result.solved, result.chain) == (True, golden())
    books_agree(result, server, path)


# A server of its own process, which stops itself at its tenth request until somebody lets it go on.
STOPPING = """
import json, signal, sys, threading
from maker.testing.faults import FaultServer
right = json.load(open(sys.argv[1]))
def told(received):
    if received.number == 9:
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # here, before this thread answers anything more
    return right[received.prompt]
with FaultServer(told) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def test_a_server_that_stands_still_is_waited_for(tmp_path: Path) -> None:
    """SIGSTOP takes the server away in mid-run: attempts end at their deadline, and all is well once it goes on."""
    answers = tmp_path / "right.json"
    answers.write_text(json.dumps(RIGHT))
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPING, str(answers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server = FaultServer(port=int(child.stdout.readline()))  # never started: only its address is used

    def let_it_go_on() -> None:
        while "(stopped)" not in Path(f"/proc/{child.pid}/status").read_text():
            time.sleep(0.01)
        time.sleep(DEADLINE + 0.2)
        child.send_signal(signal.SIGCONT)

    waiter = threading.Thread(target=let_it_go_on, daemon=True)
    waiter.start()
    try:
        result = carry(server, tmp_path / "run.db", model={"timeout": DEADLINE})
    finally:
        child.kill()
        child.communicate()
    assert (result.solved, result.chain) == (True, golden())
    assert result.usage.failed >= 1
    assert result.usage.assumed > 0


# -- rows that end in a stop, and are resumed ---------------------------------------------------------------


@dataclass
class Stopped:
    """A fault, how it ends the run, and what the message must say."""

    fault: Fault
    stopped: str
    code: int
    says: str
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    again: dict[str, Any] = field(default_factory=dict)


def at_the_fourth(reply: Told) -> Fault:
    """Return a fault of one step's requests alone, for ever."""
    return lambda received: reply if received.prompt == FOURTH else None


def numbered(received: Any) -> Reply:
    """Return another answer each time."""
    return Reply(f"move = [1, 0, {received.number + 10}]\nnext_state = [[], [], []]")


STOPS: dict[str, Stopped] = {
    "429 with hours": Stopped(
        lambda r: busy(Retry_After="7200") if r.number == 9 else None, "model_lost", 3, "asks to wait"
    ),
    "always 500": Stopped(lambda r: 500 if r.number > 8 else None, "model_lost", 3, "resume"),
    "always reset": Stopped(
        lambda r: Reply(reset=True) if r.number > 8 else None, "model_lost", 3, "has been gone for 1 s",
        {"limits": {"patience": 1.0}},
    ),
    "one request always fails": Stopped(at_the_fourth(500), "poison_step", 4, "Other requests succeed"),
    "one request is too long": Stopped(
        at_the_fourth(error(400, "maximum context length exceeded")), "poison_step", 4, "step 3"
    ),
    "one request is against a policy": Stopped(at_the_fourth(error(422, "policy")), "poison_step", 4, "policy"),
    "refused again and again": Stopped(
        at_the_fourth(Reply(None, message={"refusal": "no"})), "poison_step", 4, "refused"
    ),
    "filtered again and again": Stopped(at_the_fourth(Reply("", finish="content_filter")), "poison_step", 4, "step 3"),
    "never converges: two answers": Stopped(
        lambda r: Reply(AS_ASKED if r.number % 2 else "move = [1, 1, 2]\nnext_state = [[3], [2], [1]]")
        if r.prompt == FOURTH else None, "undecided", 4, "step 3", {"limits": {"max_votes": 20, "max_flags": 20,
        "concurrency": 1}}, {}, {"limits": {"max_votes": 200, "concurrency": 1}},
    ),
    "never converges: all different": Stopped(
        lambda r: numbered(r) if r.prompt == FOURTH else None, "undecided", 4, "step 3",
        {"limits": {"max_votes": 20, "max_flags": 20}}, {}, {"limits": {"max_votes": 200, "max_flags": 200}},
    ),
    "never converges: all flagged": Stopped(
        at_the_fourth(Reply("what?")), "undecided", 4, "malformed", {"limits": {"max_flags": 20}}, {},
        {"limits": {"max_flags": 200}},
    ),
    "the budget of calls": Stopped(lambda r: None, "max_calls", 3, "Raise max_calls", {"limits": {"max_calls": 9}}),
    "the budget of tokens": Stopped(
        lambda r: None, "max_tokens", 3, "raise max_tokens", {"limits": {"max_tokens": 2500}, "token_cap": 200}
    ),
    "the budget of dollars": Stopped(
        lambda r: None, "max_cost", 3, "raise max_cost", {"limits": {"max_cost": 0.004}, "token_cap": 200},
        {"prices": {"input": 1.0, "output": 10.0}},
    ),
    "the fingerprint changes": Stopped(
        lambda r: Reply(AS_ASKED, fields={"system_fingerprint": "b" if r.number > 8 else "a"}), "model_changed", 5,
        "fingerprint", {}, {}, {"accept_change": ["fingerprint"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", STOPS)
def test_a_fault_that_lasts_is_a_named_stop(row: str, tmp_path: Path) -> None:
    """It has its exit code and says what to do; the same call on a server that is well ends as the undisturbed run."""
    told, path = STOPS[row], tmp_path / "run.db"
    with FaultServer(served(told.fault)) as server:
        result = carry(server, path, model=told.model, **told.settings)
        assert (result.stopped, result.exit_code) == (told.stopped, told.code)
        assert told.says in result.detail
        assert "\n" not in result.detail
        books_agree(result, server, path)
        server._next = served(lambda received: None)
        settings = {key: value for key, value in told.settings.items() if key != "limits"} | told.again
        whole = carry(server, path, model={**told.model, "gate": Gate(8)}, **settings)  # the hours are over
        assert (whole.solved, whole.chain) == (True, golden())
        books_agree(whole, server, path)
    assert check_journal(path).solved


# -- rows that say the model cannot be used -----------------------------------------------------------------

UNUSABLE: dict[str, tuple[Told, str]] = {
    "401": (error(401, "bad key"), "No key was sent"),
    "403": (error(403, "not yours"), "No key was sent"),
    "404": (error(404, "no such path"), "Check the model's name"),
    "405": (error(405, "no"), "Check the address"),
    "quota": (error(429, "You exceeded your quota", code="insufficient_quota"), "add credit"),
    "402": (error(402, "pay"), "add credit"),
    "no such model": (error(400, "model x does not exist", code="model_not_found"), "Check the model's name"),
    "HTML": (Reply(body=b"<!doctype html>"), "HTML page where JSON was expected"),
    "a redirect": (Reply(body=b"", status=307, headers={"Location": "http://192.0.2.1/v1"}), "192.0.2.1"),
}


# A page that comes in mid-run is a gateway's bad moment, and passes.
MOMENTS = [pytest.param(row, late, id=f"{row}-{'in mid-run' if late else 'from the start'}")
           for row in UNUSABLE for late in (False, True) if (row, late) != ("HTML", True)]  # fmt: skip


@pytest.mark.parametrize(("row", "late"), MOMENTS)
def test_an_unusable_model_is_one_line(row: str, late: bool, tmp_path: Path) -> None:
    """ModelError, exit code 5, at once, and one line that says what to do; mended, the run goes on."""
    reply, says = UNUSABLE[row]
    path = tmp_path / "run.db"
    with FaultServer(served(lambda received: reply if received.number >= 9 * late else None)) as server:
        with pytest.raises(ModelError, match=says) as caught:
            carry(server, path)
        assert caught.value.exit_code == 5
        assert "\n" not in str(caught.value)
        assert len(server.requests) < 9 * late + 9
        server._next = served(lambda received: None)
        result = carry(server, path)
        assert (result.solved, result.chain) == (True, golden())
        books_agree(result, server, path)


# -- what an answer may be ------------------------------------------------------------------------------------

WILD: list[Any] = [
    None, "", " ", "x" * 2**20, "\ud800", "\x00", "\x1b[2J\x1b]0;x\x07", "[" * 200_000,
    "move = [" + "9" * 4301 + ", 0, 1]", "move = [NaN, 0, 1]", "move = [1, 0, 1]\nmove = [1, 0, 2]",
    7, True, {"move": [1, 0, 1]}, [[[]]], "\u202eevom", "</script>",
]  # fmt: skip


def test_any_answer_at_all_is_a_flag(tmp_path: Path) -> None:
    """Every step gets wild replies first: each is a red flag, none a vote, an exception or a change of the result."""
    path = tmp_path / "run.db"
    asked: dict[str, int] = {}

    def wild(received: Any) -> Told:
        seen = asked[received.prompt] = asked.get(received.prompt, -1) + 1
        if seen >= len(WILD):
            return None
        if WILD[seen] == "\ud800":  # as servers in Python write it
            return Reply(body=b'{"choices": [{"message": {"content": "\\ud800"}}]}')
        return Reply(WILD[seen])

    with FaultServer(served(wild)) as server:
        result = carry(
            server, path, limits={"max_flags": 100, "concurrency": 4}, long_answer=10**6, token_cap=2 * 10**6
        )
    assert (result.solved, result.chain) == (True, golden())
    assert result.flagged == TASK.steps * len(WILD)
    assert result.usage.failed == 0
    assert check_journal(path).solved


def test_the_order_of_arrival_changes_nothing(tmp_path: Path) -> None:
    """Right answers come late and wrong ones at once: the verdicts are those of the seeds, as without any delay."""
    wrong = "move = [1, 0, 1]\nnext_state = [[3, 2], [1], []]"

    def by_seed(delay: float) -> Fault:
        def fault(received: Any) -> Told:
            if received.prompt == FIRST and received.body["seed"] % 3 == 0:
                return Reply(wrong)
            return Reply(AS_ASKED, delay=delay)

        return fault

    results = []
    for number, delay in enumerate((0.0, 0.03)):
        path = tmp_path / f"{number}.db"
        with FaultServer(served(by_seed(delay))) as server:
            result = carry(server, path, k=3, segments=1, seed=5)
        results.append((result.chain, [(v.votes, v.samples) for v in result.verdicts()]))
    assert results[0] == results[1]
    assert len(results[0][1][0][0]) == 2, "the first step should have got both answers"


@pytest.mark.parametrize("share", [10, 50, 100])
def test_copies_end_the_run(share: int, tmp_path: Path) -> None:
    """A server that sends the same reply again is found out within 500 samples: exit code 5, and no resume helps."""
    task = maker.load_task("hanoi", disks=7)
    right = {task.prompt(task.state_at(i), i): task.render(task.truth(task.state_at(i), i)) for i in range(task.steps)}

    sent: dict[str, int] = {}

    def copy(received: Any) -> Reply:
        earlier = sent.setdefault(received.prompt, received.number)
        repeats = received.number * share % 100 < share and earlier != received.number
        return Reply(
            right[received.prompt],
            fields={"id": f"copy of {earlier}"} if repeats else {"id": f"copy of {received.number}"},
        )

    async def go() -> Any:
        engine = OpenAI(server.url, "m")
        try:
            return await maker.run(task, model=engine, k=4, journal=tmp_path / "run.db", segments=1)
        finally:
            await engine.aclose()

    with FaultServer(copy) as server:
        for _ in range(2):
            result = twin(go)()
            assert (result.stopped, result.exit_code) == ("copied", 5)
            assert result.samples <= 500


# -- budgets --------------------------------------------------------------------------------------------------

ODD_USAGE: list[Any] = [None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": 1.5}, "many", [],
                        {"prompt_tokens": "3", "completion_tokens": True}, {"completion_tokens": 2**60}]  # fmt: skip


def test_odd_figures_count_as_spent_at_the_most(tmp_path: Path) -> None:
    """Whatever the usage says, the account is never below the server's own books."""
    path = tmp_path / "run.db"

    def fault(received: Any) -> Reply:
        return Reply(AS_ASKED, fields={"usage": ODD_USAGE[received.number % len(ODD_USAGE)]})

    with FaultServer(served(fault)) as server:
        result = carry(server, path)
    assert (result.solved, result.chain) == (True, golden())
    assert result.usage.tokens >= server.ledger.tokens_in + server.ledger.tokens_out
    assert result.usage.assumed > 0


@pytest.mark.parametrize("n", [2, 4])
def test_several_draws_in_one_call(n: int, tmp_path: Path) -> None:
    """With n choices a call, every choice is a draw of its own, and the tokens are those the server counts."""
    path = tmp_path / "run.db"
    with FaultServer(served(lambda received: None)) as server:
        result = carry(server, path, model={"n": n}, k=4)
    assert (result.solved, result.samples) == (True, 4 * TASK.steps)
    assert [r.body.get("n", 1) for r in server.requests] == [n] * (4 // n * TASK.steps)
    assert (result.usage.tokens_in, result.usage.tokens_out) == (server.ledger.tokens_in, server.ledger.tokens_out)


def test_a_server_that_takes_no_n_is_asked_one_by_one(tmp_path: Path) -> None:
    """As llama.cpp, which gives no more choices than it has slots: a setting that does not fit is no poison step."""
    told = error(400, "Field 'n': Value must be between 1 <= value <= 2, but got 4", type="invalid_request_error")
    path = tmp_path / "run.db"
    with FaultServer(served(lambda received: told if "n" in received.body else None)) as server:
        result = carry(server, path, model={"n": 4}, k=4)
    assert (result.solved, result.chain, result.samples) == (True, golden(), 4 * TASK.steps)
    assert result.usage.failed == 4 * sum("n" in received.body for received in server.requests)
    books_agree(result, server, path)


def test_what_a_server_does_not_take_uses_up_no_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses three fields, one after the other, is served without them; two attempts would do."""
    monkeypatch.setattr(settle, "ATTEMPTS", 2)

    def picky(received: Any) -> Told:
        for name in ("max_tokens", "seed", "logprobs"):
            if name in received.body:
                return error(400, f"Unsupported parameter: {name}", param=name)
        return None

    path = tmp_path / "run.db"
    with FaultServer(served(picky)) as server:
        result = carry(server, path)
    assert (result.solved, result.chain) == (True, golden())
    assert "max_completion_tokens" in server.requests[-1].body
    books_agree(result, server, path)


@pytest.mark.parametrize("most", range(1, 14))
def test_no_cap_is_passed_for_a_probe(most: int, tmp_path: Path) -> None:
    """A probe is a call like any other: held before it is sent, in the account, and durable."""
    path = tmp_path / "run.db"
    with FaultServer(served(at_the_fourth(500))) as server:
        result = carry(server, path, k=1, segments=7, limits={"max_calls": most, "concurrency": 1})
        assert (result.stopped in ("max_calls", "poison_step"), server.ledger.calls <= most) == (True, True)
        assert result.usage.dispatched == server.ledger.calls
        books_agree(result, server, path)
        again = carry(server, path, k=1, segments=7, limits={"max_calls": most, "concurrency": 1})
        assert server.ledger.calls <= most
        assert again.usage.dispatched >= result.usage.dispatched


def test_adaptive_concurrency_with_many_lanes(tmp_path: Path) -> None:
    """Seven lanes and a server that refuses a burst: served at its own pace, to the same result."""

    def narrow(received: Any) -> Told:
        return busy() if received.number in range(4, 12) else None

    path = tmp_path / "run.db"
    with FaultServer(served(narrow)) as server:
        result = carry(server, path, segments=7, limits={"concurrency": 32})
    assert (result.solved, result.chain) == (True, golden())
    books_agree(result, server, path)
