"""What a dispatcher offers the model while it draws, as told at `Desk`: an account for its calls beside the draws.

Promises: a call that is no draw is held, booked and made durable as one; at a limit it is not made.

Not covered: draws (`dispatcher.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from maker.decision.sample import Failure, Reply, Request
from maker.sending.batches import Batches
from maker.sending.budget.funds import Funds
from maker.sending.budget.usage import spent_on
from maker.sending.receipts import Receipts
from maker.sending.turns import Turns


@dataclass(slots=True, frozen=True)
class Payer:
    """The desk of one call. receipts: None where none are kept."""

    budget: Funds
    turns: Turns
    receipts: Receipts | None

    @property
    def batches(self) -> Batches | None:
        """The batches of the run."""
        return None if self.receipts is None else self.receipts.batches

    def wait(self, wait: Awaitable[None]) -> Awaitable[None]:
        """Await a long wait; what is returned raises Stop where the run ends meanwhile."""
        return self.budget.pause(wait)

    async def pay(self, request: Request, send: Callable[[Request], Awaitable[Reply]]) -> Reply:
        """Send one call that is no draw, and book it as one that brought no sample. Raises Stop before it is sent."""
        await self.budget.until_resumed()
        asked = self.turns.of(request)
        bound = self.budget.send_beside(request, asked.traits.prices)
        try:
            if self.receipts is not None:
                await self.receipts.reserve([request], [bound])
            reply = await send(request)
        except BaseException:
            self.budget.cancelled([bound])
            raise
        finally:
            self.budget.give_back([bound])
        asked.outage.hear([reply])
        spent = spent_on(reply, bound, asked.traits.prices)
        self.budget.failed(spent)
        if self.receipts is not None:
            self.receipts.fail(request, Failure("transient", "not a draw: a probe of the model's"), spent)
        return reply

    def found(self, model: str, takes: Mapping[str, Any]) -> None:
        """Keep with the run what a model was found to take."""
        if self.receipts is not None:
            self.receipts.found(model, takes)

    def recall(self, model: str) -> Mapping[str, Any] | None:
        """Return what the run keeps of a model, or None."""
        return None if self.receipts is None else self.receipts.takes.get(model)
