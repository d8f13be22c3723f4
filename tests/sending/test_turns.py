"""Turns: what is learned of one model of a pool is learned of that one alone."""

from __future__ import annotations

import asyncio

import pytest

from maker.decision.address import Address
from maker.decision.sample import Failure, Model, Prices, Request, Sample, Traits
from maker.models import pool_of
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Spent, most
from maker.sending.draw import Draw
from maker.sending.turns import Turns
from maker.testing import ScriptedModel


def model(name: str, room: int = 0, price: float = 1.0) -> Model:
    """Return a model that has a name, a price, and so many tokens of room for thoughts."""
    made = ScriptedModel(["yes"], lockstep=False)
    made.name, made.prices, made.room = name, Prices(input=price, output=price), lambda: room  # type: ignore[attr-defined]
    return made


def draws(count: int) -> list[Draw]:
    """Return the first draws of a step."""
    return [Draw(Request(Address("run", 0, draw), "what?", draw, max_tokens=10)) for draw in range(count)]


def turns(*models: Model, **limits: float) -> Turns:
    """Return the turns of a pool, or of the one model."""
    return Turns(Traits.of(pool_of(models)), Limits.model_validate({"patience": 9.0, **limits}), "other")


def test_one_model_has_every_turn() -> None:
    """It bears the name that receipts have for it."""
    one = turns(model("a"))
    assert {one.of(draw.request).name for draw in draws(3)} == {"other"}


def test_each_has_its_room_and_price() -> None:
    """A draw is held for what its own model may take."""
    two = turns(model("a", 100, 1.0), model("b", 0, 7.0))
    asked = draws(2)
    two.have_room(asked)
    assert [draw.request.max_tokens for draw in asked] == [110, 10]
    dear = [prices.input if (prices := two.prices(draw)) else None for draw in asked]
    assert dear == [1.0, 7.0]

    def bounds(requests: list[Request], prices: Prices | None) -> list[Spent]:
        return [most(request, prices) for request in requests]

    a, b = two.bounds(asked, bounds)  # type: ignore[arg-type]  # a list is a sequence
    assert a.cost == pytest.approx((5 + 64 + 110) / 1e6)
    assert b.cost == pytest.approx(7 * (5 + 64 + 10) / 1e6)


def test_one_that_is_gone_is_gone_alone() -> None:
    """An answer of another does not say that it is back; its own does."""

    async def heard() -> None:
        two = turns(model("a"), model("b"))
        a, b = (two.of(draw.request) for draw in draws(2))
        b.outage.begin("nobody is there")
        a.outage.hear([Sample("yes")])
        b.outage.hear([Failure("transient", "nobody is there", gone=True)])
        assert (a.outage.on, b.outage.on) == (False, True)
        assert "nobody is there" in two.gone
        b.outage.hear([Sample("yes")])
        assert two.gone == ""

    asyncio.run(heard())


def test_second_calls_are_counted_apart() -> None:
    """There are none where nobody asked for them."""
    two = turns(model("a"), model("b"), hedge=True)
    a, b = (two.of(draw.request).hedges for draw in draws(2))
    assert a is not None
    assert a is not b
    assert turns(model("a")).of(draws(1)[0].request).hedges is None
