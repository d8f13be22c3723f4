"""The one reading of a journal: notes as types, and a journal as it is when it is opened."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Sample
from maker.decision.wave import Wave
from maker.errors import JournalError
from maker.journal.bulk import group
from maker.journal.escalated import Ahead, Rolled
from maker.journal.notes import Close, Epoch, Receipt, Reserve, ServerChange, Unshown, note_of
from maker.journal.records import encode_note
from maker.journal.story import Story, Summary, rolled_back
from maker.journal.writer import Journal

HEADER = {"version": 1, "run": "run-1", "task": "t", "steps": 9, "model": "m", "k": "auto", "segments": 1}
PLACE = {"run": "run-1", "step": 4, "draw": 7}
NOTES: list[tuple[dict[str, Any], Any]] = [
    ({"header": HEADER}, Epoch(HEADER)),
    ({"epoch": {"number": 2, "changed": ["k"], "header": HEADER | {"k": 3}}}, Epoch(HEADER | {"k": 3}, 2, ["k"], 3)),
    ({"usage": {"failed": 1, "cancelled": 2, "lost_in": 3, "lost_out": 4}}, Unshown(1, 2, 3, 4)),
    (
        {"reserve": {"run": "r", "step": 4, "draws": [7], "tokens": [9], "cost": [0.5]}},
        Reserve("r", 4, [7], [9], [0.5]),
    ),
    (
        {"sample": PLACE | {"spent": [1, 2, 0, 0.25, 0], "text": "x", "tokens_in": 1, "asked": "b"}},
        Receipt(Address("run-1", 4, 7), (1, 2, 0, 0.25, 0), Sample("x", 1, None, None), asked="b"),
    ),
    (
        {"failure": PLACE | {"spent": [0, 0, 9, 0.5, 0], "detail": "gone"}},
        Receipt(Address("run-1", 4, 7), (0, 0, 9, 0.5, 0), None, "gone"),
    ),
    (
        {
            "ahead": {
                "step": 4,
                "round": 1,
                "rolls": [
                    {
                        "candidate": 2,
                        "end": "falls",
                        "waves": [
                            {
                                "step": 5,
                                "first": 9,
                                "draws": [0, 0, 3, 4],
                                "texts": ["x"],
                                "extras": {"0": {"finish": "length"}},
                            }
                        ],
                    }
                ],
            }
        },
        Ahead(4, 1, [Rolled(2, "falls", [Wave(5, 9, [0, 0, 3, 4], [(True, b"x")], {0: {"finish": "length"}})])]),
    ),
    ({"change": {"what": "model", "from": "a", "to": "b"}}, ServerChange("model", "a", "b")),
    (
        {"close": {"solved": True, "stopped": None, "detail": "", "wrong": 0, "answer": [1], "seconds": 0.1}},
        Close(True, None, "", 0, [1], 0.1),
    ),
    ({"a kind of a later version": 5}, {"a kind of a later version": 5}),
]


@pytest.mark.parametrize(("note", "meant"), NOTES)
def test_a_note_is_read_as_its_type(note: dict[str, Any], meant: Any) -> None:
    """Each kind of note has one type, which its fields make; a kind that is not known stays as it is."""
    assert note_of(note, "run.db") == meant


@pytest.mark.parametrize(("kind", "name", "wrong"), [
    ("header", "k", "three"), ("epoch", "changed", 5), ("usage", "failed", []), ("reserve", "draws", 1),
    ("sample", "text", 5), ("sample", "draw", None), ("failure", "spent", [1]),
    ("ahead", "round", -1), ("ahead", "rolls", [{"candidate": 0, "end": "maybe", "waves": []}]),
])  # fmt: skip
def test_a_note_that_makes_no_sense_is_named(kind: str, name: str, wrong: Any) -> None:
    """A field of another type than its kind has is a JournalError with the file and the kind."""
    note = next(note for note, _ in NOTES if kind in note)
    with pytest.raises(JournalError, match=rf"run.db: a {kind} note contradicts itself"):
        note_of({kind: note[kind] | {name: wrong}}, "run.db")


def test_a_story_is_the_journal_as_it_was(tmp_path: Path) -> None:
    """What a live run appends after a story was opened is not read by it, so that all of its readings agree."""
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", model="oracle:p=0.9", k=2, segments=1, journal=path, limits={"max_calls": 20})
    story = Story(path)
    before = (len(list(story.events())), story.summary().as_json(), list(story.verdicts()))
    assert maker.run_sync("hanoi", model="oracle:p=0.9", k=2, segments=1, journal=path).steps > len(before[2])
    assert (len(list(story.events())), story.summary().as_json(), list(story.verdicts())) == before
    assert [head for head, _ in story.events()][-1].hex() == before[1]["head"]


def test_a_temporary_journal_is_read_as_a_file_is(tmp_path: Path) -> None:
    """A run without a file yields the verdicts that the same run yields from its file."""
    kept, loose = (
        maker.run_sync("hanoi", model="oracle:p=0.8", k=2, journal=journal) for journal in (tmp_path / "run.db", None)
    )
    assert list(kept.verdicts()) == list(loose.verdicts()) == list(Story(tmp_path / "run.db").verdicts(kept.task.parse))


def test_a_rollback_in_other_words_is_no_traceback(tmp_path: Path) -> None:
    """A rollback that only a forger writes, as JSON with blanks, hides from the scan and harms no reader."""
    change = {"step": 5, "branch": 1, "attempt": 0, "rung": "go_back(2)", "reason": "", "change": {"back": 2}}
    plain = encode_note({"escalation": change})
    for number, record in itertools.product(range(2), (plain, plain.replace(b'{"escalation"', b'{ "escalation"'))):
        path = tmp_path / f"{number}{len(record)}.db"
        with Journal(path) as journal:
            list(journal.replay())
            for one in (encode_note({"header": HEADER}), record)[:: 1 if number else -1]:
                journal.append(one)
        assert Story(path).summary().escalations == {"go_back(2)": 1}
        assert bool(Story(path).abandoned) == (record == plain)


def seen(**changed: Any) -> Summary:
    """Return a summary of 100 steps that took 500 votes, after a calibration of 300."""
    found = {"valid": 300, "erred": 9, "rho": 0.1, "rho_high": 0.4} | changed
    return Summary(steps=100, samples=820, flagged=20, calibration=found)


def test_votes_are_worth_fewer_where_errors_correlate() -> None:
    """Five votes at rho = .1 are worth 3.57 independent ones; at .3 one more is worth so little that it is said."""
    assert seen().effective == pytest.approx((5, 5 / 1.4))
    assert (
        seen().worth == "5.00 votes a step are worth 3.57 independent ones, one more is worth 0.43: another model or "
        "wording is worth more"
    )
    assert seen(rho=0.01).worth.endswith("one more is worth 0.91")


def test_nothing_is_said_of_votes_where_rho_is_not_known() -> None:
    """Without a calibration, or where that saw no error, or before the first step, there is nothing to say."""
    for summary in (seen(erred=0), seen(rho_high=1.0), Summary(steps=9, samples=30), replace(seen(), steps=0)):
        assert (summary.effective, summary.worth) == (None, "")


def test_the_hashes_of_a_journal_are_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a journal several times hashes each record once; a damaged one is found all the same."""
    path, hashed = tmp_path / "run.db", []
    with Journal(path) as journal:
        for note in ({"header": HEADER}, {"usage": {"failed": 1, "cancelled": 2, "lost_in": 3, "lost_out": 4}}):
            journal.append(encode_note(note))
    made = group.hasher
    monkeypatch.setattr(group, "hasher", lambda: hashed.append(1) or made())
    story = Story(path)
    assert (story.summary().records, len(list(story.steps())), len(list(story.events()))) == (2, 0, 2)
    assert len(hashed) == 2
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "UPDATE groups SET data = CAST(replace(data, CAST('failed' AS BLOB), CAST('Failed' AS BLOB)) AS BLOB)"
        )
    with pytest.raises(JournalError, match="record 1 is damaged: its content does not match its hash"):
        Story(path)


def test_rollbacks_are_found_before_a_replay(tmp_path: Path) -> None:
    """What a journal rolled back is known without its hashes, as far as it can be read."""
    back = {"branch": 1, "attempt": 0, "rung": "go_back(3)", "reason": "unsound", "change": {"back": 3}}
    escalations = {"step": 7, **back}, {"step": "broken"}, {"step": 17, **back}
    with Journal(tmp_path / "run.db") as journal:
        for note in ({"header": HEADER}, *({"escalation": said} for said in escalations)):
            journal.append(encode_note(note))
        found = rolled_back(journal)
    assert [step for step in range(20) if found.covers(step, 0)] == [4, 5, 6, 7]
