"""The four roles of the general solver: what each is asked, and how its reply is read.

A role sees its own `state` and nothing else, and answers with one JSON object:

    decomposer            {"split": {"p1": ..., "p2": ..., "compose": ...}}, or {"split": null}: atomic
    decomposition judge   {"choice": n}: the number of the right candidate, 0 for none
    solver                {"answer": "..."}
    solution judge        {"choice": n}

A prompt ends with a line of JSON that holds the state, so that commas, brackets and line breaks in
a problem cannot be taken for the format. Replies are JSON and nothing else: unknown, missing and
repeated keys are refused, text must not be blank, and space around it does not count.

Not covered: whether two texts mean the same. Candidates are told apart by their canonical JSON.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from maker.task.lines import strict_json
from maker.task.prompt import View

DECOMPOSER, DECOMPOSITION_JUDGE, SOLVER, SOLUTION_JUDGE = range(4)
ROLES = ("decomposer", "decomposition judge", "solver", "solution judge")


def _not_blank(text: str) -> str:
    if not text:
        raise ValueError("the text is blank")
    return text


# Not min_length: strict servers refuse a schema with it.
_Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_not_blank)]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Split(_Reply):
    """Two subproblems that can be solved apart, and how the answer follows from theirs."""

    p1: _Text
    p2: _Text
    compose: _Text


class Proposal(_Reply):
    """What a decomposer says; `split` None means that the problem is atomic."""

    split: Split | None


class Answer(_Reply):
    """What a solver says."""

    answer: _Text


class Choice(_Reply):
    """What a judge says: the number of a candidate, or 0."""

    choice: int


REPLIES: tuple[type[_Reply], ...] = (Proposal, Choice, Answer, Choice)
SCHEMAS: tuple[dict[str, Any], ...] = tuple(reply.model_json_schema() for reply in REPLIES)

_REFUSED = " What is listed as refused was judged wrong: give something else."
_ALONE = " Answer with one JSON object and nothing else: "
_CHOICE = _ALONE + '{"choice": 1} with the number of the right candidate, or {"choice": 0} if none is right.'
_ASKS = (
    "Split the problem below into two easier problems, or say that it is simple enough to be answered at once. "
    "Each of the two will be given to someone who sees its text alone, not this problem and not the other one: "
    "write down all that is needed, and let neither use the other's answer. Say how the answer of the problem "
    "follows from answer1 and answer2." + _ALONE +
    '{"split": {"p1": "...", "p2": "...", "compose": "..."}}, or {"split": null} if it needs no splitting.',
    "Someone proposed ways to split the problem below into p1 and p2. A right one has two parts that can each be "
    "understood and solved alone, and its compose gives the right answer from theirs; null says that the problem "
    "is simple enough to be answered at once. Find the right candidate; if several are right, the simplest." + _CHOICE,
    "Answer the problem below. If it has parts, they are solved already: follow compose, with their answers as "
    "answer1 and answer2. Give the final answer alone, in its shortest form." + _ALONE + '{"answer": "..."}',
    "Someone proposed answers to the problem below. If it has parts, the answer follows from answer1 and answer2 "
    "as compose says. Work it out and find the right candidate." + _CHOICE,
)  # fmt: skip


def prompt(state: dict[str, Any]) -> str:
    """Return all that a role reads: what it is asked, and its state as the last line."""
    ask = _ASKS[ROLES.index(state["role"])] + (_REFUSED if state.get("refused") else "")
    return f"{ask}\n\n{json.dumps(state)}"


def templates() -> str:
    """Return what is the same in all prompts, for the fingerprint of a run."""
    return json.dumps([_ASKS, _REFUSED, SCHEMAS])


def read(role: int, text: str) -> dict[str, Any]:
    """Return a reply to a role as plain values. Raises ValueError for anything but the one object asked for."""
    strict_json(text)
    try:
        return REPLIES[role].model_validate_json(text).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the reply'}: {first['msg']}") from None


def legal(state: dict[str, Any], reply: dict[str, Any]) -> bool:
    """Say whether a reply is possible: it chooses what there is, is not refused, and makes the problem smaller."""
    if "candidates" in state:
        return bool(0 <= reply["choice"] <= len(state["candidates"]))
    split = reply.get("split")
    if split is not None and state["problem"] in (split["p1"], split["p2"]):
        return False
    return reply not in state["refused"]


def views(state: dict[str, Any]) -> list[View]:
    """Return a judge's question in as many orders as there are candidates.

    Draw d sees them turned by d places: who chooses by place alone votes for each in turn.
    """
    candidates = [candidate["proposal"] for candidate in state["candidates"]]
    count = len(candidates)
    return [
        View(
            prompt({**state, "candidates": numbered(candidates[turn:] + candidates[:turn])}),
            partial(_back, turn, count),
        )
        for turn in range(count)
    ]


def numbered(candidates: list[Any]) -> list[dict[str, Any]]:
    """Return candidates as a judge sees them, numbered from 1."""
    return [{"number": number, "proposal": candidate} for number, candidate in enumerate(candidates, 1)]


def _back(turn: int, count: int, text: str) -> str:
    """Return a reply with the number that its choice has in the first order; one out of range stays as it is."""
    choice = read(DECOMPOSITION_JUDGE, text)["choice"]
    if not 1 <= choice <= count:
        return text
    return json.dumps({"choice": (choice - 1 + turn) % count + 1})
