"""What a run returns: counts of acknowledged work, verdicts read back from the journal, JSON."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import maker
from maker.decision.sample import Sample
from maker.engine.result import Progress, Reporter, RunResult
from maker.engine.senders import Senders
from maker.errors import JournalError
from maker.models.oracle import Oracle
from maker.sending.budget.limits import make_limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.task.canonical import jsonable
from maker.testing import ScriptedModel

JSON_KEYS = {
    "solved", "steps", "samples", "flagged", "wrong", "answer", "state_digest", "chain", "stopped", "seconds",
}  # fmt: skip


class Word:
    """One step whose answer is a word."""

    name = "word"
    steps = 1

    def initial_state(self) -> str:
        return ""

    def prompt(self, state: str, step: int) -> str:
        return "Say a word."

    def parse(self, text: str) -> Any:
        return json.loads(text)

    def legal(self, state: str, action: Any) -> bool:
        return True

    def apply(self, state: str, action: Any) -> Any:
        return action

    def done(self, state: Any) -> bool:
        return True

    def answer(self, state: Any) -> Any:
        return state


def hanoi(disks: int) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


@pytest.mark.parametrize("stored", [True, False])
def test_verdicts_are_read_back(tmp_path: Path, stored: bool) -> None:
    """Verdicts come from the journal, temporary or not, with votes, flags and waves that add up; more than once."""
    result = maker.run_sync(
        hanoi(5), model="oracle:p=0.8,v=0.8", k=3, segments=4, journal=tmp_path / "run.db" if stored else None
    )
    verdicts = list(result.verdicts())
    assert sorted(v.step for v in verdicts) == list(range(31))
    assert sum(v.samples for v in verdicts) == result.samples
    assert sum(v.flagged for v in verdicts) == result.flagged > 0
    for kind, count in result.flags.items():
        assert sum(v.flags.get(kind, 0) for v in verdicts) == count
    for v in verdicts:
        assert v.margin == 3
        assert sum(v.votes.values()) == v.samples - v.flagged
        assert v.votes[v.answer] == max(v.votes.values())
        assert sum(v.flags.values()) == v.flagged
        assert (v.entropy == 0) == (len(v.votes) == 1)
        assert v.waves >= 1
    assert sum(v.waves for v in verdicts) == sum(n * count for n, count in result.waves.items())
    assert list(result.verdicts()) == verdicts


def test_verdicts_in_order_of_decision() -> None:
    """With one segment the order of decision is the order of steps."""
    result = maker.run_sync(hanoi(4), model="oracle:p=0.9", k=2, segments=1)
    assert [v.step for v in result.verdicts()] == list(range(15))


def test_verdicts_of_a_stopped_run() -> None:
    """A run that was stopped yields the verdicts it has, and none for the step that was under way."""
    result = maker.run_sync(hanoi(4), model="oracle:p=0.9", k=3, segments=1, limits={"max_calls": 20})
    assert result.stopped == "max_calls"
    assert [v.step for v in result.verdicts()] == list(range(result.steps))


def test_an_answer_whose_text_was_flagged_first() -> None:
    """An answer that first appeared in a flagged reply, whose text was not kept, is read back all the same."""
    script = [Sample('"yes"', 1, 1, "length"), '"yes"', '"yes"']
    result = maker.run_sync(Word(), model=ScriptedModel(script), k=2, keep_samples="none")
    (verdict,) = result.verdicts()
    assert (verdict.answer, verdict.samples, dict(verdict.flags)) == ("yes", 3, {"truncated": 1})


@pytest.mark.parametrize(
    "text",
    ["null", "true", "0", '""', '"lone \\ud800"', '"\\u0000\\u001b[2J"', "[]", "{}", "[1, 1.0, true]", str(10**40)],
)
def test_any_answer_survives_the_journal(tmp_path: Path, text: str) -> None:
    """An answer of any JSON form, null and lone surrogates among them, wins, is read back and printed as JSON."""
    path = tmp_path / "run.db"
    model = ScriptedModel([text])
    result = maker.run_sync(Word(), model=model, k=2, journal=path)
    (verdict,) = result.verdicts()
    assert result.solved
    assert verdict.answer == result.answer == json.loads(text)
    assert type(verdict.answer) is type(json.loads(text))
    assert json.loads(json.dumps(result.as_json()))["solved"] is True
    assert maker.run_sync(Word(), model=model, k=2, journal=path).chain == result.chain


def test_json_object() -> None:
    """The printed object has at least the promised fields and survives strict JSON."""
    result = maker.run_sync(hanoi(3), model="oracle:p=0.9", k=3)
    said = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert said.keys() >= JSON_KEYS
    assert (said["solved"], said["steps"], said["wrong"], said["stopped"]) == (True, 7, 0, None)
    assert said["answer"] == [[], [], [3, 2, 1]]
    assert (len(said["chain"]), len(said["state_digest"])) == (32, 32)
    assert said["simulated"] is True


def test_wrong_is_null_where_it_is_not_known() -> None:
    """Without a truth nobody knows how many steps are wrong, and null is said."""
    result = maker.run_sync(Word(), model=ScriptedModel(['"a"']), k=1)
    assert result.as_json()["wrong"] is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (12345678901234567890123, "12345678901234567890123"),
        (7, "7"),
        (True, True),
        (None, None),
        (1.5, 1.5),
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (float("nan"), "nan"),
        ({1, 2}, "{1, 2}"),
        (b"raw", "b'raw'"),
    ],
)
def test_jsonable(answer: Any, said: Any) -> None:
    """An exact integer is printed as text, so that no reader rounds it; what JSON has no word for as text too."""
    result = jsonable(answer)
    assert result == said
    assert type(result) is type(said)


def test_state_of_a_stopped_run() -> None:
    """The state is the one after the unbroken sequence of steps; chain and digest belong to it."""
    task = hanoi(5)
    stopped = maker.run_sync(task, model="oracle", k=1, segments=1, limits={"max_steps": 9})
    assert stopped.state == task.state_at(9)
    longer = maker.run_sync(task, model="oracle", k=1, segments=1, limits={"max_steps": 10})
    assert longer.state == task.state_at(10)
    assert longer.chain != stopped.chain
    assert longer.state_digest != stopped.state_digest


def test_glimpses_wait_for_their_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glimpse is shown only when all records that it counts are acknowledged, the newest such first."""
    monkeypatch.setattr("maker.engine.result.REPORT_SECONDS", 0.0)
    shown: list[int] = []
    journal: Any = SimpleNamespace(appended=0, acknowledged=0)
    senders = Senders(Dispatcher(ScriptedModel(["1"]), make_limits(None), Usage()))
    reporter = Reporter(lambda seen: shown.append(seen.steps), journal, senders, lambda: (journal.appended // 10, 0, 3))
    for journal.appended, journal.acknowledged in ((10, 5), (20, 19), (30, 30)):
        reporter.report()
    assert shown == [0, 1, 3]


def test_free_and_lockstep_say_the_same() -> None:
    """All that is counted, seconds aside, is the same in free mode."""
    said = []
    for latency in (0.0, 0.0001):
        result = maker.run_sync(hanoi(4), model=Oracle(p=0.8, v=0.9, latency=latency), k=4, segments=4)
        said.append({**result.as_json(), "seconds": None})
    assert said[0] == said[1]


# -- other processes ---------------------------------------------------------------------------------------


def same(copy: RunResult, result: RunResult) -> bool:
    """Say whether two results agree in all but the objects of their tasks."""
    names = [field.name for field in fields(result) if field.name not in ("task", "_book")]
    return all(getattr(copy, name) == getattr(result, name) for name in names)


def test_a_result_is_pickled_whole(tmp_path: Path) -> None:
    """A pickled result has every field, and reads its verdicts, which are pickled too, from the same journal."""
    result = maker.run_sync(maker.load_task("hanoi", disks=3), model="oracle:p=0.8", k=2, journal=tmp_path / "run.db")
    copy = pickle.loads(pickle.dumps(result))
    assert same(copy, result)
    verdicts = list(result.verdicts())
    assert list(copy.verdicts()) == verdicts == pickle.loads(pickle.dumps(verdicts))
    assert copy.task.parameters == result.task.parameters


def test_a_pickled_result_is_read_in_a_process_that_has_not_loaded_its_task(tmp_path: Path) -> None:
    """Another process reads the result of a built-in task, which it never heard of, and its verdicts."""
    result = maker.run_sync(maker.load_task("hanoi", disks=2), model="oracle:p=1", k=1, journal=tmp_path / "run.db")
    (tmp_path / "result").write_bytes(pickle.dumps(result))
    code = "import pickle, sys; print(len(list(pickle.load(open(sys.argv[1], 'rb')).verdicts())))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "result")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_the_verdicts_of_a_run_without_a_file_stay_where_it_ran() -> None:
    """A result without a journal file is pickled with its figures, and its copy says why it has no verdicts."""
    result = maker.run_sync(maker.load_task("hanoi", disks=2), model="oracle:p=1", k=1)
    copy = pickle.loads(pickle.dumps(result))
    assert same(copy, result)
    assert len(list(result.verdicts())) == 3
    with pytest.raises(JournalError, match="give it journal=FILE"):
        list(copy.verdicts())


def test_progress_prints_as_a_person_reads_it() -> None:
    """One line with few digits; what is not known is left out, not shown as None."""
    glimpse = Progress(1200, None, 2400, 7, seconds=1.23456789, tokens=99_000)
    assert str(glimpse) == "1,200 steps, 2,400 samples, 7 flagged, 99,000 tokens, 1.2 s"
    paid = replace(glimpse, total=5000, cost=0.1 + 0.2, pace="8 at once")
    said = "1,200 of 5,000 steps, 2,400 samples, 7 flagged, 99,000 tokens, $0.3000, 1.2 s, 8 at once"
    assert str(paid) == said


def test_the_summary_is_the_account_of_a_run() -> None:
    """Outcome, steps, samples, flags, calls, tokens, time and cost, a line each, and what to do after a stop."""
    result = maker.run_sync("hanoi", model="oracle:p=1", k=2)
    paid = replace(
        result,
        flagged=23,
        replayed=3,
        seconds=2.0,
        cost=1.023,
        usage=Usage(2050, tokens_in=7000, tokens_out=90, failed=4),
    )
    assert paid.summary().split("\n") == [
        "result: solved", "steps: 1,023 (3 from the journal)", "samples: 2,046, 23 flagged (1.12%), 2.000 a step",
        "calls: 2,050, 4 of them failed or given up", "tokens: 7,000 in, 90 out", "time: 2.0 s, 510 steps/s",
        "cost: $1.0230, $0.001 a step",
    ]  # fmt: skip
    stopped = replace(paid, solved=False, stopped="max_calls", detail="Raise\x1b it.", cost=None, steps=0, samples=0)
    assert stopped.summary().split("\n")[-2:] == ["cost: not known", "what to do: Raise\\x1b it."]
    assumed = replace(paid, usage=Usage(1, assumed=9)).account()
    assert assumed[-3:][0] == ("tokens", "0 in, 0 out, and at most 9 that nobody reported")
    assert assumed[-1][1].startswith("at most $1.0230")


def test_a_result_is_short_in_a_notebook() -> None:
    """The repr is one line, the table is the account, and a model's name is escaped."""
    result = maker.run_sync(maker.load_task("hanoi", disks=2), model="oracle:p=1", k=1)
    assert repr(result) == "<RunResult solved: 3 steps, 3 samples, 0 flagged>"
    assert repr(replace(result, cost=0.5)).endswith("0 flagged, $0.5000>")
    said = replace(result, model="<b>")._repr_html_()
    assert "<b>" not in said and "&lt;b&gt;" in said and said.count("<tr>") == len(result.account())
