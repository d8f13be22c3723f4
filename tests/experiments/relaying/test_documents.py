"""The ledger as a document: written and read again without loss, and compared record by record."""

from __future__ import annotations

import json

import pytest

from maker.experiments.relaying.documents import edits, ledger, read, similarity, written


@pytest.mark.parametrize("form", ["JSON", "CSV"])
def test_what_was_written_is_read_again(form):
    """In both forms, after every edit that the form can have, in a fence or not; an inverse restores each record."""
    known, first = edits(form), ledger(3, 1)
    for edit in known.order:
        there = [known.right(record, edit, back=False) for record in first]
        assert written(there, form) != written(first, form)
        text = written(there, form)
        assert read(text, form) == read(f"```{form.lower()}\n{text}\n```", form) == there
        assert [known.right(record, edit, back=True) for record in there] == first
        assert all(known.fits(one, other, edit, back=False) for one, other in zip(first, there, strict=True))
        assert not known.fits(first[0], first[0], edit, back=False)
    assert len(known.order) == {"JSON": 5, "CSV": 4}[form]


def test_lines_that_cannot_be_read_are_lost():
    """Half an object, a row with a field too many, a record without id, prose."""
    first = ledger(2, 0)
    one, other = written(first, "JSON").splitlines()
    assert read(f"Here it is:\n{one}\n{other[:-9]}\n{{}}", "JSON") == first[:1]
    head, one, other = written(first, "CSV").splitlines()
    assert read(f"{head}\n{one}\n{other},more", "CSV") == first[:1]
    assert read("", "CSV") == read("none", "JSON") == []


def test_a_document_is_read_as_a_person_would():
    """Over several lines, in a list, in an object that holds the list, in a fence among words; below its head line."""
    first = ledger(2, 0)
    fenced = f"Sure:\n```json\n{json.dumps(first)}\n```"
    for text in (json.dumps(first, indent=2), json.dumps({"records": first}), fenced):
        assert read(text, "JSON") == first
    plain = [{name: value for name, value in one.items() if not isinstance(value, dict)} for one in first]
    text = f"Here is the ledger:\n\n```csv\n{written(plain, 'CSV')}\n```\nI changed nothing, it is done"
    assert read(text, "CSV") == plain
    assert read(written(plain, "CSV").replace(",", ", "), "CSV") == plain


@pytest.mark.parametrize("back", [False, True])
def test_each_edit_is_asked_with_an_example(back):
    """A record that is in no ledger, before and after; the example is the edit that is asked for."""
    known, (record,) = edits("JSON"), ledger(1, 0)
    for edit in known.order:
        before = known.right(record, edit, back=False) if back else record
        example, example_after, asked = read(known.asked([before], edit, back=back), "JSON")
        assert asked == before and example["id"] == 940
        assert known.right(example, edit, back=back) == example_after


def test_similarity_says_what_is_left():
    """1 for the same; less by records that are gone or added, by fields that differ, and by another order."""
    first = ledger(4, 0)
    assert similarity(first, first) == 1
    assert similarity(first, first[:3]) == 0.75
    assert similarity(first, [*first, {"id": 99}]) == 0.8
    assert similarity(first, []) == 0
    assert similarity(first, first[::-1]) == 0
    assert similarity(first, [{**first[0], "note": "?"}, *first[1:]]) == pytest.approx(0.95)
    assert similarity(first, [{**first[0], "cents": first[0]["cents"] * 2}, *first[1:]]) == pytest.approx(0.975)
    assert similarity(first, [dict(reversed(one.items())) for one in first]) == 0


def test_a_record_that_cannot_be_edited_is_left_as_it_is():
    """So that a spoilt document can go on; and it fits nowhere."""
    known = edits("JSON")
    assert known.right({"id": 3}, 1, back=False) == {"id": 3}
    assert not known.fits({"id": 3}, {"id": 3}, 1, back=False)
    assert not known.fits({"id": 3}, {}, 1, back=False)
