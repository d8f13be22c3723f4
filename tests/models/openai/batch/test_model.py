"""A map asked in batches: the same verdicts as call by call, and whatever goes wrong is neither lost nor paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

import maker
from batching import BatchServer, Plan
from maker.decision.ending import Stop
from maker.errors import ModelError, TaskError
from maker.models.openai.batch import model as module
from maker.sending import dispatcher

ITEMS = [f"item {number}" for number in range(7)]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at batches without a pause."""
    monkeypatch.setattr(module, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(module, "_FULL_WAIT", 0.001)
    monkeypatch.setattr(dispatcher, "FIRST_BACKOFF", 0.0001)
    monkeypatch.setattr(dispatcher, "LONGEST_BACKOFF", 0.001)


def by_seed(body: dict) -> str:
    """Answer as the seed says: right most of the time, so that items need different numbers of waves."""
    return "yes" if body["seed"] % 10 < 7 else ("no" if body["seed"] % 2 else "perhaps")


async def asked(server: BatchServer, journal: Path | None = None, **options: object) -> maker.Verdicts[str]:
    """Ask about all items in batches."""
    options = {"k": 3, "model": server.spec, "batch": True, **options}
    return await maker.map("Is {item} good?", ITEMS, journal=journal, **options)


def served(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in a loop of its own."""

    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@served
async def test_the_verdicts_are_those_of_call_by_call(tmp_path):
    """The chain of a map in batches is that of the plain map, byte for byte, and its journal verifies."""
    async with BatchServer(by_seed) as server:
        plain = await asked(server, batch=False)
        server.plain.clear()
        batched = await asked(server, tmp_path / "b.db")
        assert len(server.plain) == 1, "one short request finds out what the server takes"
    assert batched.result.chain == plain.result.chain
    assert list(batched.answers) == list(plain.answers)
    assert len(server.drawn) == len(set(server.drawn)) == plain.result.samples
    assert 1 < len(server.batches) == max(plain.result.waves)
    maker.verify(tmp_path / "b.db")


@served
async def test_a_batch_that_was_left_is_read_and_not_given_again(tmp_path):
    """Where time is over the batch goes on, the stop says so, and the same call takes what it brought: each draw once."""
    async with BatchServer(by_seed, [Plan(looks=10**9)]) as server:
        left = await asked(server, tmp_path / "b.db", limits={"max_seconds": 0.2})
        assert left.stopped == "max_seconds"
        assert "batch_0 goes on at the server; the same call with batch=True reads it" in left.result.detail
        assert left.result.usage.cancelled == 3 * len(ITEMS)
        server.batches["batch_0"].plan.looks = 0
        done = await asked(server, tmp_path / "b.db")
        again = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples
    assert done.result.usage.cancelled == 0, "what came is booked as it came"
    assert again.result.usage == done.result.usage
    assert len(server.plain) == 2, "each process that sends something asks once what is taken"


@served
async def test_a_batch_whose_id_never_came_is_found_by_its_tag(tmp_path):
    """A creation that is cut off after the server took it is no second batch, on whatever page of its list it stands."""
    async with BatchServer(by_seed, [Plan(lost=True)]) as server:
        for number in range(3):
            server.batches[f"old_{number}"] = server_old(number)
        done = await asked(server)
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples


@served
async def test_a_process_that_died_between_batch_and_note_finds_it(tmp_path, monkeypatch):
    """The id is not in the journal; the tag is, and the server is asked for it before anything is sent."""
    async with BatchServer(by_seed, [Plan()]) as server:
        async def dies(self, tag, identity):
            raise KeyboardInterrupt

        keep = Batches.named
        Batches.named = dies
        try:
            with pytest.raises(KeyboardInterrupt):
                await asked(server, tmp_path / "b.db")
        finally:
            Batches.named = keep
        assert len(server.batches) == 1
        done = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples
    assert done.result.usage.cancelled == 0


@served
async def test_a_batch_that_never_went_out_is_sent(tmp_path):
    """A tag that the server does not know was never there: its draws go out, and count once."""
    async with BatchServer(by_seed) as server:
        put = Server.put

        async def dies(self, file):
            raise KeyboardInterrupt

        Server.put = dies
        try:
            with pytest.raises(KeyboardInterrupt):
                await asked(server, tmp_path / "b.db")
        finally:
            Server.put = put
        done = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert done.result.usage.dispatched == done.result.samples + 2, "and a short request a process"
