"""Decorrelation: what is counted of draws that were asked in one way and another."""

from __future__ import annotations

import pytest

from maker.experiments.difficulty import decorrelation
from maker.experiments.difficulty.decorrelation import DRAWS, EXAMPLES, Found, count, ways
from maker.experiments.kit.bench import Bench, Source, Way, neural, oracle
from maker.testing import FaultServer


def test_rho_of_draws_that_are_known():
    """Draws of which all or none are wrong on a step have rho 1, and are worth one vote; even steps have none."""
    alike = Found([10] * 20, [10] * 4 + [0] * 16)
    assert alike.rho[0] == pytest.approx(1.0)
    assert alike.worth == pytest.approx(1.0)
    even = Found([10] * 20, [2] * 20)
    assert even.rho[0] == pytest.approx((2 * 1 / 90 - 0.04) / 0.16)
    assert even.worth == 10
    assert Found([1] * 3, [0] * 3).rho == (0.0, 0.0, 1.0), "single draws say nothing"


def test_ways_ask_what_their_model_can_read():
    """The simulated model is asked in its own words, the bundled one under no system message; all draw as often."""
    assert "other words" not in ways(oracle("p=0.9"))
    assert "personas" not in ways(neural(1.0))
    every = ways(Source("http://127.0.0.1:1#x", 0.1, "x"))
    assert {"plain", "other words", "personas", "examples"} <= every.keys()
    orders = [way.shown for way in every["examples, in several orders"]]
    assert len(set(orders)) == 4 and {frozenset(order) for order in orders} == {frozenset(EXAMPLES)}
    drawn = [repr(way) for parts in every.values() for way in parts]
    assert len(set(drawn)) == len(drawn), "two ways would have the same draws"
    assert all(DRAWS % len(parts) == 0 for parts in every.values())


def test_parts_of_a_way_are_put_together():
    """Each step has the same number of draws in every way; another turn has other draws on the same steps."""
    with Bench(oracle("p=0.7")) as bench:
        whole = count(bench, range(40), [Way(1.0)])
        parts = count(bench, range(40), [Way(1.0), Way(1.0, turn=1)])
    assert whole.votes == parts.votes == [DRAWS] * 40
    assert whole.replies == parts.replies == 40 * DRAWS
    assert whole.wrong != parts.wrong
    assert [lost for wrong, lost in zip(whole.wrong, whole.lost, strict=True) if wrong >= DRAWS / 2] == [True] * sum(
        whole.lost
    )


def test_any_server_can_be_asked_in_each_way():
    """URL#name is a model: personas come as a system message, examples as turns before the question, in their order."""
    with FaultServer() as server:
        source = Source(server.spec("any"), 0.1, "any")
        every = ways(source)
        with Bench(source) as bench:
            for name in ("plain", "personas", "examples, in several orders"):
                assert count(bench, [11], every[name]).replies == DRAWS
    asked = [
        request.body["messages"] for request in server.requests if len(request.body["messages"][-1]["content"]) > 99
    ]
    assert {turns[0]["content"] for turns in asked if turns[0]["role"] == "system"} == set(decorrelation.PERSONAS)
    shown = {tuple(turn["content"] for turn in turns[:-1:2]) for turns in asked if len(turns) == 2 * len(EXAMPLES) + 1}
    assert len(shown) == 4 and len({frozenset(order) for order in shown}) == 1


def test_what_one_way_saves_another_loses():
    """Steps are compared one by one, not by their counts."""
    found = {"plain": Found(lost=[True, True, False]), "other": Found(lost=[True, False, True])}
    assert decorrelation._apart(found, "other") == (1, 1)
    assert decorrelation._apart(found, "plain") == (0, 0)
