"""Models at the same steps: each is judged by its own draws, and what two get wrong together is counted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.together import Together, as_json, by_model, shuffled, together


def step(index: int, draws: str, again: str = "", picked: int = 1) -> Seen:
    """Return a step: two letters a draw, the model and R right, W or X wrong, F flagged."""

    def read(text: str) -> list[Draw]:
        return [Draw(said.encode(), "malformed" if said == "F" else None, 1, model=name)
                for name, said in zip(text[::2], text[1::2], strict=True)]  # fmt: skip

    return Seen(index, None, b"R", picked=picked, draws=read(draws), again=read(again))


SEEN = [
    step(0, "aRbRaRbR"),
    step(1, "aWbWaRbR"),
    step(2, "aWbXaWbR", "aRbRaRbR"),
    step(3, "bRaWbRaW"),
    step(4, "aFbWaRbW"),
]


def test_each_model_is_judged_by_its_own_draws() -> None:
    """As though the other had not been asked; further draws count, too."""
    found = by_model(SEEN, "ab", 4)
    alone = by_model(
        [step(0, "aRaR"), step(1, "aWaR"), step(2, "aWaW", "aRaR"), step(3, "aWaW"), step(4, "aFaR")], "a", 4
    )
    assert list(found) == ["a", "b"]
    assert found["a"] == alone["a"]
    assert (found["a"].n, found["a"].wrong, found["a"].dropped) == (5, 3, 1)
    assert as_json(found, [])["models"]["b"]["wrong"] == 3


def test_what_two_get_wrong_together() -> None:
    """By the first valid draw of each, at the steps where both have one; alike is the same wrong answer."""
    (pair,) = together(SEEN, "ab")
    assert pair == Together("a", "b", 5, one_wrong=3, other_wrong=3, both=2, alike=1)
    assert (pair.by_chance, pair.share) == (9 / 5, 2 / 4)
    assert pair.as_json()["share"] == 0.5


def test_a_step_picked_often_counts_as_often() -> None:
    """With one more draw of each for every time."""
    (pair,) = together([step(0, "aWbWaWbRaRbR", picked=2)], "ab")
    assert (pair.n, pair.both, pair.one_wrong) == (2, 1, 2)


def test_one_model_has_no_pair() -> None:
    """And none by name; without any error nothing is shared."""
    plain = [Seen(0, None, b"R", draws=[Draw(b"R", None, 1)] * 2)]
    assert (by_model(plain, (), 1), together(plain, ()), as_json({}, [])) == ({}, [], {})
    assert together([step(0, "aRbR")], "aab")[0].share == 0.0
    assert Together("a", "b", 0, 0, 0, 0, 0).by_chance == pytest.approx(0.0)


def test_the_first_two_draws_of_a_pool_are_as_of_one_model() -> None:
    """Each model is first as often, whatever the second is; so the pairs of a pool collide as its errors tell."""
    draws = step(0, "aRbRcWaRbRcW").draws
    choice = random.Random(1).choice
    orders = [shuffled(draws, choice) for _ in range(3000)]
    assert all(sorted(order, key=str) == sorted(draws, key=str) for order in orders)
    pairs = Counter((order[0].model, order[1].model) for order in orders)
    assert len(pairs) == 9
    assert all(abs(count - 3000 / 9) < 5 * (3000 / 9) ** 0.5 for count in pairs.values())


def test_what_was_seen_of_a_pool_has_no_tails() -> None:
    """Three models, one of them always wrong: no distribution of a step's error would give that many wrong."""
    assert Evidence.of([step(0, "aRbRcWaRbRcW")], 1).tails == []
    alone = replace(SEEN[0], draws=[replace(draw, model="") for draw in SEEN[0].draws])
    assert Evidence.of([alone], 1).tails
