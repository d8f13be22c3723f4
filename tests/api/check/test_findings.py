"""What was seen of a model is judged as a vote would suffer from it."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from maker.api.check.findings import Findings, Seen, answers, call
from maker.decision.sample import Failure, Sample

MODEL = "http://127.0.0.1:8080/v1#m"


def well(**changes: Any) -> Seen:
    """Return what is seen of a good server, but for some changes."""
    said = ["pear, oak", "pear, oak", "sun, fork", *(f"word, {i}" for i in range(8))]
    replies = [Sample(text, 9, 6, response_id=f"chatcmpl-{i:012}") for i, text in enumerate(said)]
    good = {
        "first": Sample("4", 9, 1, response_id="chatcmpl-first", model="m"), "alone": replies[:3],
        "alone_seconds": [0.5, 0.5, 0.5], "formed": Sample('"alpha"'), "stopped": Sample("pear"),
        "crowd": replies[3:], "crowd_seconds": 1.0, "calls": 14, "cap": 64,
    }  # fmt: skip
    return Seen(MODEL, **{**good, **changes})


def test_a_good_server_is_usable() -> None:
    """All that it can do is found, and nothing is to be done."""
    found = Findings.of(well(), MODEL)
    assert (found.usable, found.remedy, found.exit_code, found.settings) == (True, "", 0, {})
    assert (found.schema, found.stop, found.logprobs, found.ids, found.seeds) == (
        "enforced", "obeyed", "not given", "differ", "obeyed",
    )  # fmt: skip
    assert (found.draws, found.distinct, found.thought, found.served_as) == (10, 10, 0, None)
    assert (found.latency, found.tokens_per_second, found.at_once, found.gain) == (0.5, 12.0, 8, 4.0)


SAME = [Sample("pear, oak", response_id=f"chatcmpl-{i:012}") for i in range(3)]
TWICE = [Sample(text, response_id="chatcmpl-0123456789ab") for text in ("pear", "oak", "fork")]
REPEATED = [Sample(text, response_id=f"chatcmpl-01234567{text}") for text in ("pear", "pear", "fork")]
UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {  # what was seen, and what is said
    "no server": ({"first": Failure("fatal", "nobody is there. Start the server")}, "Start the server"),
    "nothing": ({"first": None, "ended": "no more was asked after 30 calls"}, "30 calls"),
    "tool calls": ({"first": Sample(None, finish_reason="tool_calls")}, "tool calls came instead of text"),
    "no text": ({"first": Sample("", finish_reason="content_filter")}, "finish reason content_filter"),
    "thinks too long": ({"first": Sample(None, finish_reason="length"), "cap": 4096}, "no answer within 4,096 tokens"),
    "a cache": ({"alone": SAME, "crowd": SAME[:1]}, "all 3 replies to a question with many right answers are the same"),
    "one id": ({"alone": TWICE, "crowd": []}, "different replies bear one id"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_makes_voting_worthless_is_named(kind: str) -> None:
    """A server that does not answer, or repeats itself, is not usable, and one remedy is told."""
    changes, says = UNUSABLE[kind]
    found = Findings.of(well(**changes))
    assert (found.usable, found.exit_code) == (False, 5)
    assert says in found.remedy


def refused(*fields: str, form: str = "strict") -> dict[str, Any]:
    """Return the note of a server that refuses fields."""
    return {"tokens_name": "max_tokens", "refused": list(fields), "form": form}


SEEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what was seen, and what is found
    "no temperature": ({"takes": refused("temperature")}, {"settings": {"temperature": None}}),
    "no logprobs": ({"takes": refused("logprobs")}, {"logprobs": "refused"}),
    "logprobs": ({"first": Sample("4", logprob=-0.1)}, {"logprobs": "given"}),
    "no schema": ({"takes": refused(form="words")}, {"schema": "told in words"}),
    "a schema that binds nobody": ({"formed": Sample("It is Paris.")}, {"schema": "not enforced"}),
    "a schema that failed": ({"formed": Failure("transient", "")}, {"schema": None}),
    "no stop": ({"takes": refused("stop")}, {"stop": "cut here"}),
    "a stop that stops nobody": ({"stopped": Sample("pear, oak")}, {"stop": "ignored"}),
    "a stop that is in no reply": ({"alone": [Sample("pear")] * 2, "crowd": [Sample("oak")]}, {"stop": None}),
    "no seeds": ({"takes": refused("seed")}, {"seeds": "refused"}),
    "seeds that are not obeyed": ({"alone": [Sample("a"), Sample("b"), Sample("c")]}, {"seeds": "not obeyed"}),
    "a cache that knows seeds": ({"alone": REPEATED}, {"cached": True, "seeds": None, "usable": True}),
    "thought in a field": (
        {"first": Sample("4", reasoning="2 and 2", tokens_reasoning=70)},
        {"thought": 70, "settings": {"max_tokens": 16_384}},
    ),
    "thought that is given room": (
        {"first": Sample("4", reasoning="2 and 2"), "takes": {"thinks": True}}, {"settings": {}, "thought": 1}
    ),
    "thought that nobody counts": ({"first": Sample("4", reasoning="2 and 2")}, {"thought": 1}),
    "a model that goes on": ({"stop": ("\n",)}, {"settings": {"stop": ["\n"]}}),
    "another name": ({"first": Sample("4", model="router/m-large")}, {"served_as": "router/m-large"}),
    "refused in a crowd": (
        {"crowd": [Sample("a"), Failure("transient", "429"), Sample("b")]}, {"at_once": 3, "refused": 1, "gain": 1.0}
    ),
    "no crowd": ({"crowd": [], "ended": "too slow"}, {"at_once": 0, "gain": None, "usable": True}),
    "nothing but the first": (
        {"alone": [], "alone_seconds": [], "crowd": [], "formed": None, "stopped": None},
        {"seeds": None, "cached": None, "latency": None, "tokens_per_second": None, "draws": 0, "usable": True},
    ),
    "tokens that nobody counts": ({"alone": [Sample("a"), Sample("a"), Sample("b")]}, {"tokens_per_second": None}),
}  # fmt: skip


@pytest.mark.parametrize("kind", SEEN)
def test_each_trait_is_read_from_its_replies(kind: str) -> None:
    """One trait of a server changes one finding."""
    changes, wanted = SEEN[kind]
    found = Findings.of(well(**changes))
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_a_reply_that_was_cut_off_is_no_answer() -> None:
    """Nor is an empty one, nor none."""
    bad = [Sample("4", finish_reason="length"), Sample(" "), Sample(None), Failure("fatal", ""), None]
    assert [answers(reply) for reply in bad] == [False] * 5
    assert answers(Sample("4"))


def test_the_line_to_copy_is_code() -> None:
    """With the settings that were found, and with the model's own name in quotes."""
    line = call('http://h/v1#a"b', {"temperature": None, "stop": ["\n"]})
    (told,) = ast.parse(line).body
    assert isinstance(told, ast.Expr)
    assert isinstance(told.value, ast.Call)
    assert {word.arg: ast.unparse(word.value) for word in told.value.keywords} == {
        "model": "'http://h/v1#a\"b'", "answer": "int", "temperature": "None", "stop": "['\\n']",
    }  # fmt: skip
    assert "model=model" in call(None, {})
