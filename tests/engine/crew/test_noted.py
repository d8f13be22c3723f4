"""Notes of a worker's calls: what it sends is what a journal would hold of them, and nothing else is taken."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from maker.decision.address import Address
from maker.decision.sample import Failure, Request, Sample
from maker.engine.crew.noted import Noted, noted_in
from maker.errors import JournalError
from maker.journal.notes import Receipt, Reserve, Takes
from maker.journal.records import encode_note
from maker.sending.budget.usage import Spent, Usage
from maker.sending.receipts import WATCHED, Receipts

BLOCK, RUN = "run/block 7", "run"


def asked(draw: int) -> Request:
    """Return a request of the run."""
    return Request(Address(RUN, 3, draw), "What?", 1, 0.1)


async def calls(noted: Noted) -> None:
    """Make two calls: one that fails first, and one whose model is another one by then."""
    receipts = Receipts(noted, Usage(), WATCHED)
    for number, model in enumerate(("m-1", "m-2")):
        await receipts.reserve([asked(number)], [Spent(assumed=9)])
        receipts.fail(asked(number), Failure("transient", "busy"), Spent())
        await receipts.reserve([asked(number)], [Spent(assumed=9)])
        receipts.keep([(asked(number), Sample("a", 3, 1, model=model), Spent(3, 1))])
    receipts.found("m", {"refused": ["seed"]})


@pytest.mark.asyncio
async def test_notes_come_as_they_were_made() -> None:
    """Reservations, failures, samples and findings; that a model changed is left to who takes them."""
    noted = Noted(BLOCK)
    await calls(noted)
    found = noted_in(noted.encode(), BLOCK, RUN, 4)
    kinds = [type(note) for _, note in found]
    assert kinds == [Reserve, Receipt, Reserve, Receipt] * 2 + [Takes]
    again = Noted(BLOCK)
    for record, _ in found:
        again.append(record)
    assert noted_in(again.encode(), BLOCK, RUN, 4) == found


@pytest.mark.asyncio
@pytest.mark.parametrize("spoil", [
    lambda told: told[:-1], lambda told: told + b"\1\0", lambda told: told[:20], lambda told: b"",
    lambda told: b"x" + told,
])  # fmt: skip
async def test_other_bytes_are_refused(spoil: Any) -> None:
    """Notes that are cut off, or none, make no sense."""
    noted = Noted(BLOCK)
    await calls(noted)
    with pytest.raises((ValueError, struct.error, JournalError)):
        noted_in(spoil(noted.encode()), BLOCK, RUN, 4)


@pytest.mark.asyncio
async def test_calls_that_were_not_given_are_refused() -> None:
    """Notes of another block, and more calls than the block has."""
    noted = Noted(BLOCK)
    await calls(noted)
    with pytest.raises(ValueError, match="not those of"):
        noted_in(noted.encode(), "run/block 8", RUN, 4)
    with pytest.raises(ValueError, match="4 calls of the 3"):
        noted_in(noted.encode(), BLOCK, RUN, 3)


AT = {"run": RUN, "step": 3}


@pytest.mark.parametrize("note", [
    {"sample": {**AT, "draw": 0, "spent": [1, 1, 0, 0.0, 0], "text": "a"}},
    {"reserve": {"run": "other", "step": 3, "draws": [0], "tokens": [1], "cost": [0.0]}},
    {"reserve": {**AT, "draws": [0], "tokens": [1], "cost": [0.0], "batched": True}},
    {"reserve": {"run": "run/block 1", "step": 0, "draws": [], "tokens": [], "cost": [], "returned": True}},
    {"batch": {"tag": "t"}}, {"steering": {"order": "stop"}}, {"what": "else"},
])  # fmt: skip
def test_other_notes_are_refused(note: dict[str, Any]) -> None:
    """A reply to no call, calls of another run, other blocks and batches, and orders."""
    noted = Noted(BLOCK)
    noted.append(encode_note(note))
    with pytest.raises((ValueError, JournalError)):
        noted_in(noted.encode(), BLOCK, RUN, 9)
