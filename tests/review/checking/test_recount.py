"""One round counted again: each wave that could not follow in a vote is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from maker.decision.address import ROUND
from maker.decision.wave import FLAGGED, Wave
from maker.review.checking.recount import Failed, Race, unanimous

TEXT = (True, b"a")


def count(*waves: Wave, k: int = 2, number: int = 0) -> Race:
    """Return the race after some waves."""
    race = Race("step 3", k, number)
    for wave in waves:
        list(race.ballots(wave))
    return race


def wave(*draws: tuple[int, int], first: int = 0, texts: Any = (TEXT,), extras: Any = None) -> Wave:
    """Return a wave of draws, each a candidate and the number of a text."""
    flat = [field for candidate, number in draws for field in (candidate, number, 1, 1)]
    return Wave(3, first, flat, list(texts), extras or {})


def test_sound_waves_are_counted() -> None:
    """Votes, draws, the margin and the winner come out as they were drawn; a digest may stand for a repeated answer."""
    race = count(
        wave((0, 0), (FLAGGED, 1), texts=[TEXT, (False, b"x")], extras={1: {"flag": "empty"}}),
        wave((1, 2), (0, 0), first=2, texts=[(True, b"b")]),
        wave((0, 3), first=4, texts=[(False, b"y")]),
    )
    assert (dict(race.votes), race.drawn, race.margin()) == ({0: 3, 1: 1}, 5, 2)
    assert race.won_by(0)
    assert not race.won_by(1)


def test_draws_count_what_their_turns_weigh() -> None:
    """By the number of the draw, flagged ones and later rounds included; the leader may be ahead by more than k."""
    race = Race("step 3", 5, 1, weights=(1, 4, 2))
    assert race.wanting() == 6  # draw 65,536 is the second turn of three
    list(race.ballots(wave((0, 0), (FLAGGED, 1), first=ROUND, texts=[TEXT, TEXT], extras={1: {"flag": "empty"}})))
    assert (dict(race.votes), race.margin(), race.wanting()) == ({0: 4}, 4, 1)
    list(race.ballots(wave((1, 2), (0, 0), first=ROUND + 2, texts=[(True, b"b")])))
    assert (dict(race.votes), race.margin()) == ({0: 8, 1: 1}, 7)
    assert race.won_by(0)
    with pytest.raises(Failed, match="drawn after the vote was decided"):
        list(race.ballots(wave((0, 0), first=ROUND + 4, texts=())))


def test_a_later_round_begins_at_its_own_number() -> None:
    """The draws of round 2 are numbered on from its first number."""
    assert count(wave((0, 0), first=2 * ROUND), number=2).drawn == 1


@pytest.mark.parametrize(
    ("waves", "complaint"),
    [
        ([wave((0, 0), first=1)], "draw 1 does not follow draw -1 of round 0"),
        ([wave((0, 0)), wave((0, 0), first=2, texts=())], "draw 2 does not follow draw 0"),
        ([wave((0, 0)), wave((0, 0), texts=())], "draw 0 does not follow draw 0"),
        ([wave((0, 0)), wave((0, 0), first=ROUND, texts=())], "draw 65536 does not follow"),
        ([wave((0, 0), extras={1: {"id": "x"}})], "fact about draw 1, which was never made"),
        ([wave(extras={0: {}}, texts=())], "fact about draw 0, which was never made"),
        ([wave((0, 1))], "a text that no draw brought"),
        ([wave((0, 1), (0, 0))], "draw 0 has a text that is not there"),
        ([wave((0, 0), texts=[TEXT, TEXT])], "a text that no draw brought"),
        ([wave((FLAGGED, 0))], "draw 0 is flagged without a kind"),
        ([wave((0, 0), extras={0: {"flag": "empty"}})], "has a vote in spite of its flag"),
        ([wave((0, 0), extras={0: {"silent": True}})], "draw 0 has a vote, though its reply had no text"),
        ([wave((1, 0))], "draw 0 votes for candidate 1, which nobody gave"),
        ([wave((-2, 0))], "draw 0 votes for candidate -2"),
        ([wave((0, 0), texts=[(False, b"x")])], "the text of candidate 0 is missing"),
        ([wave((0, 0), (0, 0), (0, 0))], "after the vote was decided"),
    ],
)
def test_what_no_vote_can_have_is_named(waves: list[Wave], complaint: str) -> None:
    """A hole in the numbers, a fact, text or candidate from nowhere, and a draw too many are each found."""
    with pytest.raises(Failed, match=complaint) as found:
        count(*waves)
    assert "step 3" in str(found.value)


def test_margins_that_widen_are_asked_for_at_each_total() -> None:
    """With one vote more from three votes on, two to none decide, three to one do not, and four to one do."""
    texts = [TEXT, (True, b"b")]
    for votes, won in (([0, 0], True), ([1, 0, 0, 0], False), ([1, 0, 0, 0, 0], True)):
        race = Race("step 3", 2, widens=(3,), most=5)
        names = [votes.index(vote) and 1 for vote in votes]
        list(race.ballots(wave(*((name, name) for name in names), texts=texts[: len(set(names))])))
        assert race.won_by(names[-1]) == won
    with pytest.raises(Failed, match="after the vote was decided"):
        list(Race("step 3", 2, widens=(3,), most=9).ballots(wave((0, 0), (0, 0), (0, 0))))
    race = Race("step 3", 2, widens=(3,), most=4)
    list(race.ballots(wave((0, 0), (1, 1), (1, 1), (1, 1), (1, 1), texts=texts)))
    assert not race.won_by(1), "the table ends at four votes"


def test_a_unanimous_wave_is_what_the_recount_of_its_ballots_says() -> None:
    """A wave that is taken at once decides ballot by ballot, too; one that differs in any respect is not taken so."""
    whole = Wave(3, 0, [0, 0, 1, 1] * 3, [(True, b"a")], {}, (0, bytes(16), bytes(16)))
    assert unanimous(whole, 3)
    race = Race("step 3", 3)
    assert list(race.ballots(whole)) == [(0, 0)] * 3
    assert race.won_by(0)
    for k in (2, 4):
        assert not unanimous(whole, k)
    others = {
        "verdict": None, "extras": {0: {"flag": "illegal"}}, "texts": [(False, bytes(16))], "first": 3,
        "draws": [0, 0, 1, 1] * 2 + [1, 0, 1, 1],
    }  # fmt: skip
    for name, other in others.items():
        assert not unanimous(replace(whole, **{name: other}), 3), name
    assert not unanimous(replace(whole, verdict=(1, bytes(16), bytes(16))), 3)
    assert not unanimous(replace(whole, draws=[0, 0, 1, 1] * 2 + [0, 1, 1, 1]), 3)
    assert not unanimous(replace(whole, texts=[(True, b"a"), (True, b"b")]), 3)
