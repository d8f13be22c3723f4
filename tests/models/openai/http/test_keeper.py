"""The keeper of a gate: no more permits than the gate allows, each told once, and none lost with its worker."""

from __future__ import annotations

import asyncio

from maker.models.openai.http.gate import Gate
from maker.models.openai.http.keeper import EXPIRY, WAIT, Block, Keeper
from virtual import virtually


def keeper(ceiling: int) -> tuple[Keeper, Gate]:
    """Return a keeper on the loop's clock, and its gate."""
    clock = asyncio.get_running_loop().time
    gate = Gate(ceiling, clock=clock, jitter=lambda: 0.0)
    return Keeper(ceiling, clock=clock, gate=gate), gate


def test_permits_are_handed_out_in_blocks() -> None:
    """One question brings many permits, a worker's share at most, and all together no more than the gate allows."""

    async def test() -> None:
        kept, gate = keeper(8)
        first = Block(*await kept.ask("a", 100))
        assert (len(first.permits), first.limit, gate.out) == (8, 8, 8)
        await kept.tell("a", [(number, "good", None) for number in first.permits])
        shares = [Block(*await kept.ask(name, 100)) for name in ("b", "c")]
        assert [len(block.permits) for block in shares] == [4, 2]  # of those who were heard of lately
        assert len({number for block in (first, *shares) for number in block.permits}) == 14

    virtually(test)


def test_who_finds_no_slot_waits_for_one() -> None:
    """A question waits until a permit is told back; where none is, it is answered with none, to be asked again."""

    async def test() -> None:
        kept, _ = keeper(1)
        (number,) = Block(*await kept.ask("a", 1)).permits
        waiting = asyncio.ensure_future(kept.ask("b", 1))
        await asyncio.sleep(1.0)
        await kept.tell("a", [(number, "good", None)])
        assert len(Block(*await waiting).permits) == 1
        began = asyncio.get_running_loop().time()
        assert Block(*await kept.ask("c", 1)).permits == []
        assert asyncio.get_running_loop().time() - began == WAIT

    virtually(test)


def test_a_closed_window_is_told() -> None:
    """Where most were refused, every worker hears for how long nobody may send; then one permit goes first."""

    async def test() -> None:
        kept, _ = keeper(8)
        permits = Block(*await kept.ask("a", 8)).permits
        told = Block(*await kept.tell("a", [(number, "refused", 20.0) for number in permits]))
        assert told.closed == 20.0
        assert Block(*await kept.ask("b", 5))[:2] == ([], 20.0)
        await asyncio.sleep(20.0)
        (first,) = Block(*await kept.ask("b", 5)).permits
        await kept.tell("b", [(first, "good", None)])
        assert len(Block(*await kept.ask("a", 1)).permits) == 1

    virtually(test)


def test_a_permit_counts_once() -> None:
    """What is told twice, or was never given, changes nothing."""

    async def test() -> None:
        kept, gate = keeper(4)
        (number,) = Block(*await kept.ask("a", 1)).permits
        for ends in ([(number, "good", None)], [(number, "good", None)], [(99, "refused", 1.0)]):
            await kept.tell("a", ends)
        await kept.tell("b", [(number, "slowed", None)])
        assert gate.out == 0

    virtually(test)


def test_the_permits_of_a_lost_worker_are_free_again() -> None:
    """A worker that says nothing for a while has lost its permits; one that gives a sign of life keeps them."""

    async def test() -> None:
        kept, gate = keeper(4)
        lost = Block(*await kept.ask("lost", 2)).permits
        await kept.ask("alive", 2)
        await asyncio.sleep(EXPIRY / 2)
        await kept.tell("alive", [])
        await asyncio.sleep(EXPIRY / 2 + 1)
        await kept.tell("alive", [])
        assert gate.out == 2
        await kept.tell("lost", [(lost[0], "good", None)])
        assert gate.out == 2

    virtually(test)
