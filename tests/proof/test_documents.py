"""The reading of the proof's documents; its rows need a real model, and are no test."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import documents


def test_the_legs_of_a_ledger_lead_back_to_it():
    """Each edit of the whole ledger starts where the one before ended, and the last one ends at the first ledger."""
    task = documents.ledger(0, "lines")
    found = list(documents.legs(task))
    assert len(found) == 2 * documents.TRIPS
    assert all(after == before for (_, _, after), (_, before, _) in pairwise(found))
    assert found[0][1] == found[-1][2] == list(task.original)


def test_a_ledger_counts_where_its_records_stand():
    """Words round the records and spaces in them are no fault; a record that lacks, or reads otherwise, is."""
    right = list(documents.ledger(0, "lines").original)
    spaced = "Here:\n```json\n" + "\n".join(line.replace(": ", ":") for line in right) + "\n```"
    assert documents.same(spaced, right)
    assert not documents.same("\n".join(right[:-1]), right)
    assert not documents.same("\n".join([*right[:-1], right[-1].replace('"id"', '"no"')]), right)
    assert not documents.same(right[0] + "\n{broken}", right[:1])


@pytest.mark.parametrize("way", ["lines", "JSON"])
def test_the_fields_of_an_invoice_count_one_by_one(way):
    """Eight of eight are right where all are there; one that is wrong or missing costs itself alone."""
    task = documents.invoice(3, "lines")
    lines = task.render(task.drawn[0].fields)
    said = dict(line.split(" = ") for line in lines.splitlines())
    assert documents.fields(task, json.dumps(said) if way == "JSON" else f"Of course:\n{lines}") == [True] * 8
    said["buyer"] = "Nobody Works"
    del said["tax"]
    reply = json.dumps(said) if way == "JSON" else "\n".join(f"{name} = {value}" for name, value in said.items())
    assert documents.fields(task, reply).count(False) == 2


def test_what_was_read_is_kept_and_not_read_again(tmp_path, monkeypatch):
    """Maker and single calls are counted in one table, and a try that stands is not made again."""
    calls: list[int] = []

    def answered(model: str, asked: Any, seed: int, temperature: float, most: int) -> dict[str, Any]:
        calls.append(seed)
        task = documents.invoice(seed, "lines")
        return {"reply": task.render(task.drawn[0].fields), "tokens": 9}

    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    monkeypatch.setattr(documents, "INVOICES", 2)
    monkeypatch.setattr(documents, "ask", answered)
    for _ in range(2):
        documents.invoices("oracle:p=1")
    assert sorted(calls) == [0, 0, 0, 1, 1, 1]
    lines = [line for line in documents.table() if line.startswith("| invoices")]
    assert len(lines) == 6
    assert all("2 of 2" in line and "| 8.0 |" in line for line in lines)


def test_a_ledger_ends_at_the_first_edit_that_is_not_exact(tmp_path, monkeypatch):
    """A single call that loses something ends its try, with the records edited before it counted."""
    task = documents.ledger(0, "lines")
    said = iter([*("\n".join(after) for _, _, after in list(documents.legs(task))[:3]), "nothing"])
    monkeypatch.setattr(documents, "ask", lambda *_: {"reply": next(said), "tokens": 5})
    assert documents.edited("", 0, documents.RECORDS) == {"right": False, "exact": 3 * documents.RECORDS, "tokens": 20}
