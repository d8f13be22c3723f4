"""Strict schemas, and the way back."""

from __future__ import annotations

import pytest

from maker.models.openai.schema import strict_schema, unwrapped, wrapped


def test_a_strict_schema_names_and_requires_all():
    """Objects at every depth are closed and require all their fields; defaults, which strict mode has not, go."""
    inner = {"type": "object", "properties": {"default": {"type": "integer", "default": 3}}}
    whole = {"type": "object", "properties": {"a": inner, "b": {"anyOf": [inner, {"type": "null"}]}}, "required": ["a"]}
    closed = {"type": "object", "properties": {"default": {"type": "integer"}}, "additionalProperties": False,
              "required": ["default"]}  # fmt: skip
    assert strict_schema(whole) == {
        "type": "object", "properties": {"a": closed, "b": {"anyOf": [closed, {"type": "null"}]}},
        "required": ["a", "b"], "additionalProperties": False,
    }  # fmt: skip
    assert whole["required"] == ["a"]


def test_fields_that_nobody_named_are_not_strict():
    """A dictionary of any keys has no strict form."""
    assert strict_schema({"type": "object", "additionalProperties": {"type": "integer"}}) is None
    assert strict_schema({"type": "array", "items": {"type": "object"}}) is None


def test_another_root_is_wrapped_with_its_definitions():
    """The root becomes an object; definitions stay where references look for them."""
    told = wrapped({"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"type": "integer"}}})
    assert told["properties"] == {"value": {"type": "array", "items": {"$ref": "#/$defs/A"}}}
    assert told["$defs"] == {"A": {"type": "integer"}}
    assert wrapped(told) is told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"value": 42}', "42"), (' {"value":\n[1, {"a": 2}]} ', '[1, {"a": 2}]'), ('{"value": "x"}', '"x"'),
        ("42", "42"), (None, None), ('{"value": 1, "value": 2}', '{"value": 1, "value": 2}'),
        ('{"value": 1, "b": 2}', '{"value": 1, "b": 2}'), ('{"value": 1.50}', "1.50"), ('{"value": ', '{"value": '),
        ('{"value": 12345678901234567890123}', "12345678901234567890123"),
    ],
)  # fmt: skip
def test_a_value_is_unwrapped_as_it_was_written(text, value):
    """What is the one field of an object comes out of it letter by letter; anything else stays."""
    assert unwrapped(text) == value
