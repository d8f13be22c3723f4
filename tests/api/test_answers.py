"""How replies become answers, and which answers count as one."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import subprocess
import sys
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, SecretStr

import maker
from maker.api.answers import Keyed, reader_of
from maker.errors import TaskError, Undecided
from maker.task.canonical import canonical
from maker.testing import ScriptedModel


class Person(BaseModel):
    """An answer with an address, which has no canonical form."""

    name: str
    page: AnyUrl


@dataclass
class Size:
    """An answer that is a plain dataclass."""

    width: int


class Mood(enum.Enum):
    """An answer with a fixed choice."""

    GOOD = "good"
    BAD = "bad"


def ask(script: Any, **settings: Any) -> maker.Verdict[Any]:
    """Vote on a script."""
    return maker.vote_sync("What?", model=ScriptedModel(script), **settings)


# -- equivalence -------------------------------------------------------------------------------------------------


def test_answers_with_equal_keys_are_one_candidate():
    """Spellings with one key count together, and the first of them seen is the answer."""
    verdict = ask(["Paris", "PARIS", "Lyon", "paris", "pAris"], key=str.casefold, k=3)
    assert (verdict.answer, verdict.samples) == ("Paris", 5)
    assert dict(verdict.votes.items()) == {"Paris": 4, "Lyon": 1}


def test_without_a_key_spellings_are_different_answers():
    """The same script without key= has no answer that is ahead."""
    with pytest.raises(Undecided):
        ask(["Paris", "PARIS", "paris"], k=3, limits={"max_votes": 9})


def test_votes_are_found_by_any_answer_of_a_candidate():
    """With a key, counts are looked up by it; what is no answer has no count."""
    votes = ask(["Paris", "Lyon", "PARIS", "paris"], key=str.casefold, k=2).votes
    assert (votes["pARIS"], votes["LYON"], len(votes), "Rome" in votes) == (3, 1, 2, False)
    assert votes == {"PARIS": 3, "lyon": 1}
    for other in ({"PARIS": 3, "lyon": 2}, {"Paris": 3}, {"Paris": 3, "Rome": 1}, [("Paris", 3)]):
        assert votes != other
    assert 7 not in votes  # no key can be made of it


def test_key_makes_uncountable_answers_countable():
    """An answer type that has no canonical form is fine where a key has one."""
    script = ['{"name": "Ada", "page": "http://ada/"}', '{"name": "ada", "page": "http://ada/"}']
    verdict = ask(script, answer=Person, key=lambda person: str(person.page), k=2)
    assert verdict.answer == Person(name="Ada", page=AnyUrl("http://ada/"))
    assert verdict.votes[verdict.answer] == 2


def test_key_of_parsed_answers():
    """parse= and key= go together: the one reads, the other says what is the same."""
    verdict = ask(["1.001", "0.999", "2"], parse=float, key=round, k=2)
    assert (verdict.answer, dict(verdict.votes.items())) == (1.001, {1.001: 2})


def test_undecided_shows_answers_and_not_keys():
    """The tally of an undecided vote names the answers that were seen."""
    with pytest.raises(Undecided) as error:
        ask(["Paris", "Lyon", "PARIS", "lyon"], key=str.casefold, k=2, limits={"max_votes": 4})
    assert error.value.tally.votes.items() == [("Paris", 2), ("Lyon", 2)]


@pytest.mark.parametrize(
    ("key", "match"),
    [
        (len, r"key= of 7 raised TypeError: object of type .int. has no len"),
        (lambda answer: math.nan, "key= of 7 gave nan, which cannot be counted"),
        (lambda answer: object(), "type builtins.object has no canonical form"),
        (lambda answer: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_key_that_fails_is_the_users_bug(key: Any, match: str):
    """A key that raises, or is nothing that can be compared, is a TaskError and never a red flag."""
    with pytest.raises(TaskError, match=match):
        ask(["7"], answer=int, key=key)


def test_keys_are_not_made_of_replies_that_cannot_be_read():
    """A reply without an answer is flagged as ever; its key is never asked for."""
    keys: list[int] = []
    verdict = ask(["seven", "7"], answer=int, key=lambda answer: keys.append(answer) or answer, k=1)
    assert (verdict.answer, dict(verdict.flags), set(keys)) == (7, {"malformed": 1}, {7})


@pytest.mark.parametrize("key", [round, lambda number: number])
def test_undefined_numbers_are_flagged_before_a_key_sees_them(key: Any):
    """A reply that says NaN is the model's fault: flagged, and no bug of a key that cannot take it."""
    verdict = ask(["NaN", "1.2", "1.2"], answer=float, key=key, k=2)
    assert (verdict.answer, dict(verdict.flags)) == (1.2, {"malformed": 1})


