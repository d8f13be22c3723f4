"""Rows of items and their answers, and tables made of them, for pandas, polars and pyarrow.

A table is the same in all three: a record's fields are columns of their own, and a column has one plain type. What
has none is written as JSON, so that nothing is lost and nothing is guessed; half a surrogate pair, which no table
takes, is written out.

Promises: none of the three is imported before it is asked for; where it is missing, the message names it.

Not covered: where the verdicts come from (`verdicts.py`), and samples (`review/export.py`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_jsonable_python

from maker.decision.race import Tally, Verdict
from maker.errors import TaskError

Row = dict[str, Any]
NAMES = ("position", "item", "answer", "votes", "margin", "samples", "flagged", "reason")
SPREAD = ("item", "answer")  # whose fields are columns where they are records


def of_verdict(position: int, item: Any, verdict: Verdict[Any]) -> Row:
    """Return the row of an item that has a verdict."""
    votes = max(verdict.votes.values())
    values = (_plain(verdict.answer), votes, verdict.margin, verdict.samples, verdict.flagged, None)
    return dict(zip(NAMES, (position, _plain(item), *values), strict=True))


def of_failed(position: int, item: Any, tally: Tally, reason: str) -> Row:
    """Return the row of an item that has none."""
    values = (None, None, None, tally.total + tally.flagged, tally.flagged, reason)
    return dict(zip(NAMES, (position, _plain(item), *values), strict=True))


def pandas(rows: Iterable[Row]) -> Any:
    """Return a DataFrame of pandas. Raises TaskError where it is missing."""
    found = _package("pandas")
    return found.DataFrame(
        {name: found.Series(values, dtype=_dtype(values)) for name, values in _columns(rows).items()}
    )


def polars(rows: Iterable[Row]) -> Any:
    """Return a DataFrame of polars. Raises TaskError where it is missing."""
    return _package("polars").DataFrame(_columns(rows))


def arrow(rows: Iterable[Row]) -> Any:
    """Return a Table of pyarrow. Raises TaskError where it is missing."""
    return _package("pyarrow").table(_columns(rows))


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it."""
    return to_jsonable_python(value, fallback=str)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TaskError(f"this needs {name}, which is not installed: pip install {name}") from None


def _columns(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """Return the values by column: all as long as there are rows, None where a row has no such value."""
    rows = [_flat(row) for row in rows]
    names = dict.fromkeys(name for row in rows for name in row) or NAMES
    columns = {name: [row.get(name) for row in rows] for name in names}
    for name in SPREAD:  # an item without an answer has no record: it leaves no column beside the fields of others
        if any(column.startswith(f"{name}.") for column in columns) and all(
            value is None for value in columns.get(name, ())
        ):
            columns.pop(name, None)
    return {name: _of_one_type(values) for name, values in columns.items()}


def _flat(row: Row) -> Row:
    """Return a row with its records taken apart."""
    flat: Row = {}
    for name, value in row.items():
        if name in SPREAD and isinstance(value, dict) and value:
            flat |= {f"{name}.{field}": inner for field, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _of_one_type(values: list[Any]) -> list[Any]:
    """Return values that have one plain type; as JSON where they have none."""
    kinds = {type(value) for value in values if value is not None}
    exact = 2**53 if float in kinds else 2**63  # below it, no integer is changed
    if kinds <= {int, float} and all(abs(value) < exact for value in values if isinstance(value, int)):
        return [value if value is None else float(value) for value in values] if float in kinds else values
    if kinds == {bool}:
        return values
    texts = values if kinds == {str} else [value if value is None else _json(value) for value in values]
    return [text if text is None else text.encode("utf-8", "backslashreplace").decode() for text in texts]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _dtype(values: list[Any]) -> str | None:
    """Return the type of a pandas column: one that knows missing integers and truths; None for its own choice."""
    kind = next((type(value) for value in values if value is not None), None)
    return {int: "Int64", bool: "boolean"}.get(kind) if None in values and kind is not None else None
