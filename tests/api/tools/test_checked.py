"""JSON by its schema: what is allowed, in one form; what is not, with the reason; and which schemas are followed."""

from __future__ import annotations

import pytest

from maker.api.tools.checked import check_schema, checked

NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
ALLOWED = [  # schema, value, its one form
    ({"type": "number"}, 1, 1.0), ({"type": "integer"}, 2.0, 2), ({}, 1, 1), (True, "x", "x"),
    ({"type": ["number", "null"]}, None, None), ({"enum": [1, "a"]}, 1.0, 1.0), ({"const": None}, None, None),
    ({"type": "array", "items": {"type": "number"}}, [1, 2.5], [1.0, 2.5]),
    ({"type": "object", "properties": {"a": {"type": "number"}}}, {"b": 1, "a": 1}, {"b": 1, "a": 1.0}),
    ({"anyOf": [{"type": "string"}, {"type": "number"}]}, 3, 3.0),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, None, None),
    ({"allOf": [{"type": "number"}, {"minimum": 1}]}, 1, 1.0),
    ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, {"next": {"next": {}}}, {"next": {"next": {}}}),
    ({"type": "number", "multipleOf": 0.1}, 0.3, 0.3),
    ({"type": "string", "pattern": "^a", "maxLength": 2}, "ab", "ab"),
    ({"type": "string", "format": "date", "x-mine": 3, "title": "T", "default": 4}, "no date", "no date"),
    ({"type": "array", "uniqueItems": True, "minItems": 1}, [1, True], [1, True]),
    ({"prefixItems": [{"type": "string"}, {"type": "number"}]}, ["a", 1, None], ["a", 1.0, None]),
    ({"patternProperties": {"^n": {"type": "number"}}, "additionalProperties": False}, {"n1": 1}, {"n1": 1.0}),
    ({"propertyNames": {"maxLength": 2}, "not": {"required": ["b"]}}, {"a": 1}, {"a": 1}),
]  # fmt: skip
FORBIDDEN = [  # schema, value, what the complaint says
    ({"type": "number"}, "1", "not of type number"), ({"type": "integer"}, 1.5, "integer"),
    ({"type": "integer"}, True, "integer"), ({"enum": [1]}, True, "none of"), ({"const": "a"}, "b", "none of"),
    (False, 1, "not allowed"), ({"type": "object", "required": ["a"]}, {}, "required"),
    ({"additionalProperties": False, "properties": {"a": {}}}, {"b": 1}, "b: "),
    ({"properties": {"a": {"properties": {"b": {"type": "null"}}}}}, {"a": {"b": 1}}, "a: b: "),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1, "null.*string"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "more than one"),
    ({"minimum": 2}, 1, "minimum"),
    ({"exclusiveMaximum": 1}, 1, "exclusiveMaximum"), ({"multipleOf": 2}, 3, "multiple"),
    ({"minLength": 2}, "a", "minLength"), ({"pattern": "^b"}, "a", "pattern"), ({"maxItems": 0}, [1], "maxItems"),
    ({"uniqueItems": True}, [1, 1], "uniqueItems"), ({"items": {"type": "null"}}, [1], "null"),
    ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, {"next": {"last": 1}}, "next: last"),
    ({"prefixItems": [{"type": "string"}], "items": False}, ["a", 1], "not allowed"),
    ({"prefixItems": [{"type": "string"}]}, [1], "string"), ({"not": {"type": "null"}}, None, "must not be"),
    ({"patternProperties": {"^n": {"type": "number"}}, "additionalProperties": False}, {"m": 1}, "m: "),
    ({"patternProperties": {"^n": {"type": "number"}}}, {"n": "1"}, "n: "),
    ({"properties": {"n": {"maximum": 2}}, "patternProperties": {"^n": {"minimum": 2}}}, {"n": 1}, "minimum"),
    ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, "maxLength"),
]  # fmt: skip
REFUSED = [
    ({"if": {}}, "'if'"), ({"properties": {"a": {"unevaluatedProperties": False}}}, "unevaluated"),
    ({"type": "text"}, "type"),
    ({"$ref": "https://elsewhere"}, "names nothing"), ({"$ref": "#/$defs/a"}, "names nothing"),
    ({"anyOf": [{"nullable": True}]}, "nullable"), (3, "no schema"), ({"$defs": {"a": {"contains": {}}}}, "'contains'"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "form"), ALLOWED)
def test_allowed(schema, value, form):
    """A value that fits comes out in its one form: numbers as the schema's kind of number, all else as it was."""
    check_schema(schema)
    found = checked(value, schema)
    assert (found, type(found)) == (form, type(form))
    if isinstance(form, list | dict):
        assert repr(found) == repr(form)


@pytest.mark.parametrize(("schema", "value", "word"), FORBIDDEN)
def test_forbidden(schema, value, word):
    """A value that does not fit is refused, with the keyword and where it stands."""
    check_schema(schema)
    with pytest.raises(ValueError, match=word):
        checked(value, schema)


@pytest.mark.parametrize(("schema", "word"), REFUSED)
def test_schemas_that_cannot_be_followed_are_refused(schema, word):
    """A keyword that would be passed over is named at the start, however deep it stands."""
    with pytest.raises((ValueError, TypeError), match=word):
        check_schema(schema)