def test_keyed_answers_have_the_form_of_their_key_alone():
    """Two answers with one key are the same bytes, whatever else they hold."""
    assert canonical(Keyed("A", str.lower)) == canonical(Keyed("a", str.lower))
    assert canonical(Keyed("A", str.lower)) != canonical(Keyed("A", str.upper))
    with pytest.raises(AttributeError):
        _ = Keyed("A", str.lower).colour


# -- types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        Person, AnyUrl, complex, deque[int], list[AnyUrl], AnyUrl | None,
    ],
)  # fmt: skip
def test_types_without_canonical_form_are_refused_before_anything_is_sent(kind: Any):
    """Equal answers of such a type could not be counted as one: said at once, with what to do."""
    model = ScriptedModel(["1"])
    with pytest.raises(TaskError, match=r"^vote: answer = .*without a canonical form.*Give key="):
        maker.vote_sync("When?", model=model, answer=kind)
    assert model.requests == []


def test_types_that_hide_their_kind_are_refused_at_the_first_reply():
    """Where the type does not tell, the first answer does: a TaskError, never a flag."""
    with pytest.raises(TaskError, match=r"canonical form"):
        ask(['"a"'], answer=SecretStr)


@pytest.mark.parametrize(
    ("kind", "reply", "value"),
    [
        (Size, '{"width": 2}', Size(2)),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (set[int], "[2, 1]", {1, 2}),
        (Mood, '"good"', Mood.GOOD),
        (Literal[Mood.GOOD, Mood.BAD], "bad", Mood.BAD),
        (Literal["  padded "], "padded", "  padded "),
        (Literal[1, "one"], "1", 1),
        (int | str, "7", 7),
        (dict[str, list[float]], '{"a": [1.5]}', {"a": [1.5]}),
        (Any, '{"b": null}', {"b": None}),
        (dict[str, decimal.Decimal], '{"a": "1.50"}', {"a": decimal.Decimal("1.5")}),
        (uuid.UUID | None, f'"{uuid.UUID(int=7)}"', uuid.UUID(int=7)),
        (list[datetime.timedelta], '["P1D"]', [datetime.timedelta(days=1)]),
    ],
)
def test_types_that_can_be_counted(kind: Any, reply: str, value: Any):
    """What a type reads is of that type."""
    answer = ask([reply], answer=kind, k=2).answer
    assert (answer, type(answer)) == (value, type(value))


def test_an_alias_is_the_type_it_stands_for():
    """`type Mood = Literal[...]` reads bare text, as the Literal itself does."""

    class Alias:
        __value__ = Literal["yes", "no"]

    assert ask(["yes"], answer=Alias, k=1).answer == "yes"


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (Literal[1, "1"], r"1 and '1' are both written '1'"),
        (Literal["a", " a"], "are both written 'a'"),
        (Literal["a", ""], "would be an empty reply"),
        (range, "no type that JSON can be read as"),
        (print, "is a function; give it as parse="),
    ],
)
def test_types_that_no_reply_can_have(kind: Any, match: str):
    """An answer type that could never win, or be told apart, is refused before anything is sent."""
    with pytest.raises(TaskError, match=match):
        reader_of("here", None, kind, None)


@pytest.mark.parametrize("reply", ["NaN", "Infinity", "-Infinity", '{"x": NaN}'])
def test_undefined_numbers_are_flagged(reply: str):
    """NaN equals nothing, not even itself: however many agree on it, it has no vote."""
    with pytest.raises(Undecided, match="malformed 6") as error:
        ask([reply], answer=Any, limits={"max_flags": 6})
    assert error.value.tally.total == 0


# -- what a run's fingerprint has of it --------------------------------------------------------------------------------


def test_readers_are_told_apart():
    """Every way of reading is described otherwise, as JSON: a resumed run must read as it did before."""

    def other(text: str) -> str:
        return text.lower()

    readers = [
        reader_of("f", parse, answer, key)
        for parse, answer, key in [
            (None, None, None), (None, int, None), (None, list[int], None), (None, Literal["a"], None),
            (None, Literal["a", "b"], None), (int, None, None), (other, None, None), (str.lower, None, None),
            (None, None, str.lower), (None, None, other), (None, None, lambda text: text.lower()),
        ]
    ]  # fmt: skip
    described = [json.dumps(reader.described) for reader in readers]
    assert len(set(described)) == len(described)
    assert reader_of("f", other, None, None).described == reader_of("f", other, None, None).described


@pytest.mark.slow
def test_types_of_verdicts():
    """A type checker agrees with every assert_type of typed_answers.py."""
    command = [sys.executable, "-m", "mypy", "--strict", str(Path(__file__).with_name("typed_answers.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout
