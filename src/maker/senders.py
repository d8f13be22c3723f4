"""The models that one run may ask, and who sends to each: its own, those of the ladder, and either in finer steps.

They share the run's account, limits and slots; each has prices of its own. A model over a network keeps receipts.

Not covered: which of them is asked (`ladder.py`), and loading and closing them (`run.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import anyio

from maker.errors import TaskError
from maker.ladder import Change
from maker.poll import Poll
from maker.receipts import Receipts
from maker.records import Wave
from maker.sample import Model
from maker.settle import Dispatcher, settle


class Senders:
    """Who sends to the models of a run. own: to the run's own model; others: the models of its ladder, by name."""

    def __init__(self, own: Dispatcher, others: Mapping[str, Model] | None = None) -> None:
        self.own = own
        self._made = {"": own}
        self._turns: dict[Dispatcher, anyio.CapacityLimiter] = {}
        for name, model in (others or {}).items():
            made = self._made[name] = self._beside(model, name)
            if model.lockstep:
                self._turns[made] = anyio.CapacityLimiter(getattr(model, "callers", 1))

    def __iter__(self) -> Iterator[Dispatcher]:
        return iter(self._made.values())

    def of(self, change: Change, step: int) -> Dispatcher:
        """Return who sends the draws of a step under a change. Raises TaskError for a model that is not at hand."""
        name = change.model or ""
        if name not in self._made:
            raise TaskError(
                f"step {step} is being asked of the model {name!r}, which this run's ladder does not name. "
                f"Resume with another_model({name!r}) in the ladder."
            )
        return self._made[name]

    async def settle(self, polls: Sequence[Poll], sender: Dispatcher) -> list[Wave]:
        """Take one wave of polls that ask the same model, as `settle.settle` does; an in-process one has its turn."""
        if sender not in self._turns:
            return await settle(polls, sender)
        async with self._turns[sender]:
            return await settle(polls, sender)

    def keep_receipts(self, receipts: Receipts) -> None:
        """Let all that send over a network keep these receipts."""
        for sender in self:
            sender.receipts = None if sender.model.lockstep else receipts

    @property
    def simulated(self) -> bool:
        """Some model is a simulated one."""
        return any(getattr(sender.model, "simulated", False) for sender in self)

    @property
    def priced(self) -> bool:
        """Some model has prices."""
        return any(sender.prices is not None for sender in self)

    @property
    def out(self) -> int:
        """Draws that are with a model now."""
        return sum(sender.out for sender in self)

    @property
    def retrying(self) -> str:
        """What a repetition waits for, "" when nothing does."""
        return next((sender.retrying for sender in self if sender.retrying), "")

    def _beside(self, model: Model, name: str) -> Dispatcher:
        own = self.own
        return Dispatcher(model, own.limits, own.usage, beside=own, name=name)
