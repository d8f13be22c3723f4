"""The notes that put something in force: each has to follow from those before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maker.decision.address import ATTEMPTS, ROUND, Address
from maker.journal.escalated import Change, Escalation
from maker.journal.notes import Calibration, Epoch, Note, Receipt
from maker.review.checking.recount import Failed
from maker.review.checking.settings import Settings
from maker.theory.votes.tables import Table

HEADER = {"version": 1, "run": "r", "task": "t", "parameters": {}, "steps": 9, "segments": 2, "seed": 0}
BEGIN = Epoch(HEADER, k=3)
AUTO = Epoch(HEADER)
FOUND = Calibration(10, 8, 1, 0, 0, {"empty": 2}, "truth", k=4)
ANEW, MORE, BACK = Change(warmer=0.5), Change(more=4), Change(back=2)


def tried(step: int, branch: int, attempt: int, change: Change) -> Escalation:
    """Return the note of a step tried again."""
    return Escalation(step, branch, attempt, "rung", "tied", change)


def came(run: str, draw: int) -> Receipt:
    """Return the receipt of a draw of step 3."""
    return Receipt(Address(run, 3, draw), (1, 1, 0, 0.0, 0), None)


def after(*notes: Note) -> Settings:
    """Return what is in force after some notes, for segments that begin at 0 and 5."""
    settings = Settings([0, 5])
    for note in notes:
        settings.take(note)
    return settings


def test_k_is_that_of_the_epoch_or_of_its_calibration() -> None:
    """A header says k or a calibration does, and an epoch that leaves it open forgets the old one."""
    assert after(BEGIN).k == 3
    assert after(AUTO).k is None
    assert after(AUTO, FOUND).k == 4
    assert after(BEGIN, Epoch({**HEADER, "seed": 1}, 1, ["seed"])).k is None


def test_a_table_is_there_just_where_the_header_asks_for_one() -> None:
    """A calibration brings its table into force, the next epoch ends it; one that nobody asked for fails."""
    asked, table = Epoch({**HEADER, "k": "table"}), Table(4, (9,), 80)
    found = replace(FOUND, table=table.as_note())
    assert after(asked, found).table == table
    assert after(asked, found, Epoch({**HEADER, "seed": 1}, 1, ["seed"], k=3)).table is None
    for notes in ((asked, FOUND), (AUTO, found)):
        with pytest.raises(Failed, match="does not ask for one, or the reverse"):
            after(*notes)


POOL = {**HEADER, "model": "pool: a | b"}
WEIGHED = replace(FOUND, weights={"models": {"a": [100, 5], "b": [100, 30]}, "votes": [3, 1]})


def test_weights_are_those_of_the_header_or_follow_from_a_calibration() -> None:
    """They go with a calibration that the header asks for, and a later epoch has its own."""
    auto = Epoch({**POOL, "weights": "calibrated"})
    assert after(Epoch(POOL, k=3, weights=(2, 1))).weights == (2, 1)
    assert after(auto).weights == ()
    assert after(auto, WEIGHED).weights == (3, 1)
    assert after(auto, WEIGHED, Epoch({**POOL, "seed": 1}, 1, ["seed"], k=3)).weights == ()
    given = Epoch({**POOL, "weights": [2, 1]}, weights=(2, 1))
    assert after(given, replace(WEIGHED, weights={**WEIGHED.weights, "votes": [2, 1]})).weights == (2, 1)


@pytest.mark.parametrize(
    ("header", "found", "complaint"),
    [
        ({"weights": "calibrated"}, FOUND, "has the weights"),
        ({}, WEIGHED, r"has the weights \[3, 1\], where \[\] were due"),
        ({"weights": [2, 1]}, WEIGHED, r"where \[2, 1\] were due"),
        ({"weights": "calibrated"}, replace(WEIGHED, weights={"models": {}, "votes": [3, 1]}), "allows none"),
    ],
)
def test_weights_that_do_not_follow_are_refused(header: Any, found: Calibration, complaint: str) -> None:
    """Of a calibration without them, of a header that asks for none or for others, and of no draws."""
    with pytest.raises(Failed, match=complaint):
        after(Epoch({**POOL, **header}), found)


def test_weights_are_as_many_as_the_turns() -> None:
    """A pool of two has not three, and a model alone has none."""
    for header in (POOL, HEADER):
        with pytest.raises(Failed, match="3 weights"):
            after(Epoch(header, k=3, weights=(1, 2, 3)))
    with pytest.raises(Failed, match="leaves weights to a calibration, and k to none"):
        after(Epoch({**POOL, "weights": "calibrated"}, k=3))


def test_rounds_follow_from_escalations() -> None:
    """A step that begins anew is in the next round; more votes are none; a rollback begins a branch of its segment."""
    settings = after(BEGIN, tried(3, 0, 0, MORE))
    assert settings.round(3) == 0
    settings.take(tried(3, 0, 1, ANEW))
    assert (settings.round(3), settings.round(4)) == (1, 0)
    settings.take(tried(4, 1, 0, BACK))
    assert [settings.round(step) for step in (2, 3, 4, 5)] == [ATTEMPTS] * 3 + [0]
    settings.take(tried(3, 1, 1, ANEW))
    assert settings.round(3) == ATTEMPTS + 1
    settings.take(Epoch({**HEADER, "seed": 1}, 1, ["seed"], k=3))
    assert settings.round(3) == ATTEMPTS


@pytest.mark.parametrize(
    ("notes", "complaint"),
    [
        ([BEGIN, BEGIN], "epoch 0 of the settings stands where epoch 1 was due"),
        ([Epoch(HEADER, 1, k=3)], "where epoch 0 was due"),
        ([BEGIN, Epoch(HEADER, 2, k=3)], "where epoch 1 was due"),
        ([BEGIN, Epoch({**HEADER, "steps": 8}, 1, k=3)], "its steps differs"),
        ([BEGIN, Epoch({**HEADER, "run": "s"}, 1, k=3)], "its run differs"),
        ([BEGIN, FOUND], "stands where k was known"),
        ([AUTO, FOUND, FOUND], "stands where k was known"),
        ([FOUND], "before the header"),
        ([AUTO, replace(FOUND, valid=9)], "a calibration of 10 draws has 9 valid ones"),
        ([AUTO, replace(FOUND, wrong=9)], "9 of them wrong"),
        ([AUTO, replace(FOUND, k=0)], "chose k = 0"),
        ([BEGIN, tried(3, 0, 2, ANEW)], "branch 0, attempt 1 was due"),
        ([BEGIN, tried(3, 1, 1, ANEW)], "branch 0, attempt 1 was due"),
        ([BEGIN, tried(3, 0, 1, MORE)], "branch 0, attempt 0 was due"),
        ([BEGIN, tried(4, 2, 0, BACK)], "branch 1, attempt 0 was due"),
        ([BEGIN, tried(6, 1, 0, BACK)], "step 6: an escalation begins"),
        ([BEGIN, came("r", 2**53)], "step 3: a reply came in round 137438953472"),
        ([BEGIN, tried(3, 0, 1, ANEW), came("r", 2 * ROUND)], "a reply came in round 2"),
    ],
)
def test_a_note_that_does_not_follow_is_named(notes: list[Any], complaint: str) -> None:
    """Epochs out of order or of another run, a second calibration and odd escalations are each found."""
    with pytest.raises(Failed, match=complaint):
        after(*notes)


def test_replies_of_this_round_and_of_other_runs_are_taken() -> None:
    """A reply of the round in force or of one before is no contradiction, nor is any of a calibration."""
    after(BEGIN, tried(3, 0, 1, ANEW), came("r", ROUND + 2), came("r", 1), came("calibration", 2**53))


def test_a_forged_number_of_steps_costs_nothing() -> None:
    """A rollback of 2^62 steps is taken at once: what is kept grows with the notes, not with what they claim."""
    assert after(BEGIN, tried(4, 0, 1, ANEW), tried(2**62 + 5, 1, 0, Change(back=2**62))).round(6) == ATTEMPTS


MAP = {**HEADER, "task": "map", "parameters": {"prompts": "a", "answer": "text", "key": "k 1"}, "segments": 9}


@pytest.mark.parametrize(
    ("now", "other"),
    [
        ({"steps": 12, "segments": 12, "parameters": {**MAP["parameters"], "prompts": "b"}}, ""),  # more items
        ({"parameters": {**MAP["parameters"], "key": "k 2"}}, ""),  # another function, as accepted
        ({"parameters": {**MAP["parameters"], "prompts": "b"}}, "parameters"),  # other items
        ({"steps": 8, "segments": 8, "parameters": {**MAP["parameters"], "prompts": "b"}}, "parameters"),  # fewer
        ({"steps": 12, "segments": 12, "parameters": {**MAP["parameters"], "answer": "int"}}, "parameters"),
    ],
)
def test_what_a_later_epoch_of_a_map_may_change(now: dict[str, Any], other: str) -> None:
    """More items, and a function of another code; anything else makes it another run."""
    epoch = Epoch({**MAP, **now}, 1, ["parameters"])
    if not other:
        after(Epoch(MAP), epoch)
        return
    with pytest.raises(Failed, match=f"of another run: its {other}"):
        after(Epoch(MAP), epoch)
