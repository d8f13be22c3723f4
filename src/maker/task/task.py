"""What is asked, as the user gives it: the `Task` protocol.

A `Task` says what the state is, what to ask, how to read a reply, and how an action changes the state. What its
code raises comes out of `guarded` as a TaskError that names step and method.

Not covered: tasks that take for ever, mutate their input or answer at random; `testing.check_task`
finds the last two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from maker.errors import TaskError


@runtime_checkable
class Task(Protocol):
    """A long piece of work in small steps. Every method must be pure: same input, same output.

    `steps` is how many steps it takes, None when only `done` can tell. `parse` may raise anything:
    the reply is then flagged. `legal` and `apply` get what `parse` returned, whole.

    Optional: `name: str`; `parameters: dict`, shown and part of the run's fingerprint;
    `agrees(action, next_state)`: does what the model claims beside its action fit the state that
    `apply` gave;
    `plan(segments)`: a `Plan` of at most so many segments with known entry states, or of branches and
    their joins, however many they are; asked for as many as it gave, it gives the same again;
    `kind(state, step)`: a name for the kind of step, for estimates;
    `designs`: of the class, other ways to cut the work into steps and to ask, each name with a line about it; the
    constructor's parameter `design` takes one of them;
    `told(state, action)`: a line about a step, for `windowed`, which puts the last steps in front of a prompt; the
    constructor's parameter `window` says how many, or "all";
    `check(actions)`: an independent checker of the whole sequence, returning a complaint or None;
    `paraphrases(state, step)`: equivalent prompts, a list of `View`;
    `finer(state, step)`: a smaller Task whose `answer` is this step's action, for a ladder that splits steps;
    `sound(state)`: does the state keep what must hold of it, asked when a step is in trouble;
    `truth(state, step)`: the right answer at any state, on or off the path; and for simulated models
    `render(answer)`: the text of an answer (the inverse of `parse`), and `rivals(state, step)`:
    wrong answers that no flag can catch. Flags and votes see none of the last three.
    """

    steps: int | None

    def initial_state(self) -> Any:
        """Return the state before step 0."""
        ...

    def prompt(self, state: Any, step: int) -> Any:
        """Return all that the model reads to decide this step: text, or a list of messages."""
        ...

    def parse(self, text: str) -> Any:
        """Return the action a reply holds, or raise."""
        ...

    def legal(self, state: Any, action: Any) -> bool:
        """Say whether the action is allowed in this state; it may be wrong all the same."""
        ...

    def apply(self, state: Any, action: Any) -> Any:
        """Return the next state; leave the old one as it was."""
        ...

    def done(self, state: Any) -> bool:
        """Say whether the goal is reached."""
        ...

    def answer(self, state: Any) -> Any:
        """Return the result of the whole task, given its last state."""
        ...


def task_name(task: object) -> str:
    """Return the task's own name, or its class's."""
    return str(getattr(task, "name", type(task).__name__))


def guarded(call: Callable[..., Any], step: int | None, method: str, *args: Any) -> Any:
    """Call the user's code; what it raises becomes a TaskError that names the step and the method."""
    try:
        return call(*args)
    except TaskError:
        raise
    except Exception as error:
        where = method if step is None else f"step {step}: {method}"
        raise TaskError(f"{where} raised {type(error).__name__}: {error}. Mend the task and resume.") from error
