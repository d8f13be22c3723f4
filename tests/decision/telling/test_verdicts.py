"""Why an answer won: five lines, a short repr, a table in which nothing runs."""

from __future__ import annotations

import pytest

import maker
from maker.testing import ScriptedModel

SURE = (
    "If 9 of 10 votes were right, and each erred on its own, a wrong answer would get so far ahead in one race of 82; "
    "what most votes get wrong alike, no margin shows."
)


def voted(*replies: str, k: int = 2, **asking: object) -> maker.Verdict[str]:
    """Vote on scripted replies."""
    return maker.vote_sync("?", model=ScriptedModel(list(replies)), k=k, **asking)  # type: ignore[arg-type]


def test_five_lines_say_why_an_answer_won():
    """The winner's lead, what stood against it, the draws with their flags, how sure that is, what it took."""
    lines = voted("a", "b", "", "a", "a").explain().split("\n")
    assert lines == [
        "'a' won with 3 votes of 4, 2 ahead of the next.",
        "Against it: 'b' with 1.",
        "5 draws in 3 waves; 1 flagged and without a vote (empty 1).",
        SURE,
        "It took 5 calls, 0 tokens in, 0 out.",
    ]


def test_votes_that_agree_are_told_as_such():
    """Without another answer and without flags the lines say so, and singular is singular."""
    lines = voted("a", k=1).explain().split("\n")
    assert lines[0] == "'a' won with 1 vote of 1, 1 ahead of the next."
    assert lines[1:3] == ["Nothing stood against it: all votes agree.",
                          "1 draw in 1 wave; none was flagged, so each had a vote."]  # fmt: skip
    assert "in one race of 10;" in lines[3]


def test_many_answers_and_wide_margins_stay_five_lines():
    """Of many other answers three are named; a number of races that nobody could read is a power of ten."""
    lines = voted(*"bcdef", *"a" * 15, k=14, limits={"max_votes": 99}).explain().split("\n")
    assert len(lines) == 5 and lines[1] == "Against it: 'b' with 1, 'c' with 1, 'd' with 1, and 2 more."
    assert "one race of 10^13;" in lines[3]


def test_a_step_of_a_run_leaves_the_account_to_the_run():
    """What one step took is not known apart, and that is said."""
    result = maker.run_sync("hanoi", model="oracle:p=0.9", k=2)
    verdict = next(result.verdicts())
    assert verdict.explain().split("\n")[-1] == "It is step 0 of a run; what that took is in the account of the run."


@pytest.mark.parametrize("answer", ["<img src=x onerror=alert(1)>", "\x1b[31mred"])
def test_what_a_model_wrote_is_shown_and_not_obeyed(answer: str):
    """Repr, lines and table hold neither its markup nor its control characters."""
    verdict = voted(answer, answer, "no")
    assert "\x1b" not in verdict.explain() + repr(verdict) + verdict._repr_html_()
    assert "<img" not in verdict._repr_html_()
    assert verdict._repr_html_().count("<tr>") == 2


def test_the_repr_is_one_short_line():
    """The answer, the votes of the leading answers, samples and flags, whatever the answer is."""
    assert repr(voted("a", "b", "", "a", "a")) == "<Verdict 'a': votes 3-1, 5 samples, 1 flagged>"
    assert len(repr(voted("x" * 500, "x" * 500))) < 200
