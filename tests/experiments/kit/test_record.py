"""A record of replies: what came is kept at once, asked for once, and goes on after any cut."""

from __future__ import annotations

import json

import pytest

from maker.decision.ending import Stop
from maker.decision.sample import Sample
from maker.errors import ModelError, TaskError
from maker.experiments.kit import record as records
from maker.experiments.kit import speaker
from maker.experiments.kit.record import Record
from maker.experiments.kit.speaker import Speaker
from maker.experiments.kit.study import Options

SPEC = "http://host/v1#some"


class Numbering:
    """Replies with the number of the call, up to a last one."""

    lockstep = False

    def __init__(self, last=99):
        self.calls, self.last = 0, last

    async def draw(self, requests):
        """Reply."""
        self.calls += 1
        if self.calls > self.last:
            raise Stop("lost", "The server is gone.")
        return [Sample(f"reply\n{self.calls}", 5, 2, "stop")]


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Return what asks for replies to prompts, of a model, with a record in a folder."""

    def asked(model, prompts, said=None, spec=SPEC, **options):
        monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
        told = Options(model=spec, out=tmp_path, say=(lambda _line: None) if said is None else said.append, **options)
        with Speaker(spec, told.temperature, told.seed, Record.of(told, "x", 30)) as one:
            return [sample.text for sample in one.replies(prompts, [9] * len(prompts))]

    asked.file = tmp_path / "x-replies.jsonl"
    return asked


def test_what_came_is_not_asked_again(ask):
    """The same prompts bring the same replies without a model; a prompt asked twice has two, and a new one is asked."""
    first = ask(Numbering(), ["a", "b", "a"])
    assert len(set(first)) == 3
    assert ask(Numbering(0), ["a", "b", "a"]) == first
    model = Numbering()
    assert ask(model, ["b", "c", "a", "a"]) == [first[1], "reply\n1", first[0], first[2]]
    assert model.calls == 1


def test_a_lost_model_leaves_what_came(ask):
    """The message names the file; the same command asks for the rest alone."""
    with pytest.raises(ModelError, match=r"x-replies.jsonl: the same command goes on"):
        ask(Numbering(2), list("abcd"))
    assert len(ask.file.read_text().splitlines()) == 3
    model = Numbering()
    ask(model, list("abcd"))
    assert model.calls == 2


@pytest.mark.parametrize("left", [0, 10, -1, -20])
def test_a_line_that_was_cut_off_is_asked_anew(ask, left):
    """Wherever the file ends, in its first line too: whole lines count, the rest is dropped."""
    first = ask(Numbering(), list("abc"))
    raw = ask.file.read_bytes()
    ask.file.write_bytes(raw[:left])
    lines = raw[:left].count(b"\n")
    model = Numbering()
    assert ask(model, list("abc"))[: max(0, lines - 1)] == first[: max(0, lines - 1)]
    assert model.calls == 3 - max(0, lines - 1)
    assert len(ask.file.read_bytes().splitlines()) == 4


def test_replies_of_another_model_are_not_mixed(ask):
    """Nor those at another temperature or seed; a file that holds none is said."""
    ask(Numbering(), ["a"])
    for options in ({"spec": "http://host/v1#other"}, {"temperature": 0.9}, {"seed": 4}):
        with pytest.raises(TaskError, match="Give another --out"):
            ask(Numbering(), ["a"], **options)
    ask(Numbering(0), ["a"], spec="http://elsewhere:1/v1#some")
    ask.file.write_text(json.dumps({"model": "some", "temperature": 0.1, "seed": 0}) + "\nnone\n")
    with pytest.raises(TaskError, match="is no reply"):
        ask(Numbering(), ["a"])


def test_a_folder_that_cannot_be_written_is_said(ask, tmp_path):
    """One message, and no model is asked."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskError, match="Give another --out"):
        Record.of(Options(model=SPEC, out=tmp_path / "file"), "x", 3)


def test_it_says_beforehand_how_many_and_after_ten_how_long(ask, monkeypatch):
    """Ten replies in 20 seconds leave 40 seconds for 20 more, or minutes for many; replies that are kept are named."""
    times = iter([100.0, 120.0])
    monkeypatch.setattr(records, "monotonic", lambda: next(times, 0.0))
    said = []
    ask(Numbering(), list("abcdefghij"), said)
    assert said[0] == f"x: about 30 replies of some; kept in {ask.file}"
    assert said[1] == "x: 10 replies in 20.0 s; the 20 that are left take about 40 seconds"
    ask(Numbering(), ["a"], said)
    assert said[-1] == f"x: about 30 replies of some, 10 of them kept in {ask.file}"
    assert records._minutes(600) == "10 minutes"


def test_without_a_folder_replies_are_remembered_all_the_same(monkeypatch):
    """Draws that begin anew bring the replies that came before."""
    model = Numbering()
    monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
    with Speaker(SPEC, 0.7, 0, Record.of(Options(model=SPEC), "x", 3)) as one:
        first = [sample.text for sample in one.replies(["a", "a"], [9, 9])]
        one.anew()
        assert [sample.text for sample in one.replies(["a", "a", "a"], [9] * 3)] == [*first, "reply\n3"]
    assert model.calls == 3
