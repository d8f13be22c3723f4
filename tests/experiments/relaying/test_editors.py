"""Editors: the simulated one errs as often as was measured, and a model is asked in words."""

from __future__ import annotations

import csv

import pytest

from maker.experiments.relaying import editors
from maker.experiments.relaying.documents import edits, ledger, read
from maker.experiments.relaying.editors import FATES, SimulatedEditor, fidelity, slip
from maker.experiments.relaying.trips import job_of


@pytest.fixture
def measured(monkeypatch):
    """Let one kind of edit be measured, and forget what was known of others afterwards."""
    table = {("question", "JSON", kind): editors._of([39, 0, 0, 0]) for kind in ("rename", "first of a list")}
    monkeypatch.setattr(editors, "_counts", lambda: {**table, ("ledger", "JSON", "rename"): editors._of([5, 2, 1, 1])})
    fidelity.cache_clear()
    yield
    fidelity.cache_clear()


@pytest.mark.usefixtures("measured")
def test_chances_are_what_was_measured_or_come_from_small_edits():
    """Nothing is perfect; a record is right when its questions are; a ledger not measured errs like records."""
    assert fidelity("ledger", "JSON", "rename").chances[0] == pytest.approx(5.5 / 10)
    assert sum(fidelity("ledger", "JSON", "rename").chances) == pytest.approx(1)
    record = fidelity("record", "JSON", "rename")
    assert (record.chances[0], record.measured) == (pytest.approx((39.5 / 40) ** 4), False)
    assert fidelity("ledger", "JSON", "order") == fidelity("record", "JSON", "order")


@pytest.mark.usefixtures("measured")
def test_the_simulated_editor_errs_so_often():
    """Of 4,000 records each fate has its share; a slip keeps the form, another form does not."""
    unit = ledger(1000, 0)
    job = job_of(unit, "JSON", 0, back=False, whole=True)
    known, right, seen = edits("JSON"), job.right(), dict.fromkeys(FATES, 0)
    after = {one["id"]: one for one in read(SimulatedEditor(0)([job])[0].text, "JSON")}
    for before, wanted in zip(unit, right, strict=True):
        one = after.get(before["id"])
        fate = "lost" if one is None else "right" if one == wanted else (
            "slipped" if known.fits(before, one, 0, back=False) else "misshapen")  # fmt: skip
        seen[fate] += 1
    for fate, chance in zip(FATES, fidelity("ledger", "JSON", "rename").chances, strict=True):
        assert seen[fate] / 1000 == pytest.approx(chance, abs=0.05)


def test_a_slip_is_of_the_same_kind():
    """A number, a text, a date, an object."""
    assert (slip(7), slip("tea"), slip("12.09"), slip({"a": 1, "b": 2})) == (8, "teas", "12.00", {"a": 1, "b": 3})


def test_what_is_kept_says_where_it_comes_from():
    """Each row has replies, a model and a source."""
    rows = list(csv.DictReader(editors.DATA.read_text().splitlines()))
    assert all(row["model"] and row["source"] and sum(int(row[fate]) for fate in FATES) > 0 for row in rows)


def test_a_record_without_fields_has_nothing_left_to_spoil():
    """Its id stays, whatever comes; a field is spoilt, or goes, from behind."""
    assert [editors._met({"id": 1}, fate) for fate in ("right", "slipped", "misshapen")] == [{"id": 1}] * 3
    assert editors._met({"id": 1, "a": 2, "b": 3}, "slipped") == {"id": 1, "a": 2, "b": 4}
    assert editors._met({"b": 3, "id": 1}, "misshapen") == {"id": 1}
