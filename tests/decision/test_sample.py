"""Requests: which of them ask the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maker.decision.address import Address
from maker.decision.sample import Request, groups

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
