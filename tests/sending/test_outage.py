"""Outages: a server that is gone is waited for, by one try now and then, and costs no step an attempt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.sending.outage import LONGEST_TRY, Outage
from virtual import virtually

ITEMS, K, AT_ONCE, SECONDS = 400, 2, 8, 1.0  # a map of 100 s
GONE = Failure("transient", "http://there cannot be reached", gone=True)
CUT = Failure("transient", "http://there cut its reply off", None, None, None)
RESET = Failure("transient", "http://there broke the connection off", None, None, None, gone=True)


class Server:
    """A model over a network whose server is there at some times only.

    `served` counts replies, `cut` those that were under way when it went; `tries` are when nobody was there. away:
    what those bring, in turn.
    """

    lockstep = False
    name = "server"

    def __init__(self, there: Callable[[float], bool], away: Sequence[Failure] = (GONE,)) -> None:
        self.there, self.away = there, away
        self.served = self.cut = 0
        self.tries: list[float] = []

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer after a while, if the server is there from beginning to end."""
        if not self.there(now()):
            self.tries.append(now())
            return [self.away[len(self.tries) % len(self.away)]] * len(requests)
        for _ in range(10):
            await anyio.sleep(SECONDS / 10)
            if not self.there(now()):
                self.cut += 1
                return [CUT] * len(requests)
        self.served += 1
        return [Sample("yes", 9, 1) for _ in requests]


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def ask(server: Any, journal: Path | None = None, **limits: Any) -> tuple[Any, float]:
    """Ask about all items; return what came of it, and the seconds that it took."""
    told = {"concurrency": AT_ONCE, **limits}
    verdicts, seconds = virtually(
        lambda: maker.map("{item}?", range(ITEMS), model=server, k=K, limits=told, journal=journal)
    )
    return verdicts.result, seconds


@pytest.mark.parametrize("away", [[GONE], [RESET, GONE]], ids=["nobody there", "a proxy that resets"])
@pytest.mark.parametrize("outage", [10, 70, 500])
def test_an_outage_is_waited_for(outage: int, away: list[Failure], caplog: pytest.LogCaptureFixture) -> None:
    """The run ends solved, soon after the server is back; paid twice is only what was in flight, and tries are few."""
    server = Server(lambda at: not 20 <= at < 20 + outage, away)
    with caplog.at_level(logging.WARNING, "maker"):
        result, seconds = ask(server)
    assert result.solved and seconds < 100 + outage + LONGEST_TRY + 5
    assert (server.served, server.cut) == (ITEMS * K, AT_ONCE)
    assert result.usage.dispatched == server.served + server.cut + len(server.tries)
    assert len(server.tries) <= AT_ONCE + 6 + outage / LONGEST_TRY
    told = [record.getMessage() for record in caplog.records]
    assert sum("model.gone" in line for line in told) == sum("model.back" in line for line in told) == 1


def test_a_server_that_is_restarted_again_and_again() -> None:
    """Five seconds off in every twenty, for three minutes: solved, and nothing is lost but what was in flight."""
    server = Server(lambda at: at >= 180 or at % 20 < 15)
    result, seconds = ask(server)
    assert result.solved and seconds < 200
    assert server.served == ITEMS * K and server.cut <= AT_ONCE * 9
    assert result.usage.dispatched == server.served + server.cut + len(server.tries)


@pytest.mark.parametrize("patience", [None, 30.0])
def test_patience_ends(patience: float | None, tmp_path: Path) -> None:
    """A server that stays away stops the run by name when its patience is over; the run resumes when it is back."""
    path, server = tmp_path / "map.db", Server(lambda at: at < 20)
    most = 600.0 if patience is None else patience
    result, seconds = ask(server, path, **({} if patience is None else {"patience": patience}))
    assert (result.stopped, result.exit_code, seconds) == ("model_lost", 3, pytest.approx(20 + most, abs=1))
    assert f"has been gone for {most:.0f} s: http://there cannot be reached. When it answers again" in result.detail
    again = Server(lambda at: True)
    resumed, _ = ask(again, path)
    assert resumed.solved and server.served + again.served == ITEMS * K


def test_max_seconds_ends_the_wait_for_a_server() -> None:
    """Where the time ends before the outage, the run stops in time."""
    result, seconds = ask(Server(lambda at: at < 20), max_seconds=33)
    assert (result.stopped, seconds) == ("max_seconds", pytest.approx(33, abs=0.01))


def test_one_request_that_is_never_answered_costs_its_own_attempts() -> None:
    """While others get through, the server is there: ten attempts, as for any failure."""

    class Blind(Server):
        asked = 0

        async def draw(self, requests: Sequence[Request]) -> list[Reply]:
            if requests[0].address.step == 7:
                self.asked += 1
                await anyio.sleep(2 * SECONDS)
                return [GONE]
            return await super().draw(requests)

    blind = Blind(lambda at: True)
    result, seconds = ask(blind)
    assert result.stopped == "model_lost" and "step 7: 10 attempts failed" in result.detail
    assert 10 <= blind.asked <= 20 and seconds < 90


@pytest.mark.asyncio
async def test_whoever_is_there_tries_when_the_first_is_gone() -> None:
    """No try depends on one caller: one is cancelled, another one tries in its stead; a reply lets all go on."""
    outage = Outage(60.0)
    outage.begin("nobody there")
    first, second, third = (asyncio.ensure_future(outage.turn()) for _ in range(3))
    first.cancel()
    await asyncio.wait([second, third], return_when=asyncio.FIRST_COMPLETED)
    assert second.done() != third.done() and outage.on
    assert str(outage).startswith("server gone for 0 s, trying every 0.2 s: nobody there")
    outage.hear([GONE])
    assert outage.on and outage.heard == 0
    outage.hear([Failure("transient", "500")])
    await asyncio.gather(second, third)
    assert not outage.on and outage.heard == 1
