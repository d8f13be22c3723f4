"""Step -> Prompt: the text or the messages a model reads, their fingerprint, and equivalent ways to ask.

The engine takes the prompt as the task writes it. Its fingerprint (of the prompt of step 0) is part of the run's
own, so a changed template is noticed when a run is resumed.

Draws that ask in different views share less of a model's systematic error than draws of one text.

A prompt of several messages is text, too: its canonical JSON. So fingerprints, digests, journals and addresses need not
know of messages; only who sends a prompt looks.

Not covered: what a role means, and tokens, which belong to the model; whether views really are equivalent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from maker.errors import TaskError
from maker.task.canonical import DIGEST_SIZE, digest
from maker.task.task import Task, guarded


class _Message(BaseModel):
    """One message, as chat servers take it; fields beside these go with it as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: Annotated[str, StringConstraints(min_length=1)]
    content: str | list[dict[str, Any]] | None


_MESSAGES = TypeAdapter(list[_Message])
_MARKS = {"user": "Q: ", "assistant": "A: "}
_INSTRUCTING = ("system", "developer")  # roles of a message that says how to answer


class Messages(str):
    """A prompt of several messages. As a text it is their canonical JSON; `messages` are they themselves."""

    __slots__ = ("messages",)
    messages: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, given: object, whose: str) -> Self:
        """Read a list of messages: each with a role, and a content of text or parts; the rest as for `prompt_of`."""
        try:
            read = _MESSAGES.validate_python(given)
            told = [message.model_dump() for message in read]
            made = cls(json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False))
        except (ValidationError, TypeError, ValueError, RecursionError) as error:
            what = error.errors()[0] if isinstance(error, ValidationError) else None
            why = f"{'.'.join(map(str, what['loc']))}: {what['msg']}" if what else str(error)
            raise TaskError(f'{whose} a list, but not of {{"role": ..., "content": ...}}: {why}') from None
        if not told:
            raise TaskError(f"{whose} a list of no messages")
        made.messages = told
        return made

    @property
    def texts(self) -> Sequence[str]:
        """All that is said in words, in order."""
        parts = [part for message in self.messages for part in _parts(message["content"])]
        return [part for part in parts if isinstance(part, str)]


def _parts(content: Any) -> list[Any]:
    return [part.get("text") for part in content] if isinstance(content, list) else [content]


def messages_of(prompt: str) -> Sequence[Mapping[str, Any]]:
    """Return what a chat server is sent for a prompt: its messages, or the one message of a plain text."""
    return prompt.messages if isinstance(prompt, Messages) else ({"role": "user", "content": prompt},)


def words_in(prompt: str) -> str:
    """Return all that a prompt says in words: what a server of plain completions is sent.

    Where the model has turns of its own, as in examples, they are lines of Q: and A:, and the last one is for it to go
    on with.
    """
    if not isinstance(prompt, Messages):
        return prompt
    if all(message["role"] != "assistant" for message in prompt.messages):
        return "\n\n".join(prompt.texts)
    said = [(_MARKS.get(message["role"], ""), filter(None, _parts(message["content"]))) for message in prompt.messages]
    return "\n".join([*(mark + "\n".join(texts) for mark, texts in said), "A:"])


def prompt_of(given: object, whose: str) -> str:
    """Return what somebody gave as a prompt: text, or messages.

    whose: how the TaskError of anything else begins, such as "vote: the prompt is".
    """
    if isinstance(given, str) and given:
        return given
    if isinstance(given, (list, tuple)):
        return Messages.of(given, whose)
    said = "empty text" if given == "" else type(given).__name__
    raise TaskError(f"{whose} {said}, neither text nor messages")


def under(system: str | None, prompt: str, examples: Sequence[tuple[str, str]] = ()) -> str:
    """Return a prompt with a system message and examples, questions with their answers, before it; as it is without.

    Raises TaskError for messages that begin with a system message already, where another is given.
    """
    if system is None and not examples:
        return prompt
    told = messages_of(prompt)
    own = int(told[0]["role"] in _INSTRUCTING)
    if own and system is not None:
        raise TaskError(f"system: the messages begin with one of {told[0]['role']!r} already. Give one or the other.")
    first = [{"role": "system", "content": system}] if system is not None else told[:own]
    shown = [{"role": role, "content": said}
             for example in examples for role, said in zip(("user", "assistant"), example, strict=True)]  # fmt: skip
    return Messages.of([*first, *shown, *told[own:]], "system: the prompt is")


def followed(prompt: str, words: str) -> Any:
    """Return a prompt with more words at its end: of messages, in the last one."""
    if not isinstance(prompt, Messages):
        return prompt + words
    *before, last = prompt.messages
    content = last["content"]
    more = [*content, {"type": "text", "text": words}] if isinstance(content, list) else (content or "") + words
    return [*before, {**last, "content": more}]


def filled(template: str, values: Mapping[str, Any]) -> Any:
    """Return a template with its places filled in as `str.format` does; of messages, those in every text."""
    if not isinstance(template, Messages):
        return template.format(**values)
    told: list[dict[str, Any]] = []
    for message in template.messages:
        content = message["content"]
        if isinstance(content, str):
            content = content.format(**values)
        elif content is not None:
            content = [
                {**p, "text": p["text"].format(**values)} if isinstance(p.get("text"), str) else p for p in content
            ]
        told.append({**message, "content": content})
    return told


@dataclass(slots=True, frozen=True)
class View:
    """One way to ask: `prompt` (text or messages), and `back`: a reply to it -> a reply to the task's own prompt.

    A reply that `back` cannot read it returns as it is, or raises: the red flags then see it as it was written.
    """

    prompt: str
    back: Callable[[str], str]


def render(task: Task, state: Any, step: int) -> str:
    """Return the prompt of a step. Raises TaskError when the task raises or gives no prompt."""
    return prompt_of(guarded(task.prompt, step, "prompt", state, step), f"step {step}: prompt returned")


def views(task: Task, state: Any, step: int) -> Sequence[View]:
    """Return the ways to ask about a step, at least one. Raises TaskError when the task raises or has none."""
    make = getattr(task, "paraphrases", None)
    if make is None:
        raise TaskError("paraphrase: this task has no paraphrases(state, step). Run it without --paraphrase.")
    found = guarded(make, step, "paraphrases", state, step)
    if not found or not all(isinstance(view, View) for view in found):
        raise TaskError(f"step {step}: paraphrases must return a list of maker.View, at least one. Mend the task.")
    whose = f"step {step}: the prompt of a view is"
    return [v if isinstance(v.prompt, str) else replace(v, prompt=prompt_of(v.prompt, whose)) for v in found]


def wordings(prompts: Sequence[object], whose: str) -> list[View]:
    """Return views of one question asked in several wordings, whose replies need no way back."""
    return [View(prompt_of(prompt, whose), str) for prompt in prompts]


def fingerprint(text: str) -> str:
    """Return 32 hex digits that stand for a prompt."""
    return digest(text.encode("utf-8", "surrogatepass")).hex()


def fingerprint_of_all(prompts: Iterable[str]) -> str:
    """Return 32 hex digits that stand for many prompts in their order."""
    made = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for prompt in prompts:
        text = prompt.encode("utf-8", "surrogatepass")
        made.update(b"%d:" % len(text) + text)
    return made.hexdigest()
