"""The ladder: what is diagnosed, which rung is taken, and that the climb ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory
from maker.decision.address import seed_key
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.engine.ladder import rungs as ladder
from maker.engine.ladder.rungs import (
    Trouble,
    another_model,
    climb,
    describe,
    finer,
    go_back,
    more_votes,
    refine,
    reword,
)
from maker.errors import TaskError
from maker.journal.escalated import Change

exactly = settings(derandomize=True, max_examples=200, deadline=None)

ALL = frozenset({"paraphrases", "finer"})
TIED = Trouble(7, "max_votes", 5, votes=(51, 49), texts=2)
LEADING = Trouble(7, "max_votes", 20, votes=(62, 43), texts=2)
FLAGGED = Trouble(7, "max_flags", 5, votes=(2, 1), flags={"malformed": 60, "truncated": 40}, texts=90)
REJECTED = Trouble(7, "max_flags", 5, votes=(1,), flags={"illegal": 98, "malformed": 2}, texts=3)
REFUSED = Trouble(7, "refused", 5, flags={"refused": 10}, texts=1)
UNSOUND = replace(TIED, unsound=True, decided=30)


# -- diagnosis ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "diagnosis"),
    [
        (TIED, "tied"),
        (LEADING, "leading"),
        (FLAGGED, "flagged"),
        (REJECTED, "rejected"),
        (REFUSED, "refused"),
        (UNSOUND, "unsound"),
        (Trouble(0, "poison", 3), "refused"),
        (Trouble(0, "max_votes", 3), "tied"),
        (Trouble(0, "max_votes", 3, votes=(30, 29, 28, 13)), "tied"),
        (replace(REJECTED, texts=60), "flagged"),  # illegal in sixty different ways: no favourite to get round
        (replace(REJECTED, flags={"illegal": 40, "malformed": 60}, texts=3), "flagged"),
        (replace(REJECTED, votes=(19, 1)), "leading"),  # the favourite is cut, and what is left is clear
        (replace(UNSOUND, votes=(90, 1)), "unsound"),
        (Trouble(0, "max_flags", 3, votes=(1,), flags={"refused": 99}), "flagged"),
        (Trouble(0, "max_flags", 3, flags={"refused": 40, "malformed": 60}), "flagged"),
    ],
)
def test_diagnosis(trouble: Trouble, diagnosis: str) -> None:
    """Counts alone tell the kinds of trouble apart, and every kind has a remedy that is said."""
    assert trouble.diagnosis == diagnosis
    said = describe(trouble)
    assert f"Diagnosis: {diagnosis}. " in said
    assert "Tried" not in said
    assert describe(replace(trouble, tried=("refine", "reword"))).startswith("Tried in vain: refine, reword. ")


@exactly
@given(st.integers(0, 200), st.integers(0, 200))
def test_leading_is_beyond_chance(first: int, second: int) -> None:
    """A lead is one that an even step shows in at most 5% of its votes: never a tie, never one answer's few votes."""
    first, second = max(first, second), min(first, second)
    leading = Trouble(0, "max_votes", 5, votes=(first, second)).leading
    assert leading == (first > second and theory.p_lower(second, first + second) > 0.5)
    if first == second or first + second < 5:
        assert not leading


def test_a_poll_is_seen_as_it_stands() -> None:
    """A trouble holds a poll's counts: votes by answer, flags by kind, distinct texts; and nothing of the answers."""
    method = Method("run", seed_key(0), 3, 4, 9, (), 0.1, None, 100, 750)
    poll = Poll(Step(12, None, Rules(int)), method, "?")
    while poll.outcome is None:
        poll.take([Sample(text, 1, 1) for text in ("1", "2", "x", "2", "1")[poll.drawn :][: poll.need]])
    seen = ladder.trouble_of(poll, "max_votes", tried=("refine",), decided=4)
    assert (seen.step, seen.reason, seen.k, seen.tried, seen.decided) == (12, "max_votes", 3, ("refine",), 4)
    assert (seen.valid, seen.flagged, seen.flags) == (2, 1, {"malformed": 1})
    assert seen.texts == 3


