"""Fields that come with an answer and do not count."""

from __future__ import annotations

import dataclasses
import typing
from itertools import count
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import maker
from maker.api.answers import reader_of
from maker.api.reading.unvoted import unvoted_fields, voted
from maker.testing import ScriptedModel


class Plain(BaseModel):
    """What everybody writes first."""

    category: str
    summary: str


class Ticket(BaseModel):
    """The same, with a summary that does not count."""

    category: str
    summary: Annotated[str, maker.unvoted]


@dataclasses.dataclass
class Row:
    """The same as a dataclass."""

    category: str
    summary: Annotated[str, maker.unvoted]


class Entry(TypedDict):
    """The same as a TypedDict."""

    category: str
    summary: typing.NotRequired[Annotated[str, maker.unvoted]]


class Box(BaseModel):
    """A record of records, one of them of its own kind."""

    first: Ticket
    more: list[Entry] = []
    inner: Box | None = None


def writer() -> ScriptedModel:
    """Return a model that is sure of the category, and that never writes the same summary twice."""
    number = count()
    return ScriptedModel(lambda request: f'{{"category": "bug", "summary": "text {next(number)}"}}')


@pytest.mark.parametrize("kind", [Ticket, Row, Entry])
def test_the_first_sample_of_the_winner_is_the_answer(kind: Any):
    """K samples decide, and the field comes from the first of them."""
    verdict = maker.vote_sync("?", model=writer(), answer=kind, k=3)
    answer = verdict.answer if isinstance(verdict.answer, dict) else vars(verdict.answer)
    assert (answer, verdict.samples) == ({"category": "bug", "summary": "text 0"}, 3)
    assert verdict.votes[verdict.answer] == 3


def test_the_other_fields_count():
    """Answers that differ in a voted field are different candidates."""
    script = ['{"category": "bug", "summary": "a"}', '{"category": "wish", "summary": "a"}']
    with pytest.raises(maker.Undecided) as error:
        maker.vote_sync("?", model=ScriptedModel(script), answer=Ticket, k=2, limits={"max_votes": 6})
    assert sorted(error.value.tally.counts.values()) == [3, 3]


def test_tickets_are_decided_only_without_their_summary():
    """Of 100 tickets with free text none is decided while the text counts; without it each takes k samples."""
    items = [f"ticket {number}" for number in range(100)]
    one, other = writer(), writer()
    without = maker.map_sync("Sort {item}", items, model=one, answer=Ticket, k=3)
    assert (len(without), len(one.requests)) == (100, 300)
    counted = maker.map_sync("Sort {item}", items[:1], model=other, answer=Plain, k=3, limits={"max_votes": 20})
    assert len(counted) == 0


def test_nested_fields_are_found():
    """Fields are named with dots, also in lists; a type that holds itself ends."""
    assert set(unvoted_fields(Box)) == {"first.summary", "more.summary"}
    assert list(unvoted_fields(dict[str, list[Ticket] | None])) == ["summary"]


def test_what_counts_of_a_nested_answer():
    """Whatever an answer is made of, its unvoted fields are left out and nothing else."""
    kind = dict[str, list[Entry | int]] | None
    assert voted({"a": [{"category": "b", "summary": "c"}, 7]}, kind) == {"a": [{"category": "b"}, 7]}
    box = Box(first=Ticket(category="a", summary="b"), more=[{"category": "c", "summary": "d"}])
    assert voted(box, Box) == ["Box", {"first": ["Ticket", {"category": "a"}], "more": [{"category": "c"}],
                                       "inner": None}]  # fmt: skip


def test_readers_say_what_they_leave_out():
    """What does not count is part of a run's fingerprint; a reader without such fields is described as ever."""
    assert reader_of("f", None, Ticket, None).described["unvoted"] == "summary"
    assert "unvoted" not in reader_of("f", None, Plain, None).described
