"""Ask one question until one answer is three votes ahead: the smallest use of maker."""

from typing import Literal

import maker
from maker.testing import ScriptedModel

# A stand-in that errs now and then; put the model you use in its place.
model = ScriptedModel(["positive", "negative", "positive", "I'm sorry, I can't tell.", "positive", "positive"])

verdict = maker.vote_sync(
    "Is this review positive or negative? 'Works as promised.' Answer with one word.",
    model=model,
    answer=Literal["positive", "negative"],
    k=3,
)
print(verdict.answer, dict(verdict.votes.items()), f"{verdict.flagged} flagged")
