"""Classify a text into a pydantic answer: fields, allowed values and types are checked before anything counts."""

from typing import Literal

from pydantic import BaseModel, Field

import maker
from maker.testing import ScriptedModel


class Ticket(BaseModel):
    """What to know about a message from a customer."""

    topic: Literal["billing", "delivery", "other"]
    urgent: bool
    stars: int = Field(ge=1, le=5)


# A stand-in that errs now and then; put the model you use in its place, such as "openai:gpt-4.1-mini".
model = ScriptedModel([
    '{"topic": "delivery", "urgent": true, "stars": 1}',
    '{"topic": "delivery", "urgent": true, "stars": 0}',  # no such number of stars: flagged
    '{"urgent": true, "stars": 1, "topic": "delivery"}',  # the same answer
    '{"topic": "shipping", "urgent": true, "stars": 1}',  # no such topic: flagged
    '{"topic": "billing", "urgent": true, "stars": 1}',
    "Sure! The topic is delivery.",  # no JSON: flagged
    '{"topic": "delivery", "urgent": true, "stars": 1}',
    '{"topic": "delivery", "urgent": true, "stars": 1}',
])  # fmt: skip


@maker.reliable(model=model, k=3)
def classify(message: str) -> Ticket:
    """Read this message from a customer and answer with one JSON object, {{"topic", "urgent", "stars"}}.

    {message}
    """


verdict = classify.verdict("Third week without my parcel. Where is it?!")
print(verdict.answer)
print(f"{verdict.samples} samples, {verdict.flagged} flagged, votes {list(verdict.votes.values())}")
