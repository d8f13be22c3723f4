"""A voting node in an agent loop, without any framework: only an action that is three votes ahead is carried out."""

import asyncio
import json
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

import maker
from maker import Request, Sample

STOCK = {"bolts": 40, "nuts": 12, "washers": 90}


class Action(BaseModel):
    """What the agent does next."""

    tool: Literal["look_up", "order", "finish"]
    item: str = ""
    count: int = 0


class Clerk:
    """A stand-in that errs one time in five; put the model you use in its place."""

    name, simulated, lockstep = "clerk", True, True

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        return [Sample(self.choose(json.loads(r.prompt.splitlines()[-1]), r.seed)) for r in requests]

    def choose(self, seen: dict[str, int], seed: int) -> str:
        missing = [item for item in STOCK if item not in seen] + ["bolts"] * (seed % 5 == 0)
        low = [item for item, count in seen.items() if count < 50]
        if len(seen) < len(STOCK):
            return Action(tool="look_up", item=missing[-1]).model_dump_json()
        return Action(tool="order", item=low[0], count=50).model_dump_json() if low else '{"tool": "finish"}'


@maker.reliable(model=Clerk(), k=3)
async def decide(seen: str) -> Action:
    """Keep at least 50 of each of bolts, nuts and washers. Look a count up, order 50 more, or finish.

    Answer with one JSON object: tool, item, count. What you know so far:
    {seen}
    """


async def agent() -> dict[str, int]:
    """Decide and act until there is nothing left to do; return what is known then."""
    seen: dict[str, int] = {}
    while (action := await decide(json.dumps(seen))).tool != "finish":
        seen[action.item] = STOCK[action.item] = STOCK[action.item] + action.count
        print(f"{action.tool} {action.item} {action.count or ''}".rstrip())
    return seen


print(asyncio.run(agent()))
