"""One round of sampling of one step, as a value: what the journal keeps of it, and of each sample.

The answers of a step are its candidates, numbered as they first appear. A text is stored once a step, in full or as
its digest. A candidate's first text is always stored in full, because replay reads the winning answer from it.

Not covered: its bytes (`journal/records.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from maker.decision.sample import Sample
from maker.task.canonical import digest

FLAGGED = -1
UNKNOWN_TOKENS = 0xFFFFFFFF


@dataclass(slots=True)
class Wave:
    """One round of sampling of one step.

    draws: for each draw, flat, candidate or FLAGGED, text number, tokens in, tokens out.
    texts: new texts, numbered on from the step's earlier waves: (True, the text) or (False, its digest).
    extras: facts about single draws, by position in the wave: flag, finish reason, id and the like.
    verdict: (winning candidate, step hash, state digest) when this wave decided the step.
    """

    step: int
    first: int
    draws: list[int] = field(default_factory=list)
    texts: list[tuple[bool, bytes]] = field(default_factory=list)
    extras: dict[int, dict[str, Any]] = field(default_factory=dict)
    verdict: tuple[int, bytes, bytes] | None = None

    def __len__(self) -> int:
        return len(self.draws) // 4


def encode_text(text: str, full: bool) -> tuple[bool, bytes]:
    """Return a text as it is stored: whole, or its digest."""
    raw = text.encode("utf-8", "surrogatepass")
    return (True, raw) if full else (False, digest(raw))


_index = struct.Struct("<Q").pack


def step_hash(step: int, key: bytes, state_digest: bytes) -> bytes:
    """Return the hash of one decision: step index, canonical winning answer, digest of the next state."""
    return digest(_index(step) + state_digest + key)


def counted(tokens: int | None) -> int:
    """Return a token count as a wave holds it."""
    return UNKNOWN_TOKENS if tokens is None or not 0 <= tokens < UNKNOWN_TOKENS else tokens


def known(tokens: int) -> int | None:
    """Return a token count of a wave, None where the model did not say."""
    return None if tokens == UNKNOWN_TOKENS else tokens


_IN_FACTS = ("id", "logprob", "model", "latency", "fingerprint", "cached", "thought", "thought_tokens", "source")
_IN_RECEIPT = tuple(field.name for field in fields(Sample))


def facts_of(sample: Sample, *, whole: bool) -> dict[str, Any]:
    """Return what a wave keeps of a sample beside its text and tokens; nothing for a plain one.

    whole: all that the server said of it, not only what a vote or a replay needs.
    """
    facts: dict[str, Any] = {}  # field by field, here and in `tell`: half the time of `getattr`, for every call
    if sample.text is None:
        facts["silent"] = True
    if sample.finish_reason != "stop":
        facts["finish"] = sample.finish_reason
    if sample.tokens_reasoning is not None:
        facts["thought_tokens"] = sample.tokens_reasoning
    if sample.reasoning is not None:
        thought = sample.reasoning
        facts["thought"] = thought if whole else digest(thought.encode("utf-8", "surrogatepass")).hex()
    if not whole:
        return facts
    if sample.response_id is not None:
        facts["id"] = sample.response_id
    if sample.logprob is not None:
        facts["logprob"] = sample.logprob
    if sample.model is not None:
        facts["model"] = sample.model
    if sample.latency is not None:
        facts["latency"] = sample.latency
    if sample.source is not None:
        facts["source"] = sample.source
    return facts


def sample_of(text: str | None, tokens_in: int, tokens_out: int, facts: Mapping[str, Any]) -> Sample:
    """Return a sample of a wave; text: None where there was none, or the journal has only its digest."""
    return Sample(text, known(tokens_in), known(tokens_out), facts.get("finish", "stop"), *map(facts.get, _IN_FACTS))


def tell(sample: Sample, note: dict[str, Any]) -> None:  # noqa: PLR0912 -- a loop with `getattr` takes twice as long
    """Put into a receipt all that is known of its sample."""
    if sample.text is not None:
        note["text"] = sample.text
    if sample.tokens_in is not None:
        note["tokens_in"] = sample.tokens_in
    if sample.tokens_out is not None:
        note["tokens_out"] = sample.tokens_out
    if sample.finish_reason is not None:
        note["finish_reason"] = sample.finish_reason
    if sample.response_id is not None:
        note["response_id"] = sample.response_id
    if sample.logprob is not None:
        note["logprob"] = sample.logprob
    if sample.model is not None:
        note["model"] = sample.model
    if sample.latency is not None:
        note["latency"] = sample.latency
    if sample.fingerprint is not None:
        note["fingerprint"] = sample.fingerprint
    if sample.cached is not None:
        note["cached"] = sample.cached
    if sample.reasoning is not None:
        note["reasoning"] = sample.reasoning
    if sample.tokens_reasoning is not None:
        note["tokens_reasoning"] = sample.tokens_reasoning
    if sample.source is not None:
        note["source"] = sample.source
    if sample.cost is not None:
        note["cost"] = sample.cost


def received(note: Mapping[str, Any]) -> Sample:
    """Return the sample of a receipt."""
    return Sample(*map(note.get, _IN_RECEIPT))
