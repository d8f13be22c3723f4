"""A model that says what it is told, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maker.decision.sample import Failure, Request, Sample
from maker.task.tools import reply_text

Scripted = str | None | Sample | Failure


def calling(*calls: tuple[str, Mapping[str, Any] | str], text: str | None = None) -> str:
    """Return a reply of a script that calls tools: the name and the arguments of each, as an object or as JSON."""
    return reply_text([{"name": name, "arguments": arguments} for name, arguments in calls], text)


class ScriptedModel:
    """A model that says what it is told.

    script: replies by draw number within a step, begun again when they run out; or a callable
    request -> reply. A reply is text, None (no content), a Sample or a Failure. lockstep: how the
    engine calls it. `requests` holds every request seen, in order.
    """

    name = "scripted"
    simulated = True
    native_tools = True  # a script writes calls as `maker.testing.calling` does

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
