"""What replies that decide nothing have in common."""

from __future__ import annotations

from itertools import count

import pytest
from pydantic import BaseModel

import maker
from maker.task import alike
from maker.task.alike import MOST_CHARS, differing_field, looks
from maker.testing import ScriptedModel


class Ticket(BaseModel):
    """A record with free text."""

    category: str
    summary: str


def test_an_undecided_vote_names_the_field_that_differs():
    """Where all but one field agree, the message says which does not and what to do."""
    number = count()
    model = ScriptedModel(lambda request: f'{{"category": "bug", "summary": "{next(number)}"}}')
    with pytest.raises(maker.Undecided, match=r"the field 'summary' differs.*maker\.unvoted"):
        maker.vote_sync("?", model=model, answer=Ticket, limits={"max_votes": 8})


def test_an_undecided_vote_says_what_flagged_replies_look_like():
    """Where every reply fails alike, the message says how, with an example."""
    with pytest.raises(maker.Undecided, match="all contain <think>, such as '<think> 6"):
        maker.vote_sync("?", model=ScriptedModel(["<think>\n6 x 7"]), answer=int, limits={"max_flags": 8})


def test_looks():
    """Something is said only where it holds of all; the example is short and prints."""
    assert looks([]) == ""
    assert looks([None, None]) == "none of the flagged replies has text"
    assert looks(["```\nx", "```\ny"]).startswith("of the flagged replies all begin with a code fence, such as '``` x'")
    assert looks(["a\x1b", "```"]) == r"of the flagged replies one is 'a\x1b'"
    assert len(looks(["\x00" * 999])) < MOST_CHARS + 40


def test_differing_field():
    """A field is named only if it is the only one that differs, of records of one form."""
    assert differing_field([{"a": 1, "b": 1}, {"a": 1, "b": 2}]) == "b"
    for answers in ([], [{"a": 1, "b": 1}], [{"a": 1}, {"a": 2}], [{"a": 1, "b": 1}, {"a": 2, "b": 2}], [1, 2]):
        assert differing_field(answers) == ""


def test_tool_calls_instead_of_text_are_named() -> None:
    """Where only tool calls came, that is what is said."""
    assert looks([None, None], called=True) == "tool calls came instead of text"


def test_an_example_of_a_huge_reply_is_made_of_its_beginning(monkeypatch):
    """A reply of a million characters is cut before it is looked at closely, and blanks before it are passed over."""
    seen = []
    monkeypatch.setattr(alike, "visible", lambda text: seen.append(len(text)) or text)
    said = looks([" " * 10_000 + "[ \n" * 10**6])
    assert "'[ [ [" in said and len(said) < 2 * MOST_CHARS
    assert seen and seen[0] < 10 * MOST_CHARS
