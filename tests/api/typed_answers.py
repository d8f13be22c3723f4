"""What a type checker knows of an answer: checked by mypy, never run."""

from __future__ import annotations

from typing import Any, Literal, assert_type

from pydantic import BaseModel

import maker
from maker.testing import ScriptedModel

model = ScriptedModel(["1"])


class Point(BaseModel):
    """An answer."""

    x: int


def parse(text: str) -> tuple[int, int]:
    """Read a pair."""
    left, right = text.split()
    return int(left), int(right)


def question(item: int) -> str:
    """Ask about a number."""
    return f"{item}?"


async def answer(prompt: str) -> str:
    """Answer, as a model."""
    return prompt


async def votes() -> None:
    """Ask: a verdict knows its answer."""
    assert_type(await maker.vote("?", model=model), maker.Verdict[str])
    assert_type(await maker.vote("?", model=model, answer=int, k=5), maker.Verdict[int])
    assert_type(await maker.vote("?", model=model, answer=list[int]), maker.Verdict[list[int]])
    assert_type(await maker.vote("?", model=model, answer=Point, key=lambda point: point.x), maker.Verdict[Point])
    assert_type(await maker.vote("?", model=model, parse=parse), maker.Verdict[tuple[int, int]])
    assert_type(await maker.vote("?", model=model, answer=Literal["a", "b"]), maker.Verdict[Any])
    assert_type(maker.vote_sync("?", model=model, answer=Point, seed=3), maker.Verdict[Point])
    assert_type(maker.vote_sync("?", model=model).answer, str)
    assert_type(maker.vote_sync("?", model="openai:gpt-5").answer, str)
    assert_type(maker.vote_sync("?", model=answer).answer, str)
    assert_type(maker.vote_sync("?", model=lambda prompt: "1").answer, str)


async def maps() -> None:
    """Ask about many items: verdicts know their answers."""
    assert_type(await maker.map("{item}?", [1, 2], model=model), maker.Verdicts[str])
    assert_type(await maker.map(question, [1, 2], model=model, answer=Point, journal="a.db"), maker.Verdicts[Point])
    assert_type(
        maker.map_sync(question, [1, 2], model=model, parse=parse, concurrency=4), maker.Verdicts[tuple[int, int]]
    )
    verdicts = maker.map_sync("{item}?", ["a", "b"], model=model, answer=int)
    assert_type(verdicts[0], maker.Verdict[int])
    assert_type(next(verdicts.answers()), int)


@maker.reliable(model=model)
async def sentiment(review: str, *, strict: bool = False) -> Literal["good", "bad"]:
    """Is {review} good or bad? Strictly: {strict}."""
    raise NotImplementedError


@maker.reliable(model=model, k=2)
def double(number: int) -> int:
    """Double {number}."""
    raise NotImplementedError


async def functions() -> None:
    """Call decorated functions: their arguments and return types are their own."""
    assert_type(await sentiment("x", strict=True), Literal["good", "bad"])
    assert_type(await sentiment.verdict("x"), maker.Verdict[Literal["good", "bad"]])
    assert_type(double(2), int)
    assert_type(double.verdict(number=2), maker.Verdict[int])
    assert_type(double.prompt(2), str)
    double("2")  # type: ignore[arg-type]  # the arguments are checked too
    await sentiment("x", loud=True)  # type: ignore[call-arg]
    await maker.vote("?", model=model, kk=3)  # type: ignore[call-overload]