# -- rungs --------------------------------------------------------------------------------------------------


def test_more_votes_only_where_one_answer_leads() -> None:
    """More votes are for a leader beyond chance, under a limit that nobody set; never for a tie."""
    assert more_votes(LEADING) == Change(more=4)
    assert more_votes(LEADING).goes_on  # type: ignore[union-attr]
    assert more_votes(replace(LEADING, fixed=frozenset({"max_votes"}))) is None
    assert more_votes(replace(LEADING, fixed=frozenset({"max_flags"}))) == Change(more=4)
    for other in (TIED, FLAGGED, REJECTED, REFUSED, UNSOUND):
        assert more_votes(other) is None


def test_rungs_choose_by_diagnosis() -> None:
    """Flags are met by drawing warmer and longer; refusals, ties and a refused favourite by asking differently."""
    other = another_model("big")
    for trouble, wanted in (
        (FLAGGED, {refine, reword, finer, other}),
        (REJECTED, {reword, finer, other}),
        (REFUSED, {reword, finer, other}),
        (TIED, {reword, finer, other}),
        (LEADING, set()),
        (UNSOUND, set()),
    ):
        asked = replace(trouble, offers=ALL)
        assert {rung for rung in (refine, reword, finer, other) if rung(asked)} == wanted, trouble.diagnosis
        assert reword(trouble) is None
        assert finer(trouble) is None
    assert reword(replace(LEADING, offers=ALL, tried=("more_votes",))) == Change(paraphrase=True)
    assert other(TIED) == Change(model="big")
    assert not Change(model="big", more=4).goes_on


def test_going_back() -> None:
    """Steps are given up where the state is broken, or when other rungs were of no use; never more than there are."""
    back = go_back(50)
    assert back(UNSOUND) == Change(back=30)
    assert go_back(8)(UNSOUND) == Change(back=8)
    assert back(replace(UNSOUND, decided=0)) is None
    assert back(TIED) is None
    assert back(replace(TIED, decided=3)) is None
    assert back(replace(TIED, decided=3, tried=("reword",))) == Change(back=3)
    for steps in (0, -1, 1.5, True, "8"):
        with pytest.raises(TaskError, match="go_back: steps"):
            go_back(steps)  # type: ignore[arg-type]


def test_what_the_journal_keeps_of_a_change() -> None:
    """A change is noted by what it changes, and is made again from its note."""
    for change in (
        Change(more=4),
        Change(warmer=0.5, longer=2),
        Change(model="big"),
        Change(back=3),
        Change(finer=True),
    ):
        assert Change(**change.as_note()) == change
    assert Change(paraphrase=True).as_note() == {"paraphrase": True}


# -- the climb ----------------------------------------------------------------------------------------------


def test_the_climb_takes_the_first_rung_that_fits_and_never_goes_down() -> None:
    """Rungs that have nothing for a case are passed over, and those at or below the last one taken stay so."""
    rungs = [more_votes, refine, reword, another_model("big"), finer, go_back(5)]
    trouble = replace(FLAGGED, offers=ALL, decided=9)
    names = []
    while (step := climb(rungs, trouble)) is not None:
        names.append(step[0])
        trouble = replace(trouble, tried=(*trouble.tried, step[0]))
    assert names == ["refine", "reword", "another_model(big)", "finer", "go_back(5)"]
    assert climb([finer, refine], replace(FLAGGED, tried=("refine",), offers=ALL)) is None
    assert climb([], TIED) is None


def test_a_rung_that_is_listed_twice_is_taken_twice() -> None:
    """Each place of the ladder is used once, so a rung has as many tries as it is listed."""
    trouble = FLAGGED
    for tries in range(2):
        assert climb([refine, refine], replace(trouble, tried=("refine",) * tries)) is not None
    assert climb([refine, refine], replace(trouble, tried=("refine",) * 2)) is None


