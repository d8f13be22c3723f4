"""Names and values as lines of text, and as a small table of HTML.

Promises: whatever a model or a task wrote is escaped, so that a notebook shows it and runs nothing of it; long
values are cut.

Not covered: tables of a terminal (`cli/screen.py`), and what a result has to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from maker.task.canonical import visible

Rows = list[tuple[str, str]]
LONGEST = 120  # characters of a value that a person is shown


def brief(value: object) -> str:
    """Return a value on one line, nothing in it that could drive a terminal, its end left out when it is long."""
    text = visible(" ".join(str(value).split()))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def lines_of(rows: Rows) -> str:
    """Return `name: value` lines."""
    return "\n".join(f"{name}: {value}" for name, value in rows)


def html_of(caption: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Return a table of HTML. head: names of the columns; without them the first column holds the names."""
    parts = [f"<table><caption>{_cell(caption)}</caption>"]
    if head:
        parts.append("<tr>" + "".join(f"<th>{_cell(name)}</th>" for name in head) + "</tr>")
    for first, *others in rows:
        mark = "td" if head else "th"
        cells = "".join(f"<td>{_cell(value)}</td>" for value in others)
        parts.append(f"<tr><{mark}>{_cell(first)}</{mark}>{cells}</tr>")
    return "".join([*parts, "</table>"])


def _cell(value: object) -> str:
    return "" if value is None else escape(brief(value))
