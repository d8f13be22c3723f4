"""A JSON schema that a client sends, as the reader of answers that `vote` takes.

Equal JSON values are one candidate: keys in any order, and 1.0 is 1, as JSON schema has it. References that point out
of the schema are never fetched.

Not covered: `format`, which JSON schema leaves open.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from pydantic import TypeAdapter
from referencing import Registry

from maker.api.answers import Reader
from maker.api.reading.value import json_value
from maker.serving.refused import Refused

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def reader_of_schema(schema: dict[str, Any]) -> Reader[Any]:
    """Return the reader of the answers that fit a schema. Raises Refused for what is no schema."""
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        why = error.message[:200] if isinstance(error, SchemaError) else "it is nested too deep"
        raise Refused(400, f"response_format: this is no JSON schema: {why}", param="response_format") from None
    # An empty registry: without one, references to other addresses would be fetched.
    validator = Draft202012Validator(schema, registry=Registry())

    def fitting(value: Any) -> Any:
        value = _counted(value)
        error = next(validator.iter_errors(value), None)
        if error is not None:
            raise ValueError(error.message[:200])
        return value

    return Reader(lambda text: fitting(json_value(text, _JSON)), schema, {"answer": "schema"}, fitting)


def _counted(value: Any) -> Any:
    """Return a JSON value in which equal numbers are written alike."""
    if isinstance(value, dict):
        return {name: _counted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_counted(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
