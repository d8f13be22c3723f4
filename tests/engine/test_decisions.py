"""Decisions in one journal: each is paid for once, replayed by its name, and refused for another question."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.engine.decisions import Decisions
from maker.errors import JournalError, TaskError, Undecided
from maker.journal.decisions import decisions_in
from maker.journal.records import encode_note
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.testing import ScriptedModel, calling


def look_up(item: str) -> int:
    """Look a count up."""
    raise AssertionError("a tool was run")


def order(item: str) -> int:
    """Order an item."""


def model_of(*script: Any, lockstep: bool = False) -> ScriptedModel:
    """Return a scripted model."""
    return ScriptedModel(script or ["yes"], lockstep=lockstep)


def ask(path: Path, step: str | int, question: str = "Go on?", **settings: Any) -> maker.Verdict[Any]:
    """Vote in a journal."""
    return maker.vote_sync(question, journal=path, step=step, **{"model": model_of(), **settings})


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_decision_is_asked_once(tmp_path, lockstep):
    """The same call takes the verdict from the journal: nothing is asked or written, usage is none, all else equal."""
    path = tmp_path / "agent.db"
    script = ["yes", "no", "yes", "yes", "yes"]
    first = ask(path, "a", model=model_of(*script, lockstep=lockstep))
    other = ask(path, "b", "And now?", model=model_of(lockstep=lockstep))
    size = Story(path).records
    silent = ScriptedModel(lambda request: pytest.fail("asked again"), lockstep=lockstep)
    again = ask(path, "a", model=silent)
    assert (first.usage.samples, other.usage.samples, again.usage.samples) == (5, 3, 0)
    for name in ("step", "answer", "votes", "samples", "margin", "flags", "entropy", "waves"):
        assert getattr(again, name) == getattr(first, name)
    assert (first.step, other.step, Story(path).records) == (0, 1, size)


def test_turns_are_replayed_with_the_same_ids(tmp_path):
    """A replayed turn makes the same message, or an agent that resumes would ask another question next."""
    first, again = (
        ask(tmp_path / "j", 1, model=model_of(calling(("look_up", {"item": "nut"}))), tools=[look_up]) for _ in range(2)
    )
    assert first.answer.message == again.answer.message and first.calls[0].id


OTHERS: list[dict[str, Any]] = [
    {"question": "Stop?"}, {"answer": bool}, {"tools": [look_up]}, {"paraphrases": ["Shall we go on?"]},
    {"system": "Be brief."}, {"key": str.lower},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
def test_the_same_name_for_another_question_is_refused(tmp_path, other):
    """Other words, another answer, other tools: nothing is asked, nothing written, and the remedy is told."""
    path = tmp_path / "j"
    ask(path, "a")
    size = Story(path).records
    with pytest.raises(JournalError, match=r"another (question|journal)"):
        ask(path, "a", model=ScriptedModel(lambda request: pytest.fail("asked")), **other)
    assert Story(path).records == size


def test_decisions_of_one_journal_may_be_of_any_kind(tmp_path):
    """Text, types, tools and paraphrases, under texts and numbers as names: 1 is not "1"."""
    path = tmp_path / "j"
    assert ask(path, 1).answer == "yes"
    assert ask(path, "1", "6 x 7?", answer=int, model=model_of("42")).answer == 42
    assert ask(path, "t", model=model_of(calling(("look_up", {"item": "x"}))), tools=[look_up]).calls
    assert ask(path, "p", "Is it?", paraphrases=["It is?"]).answer == "yes"
    assert [(one.step, one.number) for one in decisions_in(Story(path))] == [(1, 0), ("1", 1), ("t", 2), ("p", 3)]
    audit = maker.verify(path)
    assert (audit.problem, audit.complete, audit.solved, audit.answer) == (None, True, True, 4)


@pytest.mark.parametrize("other", [{"k": 2}, {"temperature": 0.7}, {"flags": "paper"}, {"model": lambda prompt: "yes"}])
def test_other_settings_are_refused(tmp_path, other):
    """Those of the first vote hold for all, and the difference is told."""
    path = tmp_path / "j"
    ask(path, "a")
    with pytest.raises(JournalError, match=r"other settings.*journal.*now"):
        ask(path, "b", **other)


def test_an_undecided_vote_goes_on(tmp_path):
    """It keeps its votes, holds up no other decision, and with a higher limit draws only what is missing."""
    path, script = tmp_path / "j", ["yes", "no", "yes", "yes", "yes"]
    with pytest.raises(Undecided, match=r"^The question was|^The vote is") as stopped:
        ask(path, "a", model=model_of(*script), limits={"max_votes": 4})
    assert stopped.value.tally.total == 3
    assert ask(path, "b").step == 1
    assert maker.verify(path).complete is False
    with pytest.raises(Undecided):
        ask(path, "a", model=ScriptedModel(lambda request: pytest.fail("asked")), limits={"max_votes": 4})
    went_on = ask(path, "a", model=model_of(*script))
    assert (went_on.samples, went_on.usage.samples, went_on.answer) == (5, 2, "yes")
    assert maker.verify(path).solved


def test_limits_are_of_the_whole_journal(tmp_path):
    """So many calls for all decisions of an agent; what is replayed takes none."""
    path = tmp_path / "j"
    for step in (1, 2, 1):
        ask(path, step, limits={"max_calls": 6})
    with pytest.raises(Undecided, match="max_calls"):
        ask(path, 3, limits={"max_calls": 6})


class Halting(ScriptedModel):
    """A model that says yes, and never answers its third draw; `halted` is set when that is due."""

    def __init__(self) -> None:
        super().__init__(["yes"], lockstep=False)
        self.halted = asyncio.Event()

    async def draw(self, requests):
        """Answer, or wait for ever."""
        if requests[0].address.draw == 2:
            self.halted.set()
            await asyncio.Event().wait()
        return await super().draw(requests)


def test_what_was_paid_for_is_used_after_a_crash(tmp_path):
    """Broken off in the midst of a vote, the journal keeps the samples that came; only the lost call is made again."""

    async def cut_off() -> None:
        model = Halting()
        vote = asyncio.ensure_future(
            maker.vote("Go on?", model=model, journal=tmp_path / "j", step="a", limits={"concurrency": 1})
        )
        await model.halted.wait()
        vote.cancel()
        with pytest.raises(asyncio.CancelledError):
            await vote

    asyncio.run(cut_off())
    model = model_of()
    verdict = ask(tmp_path / "j", "a", model=model)
    assert (verdict.answer, verdict.samples, verdict.usage.samples) == ("yes", 3, 3)
    assert [request.address.draw for request in model.requests] == [2]
    assert maker.verify(tmp_path / "j").solved


def test_a_journal_is_open_for_one_vote(tmp_path):
    """A second vote meanwhile is told so, and so is a map's journal from a vote, and a vote's from a map."""
    path = tmp_path / "j"
    ask(path, "a")
    with Journal(path), pytest.raises(JournalError, match="is writing this journal"):
        ask(path, "b")
    with pytest.raises(JournalError, match="task: journal 'decisions', now 'map'"):
        maker.map_sync("{item}", ["x"], model=model_of(), journal=path)
    maker.map_sync("{item}", ["x"], model=model_of(), journal=tmp_path / "map")
    with pytest.raises(JournalError, match=r"other settings.*task: journal 'map'"):
        ask(tmp_path / "map", "a")


@pytest.mark.parametrize(
    "given", [{"journal": "j"}, {"step": 1}, {"journal": "j", "step": ""}, {"journal": "j", "step": 1.5}]
)
def test_journal_and_step_go_together(given, tmp_path, monkeypatch):
    """One without the other, or a name that is none, is refused before a file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match="step"):
        maker.vote_sync("Go on?", model=model_of(), **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("note", [
    {"step": 1.5, "number": 1, "question": "", "reads": {}}, {"step": "b", "number": 1, "question": 3, "reads": {}},
    {"step": "b", "number": 7, "question": "", "reads": {}}, {"step": "a", "number": 1, "question": "", "reads": {}}, 3,
])  # fmt: skip
def test_forged_notes_are_named(tmp_path, note):
    """A decision that makes no sense, or stands there twice, is no verdict: verify says so."""
    path = tmp_path / "j"
    ask(path, "a")
    with Journal(path) as journal:
        list(journal.replay())
        journal.append(encode_note({"decision": note}))
    with pytest.raises(JournalError, match="damaged or forged"):
        maker.verify(path)


def test_a_verdict_that_does_not_follow_is_refused(tmp_path, monkeypatch):
    """A journal whose replies are read otherwise now gives no verdict."""
    ask(tmp_path / "j", "a")
    monkeypatch.setattr("maker.engine.decisions.conclude", lambda poll: (1, (0, b"", b"")))
    with pytest.raises(JournalError, match="does not follow"):
        ask(tmp_path / "j", "a")


def test_the_class_is_for_one_vote():
    """Nothing else of it is public."""
    assert {name for name in vars(Decisions) if not name.startswith("_")} == {"open", "decide"}
