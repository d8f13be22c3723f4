"""Orders: what a worker makes again is the run that it was told of, or nothing is decided."""

from __future__ import annotations

import json
from typing import Any

import pytest

import maker
from maker.engine.crew import lead
from maker.engine.crew.order import Worker, order_of
from maker.engine.crew.stretch import Stretch
from maker.errors import MakerError
from maker.theory.votes.tables import Table


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the order of a run, as it would be sent."""
    told: list[bytes] = []
    with monkeypatch.context() as patch:
        patch.setattr(lead, "order_of", lambda course, spec: told.append(order_of(course, spec)))
        maker.run_sync(maker.load_task("hanoi", disks=7), model="oracle:p=0.97,v=0.95", k=4, segments=8)
    made: dict[str, Any] = json.loads(told[0])
    return made


async def decided(order: dict[str, Any], first: int, steps: int) -> Stretch:
    """Return what a worker with such an order decides."""
    return Stretch.decode((await Worker(json.dumps(order).encode()).decide([(first, steps)]))[0])


@pytest.mark.asyncio
async def test_a_worker_decides_what_it_is_told(order: dict[str, Any]) -> None:
    """A stretch begins and ends where it was asked for."""
    stretch = await decided(order, 16, 9)
    assert (stretch.first, stretch.steps) == (16, 9)


@pytest.mark.asyncio
async def test_a_worker_votes_by_the_table_of_the_run(order: dict[str, Any]) -> None:
    """A table of margins travels with the order: at the same least margin its steps take more votes."""
    votes = []
    for table in (None, Table(order["k"], tuple(range(order["k"] + 1, 90, 4)), 90)):
        order["table"] = table and table.as_note()
        votes.append((await decided(order, 0, 60)).usage.voted)
    assert votes[1] > votes[0]


def test_a_worker_refuses_another_run(order: dict[str, Any]) -> None:
    """Where task or settings made again are not those of the header, nothing is decided."""
    order["header"]["prompt"] = "another"
    with pytest.raises(MakerError, match="prompt"):
        Worker(json.dumps(order).encode())
