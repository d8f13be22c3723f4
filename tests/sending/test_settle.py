"""Waves: one of every poll, judged and booked; one that did not come to its end never was."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from maker.decision.address import Address, seed_key
from maker.decision.flags import DEFAULT
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.decision.step import Rules, Step
from maker.sending import dispatcher as module
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.sending.settle import decide, settle
from maker.testing import ScriptedModel


def dispatcher(model: Any) -> Dispatcher:
    """Return a dispatcher with an empty account."""
    return Dispatcher(model, Limits(), Usage())


def poll_of(k: int, step: int = 0, prompt: str = "Say yes.") -> Poll:
    """Return a poll on bare text with the default flags."""
    method = Method("run", seed_key(0), k, 100, 100, DEFAULT, 0.1, None, 1024, 750)
    return Poll(Step(step, None, Rules(str.strip)), method, prompt)


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.asyncio
async def test_failures_are_never_flags(lockstep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote through failures has no flagged sample, no extra draw, and an account that balances."""
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.0)
    tries: Counter[Address] = Counter()

    def reply(request: Request) -> str | Reply:
        tries[request.address] += 1
        return "yes" if tries[request.address] > 2 else Failure("transient", "503 from the server")

    poll, sender = poll_of(3), dispatcher(ScriptedModel(reply, lockstep=lockstep))
    await decide([poll], sender.draw, sender.usage)
    assert (poll.tally.total, poll.tally.flagged, poll.flags, poll.drawn) == (3, 0, {}, 3)
    usage = sender.usage
    assert (usage.dispatched, usage.voted, usage.flagged, usage.failed, usage.in_flight) == (9, 3, 0, 6, 0)


@pytest.mark.asyncio
async def test_flagged_samples_are_booked_as_flagged() -> None:
    """Flagged and voted samples are told apart in the account, by kind."""
    poll, sender = poll_of(3), dispatcher(ScriptedModel(["", "yes", Sample("ye", 1, 1, "length"), "yes"]))
    await decide([poll], sender.draw, sender.usage)
    usage = sender.usage
    assert (usage.dispatched, usage.voted, usage.flagged, usage.in_flight) == (6, 3, 3, 0)
    assert dict(usage.flags) == {"empty": 2, "truncated": 1}


@pytest.mark.asyncio
async def test_settle_takes_one_wave_of_every_poll() -> None:
    """A batch of polls is drawn for in one call and each gets its own replies."""
    model = ScriptedModel(lambda request: f"step {request.address.step}")
    polls = [poll_of(k, step) for step, k in enumerate([1, 3, 2])]
    sender = dispatcher(model)
    waves = await settle(polls, sender.draw, sender.usage)
    assert [len(wave) for wave in waves] == [1, 3, 2]
    assert [poll.verdict().answer for poll in polls] == ["step 0", "step 1", "step 2"]
    assert len({request.seed for request in model.requests}) == 6


@pytest.mark.asyncio
async def test_a_cancelled_wave_leaves_its_poll_as_it_was() -> None:
    """After a cancelled wave the poll asks for the same draws again."""

    class Silent(ScriptedModel):
        async def draw(self, requests: Any) -> Any:
            await asyncio.get_running_loop().create_future()

    poll = poll_of(3)
    before = [request.address for request in poll.requests()]
    wave = asyncio.ensure_future(settle([poll], dispatcher(Silent(["yes"], lockstep=False)).draw))
    await asyncio.sleep(0)
    wave.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wave
    assert [request.address for request in poll.requests()] == before
    assert (poll.drawn, poll.tally.total) == (0, 0)
