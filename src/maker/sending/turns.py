"""Who a draw is sent to: the model of a dispatcher, or of a pool the one whose turn it is.

Promises: what a run learns of one model of a pool it learns of that one alone: whether it is there, and which of its
calls are made twice. Its prices, and the room that its thoughts need, are its own as well.

Not covered: sending (`dispatcher.py`); slots for calls, which are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maker.decision.sample import Prices, Request, Traits
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Spent
from maker.sending.draw import Draw
from maker.sending.hedge import Hedges
from maker.sending.outage import Outage

Bounds = Callable[[Sequence[Request], Prices | None], list[Spent]]


@dataclass(slots=True)
class Asked:
    """One model: its name in receipts, what it says of itself, whether it is there, and its second calls."""

    name: str
    traits: Traits
    outage: Outage
    hedges: Hedges | None


class Turns:
    """Who is asked in turn. traits: of the model or pool; name: what receipts call a model that is no pool."""

    def __init__(self, traits: Traits, limits: Limits, name: str) -> None:
        def asked(of: Traits, called: str) -> Asked:
            return Asked(called, of, Outage(limits.patience), Hedges() if limits.hedge else None)

        each = {of.name: asked(of, of.name) for of in traits.turns} or {"": asked(traits, name)}
        self._each = tuple(each.values())
        self._turns = tuple(each[of.name] for of in traits.turns) or self._each
        self._only = self._each[0] if len(self._each) == 1 else None

    def of(self, request: Request) -> Asked:
        """Return the model whose turn a draw is."""
        return self._only or self._turns[request.address.draw % len(self._turns)]

    @property
    def gone(self) -> str:
        """Say for a person which model is not there, "" where all are."""
        return next((str(one.outage) for one in self._each if one.outage.on), "")

    def prices(self, draw: Draw) -> Prices | None:
        """Return what a draw is charged by."""
        return self.of(draw.request).traits.prices

    def have_room(self, draws: Sequence[Draw]) -> None:
        """Give draws the room for thoughts that their models need now."""
        for draw in draws:
            room = self.of(draw.request).traits.room
            if room is not None:
                draw.have_room(room())

    def bounds(self, draws: Sequence[Draw], bounds: Bounds) -> list[Spent]:
        """Return the most that each draw can take. bounds: the same for requests to one model."""
        if self._only is not None:
            return bounds([draw.request for draw in draws], self._only.traits.prices)
        return [bounds([draw.request], self.prices(draw))[0] for draw in draws]
