"""Requests: which of them ask the same. Models: what they say of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maker.decision.address import Address
from maker.decision.sample import Prices, Request, Traits, groups
from maker.testing import ScriptedModel

REQUEST = Request(Address("run", 3, 0), "Which disk moves?", 17, 0.5, 100, ("\n",), {"type": "object"}, state=[3, 2, 1])


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"address": Address("run", 4, 9)}, True), ({"seed": 18}, True), ({"state": [2, 1]}, True),
        ({"prompt": "Which peg?"}, False), ({"temperature": 0.0}, False), ({"max_tokens": 99}, False),
        ({"stop": ()}, False), ({"schema": None}, False),
    ],
)  # fmt: skip
def test_what_two_requests_may_differ_in(change: dict[str, Any], same: bool) -> None:
    """Requests ask the same if they differ in address, seed and state alone, whichever of them is asked."""
    other = replace(REQUEST, **change)
    assert REQUEST.asks_the_same_as(other) is other.asks_the_same_as(REQUEST) is same


def test_requests_that_ask_the_same_share_a_call() -> None:
    """Neighbours that ask the same are grouped, so many together at most; the order stays."""
    alike = [replace(REQUEST, address=Address("run", 3, draw), seed=draw) for draw in range(5)]
    assert groups(alike, 1) == [[0], [1], [2], [3], [4]]
    assert groups(alike, 3) == [[0, 1, 2], [3, 4]]
    alike[1].temperature = 0.0
    assert groups(alike, 3) == [[0], [1], [2, 3, 4]]
    assert groups([], 3) == []


def test_what_a_model_need_not_say() -> None:
    """A model with `lockstep` and `draw` alone has a name, and none of what is optional."""

    class Plain:
        lockstep = False

        async def draw(self, requests: Any) -> Any:
            """Answer nothing."""

    found = Traits.of(Plain())
    assert found == Traits("Plain", False, 1, 1, None, False, False, None, None, None, None, None)
    assert not found.needs_truth and Traits.name_of("oracle:p=1") == "oracle:p=1"


def test_what_a_model_says_of_itself() -> None:
    """Each trait is read from the attribute of the contract; a lock-step model is asked for one draw a call."""
    model: Any = ScriptedModel(["x"], lockstep=False)
    prices = Prices(input=1.0, output=2.0)
    model.callers, model.n, model.prices, model.replicable = 3, 5, prices, True
    model.bind = model.aclose = model.bears = model.pace = model.room = print
    told = "scripted", False, 3, 5, prices, True, True, print, print, print, print, print, True
    assert Traits.of(model) == Traits(*told)
    assert Traits.of(model).needs_truth
    model.lockstep = True
    assert Traits.of(model).together == 1
