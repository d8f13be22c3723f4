"""The task, its steps, and where each draw belongs.

A `Task` is the user's: it says what the state is, what to ask, how to read a reply, and how an
action changes the state. A `Step` is one decision of it, as flags and votes may see it. A draw has
an `Address` (run, step, draw), from which its seed is hashed.

`Rules` is the wall between the task and those who judge: it holds the task's parse, legal, apply
and agrees and nothing else, so no red flag and no vote can reach `truth`. What the task's own
code raises comes out as TaskError naming step and method; only what `parse` raises is a reply's
fault, and becomes a `Reading` without an answer.

Not covered: tasks that take for ever, mutate their input or answer at random; `testing.check_task`
finds the last two.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from maker.canonical import canonical
from maker.errors import TaskError

SEED_BLOCK = 8  # seeds that one hash gives
MAX_CHARS_PER_TOKEN = 64  # no tokenizer writes more; longer texts are not worth parsing

_seeds = struct.Struct("<8Q").unpack
_seed_input = struct.Struct("<QQ").pack


@dataclass(slots=True, unsafe_hash=True)
class Address:
    """Where a draw belongs: run id, global step index, draw number within the step (from 0)."""

    run: str
    step: int
    draw: int


def seed_key(seed: int, epoch: int = 0, branch: int = 0) -> bytes:
    """Return the key from which all seeds of one epoch and branch of a run are hashed."""
    return hashlib.blake2b(struct.pack("<QQQ", seed, epoch, branch), digest_size=32).digest()


def draw_seeds(key: bytes, step: int, block: int) -> tuple[int, ...]:
    """Return the 64-bit seeds of draws 8 block .. 8 block + 7 of a step: a hash of their address alone."""
    return _seeds(hashlib.blake2b(_seed_input(step, block), key=key).digest())


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

    def prompt(self, state: Any, step: int) -> str:
        """Return all that the model reads to decide this step."""
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


@dataclass(slots=True, frozen=True)
class Rules:
    """What judges may know of a task: how to read a reply, what is allowed, and what it leads to."""

    parse: Callable[[str], Any]
    legal: Callable[[Any, Any], bool] | None = None
    apply: Callable[[Any, Any], Any] | None = None
    agrees: Callable[[Any, Any], bool] | None = None

    @classmethod
    def of(cls, task: Task) -> Rules:
        """Return the rules of a task."""
        return cls(task.parse, task.legal, task.apply, getattr(task, "agrees", None))


@dataclass(slots=True)
class Reading:
    """What one text says: an answer and its vote key, or why it has none (the key is then None).

    legal: the rules allow it, None until asked. after: (the next state,) once applied. consistent: its
    claim fits that state. number: the text's place among the step's texts, None until it was judged;
    whole: the journal has it in full. passed: the finish reason and the tokens of a sample of this text that no flag
    spoke against.
    """

    answer: Any = None
    key: bytes | None = None
    fault: Exception | None = None
    legal: bool | None = None
    after: tuple[Any] | None = None
    consistent: bool | None = None
    number: int | None = None
    whole: bool = False
    passed: tuple[str | None, int | None] | None = None


@dataclass(slots=True)
class Step:
    """One decision, as flags see it. Distinct texts are parsed once; the results are kept here.

    index: global step number, from 0. state: treat it as immutable. token_cap: the most tokens a
    reply may have. long_answer: the tokens above which a reply counts as rambling. temperature: of the draws.
    """

    index: int
    state: Any
    rules: Rules
    token_cap: int = 1024
    long_answer: int = 750
    readings: dict[str | None, Reading] = field(default_factory=dict)
    temperature: float = 1.0

    def read(self, text: str | None) -> Reading:
        """Return what a text says; whatever the parser raises is kept as the reading's fault."""
        reading = self.readings.get(text)
        if reading is None:
            reading = self.readings[text] = self._parse(text)
        return reading

    def legal(self, text: str | None) -> bool:
        """Say whether the text's answer is allowed here. Raises TaskError when the task raises."""
        reading = self.read(text)
        return self.allows(reading) if reading.legal is None else reading.legal

    def allows(self, reading: Reading) -> bool:
        """Say whether a reading's answer is allowed here; the task is asked once."""
        if reading.legal is None:
            rule = self.rules.legal
            reading.legal = (
                rule is None
                or reading.key is None
                or bool(guarded(rule, self.index, "legal", self.state, reading.answer))
            )
        return reading.legal

    def after(self, reading: Reading) -> Any:
        """Return the state that a reading's answer leads to; the task applies it once."""
        if reading.after is None:
            assert self.rules.apply is not None, "only steps of a task have a next state"
            reading.after = (guarded(self.rules.apply, self.index, "apply", self.state, reading.answer),)
        return reading.after[0]

    def consistent(self, text: str | None) -> bool:
        """Say whether what a legal answer claims beside its action fits the state it leads to."""
        reading = self.read(text)
        if reading.consistent is None:
            agrees = self.rules.agrees
            reading.consistent = (
                agrees is None
                or reading.key is None
                or not self.allows(reading)
                or bool(guarded(agrees, self.index, "agrees", reading.answer, self.after(reading)))
            )
        return reading.consistent

    def _parse(self, text: str | None) -> Reading:
        if text is None:
            return Reading(fault=ValueError("the reply has no content"))
        if len(text) > MAX_CHARS_PER_TOKEN * self.token_cap:
            return Reading(fault=ValueError(f"{len(text)} characters are more than {self.token_cap} tokens"))
        try:
            answer = self.rules.parse(text)
        except Exception as error:  # noqa: BLE001 -- the one place where any parser trouble becomes a flag
            return Reading(fault=error.with_traceback(None))  # its frames would keep the whole wave alive
        try:
            return Reading(answer, canonical(answer))
        except (ValueError, RecursionError) as error:
            return Reading(fault=error.with_traceback(None))  # its frames would keep the whole wave alive
        except TypeError as error:
            raise TaskError(f"step {self.index}: parse returned an answer that cannot be counted: {error}") from None
