"""Thought and answer, told apart once: only the answer is read, flagged and voted on.

Models that reason send their thoughts in a field of their own, as parts of another type, or in the text itself: between
tags, of which the opening one may be missing because it stood in the prompt's template, or in channels.

Tags count at the start of a text alone, and a closing tag only where none was opened: an answer that speaks of a tag in
its middle, or quotes it, stays as it is. A thought that was opened lasts to the last closing tag, so that no part of
it can pass for the answer; one that does not end has no answer after it. Marks of the answer that follows a thought,
and the mark of the end of a turn, are taken off, too.

Not covered: thoughts that nothing marks, but that a reply was cut off before any word of an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from maker.decision.sample import Sample

ROOM = 16_384  # tokens for the thoughts of a model that thinks, beside those for its answer
_FIELDS = ("reasoning_content", "reasoning", "thinking")  # of a message
_NO_FIELD = frozenset(_FIELDS).isdisjoint
_TYPES = frozenset({"thinking", "reasoning", "reasoning_content", "redacted_thinking"})  # of a part of its content
_NAMES = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_OPENING = rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|(?:begin_of_thought|START_THINKING)\|>"
_OPEN = re.compile(rf"\s*(?:{_OPENING})", re.I)
_ANY_OPEN = re.compile(_OPENING, re.I)
_CLOSE = re.compile(rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|(?:end_of_thought|END_THINKING)\|>", re.I)
# What some models put round the answer that follows a thought.
_ROUND = re.compile(
    r"<(?P<tag>answer|response)>(?P<told>.*)</(?P=tag)>|<\|(?:begin_of_solution|START_RESPONSE)\|>(?P<said>.*?)"
    r"(?:<\|(?:end_of_solution|END_RESPONSE)\|>)?", re.S
)  # fmt: skip
# The end of a turn, which a server should have kept for itself.
_TURN = tuple(f"<|{name}|>" for name in ("im_end", "eot_id", "eom_id", "endoftext", "end_of_text", "end", "return"))
_TURN += ("<end_of_turn>", "</s>")
# Channels whose marks a server has taken out and whose names it has left in.
_NAMED = re.compile(r"analysis(?P<thought>.*?)assistantfinal(?P<told>.*)", re.S)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
_MARK = re.compile(r"<\|(?:end|return|start|channel|message|call)\|>")
_FINAL = "final"


@dataclass(slots=True)  # one for every reply: frozen, it would take thrice as long to make
class Said:
    """What a reply says: its answer, None for none, and the thought before it. unclosed: the thought did not end."""

    text: str | None
    thought: str | None = None
    unclosed: bool = False


def said_in(message: dict[str, Any]) -> Said:
    """Return what a message says, its thought apart."""
    content = message.get("content")
    if type(content) is str and _NO_FIELD(message):  # nearly always
        return parted(content)
    thoughts = [value for value in map(message.get, _FIELDS) if isinstance(value, str) and value.strip()][:1]
    if isinstance(content, list):
        thoughts += [words for part in content if _is_thought(part) and (words := _words(part))]
        content = [part for part in content if not _is_thought(part)]
    text = text_of(content)
    said = Said(None) if text is None else parted(text)
    if said.thought:
        thoughts.append(said.thought)
    return Said(said.text, "\n".join(thoughts) or None, said.unclosed)


def apart(sample: Sample) -> Sample:
    """Return a reply of a model that thinks, with what its answer cannot have taken counted as thought.

    A token has a byte or more: what the server does not tell apart is thought as far as it exceeds the answer's bytes.
    """
    if sample.tokens_reasoning is not None or sample.tokens_out is None:
        return sample
    return replace(sample, tokens_reasoning=max(0, sample.tokens_out - bytes_in(sample.text)) or None)


def bytes_in(text: str | None) -> int:
    """Return the bytes of a text."""
    return len((text or "").encode("utf-8", "surrogatepass"))


def text_of(content: Any) -> str | None:
    """Return the text of a content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else None


def parted(text: str) -> Said:
    """Return a text with the thought at its start taken off."""
    if "<" not in text and "[" not in text and "◁" not in text:
        named = _NAMED.fullmatch(text) if text.startswith("analysis") else None
        return Said(text) if named is None else Said(named["told"].strip(), named["thought"].strip() or None)
    text = _of_one_turn(text)
    if "<|channel|>" in text:
        return _channels(text)
    opening, closing = _OPEN.match(text), None
    if opening is not None or _CLOSE.search(text):
        closing = _lone(text) if opening is None else _last(text)
    if closing is not None:
        thought = text[opening.end() if opening else 0 : closing.start()]
        return Said(_bare(text[closing.end() :].lstrip()), thought.strip() or None)
    return Said(text) if opening is None else Said(None, text[opening.end() :].strip() or None, unclosed=True)


def _of_one_turn(text: str) -> str:
    """Return a text without the mark that ends a turn, where one is at its end."""
    told = text.rstrip()
    mark = next((mark for mark in _TURN if told.endswith(mark)), None)
    if mark is None or (mark == "</s>" and "<s>" in told):  # struck out
        return text
    return told[: -len(mark)].rstrip()


def _bare(answer: str) -> str:
    """Return the answer after a thought without what stands round all of it."""
    found = _ROUND.fullmatch(answer.rstrip())
    return answer if found is None else (found["told"] or found["said"] or "").strip()


def _last(text: str) -> re.Match[str] | None:
    """Return the last closing tag, found in steps between which others get their turn."""
    found = None
    for found in _CLOSE.finditer(text):  # noqa: B007 -- the last one stays
        pass
    return found


def _lone(text: str) -> re.Match[str] | None:
    """Return the closing tag of a thought that was opened before the text; None where it is quoted or not alone."""
    closing = list(islice(_CLOSE.finditer(text), 2))
    if len(closing) != 1 or _ANY_OPEN.search(text):
        return None
    quoted = text[: closing[0].start()].count("`") % 2
    return None if quoted else closing[0]


def _channels(text: str) -> Said:
    """Return the final channel of a text, and what the others hold as its thought."""
    marks = [mark for mark in _CHANNEL.finditer(text)]  # noqa: C416 -- unlike list(), it gives others their turn
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    parts = [(mark[1], _MARK.split(text[mark.end() : end])[0].strip()) for mark, end in zip(marks, ends, strict=True)]
    answers = [words for name, words in parts if name == _FINAL]
    thought = "\n".join(words for name, words in parts if name != _FINAL) or None
    return Said(answers[-1], thought) if answers else Said(None, thought or text, unclosed=True)


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _TYPES


def _words(part: dict[str, Any]) -> str:
    """Return the words of a part that holds a thought: text, or a list of parts with text."""
    told = next((part[name] for name in ("thinking", "reasoning", "text", "content") if part.get(name)), "")
    return text_of(told) or ""
