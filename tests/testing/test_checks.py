"""The public conformance checks find what they say they find."""

from __future__ import annotations

import random

import pytest

import maker
from maker.testing import ScriptedModel, check_journal, check_model, check_task


class Counter:
    """A good little task: count to five."""

    name = "counter"
    steps: int | None = 5

    def initial_state(self):
        return {"n": 0}

    def prompt(self, state, step):
        return f"What comes after {state['n']}?"

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return action > state["n"]

    def apply(self, state, action):
        return {"n": action}

    def done(self, state):
        return state["n"] == 5

    def answer(self, state):
        return state["n"]

    def truth(self, state, step):
        return state["n"] + 1


def test_good_tasks_pass():
    """Hanoi in both parities and a small task pass the check."""
    for task in (maker.load_task("hanoi", disks=5), maker.load_task("hanoi", disks=6, style="compact"), Counter()):
        check_task(task)


def broken(**methods):
    """Return Counter with some methods replaced."""
    return type("Broken", (Counter,), methods)()


def mutating(self, state, action):
    """Change the state in place, as no task may."""
    state["n"] = action
    return state


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (broken(apply=mutating), "apply mutates its input"),
        (broken(prompt=lambda self, state, step: f"{random.random()}"), "prompt answers differently"),
        (broken(prompt=lambda self, state, step: ""), "empty text"),
        (broken(apply=lambda self, state, action: {"n": action, "x": float("nan")}), "without a canonical form"),
        (broken(legal=lambda self, state, action: False), "legal refuses the truth"),
        (broken(done=lambda self, state: False), "done is not true"),
        (broken(render=lambda self, answer: f"{answer + 1}"), "does not read back"),
        (broken(plan=lambda self: maker.Plan.chain(5, lambda i: {"n": 0})), "is not the path's"),
    ],
)
def test_broken_tasks_are_found(task, words):
    """Each broken promise of a task is named."""
    with pytest.raises(AssertionError, match=words):
        check_task(task)


@pytest.mark.asyncio
async def test_models_are_checked():
    """Oracle and scripted models pass; one that loses a reply, or answers by company, is found."""
    task = maker.load_task("hanoi", disks=4)
    oracle = maker.load_model("oracle:p=0.7,v=0.8,rho=0.2")
    oracle.bind(task)
    state = task.initial_state()
    await check_model(oracle, prompt=task.prompt(state, 0), state=state)
    await check_model(ScriptedModel(["a", "b"]))

    class Forgetful(ScriptedModel):
        async def draw(self, requests):
            return (await super().draw(requests))[1:]

    class Sociable(ScriptedModel):
        async def draw(self, requests):
            return [maker.Sample(f"{len(requests)}") for _ in requests]

    with pytest.raises(AssertionError, match="replies to 8 requests"):
        await check_model(Forgetful(["a"]))
    with pytest.raises(AssertionError, match="alone as it answers in a batch"):
        await check_model(Sociable(["a"]))


def test_journals_are_checked(tmp_path):
    """A good journal's audit is returned."""
    path = tmp_path / "j.db"
    maker.run_sync(Counter(), model="oracle:p=0.9", k=4, journal=path)
    assert check_journal(path, Counter()).solved
