"""One value in a reply, as people and models write it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from typing_extensions import TypedDict

import maker
from maker.api.answers import reader_of
from maker.api.reading.value import fenced
from maker.task.lines import Ambiguous
from maker.testing import ScriptedModel

Choice = Literal["yes", "no"]


class Mood(enum.Enum):
    """Two options."""

    GOOD = "good"
    BAD = "bad"


@dataclasses.dataclass
class Size:
    """A record."""

    width: int


class Place(TypedDict):
    """A record of another kind."""

    name: str


ID = uuid.UUID(int=7)
NONE = "there is no value"
MANY = "there are several"


def read(kind: Any, text: str) -> Any:
    """Read a reply as a type; what it has too few or too many of stands for the error."""
    try:
        return reader_of("f", None, kind, None).parse(text)
    except Ambiguous:
        return MANY
    except ValueError:
        return NONE


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "42", 42), (int, " 42\n", 42), (int, "42.0", 42), (int, "1,234", 1234), (int, "**42**", 42),
        (int, "42.", 42), (int, "**42**.", 42), (int, "`42`", 42), (int, '"42"', NONE), (int, "_42_", 42),
        (int, "+42", 42), (int, "-42", -42), (int, "007", 7), (int, "1,234,567.00", 1234567), (int, "-0", 0),
        (int, "about 42", NONE), (int, "42 43", NONE), (int, "42, 43", NONE), (int, "= 42", NONE), (int, "42.5", NONE),
        (int, "4 2", NONE), (int, "12,34", NONE), (int, "42 apples", NONE), (int, "", NONE), (int, "**", NONE),
        (int, "6 * 7", NONE), (int, "0x2a", NONE), (int, "true", NONE), (int, "40..42", NONE),
        (int, "```json\n42\n```", 42), (int, "```\n42\n```", 42), (int, "Here:\n```\n42\n```\nDone.", 42),
        (int, "```\n42\n```\n```\n42\n```", 42), (int, "```\n42\n```\nor\n```\n43\n```", MANY),
        (int, "```\n42", NONE), (int, "**4", NONE), (int, "42..", NONE), (int, "```\nx\n```\n```\n42\n```", NONE),
        (int, "```\nabout 42\n```", NONE),
        (Annotated[int, Field(gt=0)], "**42**", 42), (Annotated[int, Field(gt=0)], "**-42**", NONE),
        (float, "1.5", 1.5), (float, "1,234.5", 1234.5), (float, "**1.5**", 1.5), (float, "1e3.", 1000.0),
        (float, "about 1.5", NONE), (float, "1.5.6", NONE), (float, "1.5 or 1.6", NONE),
        (bool, "true", True), (bool, "True", True), (bool, "**Yes**.", True), (bool, "no", False), (bool, "NO.", False),
        (bool, '"false"', NONE), (bool, "yes or no", NONE), (bool, "1", NONE), (bool, "maybe", NONE),
        (Choice, "yes", "yes"), (Choice, "Yes", "yes"), (Choice, "**Yes**.", "yes"), (Choice, '"no"', "no"),
        (Choice, "`NO`", "no"), (Choice, "_no_", "no"), (Choice, "no.", "no"), (Choice, "\u201cNo\u201d", "no"),
        (Choice, "It is **no**, I think.", "no"), (Choice, "```\nyes\n```", "yes"),
        (Choice, "yes or no", MANY), (Choice, "**yes** or **no**", MANY), (Choice, "yes\nno", MANY),
        (Choice, "I would say yes", NONE), (Choice, "maybe", NONE), (Choice, "nothing", NONE), (Choice, "", NONE),
        (Literal["a", "A"], "A", "A"), (Literal["a", "A"], "**a**", "a"), (Literal[1, 2], "**2**", 2),
        (Mood, '"good"', Mood.GOOD), (Mood, "good", Mood.GOOD), (Mood, "**Bad**.", Mood.BAD), (Mood, "ugly", NONE),
        (dt.date, "2024-02-03", dt.date(2024, 2, 3)), (dt.date, "**2024-02-03**.", dt.date(2024, 2, 3)),
        (dt.date, "2024-02-31", NONE), (dt.date, "3 Feb 2024", NONE), (dt.time, "03:04", dt.time(3, 4)),
        (dt.datetime, "2024-02-03T04:05:06", dt.datetime(2024, 2, 3, 4, 5, 6)),  # noqa: DTZ001 -- as written
        (Decimal, "1.50", Decimal("1.5")), (Decimal, "0.12345678901234567891", Decimal("0.12345678901234567891")),
        (Decimal, "1,234.5", Decimal("1234.5")), (Decimal, "NaN", NONE), (uuid.UUID, str(ID), ID),
        (uuid.UUID, f"`{ID}`", ID), (PurePosixPath, "a/b", PurePosixPath("a/b")),
        (Optional[int], "**42**", 42), (int | None, "None", None), (int | bool, "yes", True),  # noqa: UP045
        (tuple[int, str], 'So:\n```json\n[1, "a"]\n```', (1, "a")), (dict[str, int], '```\n{"a": 1}\n```', {"a": 1}),
        (list[int], "```json\n[1, 2]\n```", [1, 2]), (list[int], "1, 2", NONE), (list[int], "[1, 2", NONE),
        (Size, '```json\n{"width": 2}\n```', Size(2)), (Size, '```json\n{"width": 2\n```', NONE),
        (Size, '```\n{"width": 2, "width": 3}\n```', NONE), (Place, '```\n{"name": "a"}\n```', {"name": "a"}),
    ],
)  # fmt: skip
def test_readings(kind: Any, text: str, value: Any):
    """A value written plainly is read; what is no value, or several, is not."""
    found = read(kind, text)
    assert (found, type(found)) == (value, type(value))


@given(
    st.one_of(st.integers(-(10**12), 10**12), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
              st.dates(), st.uuids(), st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    st.sampled_from(["{}", "**{}**", "`{}`.", " {}\n", "Answer:\n```\n{}\n```\nThat is all."]),
)  # fmt: skip
def test_a_value_written_plainly_is_that_value(value: Any, form: str):
    """Whatever stands around it by habit, a value's own text gives the value."""
    assert read(type(value), form.format(value)) == value


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_numbers_are_never_one(first: int, second: int):
    """No way to put two different numbers side by side has an answer, but for the thousands' comma."""
    for form in ("{} {}", "{} or {}", "{}\n{}", "{}; {}", "**{}** **{}**"):
        assert read(int, form.format(first, second)) == NONE


