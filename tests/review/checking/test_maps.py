"""The journal of a map, verified from the file alone, and with its items."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import maker
from maker.cli.app import app
from maker.decision.sample import Request
from maker.decision.wave import Wave
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.writer import Journal
from maker.review.checking.verify import verify
from maker.testing import ScriptedModel

GOLDEN = Path(__file__).parents[2] / "golden" / "format-2-map-keyed.journal"
Item = Wave | dict[str, Any]


def tell(request: Request) -> str:
    """Say whether the number at the prompt's end is even; now and then that it is odd, and in other blanks."""
    even = int(request.prompt.split()[-1]) % 2 == 0
    return ("yes" if even != (request.address.draw % 4 == 1) else "no") + " " * (request.address.draw % 2)


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Write the journal of a map of text answers."""
    path = tmp_path / "asked.db"
    found = maker.map_sync("Even? {item}", [1, 2, 3, 4], model=ScriptedModel(tell), k=2, journal=path)
    assert [verdict.answer for verdict in found] == ["no", "yes", "no", "yes"]
    return path


def forged(path: Path, change: Callable[[list[Item]], None]) -> str | None:
    """Return what verify finds in a copy whose records were changed, under a right chain."""
    content = [decode(record) for record in read_records(path)]
    change(content)
    path.with_name("forged.db").unlink(missing_ok=True)
    with Journal(path.with_name("forged.db")) as journal:
        for item in content:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return verify(path.with_name("forged.db")).problem


def first_wave(content: list[Item]) -> Wave:
    """Return the first wave of a journal."""
    return next(item for item in content if isinstance(item, Wave))


def test_a_map_is_verified_from_its_file(asked: Path) -> None:
    """Chain, votes, answers and hashes of a map of texts are recounted without its code."""
    audit = verify(asked)
    assert (audit.problem, audit.solved, audit.complete, audit.summary.steps) == (None, True, True, 4)
    assert forged(asked, lambda content: None) is None


def test_a_map_that_is_not_through_verifies_as_far(tmp_path: Path) -> None:
    """A map that met a limit has no problem, and is not finished; one of no items is."""
    path = tmp_path / "some.db"
    maker.map_sync(
        "Even? {item}", [1, 2, 3], model=ScriptedModel(tell), k=2, journal=path, limits={"max_calls": 3}, concurrency=1
    )
    audit = verify(path)
    assert (audit.problem, audit.solved, audit.exit_code) == (None, False, 3)
    maker.map_sync("Even? {item}", [], model=ScriptedModel(tell), k=2, journal=tmp_path / "none.db")
    assert verify(tmp_path / "none.db").solved


def test_answers_of_a_key_are_counted_though_not_read(tmp_path: Path) -> None:
    """A map whose key or type is the user's verifies too: its votes are counted, its texts compared."""
    path = tmp_path / "golden.db"
    shutil.copy(GOLDEN, path)
    assert verify(path).problem is None
    typed = tmp_path / "typed.db"
    model = ScriptedModel(lambda request: "4" if request.address.draw % 4 else " 4.0 ")
    maker.map_sync("Half of {item}?", [8, 8], model=model, k=2, answer=int, journal=typed)
    assert verify(typed).solved

    def other(content: list[Item]) -> None:
        first_wave(content).draws[0] = 1

    def swapped(content: list[Item]) -> None:
        content[1], content[2] = content[2], content[1]

    assert "nobody gave" in str(forged(typed, other))
    assert forged(typed, swapped) is None  # items do not follow from each other


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: first_wave(content).texts.__setitem__(0, (True, b"maybe")), "recorded hashes|something else"),
        (lambda content: first_wave(content).draws.__setitem__(0, 1), "nobody gave"),
        (lambda content: content.remove(first_wave(content)), "does not follow|was due|closing note"),
        (lambda content: content[0]["header"].__setitem__("k", 3), "does not follow from the votes"),
        (lambda content: content[0]["header"].__setitem__("steps", 5), "makes no sense|asked for|closing note"),
    ],
)
def test_a_forged_map_is_found(asked: Path, change: Callable[[list[Any]], None], complaint: str) -> None:
    """Other texts, votes, margins and items than were journaled are each found."""
    try:
        problem = str(forged(asked, change))
    except maker.MakerError as error:
        problem = str(error)
    assert any(part in problem for part in complaint.split("|")), problem


def test_prompts_are_made_again_where_the_items_are_given(asked: Path) -> None:
    """The items and their template give the journal's fingerprint; others, fewer or in another order do not."""
    audit = verify(asked, items=[1, 2, 3, 4], prompt="Even? {item}")
    assert (audit.problem, audit.checked[-1]) == (None, "prompts")
    assert verify(asked, items=[f"Even? {number}" for number in (1, 2, 3, 4)]).solved
    for items, prompt in (([1, 2, 4, 3], "Even? {item}"), ([1, 2, 3, 4], "Odd? {item}")):
        with pytest.raises(JournalError, match="other items, another order or another prompt"):
            verify(asked, items=items, prompt=prompt)
    with pytest.raises(JournalError, match="a map of 4 items, 3 are given"):
        verify(asked, items=[1, 2, 3])
    with pytest.raises(TaskError, match="prompt"):
        verify(asked, items=[1, 2, 3, 4], prompt="{nothing}")


def test_other_journals_have_no_items(tmp_path: Path) -> None:
    """Items for the journal of a run are a mistake."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=2), model="oracle:p=1", k=1, journal=path)
    with pytest.raises(TaskError, match="'hanoi', not of a map"):
        verify(path, items=[1])


def test_the_command_takes_items_from_a_file(asked: Path, tmp_path: Path) -> None:
    """One item a line or a JSON list; what is neither is a mistake in words."""
    lines, listed, odd = tmp_path / "lines.txt", tmp_path / "items.json", tmp_path / "odd.json"
    lines.write_text("1\n2\n3\n4\n")
    listed.write_text(json.dumps([1, 2, 3, 4]))
    odd.write_text("[" * 100_000)
    for file in (lines, listed):
        done = CliRunner().invoke(app, ["verify", str(asked), "--items", str(file), "--prompt", "Even? {item}"])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["verify", str(asked), "--items", str(odd)])
    assert isinstance(done.exception, TaskError)
