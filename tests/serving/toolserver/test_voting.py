"""Votes and estimates keep to their share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maker.decision.sample import Reply, Request, Sample
from maker.errors import TaskError
from maker.models import load_model
from maker.serving.toolserver import commands
from maker.serving.toolserver.allowance import Allowance
from maker.serving.toolserver.runs import Runs
from maker.serving.toolserver.voting import Question, estimated, voted


class Says:
    """A model that says the same words over and over, in turn."""

    name = "says"

    def __init__(self, *words: str) -> None:
        self.words, self.asked = words, []

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer."""
        self.asked += requests
        first = len(self.asked) - len(requests)
        return [Sample(self.words[(first + i) % len(self.words)], 1, 1, "stop") for i in range(len(requests))]


@pytest.fixture
def allowance(tmp_path: Path) -> Allowance:
    """Return the allowance of a day."""
    return Allowance(tmp_path / "spent", 1_000)


def vote(model: Any, allowance: Allowance, question: Question, k: int = 3, calls: int | None = None) -> Any:
    """Vote; return what is told, and the calls that were told on the way."""
    told: list[int] = []

    async def tell(calls: int) -> None:
        told.append(calls)

    return asyncio.run(voted(model, allowance, question, k, calls, None, tell)), told


def spent(allowance: Allowance) -> int:
    """Return the calls that are out or spent."""
    return json.loads(allowance.file.read_text())["calls"]


def test_options_are_voted_on(allowance: Allowance):
    """The votes stand beside the answer, the leader first; what was not spent comes back."""
    found, told = vote(Says("red", "red", "blue", "red", "red"), allowance, Question("colour?", ["blue", "red"]))
    assert found["answer"] == "red" and found["margin"] == 3 and found["votes"][0] == {"answer": "red", "votes": 4}
    assert told[-1] == found["calls"] == spent(allowance) == 5


def test_a_schema_is_voted_on(allowance: Allowance):
    """Equal values are one answer; the model is sent the schema."""
    schema = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    model = Says('{"n": 1}', '{"n": 1.0}')
    found, _ = vote(model, allowance, Question("n?", schema=schema, system="Be brief."))
    assert found["answer"] == {"n": 1} and model.asked[0].schema == schema
    assert model.asked[0].messages[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question("x"), "no two replies agree"), (Question("x", ["a", "b"], {"type": "string"}), "either"),
        (Question("x", ["a"]), "2 to 100"), (Question("x", ["a", "a"]), "2 to 100"), (Question("x", []), "2 to 100"),
        (Question("x", schema={"type": "nonsense"}), "^answer_schema: this JSON schema cannot be followed: .*nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_voted_on_takes_nothing(allowance: Allowance, question: Question, said: str):
    """It is refused before a call is sent."""
    model = Says("a")
    with pytest.raises(TaskError, match=said):
        vote(model, allowance, question)
    assert model.asked == [] and not allowance.file.exists()


def test_a_model_of_tasks_alone_is_not_asked(allowance: Allowance):
    """A simulated one knows no question but a task's."""
    with pytest.raises(TaskError, match="answers the steps of tasks only"):
        vote(load_model("oracle"), allowance, Question("x", ["a", "b"]))
    assert not allowance.file.exists()


def test_an_undecided_vote_is_refused_with_its_votes(allowance: Allowance):
    """Its calls are spent, and what it could no longer use comes back."""
    with pytest.raises(TaskError, match=r"Raise max_calls\. The votes: 'red': 5; 'blue': 4; 0 flagged"):
        vote(Says("red", "blue"), allowance, Question("colour?", ["blue", "red"]), calls=10)
    assert spent(allowance) == 9


def test_an_estimate_is_a_command_with_caps(allowance: Allowance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It gives back what it did not draw; refused, all of the share is taken as spent."""
    told = '{"feasible": true, "draws": 60, "kinds": {}}'
    monkeypatch.setattr(commands, "MAKER", ("/bin/sh", "-c", f"echo \"$@\" > {tmp_path}/words; echo '{told}'", "maker"))
    runs = Runs(tmp_path, ["--model=m"], allowance)
    found = asyncio.run(estimated(runs, "hanoi", {"disks": 5}, 0.9, None, None))
    assert found == {"feasible": True, "draws": 60} and spent(allowance) == 60
    assert (tmp_path / "words").read_text().split() == [
        "estimate", "--model=m", "--target=0.9", "--quiet", "--json", "--max-calls=100", "--", "hanoi", "--disks=5",
    ]  # fmt: skip
    monkeypatch.setattr(commands, "MAKER", ("/bin/sh", "-c", 'echo \'{"error": "no"}\'', "maker"))
    with pytest.raises(TaskError, match="no"):
        asyncio.run(estimated(runs, "hanoi", {}, 0.9, None, None))
    assert spent(allowance) == 160
