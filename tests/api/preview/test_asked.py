"""What a run would send is said as it is sent, and nothing is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

import maker
from adding import Adding
from maker.api.preview.asked import preview_sync
from maker.decision.sample import Request
from maker.testing import FaultServer, Reply, ScriptedModel


class Known(Adding):
    """A task whose truth is known, and no plan."""

    def truth(self, state: int, step: int) -> int:
        return state + 1


def test_nothing_is_sent():
    """The server that would answer is not even greeted, and the prices of its model are in the needs."""
    with FaultServer(lambda _: Reply(body=b"{}")) as server:
        model = maker.openai_model(server.url, "m", prices={"input": 1.0, "output": 1.0})
        seen = preview_sync(maker.load_task("hanoi", disks=4), model=model, k=2)
    assert server.requests == []
    assert seen.needs["least"].cost > 0 and seen.steps == 15


def test_the_first_request_is_the_one_that_a_run_sends():
    """System text, prompt, temperature and token limit are those of the first request of the same call of run."""
    sent: list[Request] = []
    model = ScriptedModel(lambda request: sent.append(request) or str(request.state + 1))
    asking: dict[str, Any] = {"k": 2, "system": "Be brief.", "first_temperature": 0.0, "max_tokens": 70, "stop": ["#"]}
    seen = preview_sync(Known(9), model=model, **asking)
    assert sent == []
    maker.run_sync(Known(9), model=model, **asking)
    first, middle = seen.asked
    assert first.asks_the_same_as(sent[0]) and first.state == sent[0].state
    same = next(
        request for request in sent if request.address.step == middle.address.step and request.address.draw == 0
    )
    assert middle.asks_the_same_as(same) and middle.address.step == 4


def test_a_plan_knows_the_middle():
    """Where the plan knows every state, the middle step is asked about without walking to it."""
    seen = preview_sync(maker.load_task("hanoi", disks=20), model=ScriptedModel(["?"]), k=2)
    assert [request.address.step for request in seen.asked] == [0, 524_287]


def test_without_a_plan_or_a_truth_the_middle_is_not_known():
    """A state that depends on answers is not invented."""
    assert len(preview_sync(Adding(9), model=ScriptedModel(["1"]), k=2).asked) == 1


def test_a_task_that_does_not_say_how_long_it_is():
    """Then a million steps are planned for, or as many as the limits allow, and that is said."""

    class Endless(Known):
        steps = None

        def __init__(self) -> None:
            self.goal = 5

    seen = preview_sync(Endless(), model=ScriptedModel(["1"]), k=2, limits={"max_steps": 6})
    assert (seen.known, seen.steps, seen.as_json()["steps"]) == (False, 6, None)
    assert seen.asked[-1].address.step == 3


def test_it_can_be_said_as_json():
    """Requests and needs are one JSON object."""
    said = json.loads(json.dumps(preview_sync(Known(9), model=ScriptedModel(["1"]), k=2).as_json()))
    assert said["requests"][0]["messages"][0]["role"] == "user" and said["least"]["calls"] == 18


def test_bad_arguments_are_refused_as_by_run():
    """What run would refuse is refused here, too."""
    with pytest.raises(maker.TaskError, match="no plan"):
        preview_sync(Adding(9), model=ScriptedModel(["1"]), k=2, segments=4)
