"""The journal of a map in its items: their order, why some have no verdict, and what was flagged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.sample import Prices, Request, Sample
from maker.errors import JournalError
from maker.journal.bulk import plain
from maker.journal.story import Story
from maker.journal.views.items import ByItem, is_map
from maker.testing import ScriptedModel


class Paid(ScriptedModel):
    """A scripted model that is none of the simulated ones, so that its texts are kept."""

    simulated = False
    prices = Prices(input=1.0, output=2.0)

    def __init__(self, script: Any) -> None:
        super().__init__(script, lockstep=False)


def answered(request: Request) -> Any:
    """Double the number; be in two minds about 3, give no number for 1, differ in one field for 5."""
    item, draw = int(request.prompt.split()[-1]), request.address.draw
    return {1: "```\nnone", 3: f'{{"n": {draw % 2}}}', 5: f'{{"n": 1, "why": "{draw}"}}'}.get(item, str(2 * item))


def mapped(path: Path, model: Any = None, items: int = 6, **settings: Any) -> Any:
    """Map over numbers, each answer whatever JSON it is."""
    settings = {"k": 2, "limits": {"max_votes": 4, "max_flags": 4}, "answer": Any, **settings}
    model = model or Paid(answered)
    return maker.map_sync("item: {item}", range(items), model=model, journal=path, **settings)


def test_steps_come_in_item_order_and_open_ones_in_their_place(tmp_path: Path) -> None:
    """Whatever the order of decision, each item is yielded once, in its place, decided or not."""
    mapped(tmp_path / "a.db")
    found = ByItem(tmp_path / "a.db")
    assert [(stored.step, stored.winner is not None) for stored in found.steps()] == [
        (0, True), (1, False), (2, True), (3, False), (4, True), (5, False),
    ]  # fmt: skip
    assert (found.decided, list(found.missing(8))) == (3, [1, 3, 5, 6, 7])
    assert [stored.step for stored in found.steps("step = ?", 3)] == [3]


def test_failures_say_why(tmp_path: Path) -> None:
    """Each item without a verdict has its votes, its flags, and what its replies have in common."""
    mapped(tmp_path / "a.db")
    why = dict(ByItem(tmp_path / "a.db").failures(2))
    assert list(why) == [1, 3, 5]
    assert why[1].startswith("undecided after 4 samples: votes none (k = 2 ahead is needed), flagged malformed 4.")
    assert "all begin with a code fence, such as '``` none'" in why[1]
    assert why[3] == "undecided after 4 samples: votes 2, 2 (k = 2 ahead is needed), flagged none."
    assert "the field 'why' differs" in why[5]


def test_flags_have_examples_and_calls_a_price(tmp_path: Path) -> None:
    """One flagged reply of each kind is kept as an example, shortened; tokens and dollars are those of all calls."""
    model = Paid(lambda r: Sample("x" * 500, 7, 2) if r.address.draw == 1 else Sample("4", 7, 2))
    verdicts = mapped(tmp_path / "a.db", model, answer=int)
    found = ByItem(tmp_path / "a.db")
    assert found.examples == {"malformed": "x" * 117 + "..."}
    usage = verdicts.usage
    assert found.tokens == (usage.tokens_in, usage.tokens_out, 0) == (7 * 18, 2 * 18, 0)
    assert found.cost == pytest.approx(verdicts.cost)
    assert verdicts.cost == pytest.approx(18 * (7 + 4) / 1e6)


def test_what_is_counted_needs_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts, flags and prices take one reading of the journal, and none of its steps is put in order for them."""
    mapped(tmp_path / "a.db", Paid(lambda request: "4"))
    story, readings = Story(tmp_path / "a.db"), []
    steps = story.steps
    monkeypatch.setattr(story, "steps", lambda *note: readings.append(1) or steps(*note))
    monkeypatch.setattr("maker.journal.views.items.encode_wave", None)
    found = ByItem(story)
    assert (found.decided, found.examples, found.tokens[2], list(found.missing(6)), list(found.failures(2))) == (
        6, {}, found.tokens[2], [], [],
    )  # fmt: skip
    assert readings == [1]


def test_what_is_a_map(tmp_path: Path) -> None:
    """A map's journal is told from that of a task that bears the same name; what is no journal is refused."""
    mapped(tmp_path / "a.db")
    header = Story(tmp_path / "a.db").latest
    assert is_map(header)
    assert not is_map(header | {"parameters": {}})
    assert not is_map({})
    with pytest.raises(JournalError):
        ByItem(tmp_path / "nothing.db")


def test_many_items_are_counted_as_single_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided, missing, flagged and paid of a long map is the same counted in bulk and item by item."""
    mapped(tmp_path / "map.db", ScriptedModel(answered), items=60)
    told = []
    for few in (plain.FEW, 10**6):
        monkeypatch.setattr(plain, "FEW", few)
        items = ByItem(tmp_path / "map.db")
        told.append((items.decided, list(items.missing(60)), items.tokens, items.cost, items.examples))
    assert told[0] == told[1]
    assert told[0][0] == 60 - len(told[0][1]) < 60
