"""Conformance checks of tasks, models and journals.

The checks raise AssertionError with a sentence that says which promise is broken.

Not covered: whether a task is any good. They find tasks that mutate their input, answer at random
or contradict themselves, models that lose or reorder draws, and journals that do not verify.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from maker.decision.address import Address, draw_seeds, seed_key
from maker.decision.sample import Failure, Model, Request, Sample, Traits
from maker.errors import TaskError
from maker.review.checking.checker import Audit
from maker.review.checking.verify import verify
from maker.task.canonical import canonical
from maker.task.plan import Plan, Walk
from maker.task.prompt import prompt_of
from maker.task.task import Task, task_name


def check_task(task: Task, *, steps: int = 100) -> None:
    """Check that a task keeps its promises over its first steps (as many as its `truth` can walk).

    Found are: input that is mutated, methods that answer differently when asked again, states without a
    canonical form, a truth that is illegal or that `parse` cannot read back, a plan whose entry
    states differ from the path's, and a `done` that never comes true. The path follows the joins of the plan.
    """
    name = task_name(task)
    first = _pure(f"{name}.initial_state", task.initial_state)
    _same_form(f"{name}.initial_state", first)
    plan = task.plan() if hasattr(task, "plan") else Plan.sequential(task.steps, task.initial_state)
    assert isinstance(plan, Plan), f"{name}.plan must return a maker.Plan, not {type(plan).__name__}"
    path = Walk(plan)
    assert canonical(path.state) == canonical(first), f"{name}.plan: its state before step 0 is not the path's"
    truth = getattr(task, "truth", None)
    render = getattr(task, "render", None)
    for step in range(min(steps, task.steps or steps)):
        state = path.state
        prompt = _pure(f"{name}.prompt", task.prompt, state, step)
        try:
            prompt_of(prompt, f"{name}.prompt returned")
        except TaskError as error:
            raise AssertionError(f"{error} (step {step})") from None
        for known in _known_states(plan, step):
            assert canonical(known) == canonical(state), f"{name}.plan: its state before step {step} is not the path's"
        if truth is None:
            return
        action = _pure(f"{name}.truth", truth, state, step)
        assert _pure(f"{name}.legal", task.legal, state, action), f"{name}.legal refuses the truth (step {step})"
        if render is not None:
            parsed = _pure(f"{name}.parse", task.parse, render(action))
            same = canonical(parsed) == canonical(action)
            assert same, f"{name}.parse does not read back what render wrote (step {step})"
        path.take(_pure(f"{name}.apply", task.apply, state, action))
        _same_form(f"{name}.apply", path.state)
        if task.steps is None and _pure(f"{name}.done", task.done, path.state):
            return
    if task.steps is not None and task.steps <= steps:
        done = _pure(f"{name}.done", task.done, path.state)
        assert done, f"{name}.done is not true after all {task.steps} right steps"
        _pure(f"{name}.answer", task.answer, path.state)


async def check_model(model: Model, *, prompt: str = "Say yes.", state: Any = None, draws: int = 8) -> None:
    """Check that a model answers every request, in order, and the same request in any company.

    A simulated model must be bound to its task first, and needs a `prompt` and `state` of it.
    """
    seeds = draw_seeds(seed_key(0), 0, 0)
    requests = [Request(Address("check", 0, i), prompt, seeds[i % 8] + i // 8, state=state) for i in range(draws)]
    replies = await model.draw(requests)
    listed = isinstance(replies, Sequence) and not isinstance(replies, str)
    assert listed, f"draw returned a {type(replies).__name__}, not a list of replies"
    assert len(replies) == draws, f"draw returned {len(replies)} replies to {draws} requests"
    for reply in replies:
        kind = type(reply).__name__
        assert isinstance(reply, (Sample, Failure, str)), f"draw returned a {kind}, not a Sample, a Failure or text"
        text = reply.text if isinstance(reply, Sample) else ""
        assert text is None or isinstance(text, str), f"a sample's text is a {type(text).__name__}, not text or None"
    replies = [Sample(reply) if isinstance(reply, str) else reply for reply in replies]
    assert list(await model.draw([])) == [], "draw of no requests must return no replies"
    if Traits.of(model).simulated:
        for request, reply in zip(requests, replies, strict=True):
            (alone,) = await model.draw([request])
            assert _text(alone) == _text(reply), "a simulated model must answer alone as it answers in a batch"


def check_journal(journal: str | Path, task: Task | None = None) -> Audit:
    """Check that a journal verifies, and return the audit."""
    audit = verify(journal, task)
    assert audit.problem is None, f"{journal}: {audit.problem}"
    return audit


def _known_states(plan: Plan, step: int) -> Iterator[Any]:
    """Yield what the plan knows beforehand of the state before a step."""
    if plan.enter is not None:
        yield plan.enter(step)
    segment = plan.segments[bisect_right(plan.segments, step, key=lambda segment: segment.start) - 1]
    if segment.enter is not None and segment.start == step:
        yield segment.entry


def _pure(where: str, method: Callable[..., Any], *args: Any) -> Any:
    """Call twice on copies; the results must agree and the arguments be as before."""
    before = copy.deepcopy(args)
    first = method(*args)
    assert repr(before) == repr(args), f"{where} mutates its input"
    second = method(*copy.deepcopy(before))
    assert repr(first) == repr(second), f"{where} answers differently when asked again: is it random?"
    return first


def _same_form(where: str, state: Any) -> None:
    try:
        canonical(state)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{where} returned a state without a canonical form: {error}") from None


def _text(reply: Sample | Failure) -> str | None:
    return reply.text if isinstance(reply, Sample) else reply.detail
