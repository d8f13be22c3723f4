"""Which gate: one for each server in a loop, or what stands for one where others share it."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from maker.models.openai.http import gates
from maker.models.openai.http.finder import FIRST_LIMIT
from maker.models.openai.http.gate import Gate
from maker.models.openai.http.gates import Door, gate_of, make_gates


def test_models_of_one_origin_share_a_gate() -> None:
    """One origin and one ceiling, one gate, in a loop; a number is obeyed; gates end with their loop."""

    async def found() -> list[Door]:
        one = gate_of("http://h:1", 4)
        assert gate_of("http://h:1", 4) is one
        assert (gate_of("http://h:1", 1000).limit, one.limit) == (1000, 4)
        found = gate_of("http://h:1", None)
        assert (gate_of("http://h:1", None), found.limit) == (found, FIRST_LIMIT)
        assert gate_of("http://h:2", 4) is not one
        return [one]

    (one,), (other,) = asyncio.run(found()), asyncio.run(found())
    assert other is not one
    kept = weakref.ref(one)
    del one
    gc.collect()
    assert kept() is None


def test_a_worker_makes_gates_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once told how, a process makes each gate so, once for each server and ceiling in a loop."""
    monkeypatch.setattr(gates, "_maker", list(gates._maker))
    made: list[tuple[str, int | None]] = []

    def make(origin: str, ceiling: int | None) -> Door:
        made.append((origin, ceiling))
        return Gate(ceiling)

    async def found() -> None:
        assert gate_of("http://h:1", 4) is gate_of("http://h:1", 4)
        gate_of("http://h:1", None)

    make_gates(make)
    asyncio.run(found())
    assert made == [("http://h:1", 4), ("http://h:1", None)]
