"""Several servers of one model behind the contract of a model: `http://a/v1,http://b/v1#NAME`.

Promises: each server keeps a gate, connections and findings of its own; a call goes to the less busy of two that are
well, chosen at random. What fails at one is repeated at once, most likely at another. A server that fails STRIKES times
in a row is left alone for a second, twice as long each time up to half a minute, and then tried with one call; a
refusal that names a wait is no such failure, and waits. One that no request can mend (a bad key) counts at once, and
ends the run only where all servers have it. Where none is well, failures are what a single server's would be. Every
sample says which server it came from.

Not covered: servers of different models or prices; one that answers wrongly (its samples vote like all others).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from maker.decision.sample import Model, Reply, Request, Sample, Traits
from maker.log import log

STRIKES = 3  # failures in a row; fewer may be chance
FIRST_REST, LONGEST_REST = 1.0, 30.0  # seconds in which a server that failed is left alone


@dataclass(slots=True, eq=False)
class _Server:
    """One server. out: calls there now. up_at: when it may be asked again."""

    model: Model
    source: str
    traits: Traits
    out: int = 0
    failures: int = 0  # in a row
    rests: int = 0  # since its last sample
    up_at: float = -math.inf
    hopeless: bool = False  # no request could mend its last failure


class Endpoints:
    """A model that several servers answer for.

    models: one for each server, by what its samples shall say of their source. name: part of a run's fingerprint.
    clock: monotonic seconds. choose: some of a list, at random.
    """

    lockstep = False

    def __init__(
        self, models: Mapping[str, Model], name: str, *, clock: Callable[[], float] = time.monotonic,
        choose: Callable[[Sequence[_Server], int], list[_Server]] = random.sample,
    ) -> None:  # fmt: skip
        self._servers = [_Server(model, source, Traits.of(model)) for source, model in models.items()]
        first = self._servers[0].traits
        self.name, self.n, self.prices = name, first.together, first.prices
        self.native_tools = all(server.traits.native_tools for server in self._servers)
        self._clock, self._choose = clock, choose

    def __repr__(self) -> str:
        return f"Endpoints({self.name!r})"

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Return one sample or failure for each request, in order; each is tried once, at one server."""
        server = self._pick()
        server.out += 1
        try:
            replies = await server.model.draw(requests)
        finally:
            server.out -= 1
        return [self._judged(server, reply) for reply in replies]

    async def aclose(self) -> None:
        """Close all connections of the running loop."""
        for server in self._servers:
            if server.traits.close is not None:
                await server.traits.close()

    def bears(self) -> int:
        """Return how many calls at once are worth bringing to those that are well."""
        well = self._well() or self._servers
        return sum(server.traits.bears() for server in well if server.traits.bears is not None)

    def widen(self, concurrency: int) -> None:
        """Have so many calls out at once at each of them, where it was made for fewer."""
        for server in self._servers:
            if server.traits.widen is not None:
                server.traits.widen(concurrency)

    def room(self) -> int:
        """Return the tokens that a reply of any server may need for thoughts."""
        return max(server.traits.room() if server.traits.room is not None else 0 for server in self._servers)

    def pace(self) -> str:
        """Say what holds sending back, for a person: servers that are left alone, and the limits of the others."""
        now = self._clock()
        told = [f"{server.source} is left alone" for server in self._servers if server.up_at > now]
        well = [(server.source, server.traits.pace) for server in self._servers if server.up_at <= now]
        told += [f"{source}: {said}" for source, pace in well if pace is not None and (said := pace())]
        return "; ".join(told)

    def _well(self) -> list[_Server]:
        """Return the servers that may be asked now."""
        now = self._clock()
        return [server for server in self._servers if server.up_at <= now]

    def _pick(self) -> _Server:
        """Return the less busy of two servers; where none is well, the one that may be asked first."""
        well = self._well()
        if not well:
            return min(self._servers, key=lambda server: server.up_at)
        server = min(self._choose(well, min(2, len(well))), key=lambda server: server.out)
        if server.rests:  # one call tries whether it is back
            self._leave(server)
        return server

    def _judged(self, server: _Server, reply: Reply) -> Reply:
        """Learn from a reply whether its server is well, and say where it came from."""
        if isinstance(reply, Sample):
            if server.rests:
                log.warning("server.back", server=server.source)
            server.failures, server.rests, server.up_at, server.hopeless = 0, 0, -math.inf, False
            return replace(reply, source=server.source)
        if reply.kind not in ("transient", "fatal"):  # of the request
            return reply
        server.hopeless = reply.kind == "fatal"
        server.failures += not reply.wait
        lost = server.hopeless or server.failures >= STRIKES
        if lost and server.up_at <= self._clock():  # otherwise it was on its way with others
            log.warning("server.lost", server=server.source, detail=reply.detail)
            self._leave(server)
        if self._well() and not reply.wait:
            return replace(reply, kind="again", gone=False)  # another is there
        hopeless = all(other.hopeless for other in self._servers)
        return reply if hopeless == server.hopeless else replace(reply, kind="transient")

    def _leave(self, server: _Server) -> None:
        """Leave a server alone, longer each time."""
        server.rests += 1
        server.up_at = self._clock() + min(FIRST_REST * 2.0 ** min(server.rests - 1, 30), LONGEST_REST)
