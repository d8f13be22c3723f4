"""The account: it balances whatever is booked, and what nobody reported counts at the most it can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from maker.decision.address import Address
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.decision.wave import Wave
from maker.sending.budget.usage import TEMPLATE_TOKENS, Spent, Usage, most, spent_on

PRICES = Prices(input=1.0, output=2.0)
BOUND = most(Request(Address("r", 0, 0), "été", 1, 0.1, max_tokens=10), PRICES)
KINDS = st.sampled_from(["voted", "flagged", "failed", "cancelled", "lost"])


def wave(*, flag: bool) -> Wave:
    """Return a wave of one draw."""
    return Wave(0, 0, [-1 if flag else 0, 0, 3, 4], extras={0: {"flag": "bad"}} if flag else {})


def test_the_bound_of_a_prompt_is_its_bytes():
    """No tokenizer makes more tokens than bytes; the server's template and the cap come on top."""
    told = len("été".encode()) + TEMPLATE_TOKENS
    assert Spent(0, 0, told + 10, PRICES.cost(told, 10)) == BOUND


def test_a_missing_figure_counts_as_the_whole_bound():
    """A reply that leaves a figure out costs the most it can; what it does report is not counted twice."""
    whole, half, none = (spent_on(Sample("x", *told), BOUND, PRICES) for told in ((3, 4), (3, None), (None, None)))
    assert whole == Spent(3, 4, 0, PRICES.cost(3, 4))
    assert half == Spent(3, 0, BOUND.assumed - 3, BOUND.cost)
    assert none == Spent(0, 0, BOUND.assumed, BOUND.cost)
    assert spent_on(Failure("transient", "gone"), BOUND, PRICES) == Spent()  # a call that took nothing says so


def test_a_server_that_says_it_costs_nothing_is_believed_where_there_are_no_prices():
    """A cost of 0 that was told is known; prices of one's own go before what a server says."""
    free, unknown = (spent_on(Sample("x", 3, 4, cost=cost), Spent(assumed=9), None) for cost in (0.0, None))
    assert (free.free, unknown.free) == (True, False)
    assert not spent_on(Sample("x", 3, 4, cost=0.0), BOUND, PRICES).free
    usage = Usage()
    usage.spend(free)
    assert (usage.known_cost, usage.free) == (0.0, 1)
    usage.spend(unknown)
    assert (usage.known_cost, usage.unpriced) == (None, 1)


@given(st.lists(KINDS), st.integers(0, 5))
def test_the_account_balances(booked, out):
    """However draws end, those sent are those that ended and those in flight; adding accounts keeps the sum."""
    usage = Usage(dispatched=len(booked) + out)
    for kind in booked:
        if kind in ("voted", "flagged"):
            usage.book(wave(flag=kind == "flagged"))
        elif kind == "failed":
            usage.fail(BOUND)
        elif kind == "cancelled":
            usage.cancel([BOUND])
        else:
            usage.lose([Sample("x", 3, 4)])
    assert usage.in_flight == out
    assert usage.flagged == usage.flags["bad"] == booked.count("flagged")
    twice = Usage()
    twice.add(usage)
    twice.add(usage)
    assert (twice.in_flight, twice.tokens) == (2 * out, 2 * usage.tokens)


def test_what_came_since_is_the_rest():
    """Added to what was there before, it is the account."""
    before = Usage(dispatched=3, voted=2, cost=0.5)
    usage = Usage(dispatched=7, voted=4, cost=0.75)
    since = usage.since(before)
    assert (since.dispatched, since.voted, since.cost) == (4, 2, 0.25)
    before.add(since)
    assert before == usage
