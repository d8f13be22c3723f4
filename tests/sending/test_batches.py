"""Batches that a server has: noted before it has them, and after a crash neither lost nor paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.journal.notes import Batch, Reserve, note_of
from maker.journal.records import decode
from maker.journal.writer import Journal
from maker.sending.batches import Batches
from maker.sending.budget.usage import Spent, Usage

A, B, C = (Address("run", step, 0) for step in range(3))


def reserved(*addresses: Address, batched: bool = True) -> list[Reserve]:
    """Return the reservations of some draws, of 10 tokens and 1 dollar at most."""
    return [Reserve(at.run, at.step, [at.draw], [10], [1.0], batched) for at in addresses]


def replayed(
    journal: Journal, told: Callable[[Batches], object], *, accepted: bool = False, used: bool = True
) -> tuple[Batches, Usage]:
    """Return the batches of a journal in which so much was told, when it has been replayed, and the account."""
    usage = Usage()
    found = Batches(journal, usage, accepted=accepted)
    found.used = used
    told(found)
    found.close_replay()
    return found, usage


@pytest.fixture
def journal(tmp_path: Path):
    """Give a new journal."""
    with Journal(tmp_path / "j.db") as made:
        yield made


def under_way(found: Batches) -> None:
    """Tell of three reserved draws, of which a batch has two."""
    for note in reserved(A, B, C):
        found.reserve(note)
    found.take(Batch("t", "run", ((0, 0), (1, 0))))
    found.take(Batch("t", id="batch_1"))


def test_what_a_batch_has_is_neither_spent_nor_sent_anew(journal):
    """Draws that a batch has are known by its tag and id, one that none has was never sent, and nothing is booked."""
    found, usage = replayed(journal, under_way)
    assert [found.tag_of(at) for at in (A, B, C)] == ["t", "t", None]
    assert (found.ids, usage) == ({"t": "batch_1"}, Usage())


def test_a_draw_counts_as_sent_when_it_is_answered(journal):
    """Reserved by two processes that waited for the same batch, it was one call all the same."""

    def told(found: Batches) -> None:
        under_way(found)
        for note in reserved(A):
            found.reserve(note)
        assert found.settle(A)
        assert not found.settle(A)

    found, usage = replayed(journal, told)
    assert (found.tag_of(A), found.tag_of(B), usage.dispatched) == (None, "t", 1)


def test_a_draw_that_went_out_by_itself_is_in_no_batch(journal):
    """A later reservation of the ordinary kind stands instead of one for a batch."""

    def told(found: Batches) -> None:
        for note in (*reserved(A), *reserved(A, batched=False)):
            found.reserve(note)
        assert not found.settle(A)

    assert replayed(journal, told)[1] == Usage()


def test_batches_that_nobody_would_read_are_refused(journal):
    """A process that asks in no batches is stopped, and told which there are."""
    with pytest.raises(Stop, match=r"2 draws are with the server as a batch \(batch_1\)\. Resume with batch=True"):
        replayed(journal, under_way, used=False)
    with pytest.raises(Stop, match="tag t"):
        replayed(journal, lambda found: [under_way(found), found.ids.update(t="")], used=False)


def test_batches_that_are_given_up_are_booked_once(journal):
    """They count as sent and as spent at the most, by the note in every later process, and are under way no more."""
    found, usage = replayed(journal, under_way, accepted=True)
    assert (usage.dispatched, usage.cancelled, usage.assumed, usage.cost) == (2, 2, 20, 2.0)
    assert found.tag_of(A) is None
    journal.flush()
    (note,) = [note_of(decode(record), journal.path) for record in journal.replay()]

    def told(found: Batches) -> None:
        under_way(found)
        found.take(note)

    assert replayed(journal, told, used=False)[1] == usage


def test_a_batch_is_in_the_journal_before_its_tag_is_known(tmp_path):
    """Its draws and its tag are durable when `begin` returns, and its id when `named` does; no two tags are alike."""

    async def main() -> None:
        with Journal(tmp_path / "k.db") as journal:
            found = Batches(journal, Usage(), accepted=False)
            tag = await found.begin([A, B])
            assert (journal.acknowledged, found.tag_of(B), found.ids[tag]) == (1, tag, "")
            await found.named(tag, "batch_1")
            assert (journal.acknowledged, found.ids[tag]) == (2, "batch_1")
            found.settled(A)
            assert found.tag_of(A) is None
            assert await found.begin([A]) != tag

    asyncio.run(main())


def test_what_is_left_for_good_is_booked(journal):
    """Where settings change, draws under way are sent and spent at the most."""
    _, usage = replayed(journal, lambda found: [under_way(found), found.forget()])
    assert (usage.dispatched, usage.cancelled) == (2, 2)
    assert Spent(assumed=10, cost=1.0).cost * 2 == usage.cost
