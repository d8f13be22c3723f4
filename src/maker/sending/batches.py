"""Draws that a server has as a batch: noted before it gets them, so that no process ever gives them to it twice.

Before a batch goes out, a note names its draws and a tag that no other batch bears; the server keeps the tag, and a
second note tells the id that it gave. So whatever happens between the two, the batch is found again, by its id
or by its tag. A reservation of a draw that goes out in this way was never sent where no batch has it; one that a batch
has is neither spent nor lost as long as nobody has read the batch to its end.

Not covered: what is sent (`models/openai/batch/`), and what came of a draw (`receipts.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.journal.notes import Batch, Reserve
from maker.journal.records import encode_note
from maker.log import log
from maker.sending.budget.usage import Spent, Usage

ACCEPT = "batch"  # what a resume accepts that gives batches up


class Keeping(Protocol):
    """What keeps notes of calls: a journal, or what stands for one where another process has it."""

    path: Path | None

    def append(self, record: bytes) -> None:
        """Add a record."""
        ...

    def committed(self) -> Awaitable[None]:
        """Return what is done when all that was added is durable."""
        ...

    def commit_soon(self) -> object:
        """Have all that was added durable soon."""
        ...


class Batches:
    """The batches of one run.

    used: this process asks in batches, too. accepted: batches under way may be given up. ids: of the server, by tag.
    """

    def __init__(self, journal: Keeping, usage: Usage, *, accepted: bool) -> None:
        self._journal, self._usage, self._accepted = journal, usage, accepted
        self.used = False
        self.ids: dict[str, str] = {}
        self._tags: dict[Address, str] = {}  # of draws that a batch has and nobody has read
        self._reserved: dict[Address, Spent] = {}  # by an earlier process, and not settled so far

    # -- live ------------------------------------------------------------------------------------------

    def tag_of(self, address: Address) -> str | None:
        """Return the tag of the batch that has a draw, None where none has it."""
        return self._tags.get(address)

    async def begin(self, addresses: Sequence[Address]) -> str:
        """Note that these draws of a run are about to be one batch; return its tag once that is durable."""
        batch = Batch(f"maker-{secrets.token_hex(8)}", addresses[0].run, tuple((at.step, at.draw) for at in addresses))
        self._append({"tag": batch.tag, "run": batch.run, "draws": batch.draws})
        self.take(batch)
        await self._journal.committed()
        return batch.tag

    async def named(self, tag: str, identity: str) -> None:
        """Note the id that the server gave to a batch; return once that is durable."""
        self._append({"tag": tag, "id": identity})
        self.ids[tag] = identity
        await self._journal.committed()

    def settled(self, address: Address) -> None:
        """Forget a draw that has been answered, or that failed."""
        if self._tags:  # of a run without batches no address is hashed
            self._tags.pop(address, None)

    def _append(self, said: dict[str, object]) -> None:
        self._journal.append(encode_note({"batch": said}))

    # -- replay ----------------------------------------------------------------------------------------

    def reserve(self, note: Reserve) -> None:
        """Take a journaled reservation: of draws that go out in a batch, or of others, which no batch has then."""
        if not note.batched and not self._reserved:
            return
        for draw, tokens, cost in zip(note.draws, note.tokens, note.cost, strict=True):
            address = Address(note.run, note.step, draw)
            if note.batched:
                self._reserved[address] = Spent(assumed=tokens, cost=cost)
            else:
                self._reserved.pop(address, None)

    def take(self, batch: Batch) -> None:
        """Take a note of a batch."""
        if batch.given_up:
            self._lose(batch.addresses)
            return
        self.ids.setdefault(batch.tag, "")
        self.ids[batch.tag] = batch.id or self.ids[batch.tag]
        self._tags.update(dict.fromkeys(batch.addresses, batch.tag))

    def settle(self, address: Address) -> bool:
        """Book as sent a draw that was answered, or failed; False where it went out in no batch."""
        self.settled(address)
        if not self._reserved or self._reserved.pop(address, None) is None:
            return False
        self._usage.dispatched += 1
        return True

    def close_replay(self) -> None:
        """Forget what was reserved and never sent. Raises Stop for batches under way that nobody will read here."""
        self._tags = {address: tag for address, tag in self._tags.items() if address in self._reserved}
        under_way = sorted(set(self._tags.values()))
        if under_way and self._accepted:
            for tag in under_way:
                lost = [address for address, its in self._tags.items() if its == tag]
                draws = [(address.step, address.draw) for address in lost]
                self._append({"tag": tag, "run": lost[0].run, "draws": draws, "given_up": True})
                log.warning("batch.dropped", batch=self._shown(tag), draws=len(draws))
                self._lose(lost)
        elif under_way and not self.used:
            raise Stop("batch_under_way", f"{len(self._tags)} draws are with the server as a batch "
                       f"({', '.join(map(self._shown, under_way[:3]))}). Resume with batch=True, which reads it; or "
                       f"accept_change=[\"{ACCEPT}\"] gives it up, and pays for these draws once more.")  # fmt: skip
        self._reserved.clear()

    def forget(self) -> None:
        """Leave all batches under way to the server: nobody will count their draws."""
        self._lose(list(self._tags))

    def _lose(self, addresses: Iterable[Address]) -> None:
        """Book draws as sent, and as spent at the most."""
        lost = []
        for address in addresses:
            self._tags.pop(address, None)
            if (most := self._reserved.pop(address, None)) is not None:
                lost.append(most)
        self._usage.dispatched += len(lost)
        self._usage.cancel(lost)

    def _shown(self, tag: str) -> str:
        return self.ids[tag] or f"tag {tag}"
