"""A JSON schema that a client sends, as the reader of answers that `vote` takes.

Equal JSON values are one candidate: keys in any order, and 1.0 is 1, as JSON schema has it. A schema is followed as
those of tools are, and refused where it cannot be: `api/tools/checked.py` says which keywords it may have.

Not covered: schemas in other documents; nothing is fetched.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from maker.api.answers import Reader
from maker.api.reading.value import json_value
from maker.api.tools.checked import check_schema, checked
from maker.serving.refused import Refused

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def reader_of_schema(schema: dict[str, Any], field: str = "response_format") -> Reader[Any]:
    """Return the reader of the answers that fit a schema. Raises Refused for one that cannot be followed.

    field: where the client has put it, for the message.
    """
    try:
        check_schema(schema)
    except (ValueError, TypeError, AttributeError, RecursionError, re.error) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise Refused(400, f"{field}: this JSON schema cannot be followed: {why}", param=field) from None

    def fitting(value: Any) -> Any:
        return _counted(checked(value, schema))

    return Reader(lambda text: fitting(json_value(text, _JSON)), schema, {"answer": "schema"}, fitting)


def _counted(value: Any) -> Any:
    """Return a JSON value in which equal numbers are written alike."""
    if isinstance(value, dict):
        return {name: _counted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_counted(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
