"""Comparisons of two numbers, asked of a language model in several ways.

A step is one of the sorting task's in its design `questions`: which of two numbers is smaller, after two examples.
Small language models can do it and err at it, each in its own way: many prefer a place. In half of the pairs the
smaller number comes first.

Not covered: what is made of the replies (`alike.py`, `decorrelation.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.engine.ladder.rungs import WARMER
from maker.experiments.kit.speaker import Speaker
from maker.task.load import load_task
from maker.task.prompt import messages_of, prompt_of, under, views

PERSONAS = (
    "You are a careful accountant.", "You are a chess player who checks each move twice.",
    "You are a teacher who follows rules to the letter.", "You are a clerk who copies without a slip.",
)  # fmt: skip
TOKENS = 16  # of a reply; a right one has three or four
OWN, WARM, PARTNER = "own", "warm", "partner"  # who is asked


@dataclass(slots=True, frozen=True)
class Part:
    """A share of the draws of one way: who is asked, and how a task's first prompt is put."""

    who: str
    put: Callable[[Any], str]


def ways(*, pool: bool) -> dict[str, list[Part]]:
    """Return the ways of asking, each as the parts that its draws are shared among. pool: with a partner, too."""
    plain = Part(OWN, _plain)
    found = {
        "plain": [plain],
        "plain, once more": [plain],
        f"warmer by {WARMER:g}": [Part(WARM, _plain)],
        "other words": [Part(OWN, partial(_view, at)) for at in range(2)],
        "personas": [Part(OWN, partial(_persona, line)) for line in PERSONAS],
        "examples, in either order": [plain, Part(OWN, _exchanged)],
    }
    if pool:
        found["partner alone"] = [Part(PARTNER, _plain)]
        found["pool of two"] = [plain, Part(PARTNER, _plain)]
    return found


def _plain(task: Any) -> str:
    return prompt_of(task.prompt(task.initial_state(), 0), "a step's prompt is")


def _view(at: int, task: Any) -> str:
    return views(task, task.initial_state(), 0)[at].prompt


def _persona(line: str, task: Any) -> str:
    return under(line, _plain(task))


def _exchanged(task: Any) -> str:
    """Return the prompt with its two examples in the other order; each is a question and its answer."""
    told = messages_of(_plain(task))
    return prompt_of([*told[2:4], *told[:2], *told[4:]], "a step's prompt is")


def tasks(n: int, seed: int) -> list[Any]:
    """Return n comparisons of random numbers of three digits, the smaller one first in every other one."""
    drawn = random.Random(seed)  # noqa: S311 -- data of an exercise, not a secret
    pairs = [sorted(drawn.sample(range(100, 1000), 2)) for _ in range(n)]
    numbers = [pair if at % 2 == 0 else pair[::-1] for at, pair in enumerate(pairs)]
    return [load_task("sorting", numbers=pair, design="questions") for pair in numbers]


def step_of(task: Any) -> Step:
    """Return the comparison as judges may see it."""
    return Step(0, task.initial_state(), Rules.of(task))


@contextmanager
def speakers(model: str, partner: str | None, temperature: float, seed: int) -> Iterator[dict[str, Speaker]]:
    """Hold those who are asked: the model, the model when it is warmer, and a partner at the model's temperature."""
    with ExitStack() as stack:
        held = {
            OWN: stack.enter_context(Speaker(model, temperature, seed)),
            WARM: stack.enter_context(Speaker(model, temperature + WARMER, seed)),
        }
        if partner is not None:
            held[PARTNER] = stack.enter_context(Speaker(partner, temperature, seed))
        yield held


def replies(asked: Mapping[str, Speaker], task: Any, parts: Sequence[Part], draws: int) -> list[Sample]:
    """Ask one comparison so often, in all parts of a way equally; what was asked before is drawn anew."""
    each = draws // len(parts)
    return [sample for part in parts for sample in asked[part.who].replies([part.put(task)] * each, [TOKENS] * each)]
