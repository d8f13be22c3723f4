"""The look ahead, in a run: what falls, what stands, that nothing is guessed, and that a resume is the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import maker
from corrupt import cut
from counting import GOAL, Counting
from maker.cli.commands.run import read_ladder
from maker.decision.address import ROUND, round_of
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.engine.ladder import rungs as ladder
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note
from maker.journal.story import Story
from maker.review.export import rows as rows_of
from maker.testing import ScriptedModel, check_journal

HARD, LATE = 7, 2
LOOK = ladder.look_ahead(3, wins=True)
Script = Callable[[Request], Any]


class Late(Counting):
    """That a number is wrong is noticed two steps later."""

    name = "late"

    def sound(self, state: tuple[int, ...]) -> bool:
        return state[:-LATE] == tuple(range(1, len(state) + 1 - LATE))


class Stuck(Late):
    """The same without a check: after a wrong number nothing is allowed any more."""

    sound: Any = property()  # there is none

    def legal(self, state: tuple[int, ...], action: int) -> bool:
        return action >= 0 and state == tuple(range(1, len(state) + 1))


def ahead(request: Request) -> bool:
    """Say whether a draw is one of a look ahead."""
    return "/ahead of " in request.address.run


def right(request: Request) -> str:
    """Answer rightly."""
    return str(request.address.step + 1)


def split(request: Request) -> str:
    """Answer wrongly in six cases of ten, always in the same way."""
    return right(request) if request.seed % 10 >= 6 else str(request.address.step + 2)


def tied(request: Request) -> str:
    """Answer wrongly every second time."""
    return right(request) if request.address.draw % 2 else str(request.address.step + 2)


def model(script: Script = split, beyond: Script = right, **kind: Any) -> ScriptedModel:
    """Return a model that answers rightly but at the hard step. beyond: what it says when it is rolled ahead."""

    def answer(request: Request) -> Any:
        if ahead(request):
            return beyond(request)
        return script(request) if request.address.step == HARD else right(request)

    return ScriptedModel(answer, **kind)


def carry(
    made: Any, rungs: Any = (LOOK,), path: Path | None = None, task: Any = None, **settings: Any
) -> maker.RunResult:
    """Run the task at k = 4."""
    return maker.run_sync(task or Late(), model=made, **{"k": 4, "journal": path, "ladder": rungs, **settings})


def balanced(result: maker.RunResult) -> bool:
    """Say whether every draw is accounted for."""
    usage = result.usage
    return usage.in_flight == 0 and usage.voted + usage.flagged == result.samples


def looks(path: Path) -> list[dict[str, Any]]:
    """Return the looks ahead that a journal holds."""
    found = (decode(record) for record in read_records(path))
    return [note["ahead"] for note in found if isinstance(note, dict) and "ahead" in note]


# -- what falls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [Late, Stuck])
@pytest.mark.parametrize("lockstep", [True, False])
def test_a_wrong_favourite_is_seen_through(tmp_path: Path, task: Any, lockstep: bool) -> None:
    """An answer that leads to a broken state, or to one where nothing is allowed, loses a vote that it had won."""
    plain = carry(model(lockstep=lockstep), [], tmp_path / "plain.db", task())
    assert not plain.solved, "without a look the favourite wins"
    path = tmp_path / "run.db"
    made = model(lockstep=lockstep)
    result = carry(made, path=path, task=task())
    assert (result.solved, result.escalations) == (True, {"look_ahead(3)": 1})
    assert balanced(result)
    verdict = list(result.verdicts())[HARD]
    assert (verdict.answer, [answer for answer, _ in verdict.votes.items()]) == (HARD + 1, [HARD + 1])
    assert verdict.flags == {"dead_end": verdict.samples - verdict.margin}
    assert verdict.margin >= 4
    (look,) = looks(path)
    assert [(roll["candidate"], roll["end"]) for roll in look["rolls"]] == [(0, "falls"), (1, "stands")]
    rolled = [request for request in made.requests if ahead(request)]
    assert len(rolled) == sum(len(wave["draws"]) // 4 for roll in look["rolls"] for wave in roll["waves"])
    assert len({request.seed for request in made.requests}) == len(made.requests)
    assert len({request.address for request in made.requests}) == len(made.requests)
    assert check_journal(path, task()).solved
    assert Story(path).summary().samples == result.samples


def test_a_look_is_read_as_it_was(tmp_path: Path) -> None:
    """A resume draws nothing and has the same account; a re-vote knows which answers lead nowhere."""
    path = tmp_path / "run.db"
    result = carry(model(), path=path)
    made = model()
    again = carry(made, [], path)
    assert (again.usage, again.chain, again.samples, made.requests) == (result.usage, result.chain, result.samples, [])
    for flags in (None, "default"):
        judged = maker.revote(path, flags=flags, task=Late())
        assert (judged.same, judged.dropped, judged.undecidable) == (GOAL, {}, 0)


def test_a_step_that_does_not_decide(tmp_path: Path) -> None:
    """At a limit the answer that is left wins with the votes that it has: no further draw is made of the step."""
    path, made = tmp_path / "run.db", model(tied)
    stopped = carry(model(tied), [], limits={"max_votes": 9})
    assert (stopped.stopped, stopped.steps) == ("undecided", HARD)
    result = carry(made, [ladder.look_ahead(3)], path, limits={"max_votes": 14}, k=3)
    assert (result.solved, result.escalations) == (True, {"look_ahead(3)": 1})
    drawn = [request for request in made.requests if request.address.step == HARD and not ahead(request)]
    verdict = list(result.verdicts())[HARD]
    assert (len(drawn), verdict.samples, verdict.margin) == (13, 13, 6), "the margin is all votes that are left"
    assert check_journal(path, Late()).solved
    assert carry(model(tied), [], path, limits={"max_votes": 14}, k=3).chain == result.chain


def test_the_last_step_must_reach_the_goal() -> None:
    """An answer after which the task ends short of its goal falls, though no check speaks against it."""

    class Short(Late):
        steps = HARD + 1
        sound: Any = property()

        def done(self, state: tuple[int, ...]) -> bool:
            return state == tuple(range(1, HARD + 2))

    assert not carry(model(), [], task=Short()).solved
    assert carry(model(), task=Short()).solved


def test_a_task_of_unknown_length_ends_where_it_is_done() -> None:
    """A roll that reaches the goal stands, and asks no further."""
    task, made = Late(), model(lambda request: split(request) if request.address.step == HARD else right(request))
    task.steps = None
    result = carry(made, [ladder.look_ahead(50, wins=True)], task=task)
    assert result.solved
    assert max(request.address.step for request in made.requests if ahead(request)) == GOAL - 1


# -- what it does not settle --------------------------------------------------------------------------------------


def test_an_error_that_nothing_speaks_against_stands(tmp_path: Path) -> None:
    """Where both answers go on, a win counts as it was; and a tie goes up the ladder."""
    path = tmp_path / "run.db"
    near = ladder.look_ahead(LATE - 1, wins=True)
    result = carry(model(), [near], path)
    assert (result.solved, result.stopped, result.escalations) == (False, None, {"look_ahead(1)": 1})
    assert result.chain == carry(model(), []).chain, "the decisions are those of the plain vote"
    assert check_journal(path, Late()).problem is None
    other = ScriptedModel(right)
    other.name = "b"
    rescued = carry(model(tied), [near, ladder.another_model(other)], limits={"max_votes": 9})
    assert (rescued.solved, rescued.escalations) == (True, {"look_ahead(1)": 1, "another_model(b)": 1})


def test_no_disagreement_no_look() -> None:
    """A vote that nobody spoke against is not looked at, right or wrong."""
    made = model(lambda request: str(request.address.step + 2))
    result = carry(made)
    assert (result.solved, result.escalations) == (False, {})
    assert not any(map(ahead, made.requests))


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("beyond", [lambda request: "what?", lambda request: Failure("poison", "bad request")])
def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path, beyond: Script, lockstep: bool) -> None:
    """Replies that cannot be read, or never come, are no dead end: no answer loses a vote by them."""
    path = tmp_path / "run.db"
    result = carry(model(beyond=beyond, lockstep=lockstep), path=path)
    assert (result.solved, result.stopped, result.wrong) == (False, None, None)
    assert {roll["end"] for roll in looks(path)[0]["rolls"]} == {"unknown"}
    assert balanced(result)
    assert result.chain == carry(model(), []).chain
    assert check_journal(path, Late()).problem is None
    again = carry(model(), [], path)
    assert (again.chain, again.samples) == (result.chain, result.samples)


@pytest.mark.parametrize("back", [False, True])
def test_where_all_fall_the_state_was_broken(tmp_path: Path, back: bool) -> None:
    """A wrong step that won unopposed shows where no answer leads on: the run goes back, or stops and says so."""

    def unopposed(request: Request) -> str:
        return str(HARD + 2) if round_of(request.address.draw) < 64 else right(request)

    def after(request: Request) -> Any:
        if request.address.step == HARD + 1 and not ahead(request):
            return tied(request)
        return unopposed(request) if request.address.step == HARD and not ahead(request) else right(request)

    path = tmp_path / "run.db"
    rungs = [ladder.look_ahead(3), *([ladder.go_back(2), ladder.look_ahead(3)] if back else [])]
    result = carry(ScriptedModel(after), rungs, path, limits={"max_votes": 9})
    if back:
        assert (result.solved, result.escalations) == (True, {"look_ahead(3)": 2, "go_back(2)": 1})
    else:
        assert (result.stopped, result.exit_code, result.steps) == ("undecided", 4, HARD + 1)
        assert "each of its 2 foremost answers leads to a state that breaks the rules" in result.detail
        assert "Roll back (go_back)" in result.detail
    assert check_journal(path, Late()).problem is None
    assert balanced(result)


def test_what_is_made_of_a_journal_knows_of_looks(tmp_path: Path) -> None:
    """Report and rows are made of a journal with looks; the votes of a step are those that are left."""
    path = tmp_path / "run.db"
    carry(model(), path=path)
    maker.write_report(path, tmp_path / "report.html")
    row = list(rows_of(path))[HARD]
    assert (row["answers"], row["runner_up"], row["flags"]) == (1, 0, {"dead_end": row["flagged"]})
    assert row["samples"] == row["votes"] + row["flagged"]


# -- resumes ------------------------------------------------------------------------------------------------------


class Paid:
    """A model over a network with prices."""

    name, lockstep, prices = "paid", False, Prices(input=1.0, output=1.0)

    def __init__(self, made: ScriptedModel) -> None:
        self._made = made
        self.asked = 0

    async def draw(self, requests: Any) -> Any:
        self.asked += len(requests)
        return [Sample(reply.text, 10, 10) for reply in await self._made.draw(requests)]


@pytest.mark.parametrize("paid", [False, True])
def test_killed_anywhere_it_resumes_to_the_same_chain(tmp_path: Path, paid: bool) -> None:
    """Cut anywhere, in the middle of a look too, the run goes on to the same decisions, and pays for nothing twice."""

    def made() -> Any:
        return Paid(model()) if paid else model()

    settings: dict[str, Any] = {"limits": {"concurrency": 1}}
    whole = carry(made(), path=tmp_path / "whole.db", **settings)
    assert whole.solved
    records = list(read_records(tmp_path / "whole.db"))
    for length in range(1, len(records), 5 if paid else 1):
        path = cut(tmp_path / "whole.db", records[:length], tmp_path / f"{length}.db")
        result = carry(made(), path=path, **settings)
        assert (result.chain, result.solved, result.samples) == (whole.chain, True, whole.samples), length
        assert balanced(result)
        assert check_journal(path, Late()).solved
        assert carry(made(), path=path, **settings).usage == result.usage


@pytest.mark.parametrize("paid", [False, True])
def test_limits_in_the_middle_of_a_look(tmp_path: Path, paid: bool) -> None:
    """The calls of a look count; stopped again and again, the run is resumed to where one that never stopped ends."""
    whole = carry(model())
    path, total = tmp_path / "run.db", 0
    for calls in itertools.count(3, 2 if paid else 40):
        asked: Any = Paid(model()) if paid else model()
        result = carry(asked, path=path, limits={"max_calls": calls, "concurrency": 1})
        total += asked.asked if paid else 0
        assert result.usage.dispatched <= calls
        assert result.usage.in_flight == 0 or result.stopped == "max_calls"
        if result.stopped is None:
            break
        assert result.stopped == "max_calls"
    assert (result.chain, result.solved) == (whole.chain, True)
    assert check_journal(path, Late()).solved
    if paid:
        assert total == result.usage.dispatched == whole.usage.dispatched, "nothing is paid twice"


def test_the_same_however_it_is_carried_out() -> None:
    """Segments, lock-step and free mode look at the same steps and decide the same."""
    found = set()
    for count, lockstep in itertools.product((1, 4), (True, False)):
        task = Late()
        task.plan = lambda segments, count=count: maker.Plan.chain(  # type: ignore[attr-defined]
            GOAL, lambda step: tuple(range(1, step + 1)), count
        )
        result = carry(model(lockstep=lockstep), task=task, segments=count)
        assert result.solved
        found.add((result.chain, result.samples))
    assert len(found) == 1


def test_a_later_round_is_looked_at_anew(tmp_path: Path) -> None:
    """A step that another model is asked about begins with no answer barred, and may be looked at again."""
    other = ScriptedModel(lambda request: right(request) if ahead(request) else split(request))
    other.name = "b"
    path = tmp_path / "run.db"
    rungs = [LOOK, ladder.another_model(other)]
    result = carry(model(tied, lambda request: "what?"), rungs, path, limits={"max_votes": 9})
    assert result.escalations["another_model(b)"] == 1
    assert result.escalations["look_ahead(3)"] == 2
    assert result.solved
    assert [look["round"] for look in looks(path)] == [0, 1]
    firsts = {wave["first"] // ROUND for look in looks(path)[1:] for roll in look["rolls"] for wave in roll["waves"]}
    assert firsts == {1}
    assert check_journal(path, Late()).solved


# -- damage -------------------------------------------------------------------------------------------------------


def forged(path: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a copy of a journal with another look in it."""
    records = list(read_records(path))
    place = next(i for i, record in enumerate(records) if b'{"ahead"' in record[:20])
    note = decode(records[place])
    assert isinstance(note, dict)
    change(note["ahead"])
    return cut(path, [*records[:place], encode_note(note), *records[place + 1 :]], to)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["rolls"][0].update(end="stands"),
        lambda said: said["rolls"][1].update(end="falls"),
        lambda said: said["rolls"].reverse(),
        lambda said: said["rolls"].pop(),
        lambda said: said.update(step=HARD - 1),
        lambda said: said["rolls"][0].update(end="maybe"),
        lambda said: said["rolls"][1].update(waves=said["rolls"][0]["waves"]),
        lambda said: said["rolls"][0]["waves"][0].update(draws=[0, 0, 1]),
        lambda said: said["rolls"][0]["waves"][0].update(texts=["x"]),
        lambda said: said.update(rolls=7),
    ],
)
def test_a_look_that_was_forged_is_noticed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A look that says other things than its draws is a finding, and a JournalError to a resume; never a traceback."""
    carry(model(), path=tmp_path / "run.db")
    copy = forged(tmp_path / "run.db", tmp_path / "forged.db", change)
    with suppress(JournalError):
        assert maker.verify(copy, Late()).problem is not None
    with pytest.raises(JournalError):
        carry(model(), path=copy)


# -- how it is named ----------------------------------------------------------------------------------------------


def test_the_rung_and_its_name() -> None:
    """The command line names it as the code does; what cannot be meant is refused in words."""
    found = read_ladder("look-ahead=5,look-ahead=12:wins,go-back=3")
    assert found is not None
    assert [ladder.rung_name(rung) for rung in found] == ["look_ahead(5)", "look_ahead(12)", "go_back(3)"]
    assert ladder.asked_of_wins(found) == (found[1],)
    for wrong in ("look-ahead", "look-ahead=0", "look-ahead=x", "look-ahead=5:win", "look-ahead=5:wins:wins"):
        with pytest.raises(TaskError):
            read_ladder(wrong)
    for settings in ({"steps": 0}, {"steps": 1.5}, {"steps": True}, {"steps": 2000}, {"steps": 3, "top": 1}):
        with pytest.raises(TaskError, match="look_ahead: "):
            ladder.look_ahead(**settings)  # type: ignore[arg-type]


def test_more_answers_can_be_looked_at() -> None:
    """Of three answers two fall, and the third wins; with two looked at, the third still has to win its votes."""
    wordy = lambda request: str(request.address.step + 1 + request.seed % 3)  # noqa: E731 -- one line says it
    for top in (2, 3):
        result = carry(model(wordy), [ladder.look_ahead(3, top, wins=True)])
        assert list(result.escalations) == ["look_ahead(3)"]
        assert result.solved or top == 2