def test_a_rung_that_is_no_longer_listed_hides_none() -> None:
    """After a resume with another ladder, rungs that were tried and are gone do not pass over those that are there."""
    assert climb([reword], replace(TIED, offers=ALL, tried=("refine", "another_model(small)"))) is not None


@exactly
@given(
    st.lists(st.sampled_from([more_votes, refine, reword, finer, another_model("big"), go_back(3)]), max_size=8),
    st.sampled_from([TIED, LEADING, FLAGGED, REJECTED, REFUSED, UNSOUND]),
)
def test_every_climb_ends(rungs: list[Any], trouble: Trouble) -> None:
    """Whatever the ladder and the trouble, there are no more tries than places in the ladder."""
    trouble = replace(trouble, offers=ALL, decided=20)
    for _ in range(len(rungs) + 1):
        step = climb(rungs, trouble)
        if step is None:
            break
        trouble = replace(trouble, tried=(*trouble.tried, step[0]))
    else:
        pytest.fail("more rungs were taken than there are")


def test_the_default_never_guesses() -> None:
    """The default ladder changes nothing but a limit: a tie, a refusal, flags, a broken state all end in the stop."""
    assert list(ladder.DEFAULT) == [more_votes]
    assert climb(ladder.DEFAULT, LEADING) == ("more_votes", Change(more=4))
    for trouble in (TIED, FLAGGED, REJECTED, REFUSED, UNSOUND, replace(LEADING, tried=("more_votes",))):
        assert climb(ladder.DEFAULT, replace(trouble, offers=ALL)) is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (5, "rung mine returned 5"),
        (Change(), r"rung mine returned Change\(.*\): give a Change of something"),
        (Change(more=0), "out of range"),
        (Change(longer=-1), "out of range"),
        (Change(warmer=float("nan")), "out of range"),
        (Change(back=31), "out of range; 30 steps can be given up"),
        (Change(back=-1), "out of range"),
        (Change(paraphrase=True), r"the task has no paraphrases\(state, step\)"),
        (Change(finer=True), r"the task has no finer\(state, step\)"),
    ],
)
def test_a_rung_that_returns_nonsense(change: Any, match: str) -> None:
    """A change that changes nothing, or cannot be made, is a TaskError naming step and rung."""

    def mine(trouble: Trouble) -> Any:
        return change

    with pytest.raises(TaskError, match="step 7.*" + match):
        climb([mine], UNSOUND)


def test_a_rung_that_raises() -> None:
    """What a rung raises is a TaskError naming step and rung."""

    class Mine:
        def __call__(self, trouble: Trouble) -> Change:
            raise ZeroDivisionError

    with pytest.raises(TaskError, match="step 7: rung Mine raised ZeroDivisionError"):
        climb([Mine()], TIED)


def test_the_ladder_is_a_list_of_callables() -> None:
    """None is the default, an empty list has no rungs, anything but callables is refused."""
    assert ladder.make_ladder(None) == ladder.DEFAULT
    assert ladder.make_ladder([]) == ()
    assert ladder.make_ladder([refine, reword]) == (refine, reword)
    for wrong in ("refine", [refine, "reword"], 5, {"refine": 1}):
        with pytest.raises(TaskError, match="ladder = "):
            ladder.make_ladder(wrong)  # type: ignore[arg-type]


def test_the_models_of_a_ladder() -> None:
    """Models that rungs may ask are found by the name that their changes bear."""

    class Named:
        name = "mine"

    made = Named()
    rungs = [refine, another_model("oracle:p=1"), another_model(made)]  # type: ignore[arg-type]
    assert ladder.models_of(rungs) == {"oracle:p=1": "oracle:p=1", "mine": made}
    assert rungs[2](TIED) == Change(model="mine")
    assert [ladder.rung_name(rung) for rung in rungs] == ["refine", "another_model(oracle:p=1)", "another_model(mine)"]
