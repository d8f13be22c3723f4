"""A red flag of your own: a reply that hedges has no vote, and is drawn again.

A flag is a callable (sample, step, earlier samples) -> RedFlag or None. It sees no right answer.
"""

import re
from collections.abc import Sequence

import maker
from maker import Sample, flags
from maker.testing import ScriptedModel

HEDGE = re.compile(r"\b(maybe|probably|i think|not sure)\b", re.IGNORECASE)


def hedging(sample: Sample, step: maker.Step, earlier: Sequence[Sample]) -> maker.RedFlag | None:
    """Flag a reply that doubts itself; a guess is wrong more often than a plain answer."""
    found = HEDGE.search(sample.text or "")
    return maker.RedFlag("hedging", f"says {found[0]!r}") if found else None


def last_word(text: str) -> str:
    """Return the answer that a reply ends with."""
    return text.rsplit(maxsplit=1)[-1].strip(".?")


# A stand-in that is wrong when it hedges; put the model you use in its place.
model = ScriptedModel([
    "Probably Sydney.", "I think it is Sydney.", "Canberra.", "Maybe Sydney?", "Not sure, maybe Sydney.",
    "The capital is Canberra.", "Sydney.", "Canberra", "It is Canberra.",
])  # fmt: skip
question = "What is the capital of Australia? End with its name."

for name, chain in (("default flags", None), ("with hedging", [hedging, *flags.DEFAULT])):
    verdict = maker.vote_sync(question, model=model, k=3, parse=last_word, flags=chain)
    print(f"{name}: {verdict.answer}, {verdict.samples} samples, votes {verdict.votes}, flags {dict(verdict.flags)}")
