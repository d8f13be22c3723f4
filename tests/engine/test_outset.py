"""How a map begins: replies that all fail alike end it early, and a field that keeps all answers apart is said."""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import maker
from maker.decision.sample import Sample
from maker.engine.outset import ITEMS, REPLIES
from maker.testing import ScriptedModel


class Ticket(BaseModel):
    """A record with free text."""

    category: str
    summary: str


def mapped(script: Any, items: int = 100, *, lockstep: bool = False, **settings: Any) -> tuple[Any, ScriptedModel]:
    """Map over numbers; return the verdicts and the model."""
    model = ScriptedModel(script, lockstep=lockstep)
    settings = {"answer": int, "concurrency": 8, **settings}
    return maker.map_sync("item: {item}", range(items), model=model, **settings), model


@pytest.mark.parametrize("lockstep", [True, False])
def test_replies_that_all_fail_alike_stop_a_map_early(lockstep: bool) -> None:
    """A hundred items of which no reply can be read cost dozens of calls; the stop says what they look like."""
    verdicts, model = mapped(["```\nI think it is four."], lockstep=lockstep)
    assert (verdicts.stopped, verdicts.result.exit_code, len(verdicts), verdicts.failed) == ("all_flagged", 4, 0, [])
    assert REPLIES <= len(model.requests) <= (3 * 100 if lockstep else REPLIES + 3 * 8)
    assert "malformed" in verdicts.result.detail
    assert "all begin with a code fence, such as '``` I think it is four.'" in verdicts.result.detail


def test_one_after_the_other_three_items_are_enough() -> None:
    """Items that came to their end without a vote stop a map, however few replies that took."""
    verdicts, model = mapped(["?"], concurrency=1, limits={"max_flags": 6})
    assert (verdicts.stopped, len(model.requests)) == ("all_flagged", 6 * ITEMS)
    assert "None of 18 replies on the first 3 items has a vote: malformed 18" in verdicts.result.detail


def test_the_same_call_goes_on_once_the_model_answers(tmp_path: Path) -> None:
    """The stop is no judgement on the items: with a model that is mended all others are decided."""
    settings: dict[str, Any] = {"journal": tmp_path / "run.db", "limits": {"max_flags": 6}, "concurrency": 1}
    assert mapped(["?"], **settings)[0].stopped == "all_flagged"
    again, model = mapped(["?"], **settings)
    assert (again.stopped, len(model.requests)) == ("all_flagged", 6 * ITEMS)
    mended, _ = mapped(["4"], **settings)
    assert (mended.stopped, len(mended), [failed.item for failed in mended.failed]) == (None, 94, [*range(6)])


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        (lambda r: "4" if r.address.step == 1 and r.address.draw == 2 else "?", {}),  # one vote, of one reply
        (["?"], {"items": ITEMS}),  # there are no others to be spared
        ([*["?"] * 5, "4"], {}),  # seldom read
    ],
)
def test_other_maps_go_on(script: Any, settings: dict[str, Any]) -> None:
    """One vote for anything, or no further items, and the map goes its way."""
    verdicts, _ = mapped(script, limits={"max_flags": 25}, k=1, **{"items": 20, **settings})
    assert verdicts.stopped is None


def test_tool_calls_are_named() -> None:
    """Replies that are calls of tools are said to be that."""
    verdicts, _ = mapped(lambda r: Sample(None, finish_reason="tool_calls"))
    assert "tool calls came instead of text" in verdicts.result.detail


def field_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about a field."""
    return [message for message in caplog.messages if "map.apart" in message]


def test_a_field_that_keeps_answers_apart_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """After the first items whose votes never agree although all but one field do, there is one warning."""
    number = count()

    def script(request: Any) -> str:
        return f'{{"category": "bug", "summary": "{next(number)}"}}'

    with caplog.at_level(logging.WARNING, "maker"):
        mapped(script, answer=Ticket, limits={"max_votes": 8})
    (said,) = field_of(caplog)
    assert "field='summary' items=3" in said
    assert "maker.unvoted" in said


def test_votes_that_agree_bring_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Where a second vote for an answer comes in time, the field does its work."""
    with caplog.at_level(logging.WARNING, "maker"):
        mapped(lambda r: f'{{"category": "bug", "summary": "{r.address.draw % 2}"}}', answer=Ticket,
               limits={"max_votes": 8})  # fmt: skip
    assert field_of(caplog) == []
