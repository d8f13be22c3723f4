"""A journal that is followed: what grows is read once, and the sums are those of the whole journal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.journal import database
from maker.journal.story import Story
from maker.serving.watching import reading as module
from maker.serving.watching.reading import Reading
from maker.testing import ScriptedModel
from scratch import scratch

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Offer a folder in memory."""
    with scratch() as found:
        yield found


def through(journal: Path) -> tuple[Reading, dict[str, Any]]:
    """Follow a journal until all that is in it was read."""
    reading = Reading(journal, wait=0.001)
    while not reading.caught_up():
        reading._ends.wait(0.001)
    return reading, reading.shown()


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.journal")))
def test_sums_are_those_of_the_journal(name: str, folder: Path) -> None:
    """Of journals of all kinds, rolled back ones too, the page says what `maker show` says."""
    shutil.copy(GOLDEN / name, folder / name)
    reading, said = through(folder / name)
    reading.close()
    summary = Story(folder / name).summary()
    assert said["problem"] == ""
    assert said["read"] == summary.records
    assert [said[field] for field in ("steps", "samples", "flagged", "k")] == [
        summary.steps, summary.samples, summary.flagged, summary.k,
    ]  # fmt: skip
    assert sum(count for _, count in said["votes"]) == summary.steps
    assert said["undecided"] == [] or said["undecided"][-1][1] == 0


def ask(journal: Path, items: int, **more: Any) -> None:
    """Have some items decided."""
    model = ScriptedModel(["yes", "no", "yes", "<b>\u202e", "yes"], lockstep=False)
    maker.map_sync("{item}?", range(items), model=model, k=2, journal=journal, **more)


def test_what_grows_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """News are read from where the last reading ended, each record once."""
    journal, begins = folder / "run.db", []
    read_on = module.read_on
    monkeypatch.setattr(module, "read_on", lambda path, after: begins.append(after[0]) or read_on(path, after))
    ask(journal, 6, limits={"max_steps": 3, "concurrency": 1})
    reading, before = through(journal)
    ask(journal, 6)
    while (after := reading.shown())["steps"] < 6 or not after["over"]:
        reading._ends.wait(0.001)
    reading.close()
    assert 0 < before["steps"] < after["steps"] == 6
    assert begins[0] == 0
    assert all(begin >= before["read"] for begin in begins[1:])
    assert (after["over"], after["solved"]) == (True, True)


def test_a_step_is_shown_with_its_samples(folder: Path) -> None:
    """Texts are whole and made visible; a step that nobody kept is None."""
    ask(folder / "run.db", 3)
    reading, said = through(folder / "run.db")
    found = reading.step(said["last"][0]["step"])
    assert found is not None
    assert [answer["text"] for answer in found["answers"]] == ["yes", "no", "<b>\\u202e"]
    assert reading.step(99) is None
    reading.close()


def test_trouble_is_said_and_passes(folder: Path) -> None:
    """A file that is no journal is said to be none; one that takes its place is read."""
    ask(folder / "good.db", 2)
    (folder / "run.db").write_bytes(b"no journal at all")
    reading, said = through(folder / "run.db")
    assert "not a maker journal" in said["problem"]
    (folder / "good.db").rename(folder / "run.db")
    while reading.shown()["steps"] < 2:
        reading._ends.wait(0.001)
    assert reading.shown()["problem"] == ""
    reading.close()


def test_sums_are_of_bounded_size(folder: Path) -> None:
    """Hundreds of steps show no more than a few of them, and stay far below what a page may weigh."""
    maker.run_sync(
        "hanoi", model="oracle:p=0.7,v=0.9", k=3, journal=folder / "run.db", segments=1, limits={"max_steps": 400}
    )
    reading, said = through(folder / "run.db")
    reading.close()
    assert len(said["hardest"]) == len(said["last"]) == module.SHOWN_STEPS
    assert len(str(said)) < 20_000


def test_reading_on_refuses_another_file(folder: Path) -> None:
    """What does not go on from where the last reading ended is an error, not a mixture."""
    ask(folder / "one.db", 2)
    records = list(database.read_chain(folder / "one.db"))
    ask(folder / "two.db", 5)
    with pytest.raises(maker.JournalError):
        list(database.read_on(folder / "two.db", (len(records), records[-1][0])))
