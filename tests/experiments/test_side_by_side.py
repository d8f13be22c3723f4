"""One call beside voted steps: the length that fits, kind reading, hopeless kinds, and words for every end."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from maker.decision.sample import Failure, Request
from maker.errors import ModelError, TaskError
from maker.experiments import side_by_side as beside
from maker.experiments.side_by_side import ALOUD, FEWEST, MOST, SideBySide, holds, side_by_side_sync
from maker.testing import ScriptedModel

ALONE = "Answer with the number alone."


def asked(request: Request) -> tuple[int, int]:
    """Return the summands that a question names."""
    one, other = re.findall(r"\d+", request.prompt)
    return int(one), int(other)


def adder(call: str | Callable[[int], str] = "{}", step: Callable[[int, int], object] = int.__add__) -> ScriptedModel:
    """Return a model with a way to say the whole sum, and one to answer the questions of steps."""

    def reply(request: Request) -> str:
        one, other = asked(request)
        if ALONE in request.prompt:
            return str(step(one, other))
        return call.format(one + other) if isinstance(call, str) else call(one + other)

    return ScriptedModel(reply)


def both(model: Any, seconds: float = 0.0, **more: Any) -> SideBySide:
    """Compare by a clock that goes so many seconds on at each look."""
    ticks = itertools.count(0.0, seconds)
    return side_by_side_sync(model, clock=lambda: next(ticks), **more)


@pytest.mark.parametrize(
    ("reply", "right", "found"),
    [
        ("It is 1234567.", [1234567], True), ("1,234,567 (7 digits)", [1234567], True), ("7654321", [7654321], True),
        ("1234567 8", [1234567], True), ("12345678", [1234567], False),
        ("1234568", [1234567], False), ("", [1234567], False), ("5 + 7 = 12", [12], True), ("12 is 5 + 7", [12], False),
        ("-12", [-12], True), ("3, 5, 9", [3, 5, 9], True), ("Sorted:\n[3, 5, 9]\nDone in 2", [3, 5, 9], True),
        ("3, 5, 8, 9", [3, 5, 9], False), ("3, 5", [3, 5, 9], False),
    ],
)  # fmt: skip
def test_a_single_call_is_read_leniently(reply, right, found):
    """A long number or a list counts wherever it stands, with commas or not; a short number only at the end."""
    assert holds(reply, right) is found


@pytest.mark.parametrize(("each", "digits"), [(0.0, MOST), (0.15, MOST), (0.33, 22), (10.0, FEWEST)])
def test_the_pace_decides_the_length(each, digits):
    """Fast models get 40 digits, slow ones 12, and those between as many as there is time for."""
    found = both(adder(), each * 10)  # the second part of the trial, ten questions, takes one tick
    assert len(str(found.task.x)) == len(str(found.task.y)) == digits


def test_a_slow_model_is_told_beforehand():
    """Where even 12 digits take longer than two minutes, how long is said before the first long wait."""
    for each, words in (
        (10.0, "12 digits (slow: it may take 40 minutes). One call: 792 s at most"),
        (0.33, "22 digits. One"),
    ):
        lines: list[str] = []
        both(adder(), each * 10, tell=lines.append)
        assert words in lines[1]


def test_both_are_asked_for_the_same_sum():
    """One call thinks aloud about the very numbers that the steps add, at one temperature, and is made once."""
    model = adder()
    found = both(model)
    calls = [request for request in model.requests if ALONE not in request.prompt]
    assert [request.prompt for request in calls] == [ALOUD.format(f"What is {found.task.x} + {found.task.y}?")]
    assert {request.temperature for request in model.requests} == {0.7}
    assert found.run is not None
    assert found.run.answer == found.right == found.task.x + found.task.y


def test_where_one_call_is_right_too_it_is_said():
    """Maker is not praised for what one call does as well and cheaper."""
    found = both(adder("Adding the columns ... so it is {:,}. Done in 7 steps."))
    assert (found.exit_code, found.call.right, found.call.answer) == (0, True, found.right)
    assert "one call of this model is enough, and it is cheaper" in found.verdict


@pytest.mark.parametrize("call", ["I think it is {}9, in 2 parts.", "They are long numbers."])
def test_where_maker_wins_it_is_said(call):
    """The answer of one call that is shown is its last long number, if it has any number."""
    found = both(adder(call))
    assert (found.exit_code, found.call.right) == (0, False)
    assert found.call.answer == (int(f"{found.right}9") if "{" in call else None)
    assert found.verdict == "maker is right, one call is not."


def test_a_kind_that_the_model_cannot_do_is_named_and_not_voted_on():
    """Carries taken for two in the trial: that kind is named, with the first slip, and no step is asked."""
    model = adder(step=lambda one, other: one + 2 if other <= 1 else one + other)
    found = both(model, seed=2)
    assert found.run is None
    assert found.exit_code == 2
    assert found.tried["carry"].hopeless
    assert found.tried["carry"].wrong is not None
    assert "'carry'" in found.verdict
    assert "'digits'" not in found.verdict
    assert len(model.requests) == 13


def test_a_reply_that_could_not_vote_counts_as_wrong_in_the_trial():
    """The right sum in a sentence is of no use to a step, and neither is an empty reply."""
    for words in ("The sum is {}.", ""):
        found = both(adder(step=lambda one, other, words=words: words.format(one + other)))
        assert [kind.right for kind in found.tried.values()] == [0, 0]
        assert "'digits' and 'carry'" in found.verdict


@pytest.mark.parametrize(("call", "winner"), [("{}", "one call wins here"), ("no", "neither is right")])
def test_where_maker_is_wrong_it_says_of_what_kind(call, winner):
    """A slip that is rare, and that voting cannot mend: steps decided wrongly are counted by kind."""

    def nearly(one: int, other: int) -> int:
        return 8 if one + other == 9 and other > 1 else one + other

    found = both(adder(call, nearly), seed=3)
    assert not any(kind.hopeless for kind in found.tried.values())
    assert (found.exit_code, set(found.slips)) == (1, {"digits"})
    assert found.verdict.startswith(f"{winner}: maker decided steps wrongly ({found.slips['digits']} of the kind")


def test_an_undecided_step_is_no_answer():
    """A model that never says the same of two digits ends undecided: maker gives no answer."""
    count = itertools.count()

    def unsure(one: int, other: int) -> object:
        return one + other if next(count) < 12 else f"{next(count)} or so"

    found = both(adder("no", unsure))
    assert found.run is not None
    assert (found.exit_code, found.run.stopped) == (4, "undecided")
    assert "gives no answer rather than a guess" in found.verdict


def test_an_empty_reply_of_one_call_is_no_failure():
    """It is told as what it is, and maker goes on."""
    found = both(adder(""))
    assert (found.call.ended, found.call.answer) == ("its reply was empty", None)
    assert found.verdict == "maker is right; one call gave no answer: its reply was empty."


def test_one_call_has_its_time_and_no_more(monkeypatch):
    """A reply that does not come in time is told as that, and maker goes on."""
    monkeypatch.setattr(beside, "FOR_ONE", 0.02)

    class Slow(ScriptedModel):
        async def draw(self, requests: Any) -> Any:
            if ALONE not in requests[0].prompt:
                await anyio.sleep_forever()
            return await super().draw(requests)

    found = both(Slow(lambda request: str(sum(asked(request)))))
    assert (found.exit_code, found.call.answer) == (0, None)
    assert found.verdict == "maker is right; one call gave no answer: no reply within 0 s."


def test_a_model_too_slow_for_the_trial_is_given_up(monkeypatch):
    """Where not even short questions are answered in time, that is said, and nothing more is asked."""
    monkeypatch.setattr(beside, "SECONDS", 0.02)

    class Silent(ScriptedModel):
        async def draw(self, requests: Any) -> Any:
            return await anyio.sleep_forever()

    with pytest.raises(ModelError, match="2 short questions took more than 0 s; `maker check` says"):
        both(Silent(["1"]))


def test_what_a_program_reads_holds_both():
    """Both answers, the right one, tokens and seconds of both."""
    said = both(adder("no")).as_json()
    assert said["solved"] is True
    assert int(said["right"]) == int(said["x"]) + int(said["y"])
    assert said["right"] == said["maker"]["answer"]
    assert {"answer", "tokens", "seconds", "ended"} <= set(said["one_call"])


def test_a_model_that_is_not_there_or_lost_is_told():
    """An unknown name is bad input; a server that refuses in the trial is unusable."""
    with pytest.raises(TaskError, match="there is no model"):
        both("nobody")
    with pytest.raises(ModelError):
        both(ScriptedModel(lambda request: Failure("fatal", "refused")))
