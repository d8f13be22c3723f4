"""The note of a decision: read as it was written, and refused where it makes no sense."""

from __future__ import annotations

import json

import pytest

from maker.errors import JournalError
from maker.journal.decisions import Decision, is_decisions

ONE = Decision("a", 3, "ab12", {"answer": "text"})


@pytest.mark.parametrize("one", [ONE, Decision(7, 0, "", {})])
def test_a_note_is_read_as_it_was_written(one):
    """By way of JSON, whether the name is text or a number."""
    assert Decision.of(json.loads(json.dumps(one.as_note()))) == one


@pytest.mark.parametrize("note", [{"repair": {}}, {}, 3, None, ONE])
def test_other_notes_are_none(note):
    """Whatever else stands in a journal is no decision."""
    assert Decision.of(note) is None


@pytest.mark.parametrize("change", [
    {"step": None}, {"step": True}, {"number": -1}, {"number": "1"}, {"question": 3}, {"reads": []},
])  # fmt: skip
def test_senseless_notes_are_refused(change):
    """Each field is of its type, and a missing one is missed."""
    said = ONE.as_note()["decision"]
    with pytest.raises(JournalError, match="damaged or forged"):
        Decision.of({"decision": said | change})
    (name,) = change
    with pytest.raises(JournalError, match="damaged or forged"):
        Decision.of({"decision": {key: value for key, value in said.items() if key != name}})


def test_a_journal_of_decisions_is_known_by_its_header():
    """By its task alone."""
    assert is_decisions({"task": "decisions"})
    assert not is_decisions({"task": "map"}) and not is_decisions({})
