"""The ledger of `tasks/relay.py` as a document, JSON lines or CSV: how it is written, read, edited and compared.

A reply is read record by record; what cannot be read is lost, as it would be to whoever gets the document next.

Not covered: who edits (`editors.py`), and how edits follow each other (`trips.py`).
"""

from __future__ import annotations

import csv
import functools
import io
import json
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from maker.task.load import load_task

Record = dict[str, Any]

FLAT = ("rename", "unit", "order", "split")  # edits that leave a record without parts: those that a CSV can have
FORMS = {"JSON": "each as JSON on a line of its own", "CSV": "as CSV, under a line with the names of the fields"}

_WHOLE = """\
Make the same small, exact edit in every record of a ledger.

Edit of each record: {words}
Change nothing else; all other fields keep their names, values and order. For example,
{before}
becomes
{after}

Answer with the {many}, {form}.

{ledger}"""
_EXAMPLE: Record = {"id": 940, "date": "1987-11-09", "payee": "Old Mill", "cents": 1250, "note": "two saws"}
_WHOLE_NUMBER = re.compile(r"-?\d{1,15}")


class Edits:
    """The edits of the relay, in their order, of one record by itself. form: "JSON" or "CSV"."""

    def __init__(self, form: str) -> None:
        self._task: Any = load_task("relay", records=1, trips=5)
        module: Any = sys.modules[type(self._task).__module__]
        self._state = module.RelayState
        self._edits, self._small = module.EDITS, module.QUESTIONS
        self.form = form
        self.order = [at for at, edit in enumerate(self._edits) if form == "JSON" or edit.name in FLAT]

    def name(self, edit: int, *, back: bool) -> str:
        """Return what an edit is called."""
        return f"{self._edits[edit].name}{', back' if back else ''}"

    def asked(self, records: Sequence[Record], edit: int, *, back: bool) -> str:
        """Return the request to edit these records, all in one reply."""
        words = self._edits[edit].back if back else self._edits[edit].forward
        many = f"{len(records)} edited records alone" if len(records) > 1 else "edited record alone"
        before = self.right(_EXAMPLE, edit, back=False) if back else _EXAMPLE
        after = self.right(before, edit, back=back)
        return _WHOLE.format(
            words=words, many=many, form=FORMS[self.form], ledger=written(records, self.form),
            before=written([before], self.form), after=written([after], self.form),
        )  # fmt: skip

    def right(self, record: Record, edit: int, *, back: bool) -> Record:
        """Return a record as it must be after an edit; one that cannot be edited is left as it is."""
        try:
            made: Record = json.loads(self._task.truth(self._at(record, edit, back), 0))
        except (KeyError, ValueError, TypeError, AttributeError):
            return record
        return made

    def fits(self, before: Record, after: Record, edit: int, *, back: bool) -> bool:
        """Say whether a record keeps its id and has the fields, in order and kind, that an edit gives it."""
        try:
            return bool(self._task.legal(self._at(before, edit, back), json.dumps(after)))
        except KeyError:  # of a record that has no id
            return False

    def finer(self, edit: int, *, back: bool) -> tuple[Any, ...]:
        """Return the small questions that make an edit of a record."""
        small: tuple[Any, ...] = self._small[self._edits[edit].name][back]
        return small

    def questions(self, name: str) -> list[str]:
        """Return the kinds of the small questions that make the edit of that name."""
        plain, back = name.removesuffix(", back"), name.endswith(", back")
        return [small.kind for small in self._small[plain][back]]

    def _at(self, record: Record, edit: int, back: bool) -> Any:
        return self._state((json.dumps(record),), 2 * edit + back)


def ledger(records: int, seed: int) -> list[Record]:
    """Return the ledger as it is in the beginning."""
    task: Any = load_task("relay", records=records, trips=1, data_seed=seed)
    return [json.loads(text) for text in task.original]


def written(records: Sequence[Record], form: str) -> str:
    """Return records as a document."""
    if form == "JSON":
        return "\n".join(map(json.dumps, records))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(records[0] if records else [])
    writer.writerows(record.values() for record in records)
    return text.getvalue().rstrip("\n")


def read(text: str, form: str) -> list[Record]:
    """Return the records of a document that can be read, as a person would: words and fences around it are no part."""
    return _from_csv(text) if form == "CSV" else _from_json(text)


def _from_json(text: str) -> list[Record]:
    """Return the objects that have an id, wherever they stand: a line each, in a list, or over several lines."""
    found: list[Record] = []
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            one, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = text.find("\n", at)  # what cannot be read is lost to the end of its line
            if end < 0:
                break
        else:
            found += [each for each in [one, *_listed(one)] if isinstance(each.get("id"), int)]
        at = text.find("{", end)
    return found


def _listed(one: Record) -> list[Record]:
    """Return the objects of lists in an object: a ledger may stand in one as a whole."""
    lists = [part for part in one.values() if isinstance(part, list)]
    return [each for part in lists for each in part if isinstance(each, dict)]


def _from_csv(text: str) -> list[Record]:
    """Return the rows below the first line that names an id, up to the end of a fence."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    try:
        rows = list(csv.reader(lines, skipinitialspace=True))
    except csv.Error:
        return []
    first = next((at for at, row in enumerate(rows) if "id" in row), len(rows))
    head, *below = rows[first:] or [[]]
    end = next((at for at, row in enumerate(below) if row[0].startswith("```")), len(below))
    found = [
        dict(zip(head, [int(part) if _WHOLE_NUMBER.fullmatch(part) else part for part in row], strict=True))
        for row in below[:end] if len(row) == len(head)
    ]  # fmt: skip
    return [one for one in found if isinstance(one.get("id"), int)]


def similarity(original: Sequence[Record], now: Sequence[Record]) -> float:
    """Return how much of a ledger is there: coverage of its records x equality of their fields x their order."""
    first = {one["id"]: one for one in original}
    kept = {one["id"]: one for one in reversed(now) if one["id"] in first}
    if not kept:
        return 0.0
    coverage = len(kept) / max(len(first), len(now))
    fields = sum(_equal(first[key], one) for key, one in kept.items()) / len(kept)
    return coverage * fields * _in_order([one["id"] for one in now], list(first))


def _equal(one: Record, other: Record) -> float:
    """Return how far the fields of a record are equal, and in their order."""
    names = one.keys() | other.keys()
    return sum(_alike(one.get(name), other.get(name)) for name in names) / len(names) * _in_order([*other], [*one])


def _alike(one: Any, other: Any) -> float:
    """Return how far two values are equal: of numbers the smaller over the larger."""
    if type(one) is int and type(other) is int and min(one, other) > 0:
        return min(one, other) / max(one, other)
    return float(type(one) is type(other) and one == other)


def _in_order(found: Sequence[Any], right: Sequence[Any]) -> float:
    """Return the share of neighbours that stand in the right order."""
    places = [right.index(one) for one in found if one in right]
    pairs = list(pairwise(places))
    return sum(one < other for one, other in pairs) / len(pairs) if pairs else 1.0


@functools.cache
def edits(form: str) -> Edits:
    """Return the edits of a form of document."""
    return Edits(form)
