"""How many at once: doubled while that brings more, refusals judged by the same."""

from __future__ import annotations

import pytest

from maker.models.openai.http.finder import FIRST_LIMIT, LOOK_AGAIN, MOST, QUICK, TOO_MANY, Finder


def rounds(finder: Finder, count: int, seconds: float = 1.0, bad: float = 0.0) -> list[int]:
    """Return the number after each of some rounds that use all of it and fare alike."""
    tops = []
    for _ in range(count):
        finder.worth(int(finder.top), seconds, bad)
        tops.append(int(finder.top))
    return tops


@pytest.mark.parametrize("bad", [0.0, 0.05, 0.3])
def test_it_doubles_each_round_where_refusals_do_not_grow(bad):
    """A server that refuses some of all, however many come, is sent as many as one that refuses none."""
    assert rounds(Finder(), 7, bad=bad) == [min(FIRST_LIMIT * 2**n, MOST) for n in range(1, 8)]


@pytest.mark.parametrize("seconds", [QUICK / 2, 1.0])
def test_refusals_of_a_server_that_is_full_end_the_doubling(seconds):
    """With places for sixteen, double as many bring no more, twice seen: it settles at sixteen, however quick."""
    finder = Finder()
    assert rounds(finder, 1, seconds) == [16]
    assert rounds(finder, 1, seconds) == [32]
    assert rounds(finder, 2, seconds, bad=0.5) == [32, 16]
    assert finder.settled


def test_one_round_with_refusals_may_be_chance():
    """A round that speaks against more for its refusals is judged again, and the next may say otherwise."""
    finder = Finder()
    rounds(finder, 1)
    assert not finder.worth(16, 1.0, 0.45)
    assert finder.worth(16, 1.0, 0.2)


def test_more_is_never_tried_where_most_are_refused():
    """From the first round on, half of all refused is no ground for more, whatever came of fewer."""
    finder = Finder()
    assert rounds(finder, 3, bad=TOO_MANY) == [FIRST_LIMIT] * 3
    assert finder.settled


def test_slow_replies_end_the_doubling_at_once():
    """Replies that take twice as long with twice as many tell of a queue: one such round is enough."""
    finder = Finder()
    rounds(finder, 1)
    assert not finder.worth(16, 2.0, 0.0)
    assert (finder.top, finder.settled) == (FIRST_LIMIT, True)


def test_quick_replies_tell_of_no_queue():
    """Below a tenth of a second the time of a reply is not that of the server alone."""
    finder = Finder()
    rounds(finder, 1, QUICK / 4)
    assert finder.worth(16, QUICK / 2, 0.0)


def test_what_was_found_is_tried_at_double_once_more():
    """After some rounds, and not before; what was found holds where that is not worth it either."""
    finder = Finder()
    rounds(finder, 1)
    finder.worth(16, 2.0, 0.0)
    assert rounds(finder, LOOK_AGAIN) == [FIRST_LIMIT] * (LOOK_AGAIN - 1) + [2 * FIRST_LIMIT]
    assert not finder.worth(16, 2.0, 0.0)
    assert finder.top == FIRST_LIMIT


def test_a_round_that_used_little_of_it_tells_nothing():
    """With few out, neither more nor fewer are found."""
    finder = Finder()
    assert not finder.worth(FIRST_LIMIT // 2, 1.0, 0.0)
    assert (finder.top, finder.settled) == (FIRST_LIMIT, False)
