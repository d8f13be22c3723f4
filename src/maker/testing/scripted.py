"""A model that says what it is told, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maker.decision.sample import Failure, Request, Sample

Scripted = str | None | Sample | Failure


class ScriptedModel:
    """A model that says what it is told.

    script: replies by draw number within a step, begun again when they run out; or a callable
    request -> reply. A reply is text, None (no content), a Sample or a Failure. lockstep: how the
    engine calls it. `requests` holds every request seen, in order.
    """

    name = "scripted"
    simulated = True

    def __init__(self, script: Sequence[Scripted] | Callable[[Request], Scripted], *, lockstep: bool = True) -> None:
        if not callable(script) and not script:
            raise ValueError("a script needs at least one reply")
        self.lockstep = lockstep
        self.requests: list[Request] = []
        self._script = script

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer every request from the script."""
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Sample | Failure:
        self.requests.append(request)
        script = self._script
        reply = script(request) if callable(script) else script[request.address.draw % len(script)]
        return reply if isinstance(reply, (Sample, Failure)) else Sample(reply)
