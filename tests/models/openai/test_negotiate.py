"""What a server takes is found in few probes, kept, told once, and journaled; bad luck is a flagged sample."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

import maker
from maker.decision.sample import Failure
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.models.openai import client
from maker.models.openai.client import OpenAI
from maker.models.openai.health import PROBE_PROMPT, meant
from maker.models.openai.negotiate import FOUND, as_note, of_note, search
from maker.models.openai.refusal import Asked, Trouble
from maker.models.openai.request import FORMS, Dialect
from maker.models.takes import told
from maker.testing import FaultServer, Reply, error

FIELDS = ["temperature", "seed", "logprobs", "stop", "schema"]


def refusing(*bad: str, limit: str = "max_tokens"):
    """Return an attempt at a server that refuses some fields, and the dialects it saw."""
    seen: list[Dialect] = []

    async def attempt(dialect: Dialect) -> Trouble | None:
        seen.append(dialect)
        sent = set(FIELDS) - dialect.refused - ({"schema"} if dialect.form == "words" else set())
        wrong = sent & set(bad) or dialect.tokens_name not in (limit, None)
        return Trouble(Failure("poison", "no"), 400, about=True) if wrong else None

    return attempt, seen


@pytest.mark.parametrize("count", range(len(FIELDS) + 1))
def test_exactly_the_refused_fields_are_left_out(count):
    """Whatever fields a server refuses without a word, the search finds these and no others; one in 5 probes."""
    for bad in itertools.combinations(FIELDS, count):
        attempt, seen = refusing(*bad)
        found = asyncio.run(search(Dialect(), FIELDS, (), attempt))
        assert found.refused == frozenset(bad) - {"schema"}
        assert found.form == ("words" if "schema" in bad else "strict")
        assert len(seen) <= (5 if count <= 1 else 13)


@pytest.mark.parametrize("form", FORMS)
def test_a_schema_is_lowered_as_far_as_it_must(form):
    """The form that is found is the strictest one that the server takes, and the other fields stay."""

    async def attempt(dialect: Dialect) -> Trouble | None:
        ill = FORMS.index(dialect.form) < FORMS.index(form)
        return Trouble(Failure("poison", "no"), 400, about=True) if ill else None

    assert asyncio.run(search(Dialect(), FIELDS, (), attempt)) == Dialect(form=form)


def test_one_of_the_fields_that_are_always_sent_takes_three_probes():
    """The common case: a plain question, and a server that refuses one field and does not say which."""
    for bad in ("temperature", "seed", "logprobs"):
        attempt, seen = refusing(bad)
        assert asyncio.run(search(Dialect(), FIELDS[:3], (), attempt)).refused == {bad}
        assert len(seen) == 3


def test_fields_that_go_singly_and_not_together_are_not_sent_together():
    """Where a server refuses two fields in one request, the search ends with what it was seen to take."""
    seen: list[Dialect] = []

    async def attempt(dialect: Dialect) -> Trouble | None:
        both = "logprobs" not in dialect.refused and dialect.form != "words"
        seen.extend([] if both else [dialect])
        return Trouble(Failure("poison", "no"), 400, about=True) if both else None

    found = asyncio.run(search(Dialect(), FIELDS, (), attempt))
    assert found in seen
    assert found != Dialect().bare(FIELDS)


def test_named_fields_come_last():
    """With a hint among several, the others come back in one, and each named one is tried alone."""
    attempt, seen = refusing("seed")
    found = asyncio.run(search(Dialect(), FIELDS, ("seed", "stop"), attempt))
    assert found.refused == {"seed"}
    assert len(seen) <= 4


@pytest.mark.parametrize("bad", [("seed", "stop"), ("logprobs", "temperature"), ("seed",), ()])
def test_two_refused_fields_that_are_named_take_four_probes(bad):
    """The others in one, and each of the two; a complaint that names what is taken misleads none."""
    attempt, seen = refusing(*bad)
    named = bad if len(bad) == 2 else ("seed", "stop")
    found = asyncio.run(search(Dialect(), FIELDS, named, attempt))
    assert found.refused == frozenset(bad)
    assert len(seen) <= 4


def test_what_follows_is_not_asked():
    """Where half of what was refused is taken, it is the other half: no dialect is tried twice."""
    for bad in FIELDS:
        attempt, seen = refusing(bad)
        asyncio.run(search(Dialect(), FIELDS, (), attempt))
        assert len(set(seen)) == len(seen)


def test_the_limit_is_tried_by_its_other_name():
    """A server that knows the token limit under another name only is found out by the bare request."""
    attempt, _ = refusing(limit="max_completion_tokens")
    assert asyncio.run(search(Dialect(), FIELDS, (), attempt)) == Dialect("max_completion_tokens")


def test_what_the_bare_request_meets_is_the_servers_own():
    """A refusal of everything is returned as it is, after one probe where no name of the limit can help."""

    async def attempt(dialect: Dialect) -> Trouble:
        return Trouble(Failure("poison", "no such model"), 404, about=True)

    assert asyncio.run(search(Dialect(), FIELDS, (), attempt)).status == 404


ROWS: dict[str, tuple[Any, str, int]] = {  # reply of a server to a body, what it takes, calls for a vote with k = 3
    "temperature": (lambda b: "temperature" in b and error(400, "temperature: only 1 is supported"), "temperature", 6),
    "logprobs-403": (lambda b: "logprobs" in b and error(403, "logprobs are not for you"), "logprobs", 6),
    "in-no-words": (lambda b: "seed" in b and error(422, "нельзя"), "seed", 11),
    "list": (lambda b: "seed" in b and Reply(status=400, body=[{"error": {"message": 'name "seed"'}}]), "seed", 6),
    "loc": (
        lambda b: "seed" in b and Reply(status=422, body={"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}),
        "seed", 6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_a_vote_through_a_picky_server(row, caplog):
    """The field is left out, said once, and every call is counted."""
    refuse, field, calls = ROWS[row]
    with FaultServer(lambda received: refuse(received.body) or "42") as server:
        assert maker.vote_sync("6 x 7?", model=server.spec("m"), k=3, answer=int).answer == 42
        assert len(server.requests) <= calls
        assert caplog.text.count("model.takes") == 1
        assert f"takes no {field}" in caplog.text
        assert maker.vote_sync("6 x 8?", model=server.spec("m"), k=3, answer=int).answer == 42
        assert len(server.requests) <= calls + 3, "the process remembers"


def test_a_schema_is_put_into_words():
    """A server without schemas is told the form in the prompt."""
    with FaultServer(lambda r: error(400, "unavailable") if "response_format" in r.body else "42") as server:
        assert maker.vote_sync("6 x 7?", model=server.spec("m"), k=3, answer=int).answer == 42
        assert "JSON schema" in server.requests[-1].body["messages"][-1]["content"]


def test_a_wrapped_answer_is_unwrapped():
    """A server that enforces the strict form answers with an object; the vote sees its value."""
    with FaultServer(lambda received: '{"value": 42}') as server:
        assert maker.vote_sync("6 x 7?", model=server.spec("m"), k=3, answer=int).answer == 42


def test_one_reply_that_failed_is_a_flagged_sample():
    """A 400 that tells of the reply, and one that comes now and then, are no votes and end nothing."""
    unlucky = iter([None, error(400, "x", code="json_validate_failed"), None, error(400, "odd")])
    with FaultServer(lambda received: next(unlucky, None)) as server:
        verdict = maker.vote_sync("what?", model=OpenAI(server.url, "m"), k=5, limits={"concurrency": 1})
        assert (verdict.answer, verdict.flagged) == ("OK", 2)


def test_a_page_of_a_gateway_in_mid_run_is_transient():
    """A 403 with a page, when others have succeeded, is tried again."""
    page = Reply(status=403, body=b"<html><title>Just a moment...</title>", headers={"Content-Type": "text/html"})
    with FaultServer([None, page]) as server:
        assert maker.vote_sync("what?", model=server.spec("m"), k=4, limits={"concurrency": 1}).answer == "OK"
        assert PROBE_PROMPT not in [received.prompt for received in server.requests]


def test_a_model_that_loads_is_waited_for(monkeypatch):
    """A 404 that says that nothing is loaded is no wrong name, and is tried again."""
    monkeypatch.setattr(client, "FIRST_LOADING", 0.001)
    with FaultServer([Reply(status=404, body={"error": "No models loaded"})] * 3) as server:
        assert maker.vote_sync("what?", model=server.spec("m"), k=2).answer == "OK"


def test_a_resumed_run_does_not_ask_again(tmp_path):
    """What was found is in the journal, and the next process begins with it."""
    path = tmp_path / "j"

    def picky(received):
        return error(400, "нет") if "seed" in received.body else "42"

    with FaultServer(picky) as server:
        model = f"{server.spec('m')}"
        first = maker.map_sync(
            "{item}?", list("abcdef"), model=model, k=2, journal=path, limits={"max_calls": 14, "concurrency": 1}
        )
        assert first.stopped == "max_calls"
        notes = [note for note in map(decode, read_records(path)) if isinstance(note, dict)]
        assert [note["takes"]["refused"] for note in notes if "takes" in note] == [["seed"]]
        FOUND.clear()
        before = len(server.requests)
        assert maker.map_sync("{item}?", list("abcdef"), model=model, k=2, journal=path).stopped is None
        assert len(server.requests) > before
        assert not [received for received in server.requests[before:] if "seed" in received.body]


def test_a_dialect_survives_the_journal():
    """What is noted is read again as it was; what cannot be read counts as not found."""
    dialect = Dialect("max_completion_tokens", frozenset({"temperature"}), "object")
    thinking = Dialect(thinks=True)
    assert (of_note(as_note(dialect)), of_note(as_note(thinking))) == (dialect, thinking)
    assert told("m", as_note(thinking)) == "m thinks before it answers (its token limit is higher for that)"
    assert of_note({"refused": ["colour"], "form": 3, "tokens_name": 4}) == Dialect()


@pytest.mark.parametrize(
    ("status", "listed", "says"),
    [
        (404, ["qwen3-8b", "gemma3", "qwen3-4b"], "It lists no model qwen3: did you mean qwen3-8b or qwen3-4b?"),
        (400, ["a/qwen-3"], "It lists no model qwen3: did you mean a/qwen-3?"),
        (404, list("abcdefg"), "It lists no model qwen3, but a, b, c, d, e and 2 more: take one of these"),
        (404, ["qwen3"], "Check the model's name (qwen3)"),
        (404, ["models/qwen3"], "Check the model's name (qwen3)"),
        (404, [], "Check the model's name (qwen3)"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(status, listed, says):
    """By those that are near, else by some; nothing is said where the server lists it, or lists none."""
    with FaultServer(lambda _: error(status, "no", code="model_not_found"), models=listed) as server:
        with pytest.raises(maker.ModelError) as caught:
            maker.vote_sync("what?", model=server.spec("qwen3"), k=3)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_list_of_models_may_be_anything():
    """What is no list of names says nothing; names are told without what could drive a terminal, and without a key."""
    asked = Asked("http://h", "m", secrets=("sk-canary",))
    for body in (b"", b"[", b"{}", b"3", b'{"data": 3}', b'{"data": [3, null, {"id": 4}, {}, ""]}', b"<html>"):
        assert meant(body, asked) == ""
    assert "x y" in meant(b'["x\\u001b\\n\\u0007y"]', asked)
    assert "canary" not in meant(b'{"models": [{"name": "m-sk-canary"}]}', asked)
