"""Opening and closing: what a call has made is closed however the call ends, and nothing else is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import maker
from maker.api.opened import opened
from maker.decision.sample import desk
from maker.errors import TaskError
from maker.testing import ScriptedModel

CALLS: list[Callable[..., Any]] = [maker.run_sync, maker.estimate_sync, maker.solve_sync, maker.vote_sync]


class Closing(ScriptedModel):
    """A scripted model that counts how often it was closed, in the end and not only in the beginning."""

    closed = 0

    async def aclose(self) -> None:
        """Close slowly: a cancellation that is not held off would get in between."""
        await anyio.lowlevel.checkpoint()
        self.closed += 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Closing]:
    """Return the models that were made from a name."""
    models: list[Closing] = []

    def load(spec: str) -> Closing:
        models.append(Closing([spec]))
        return models[-1]

    monkeypatch.setattr("maker.api.opened.load_model", load)
    return models


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"limits": {"max_calls": 0}}, {"limits": {"max_cost": 1.0}}])
def test_a_model_made_here_is_closed_where_settings_do_not_fit(
    made: list[Closing], call: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    """A setting that cannot be meant costs no connection and no process: what was made for the call is closed."""
    with pytest.raises(TaskError):
        call("hanoi", model="named", **wrong)
    assert [model.closed for model in made] == [1]
    given = Closing(["x"])
    with pytest.raises(TaskError):
        call("hanoi", model=given, **wrong)
    assert given.closed == 0


@pytest.mark.asyncio
async def test_a_cancelled_call_closes_to_the_end(made: list[Closing]) -> None:
    """Cancellation does not cut closing short, and all models of a call are closed."""
    with anyio.CancelScope() as scope:
        async with opened("named", others={"other": "other"}, k=1):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert [model.closed for model in made] == [1, 1]


@pytest.mark.parametrize("name", ["vote", "map", "run", "solve", "estimate"])
def test_a_twin_takes_what_its_original_takes(name: str) -> None:
    """The synchronous twins have the signature and the text of the asynchronous functions."""
    call, twin = getattr(maker, name), getattr(maker, f"{name}_sync")
    assert (twin.__name__, twin.__doc__) == (f"{name}_sync", call.__doc__)
    assert list(inspect.signature(twin).parameters) == list(inspect.signature(call).parameters)


@pytest.mark.asyncio
async def test_calls_that_share_a_model_pay_at_their_own_desks() -> None:
    """A model that two votes ask at once finds, in each draw, the desk of the vote that asked for it."""
    payers: dict[str, set[int]] = {"one": set(), "two": set()}
    both = anyio.Event()

    class Shared(ScriptedModel):
        async def draw(self, requests: Any) -> Any:
            """Note who would pay, before and after the other vote has asked."""
            seen = payers[requests[0].prompt]
            seen.add(id(desk.get()))
            if all(payers.values()):
                both.set()
            await both.wait()
            seen.add(id(desk.get()))
            return await super().draw(requests)

    model = Shared(["x"], lockstep=False)
    async with anyio.create_task_group() as group:
        for prompt in payers:
            group.start_soon(lambda prompt=prompt: maker.vote(prompt, model=model, k=2))
    assert [len(found) for found in payers.values()] == [1, 1]
    assert payers["one"] != payers["two"] and id(None) not in payers["one"] | payers["two"]
    assert desk.get() is None
