"""An agent loop: each call of a tool is voted on, each decision journaled, so that a crash pays for nothing twice.

    python agent_loop.py stock.db http://127.0.0.1:8080/v1#NAME

These tools only read; one that changes the world has to bear being called again after a crash.
"""

import itertools
import json
import sys
from typing import Any

import maker

STOCK = {"bolts": 40, "nuts": 12, "washers": 90}


def look_up(item: str) -> int:
    """Return how many of an item there are: bolts, nuts or washers."""
    return STOCK.get(item, 0)


def price(item: str, count: int) -> float:
    """Return what so many of an item cost."""
    return 0.25 * count


LIMITS = {"max_calls": 200}  # of all that the journal holds
journal, model = sys.argv[1:]
messages: list[dict[str, Any]] = [{"role": "user", "content": "What do the nuts cost that are missing to have 50?"}]
for turn in itertools.count():
    verdict = maker.vote_sync(messages, model=model, tools=[look_up, price], journal=journal, step=turn, limits=LIMITS)
    messages.append(verdict.answer.message)
    for call in verdict.calls:
        result = {"look_up": look_up, "price": price}[call.name](**call.arguments)
        print(f"{call.name} {call.arguments} -> {result}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    if not verdict.calls:
        print(verdict.answer.text)
        break
