"""Which gate the requests of a model go through: one for each server, in each event loop.

Promises: all models of one server share its gate in a loop, and it lives as long as the loop, so that what one call has
found of a server serves the next. A worker of a cluster has a gate that it shares with the others, in its place
(`shared.py`).

Not covered: what a gate does (`gate.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from maker.models.openai.http.gate import Gate


class Door(Protocol):
    """What a model asks of a gate, as told at `Gate`; a ticket is whatever its `enter` gives."""

    @property
    def limit(self) -> int:
        """How many requests may be out at once now."""
        ...

    def enter_at_once(self) -> Any:
        """Return a ticket where a slot is free and nobody waits, else None."""
        ...

    async def enter(self, patience: float) -> Any:
        """Wait for a slot and return its ticket. Raises Held."""
        ...

    def good(self, ticket: Any) -> None:
        """Book a reply that was no refusal."""
        ...

    def slowed(self, ticket: Any) -> None:
        """Book a request that took too long."""
        ...

    def refused(self, ticket: Any, wait: float | None) -> None:
        """Book a refusal. wait: the seconds that it named."""
        ...

    def leave(self, ticket: Any) -> None:
        """Give the slot back."""
        ...


Maker = Callable[[str, int | None], Door]

_GATES: dict[asyncio.AbstractEventLoop | None, dict[tuple[str, int | None], Door]] = {}
_maker: list[Maker] = [lambda _, ceiling: Gate(ceiling)]  # the one who makes the gates of this process


def make_gates(make: Maker) -> None:
    """Have all gates of this process made so from now on. make: from an origin and a ceiling, as for `gate_of`."""
    _maker[0] = make


def gate_of(origin: str, ceiling: int | None) -> Door:
    """Return the gate that all models of one origin and one ceiling (None: found) share in the running loop."""
    loop = asyncio._get_running_loop()  # None where there is none; the public function raises there
    gates = _GATES.get(loop)
    if gates is None:
        for ended in [known for known in list(_GATES) if known is not None and known.is_closed()]:
            _GATES.pop(ended, None)
        gates = _GATES[loop] = {}
    gate = gates.get((origin, ceiling))
    if gate is None:
        gate = gates[origin, ceiling] = _maker[0](origin, ceiling)
    return gate
