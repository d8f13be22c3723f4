"""Answers fit a client's schema, equal JSON is one candidate, and nothing is fetched."""

from __future__ import annotations

import pytest

import maker
from maker.serving.refused import Refused
from maker.serving.schema import reader_of_schema
from maker.testing import ScriptedModel

SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "string"}}, "required": ["a"],
          "additionalProperties": False, "$defs": {"A": {"type": "number"}}}  # fmt: skip


def test_equal_json_is_one_candidate_and_what_does_not_fit_has_no_vote():
    """Order of keys, blanks and 1.0 for 1 do not matter; a reply that the schema forbids is flagged."""
    model = ScriptedModel(['{"a": 1, "b": "x"}', '{"b":"x","a":1.0}', '{"c": 1}', '```json\n{"a": 1, "b": "x"}\n```'])
    verdict = maker.vote_sync("?", model=model, answer=reader_of_schema(SCHEMA), k=3)
    assert (verdict.answer, dict(verdict.flags), verdict.margin) == ({"a": 1, "b": "x"}, {"malformed": 1}, 3)
    assert model.requests[0].schema == SCHEMA


@pytest.mark.parametrize(
    "schema", [{"type": 3}, {"properties": []}, {"type": "nothing"}, {"if": {}}, {"$ref": "http://127.0.0.1:9/schema"}]
)
def test_what_cannot_be_followed_is_refused(schema: dict[str, object], monkeypatch: pytest.MonkeyPatch):
    """The client is told before anything is sent; no client can make the proxy ask another address."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("fetched"))
    with pytest.raises(Refused, match="cannot be followed"):
        reader_of_schema(schema)


def test_a_schema_that_refers_to_itself_ends():
    """Endless references flag the reply and hang nothing."""
    with pytest.raises(maker.Undecided, match="flagged"):
        maker.vote_sync("?", model=ScriptedModel(["{}"]), answer=reader_of_schema({"$ref": "#"}), k=1,
                        limits={"max_flags": 1})  # fmt: skip