@pytest.mark.parametrize(("text", "kind", "answer"), [("```json\n42\n```", int, 42), ("**Yes**.", Choice, "yes")])
def test_a_model_that_decorates_is_decided(text: str, kind: Any, answer: Any):
    """A fence, or bold and a full stop, cost no vote: k samples decide."""
    verdict = maker.vote_sync("yes or no?", model=ScriptedModel([text]), answer=kind)
    assert (verdict.answer, verdict.samples, verdict.flagged) == (answer, 3, 0)


def test_two_values_are_flagged_ambiguous():
    """The red flag has the kind that says so."""
    script = ["```\n1\n```\n```\n2\n```", "7", "7"]
    assert dict(maker.vote_sync("?", model=ScriptedModel(script), answer=int, k=2).flags) == {"ambiguous": 1}


def test_what_is_read_of_many_fences_is_bounded():
    """Fences that repeat one text are read once; more different ones than anybody writes are no value."""
    read_once: list[str] = []
    assert fenced("```\n7\n```\n" * 5000, lambda block: read_once.append(block) or 7) == 7
    assert read_once == ["7\n"]
    assert read(int, "".join(f"```\n{' ' * blanks}7\n```\n" for blanks in range(200))) == 7
    assert read(int, "".join(f"```\n{' ' * blanks}7\n```\n" for blanks in range(201))) == NONE
