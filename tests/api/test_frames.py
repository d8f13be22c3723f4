"""Items and answers side by side: plain rows, and the same table in pandas, polars and pyarrow."""

from __future__ import annotations

import json
import sys
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

import maker
from maker.decision.sample import Request
from maker.testing import ScriptedModel


class Ticket(BaseModel):
    """An answer that is a record."""

    topic: str
    urgent: bool
    tags: list[str] = []


def told(request: Request) -> str:
    """Answer each item, but never the one that says `hard`."""
    if "hard" in request.prompt:
        return json.dumps({"topic": str(request.address.draw), "urgent": False})
    return json.dumps({"topic": request.prompt[-1], "urgent": True, "tags": ["a", "ö"]})


def tickets(items: Any = ("item a", "hard", "item c"), **settings: Any) -> maker.Verdicts[Ticket]:
    """Ask about items, of which `hard` stays undecided."""
    settings = {"limits": {"max_votes": 4}, "k": 2, **settings}
    return maker.map_sync("{item}", items, model=ScriptedModel(told), answer=Ticket, **settings)


def numbers(*answers: str, parse: Any = json.loads) -> maker.Verdicts[Any]:
    """Return verdicts on 0, 1, ..., each answered as told."""
    model = ScriptedModel(lambda request: answers[int(request.prompt)])
    return maker.map_sync("{item}", range(len(answers)), model=model, parse=parse, k=1)


def test_rows_hold_items_beside_their_answers():
    """A row an item, in order, with answer, votes and reason; JSON can say all of it."""
    first, second, third = tickets().to_dicts()
    assert first == {
        "position": 0, "item": "item a", "answer": {"topic": "a", "urgent": True, "tags": ["a", "ö"]}, "votes": 2,
        "margin": 2, "samples": 2, "flagged": 0, "reason": None,
    }  # fmt: skip
    assert (second["answer"], second["votes"], second["samples"]) == (None, None, 4)
    assert second["reason"].startswith("item 1 is undecided after 4 samples") and third["position"] == 2
    assert json.loads(json.dumps(tickets().to_dicts())) == tickets().to_dicts()


def test_rows_of_a_map_that_a_limit_ended():
    """Items that nobody was asked about have rows, too, and the reason names the limit."""
    rows = tickets(["item a"] * 5, limits={"max_steps": 2}).to_dicts()
    assert [row["answer"] is None for row in rows] == [False, False, True, True, True]
    assert rows[4]["reason"] == "not decided: the run stopped, max_steps" and rows[4]["samples"] == 0


def test_items_of_any_kind_are_written_plainly():
    """Records, dates and what JSON has no word for stand in the row as JSON or text."""
    items = [{"name": "x", "on": date(2026, 1, 2)}, Ticket(topic="t", urgent=True), SimpleNamespace(a=1)]
    rows = maker.map_sync(lambda item: "?", items, model=ScriptedModel(["y"]), k=1).to_dicts()
    assert [row["item"] for row in rows] == [
        {"name": "x", "on": "2026-01-02"}, {"topic": "t", "urgent": True, "tags": []}, "namespace(a=1)",
    ]  # fmt: skip


COLUMNS = [
    "position", "item", "answer.topic", "answer.urgent", "answer.tags", "votes", "margin", "samples", "flagged",
    "reason",
]  # fmt: skip


def test_a_frame_of_pandas_has_the_fields_as_columns():
    """Fields of records are columns, missing integers stay integers, lists are JSON."""
    pytest.importorskip("pandas")
    frame = tickets().to_pandas()
    assert list(frame.columns) == COLUMNS
    assert [str(frame[name].dtype) for name in ("position", "votes", "answer.urgent")] == ["int64", "Int64", "boolean"]
    assert frame["answer.tags"][0] == '["a", "ö"]' and frame["answer.topic"].isna().tolist() == [False, True, False]


def test_a_table_of_pyarrow_is_the_same():
    """Columns and values are those of pandas, missing values are null."""
    pytest.importorskip("pyarrow")
    table = tickets().to_arrow()
    assert table.column_names == COLUMNS
    assert table["answer.urgent"].to_pylist() == [True, None, True] and table["votes"].to_pylist() == [2, None, 2]


def test_a_frame_of_polars_is_the_same():
    """Columns and values are those of pyarrow."""
    pytest.importorskip("polars")
    frame = tickets().to_polars()
    assert frame.columns == COLUMNS
    assert frame["answer.urgent"].to_list() == [True, None, True] and frame["votes"].to_list() == [2, None, 2]


@pytest.mark.parametrize(
    ("answers", "column"),
    [
        (["1", "2"], [1, 2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["true", "1"], ["true", "1"]),
        (["false", '{"a": 1}'], [False, None]),
        ([str(2**63), "1"], [str(2**63), "1"]),
        ([str(2**53), "0.5"], [str(2**53), "0.5"]),
        (["[1]", '"x"'], ["[1]", '"x"']),
        (['"\\ud800x"', '"y"'], ["\\ud800x", "y"]),
        (['["\\ud800"]', '"y"'], ['["\\ud800"]', '"y"']),
    ],
    ids=[
        "integers",
        "numbers",
        "truths and numbers",
        "some records",
        "huge",
        "inexact",
        "lists",
        "half characters",
        "in a list",
    ],
)
def test_a_column_has_one_plain_type(answers: list[str], column: list[Any]):
    """What has no one type is written as JSON, and no number is changed on the way."""
    pytest.importorskip("pyarrow")
    assert numbers(*answers).to_arrow()["answer"].to_pylist() == column


def test_no_items_make_an_empty_table_with_columns():
    """A map of nothing has the columns, and no row."""
    pytest.importorskip("pyarrow")
    table = numbers().to_arrow()
    assert (table.num_rows, table.column_names[:3]) == (0, ["position", "item", "answer"])


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    """The message says which package is missing and how it is installed."""
    monkeypatch.setitem(sys.modules, name, None)
    made = {"pandas": "to_pandas", "polars": "to_polars", "pyarrow": "to_arrow"}[name]
    with pytest.raises(maker.TaskError, match=f"this needs {name}, which is not installed: pip install {name}"):
        getattr(numbers("1"), made)()


def test_a_notebook_shows_the_first_items_escaped():
    """A few rows as HTML, whatever items and answers hold; the rest is not read."""
    evil = "<img src=x onerror=alert(1)>"
    verdicts = maker.map_sync("{item}", [evil] * 9, model=ScriptedModel([evil]), k=1)
    said = verdicts._repr_html_()
    assert "<img" not in said and said.count("<tr>") == 6 and "9 of 9 items are decided" in said
