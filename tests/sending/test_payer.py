"""The desk of a call: what a model sends beside its draws is held, booked and made durable as they are."""

from __future__ import annotations

import asyncio

import pytest

from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Prices, Request, Sample, Traits
from maker.journal.writer import Journal
from maker.sending.budget.funds import Funds
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.payer import Payer
from maker.sending.receipts import Receipts
from maker.sending.turns import Turns
from maker.testing import ScriptedModel

SHORT = Request(Address("run/probe", 0, 0), "OK?", 1)


def desk(journal: Journal | None = None, **limits: float) -> Payer:
    """Return the desk of a model at a dollar a token."""
    model = ScriptedModel(["OK"])
    model.prices = Prices(input=1e6, output=1e6)
    told, usage = Limits(**limits), Usage()
    receipts = None if journal is None else Receipts(journal, usage)
    return Payer(Funds(told, usage, None), Turns(Traits.of(model), told, ""), receipts)


def usage_of(found: Payer) -> Usage:
    """Return the account of a desk."""
    return found.budget._own.usage


async def brings(reply: Sample | Failure) -> Sample | Failure:
    """Answer."""
    return reply


def test_a_call_beside_the_draws_is_paid_for(tmp_path):
    """What it took is in the account, and in the journal before and after it goes out."""

    async def main() -> None:
        with Journal(tmp_path / "j.db") as journal:
            found = desk(journal)
            assert (await found.pay(SHORT, lambda _: brings(Sample("OK", 3, 2)))).text == "OK"
            assert found.batches is found.receipts.batches
            assert (usage_of(found).dispatched, usage_of(found).cost, journal.appended) == (1, 5.0, 2)

    asyncio.run(main())


def test_at_a_limit_it_is_not_made():
    """Where no call is left, the run ends before it goes out."""
    found = desk(max_calls=1)
    found.budget.hold_calls(1)
    with pytest.raises(Stop):
        asyncio.run(found.pay(SHORT, lambda _: pytest.fail("it was sent")))


def test_one_that_is_cut_off_counts_as_spent():
    """Nobody knows what it took: the most."""

    async def main() -> Payer:
        found = desk()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await found.pay(SHORT, lambda _: asyncio.sleep(9))
        return found

    assert usage_of(asyncio.run(main())).cancelled == 1


def test_a_long_wait_ends_with_the_run():
    """Who waits there is told when the run ends, and need not ask."""

    async def main() -> None:
        found = desk()
        asyncio.get_running_loop().call_soon(found.budget.stop, Stop("interrupted", "Ctrl-C"))
        with pytest.raises(Stop, match="Ctrl-C"):
            await found.wait(asyncio.Event().wait())

    asyncio.run(main())


def test_findings_are_kept_where_there_are_receipts(tmp_path):
    """What a model takes is found again in the same run; without receipts nothing is."""
    with Journal(tmp_path / "j.db") as journal:
        found = desk(journal)
        found.found("m", {"refused": ["seed"]})
        assert found.recall("m") == {"refused": ["seed"]}
    assert desk().recall("m") is None and desk().batches is None
