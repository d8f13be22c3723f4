"""One decision, as flags and votes may see it.

`Rules` is the wall between the task and those who judge: no red flag and no vote can reach `truth`. Only what `parse`
raises is a reply's fault, and becomes a `Reading` without an answer; all else of the task's that raises is a TaskError.

Not covered: what is made of a reading (`flags.py`, `poll.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maker.errors import TaskError
from maker.task.canonical import canonical
from maker.task.task import Task, guarded

MAX_CHARS_PER_TOKEN = 64  # no tokenizer writes more; longer texts are not worth parsing


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
