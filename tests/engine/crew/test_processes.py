"""Workers that are processes: what is said over their pipes, and when they are worth starting."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import pytest

from maker.engine.crew import processes
from maker.engine.crew.launcher import Lost


class Fake:
    """A worker that says what it was asked for."""

    def __init__(self, told: bytes) -> None:
        assert told == b"order"

    async def decide(self, job: list[list[int]]) -> list[bytes]:
        return [b"%d+%d" % (first, steps) for first, steps in job]


def message(content: bytes) -> bytes:
    """Return a message as it travels."""
    return struct.pack("<Q", len(content)) + content


@pytest.mark.asyncio
async def test_a_process_answers_each_part_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is answered by nothing, a job by one stretch for each of its parts, until the input ends."""
    monkeypatch.setattr(processes, "Worker", Fake)
    jobs = [json.dumps({"job": job}).encode() for job in ([[0, 5], [64, 7]], [[5, 2]])]
    target = io.BytesIO()
    with pytest.raises(EOFError):
        await processes.serve(io.BytesIO(b"".join(map(message, (b"order", *jobs)))), target)
    assert target.getvalue() == b"".join(map(message, (b"", b"0+5", b"64+7", b"5+2")))


class Ended:
    """A process whose pipes are closed at its other end."""

    pid = 7

    def __init__(self, said: bytes) -> None:
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(said)


@pytest.mark.asyncio
@pytest.mark.parametrize("said", [b"", message(b"one")[:-1], message(b"one")])
async def test_a_process_that_ends_is_lost(said: bytes) -> None:
    """Whether it says nothing, half a message or half of what was asked for, who asked hears that it has ended."""
    process: Any = Ended(said)
    with pytest.raises(Lost, match="it has ended") as caught:
        await processes.Process(process).ask(b"{}", 2)
    assert caught.value.name == 7


@pytest.mark.parametrize(("cores", "lanes", "steps", "count"), [
    (1, 8, 10**6, 0), (4, 1, 10**6, 0), (4, 8, 19_999, 0), (4, 8, 20_000, 4), (4, 3, 10**6, 3), (64, 64, 10**6, 8),
])  # fmt: skip
@pytest.mark.asyncio
async def test_as_many_as_are_worth_it(
    cores: int, lanes: int, steps: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One a core and a lane, eight at most; none on one core, for one lane and for a short run."""
    monkeypatch.setattr(processes, "_cores", lambda: cores)
    assert await processes.Processes().count(lanes, steps) == count
