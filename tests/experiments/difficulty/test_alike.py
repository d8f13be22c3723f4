"""Alike draws: what is counted of the votes on each step."""

from __future__ import annotations

import csv

import pytest

from maker.decision.sample import Sample
from maker.experiments.difficulty.alike import KEPT, TABLE, Asked, Found, kept
from maker.experiments.difficulty.comparisons import step_of, tasks
from maker.task.canonical import canonical


def test_rho_of_draws_that_are_known():
    """Draws of which all or none are wrong on a step have rho 1, and are worth one vote; even steps have none."""
    same = Found([10] * 20, [10] * 4 + [0] * 16)
    assert same.rho[0] == pytest.approx(1.0)
    assert same.worth == pytest.approx(1.0)
    even = Found([10] * 20, [2] * 20)
    assert even.rho[0] == pytest.approx((2 * 1 / 90 - 0.04) / 0.16)
    assert even.worth == 10
    assert Found([1] * 3, [0] * 3).rho == (0.0, 0.0, 1.0), "single draws say nothing"


def test_votes_are_those_that_can_be_read():
    """A reply in words has no vote, but its tokens count; a tie is a lost step."""
    (task,) = tasks(1, 0)
    low, high = sorted(task.numbers)
    found = Found()
    for texts in ([str(low), str(high), "the first"], [str(low), str(low), str(high)]):
        samples = [Sample(text, tokens_in=9, tokens_out=1) for text in texts]
        found.add(samples, step_of(task), canonical(low))
    assert (found.votes, found.wrong, found.lost) == ([2, 3], [1, 1], [True, False])
    assert (found.replies, found.tokens) == (6, 60)


def test_what_one_way_saves_another_loses():
    """Steps are compared one by one, not by their counts."""
    asked = Asked("x", simulated=True, steps="steps")
    asked.found = {"plain": Found(lost=[True, True, False]), "other": Found(lost=[True, False, True])}
    assert asked.apart("other") == (1, 1)
    assert asked.apart("plain") == (0, 0)


def test_kept_replies_are_counted_as_they_were_drawn():
    """Every way has each step of the kept rows once, with the same number of replies."""
    asked = kept()
    with KEPT.open(newline="") as file:
        steps = {(row["way"], row["numbers"]) for row in csv.DictReader(file)}
    assert {len(seen.votes) for seen in asked.found.values()} == {len(steps) // len(asked.found)}
    assert {seen.replies for seen in asked.found.values()} == {asked.draws * len(asked.found["plain"].votes)}
    assert all(
        wrong <= votes for seen in asked.found.values() for wrong, votes in zip(seen.wrong, seen.votes, strict=True)
    )
    assert {len(line) for line in asked.table()} == {len(TABLE[0])}
    assert "plain draws on a step have rho" in asked.shows()
