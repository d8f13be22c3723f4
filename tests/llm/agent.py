"""An agent with a tool, pointed at `maker serve`: a framework's own, of which only the address is changed.

    python tests/llm/agent.py [SERVER#MODEL]

Needs `pip install 'pydantic-ai-slim[openai]'`. Each decision of the agent is voted on with k = 3, by both of the routes
that the framework speaks. Without a server it asks a scripted one, which gets one call in four wrong: a real model has
to make calls in its server's own form, which few small ones do. Leaves with 1 unless the tool was called with the right
argument and the agent ended in words. No part of the test suite.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from maker.serving.voting import Rules
from maker.testing import FaultServer, Reply
from proxied import proxied

STOCK = {"bolts": 40, "nuts": 12}


def scripted(received: Any) -> Reply:
    """Ask for the nuts, now and then for what there is not; say the number once it is known."""
    last = received.body["messages"][-1]
    if last["role"] == "tool":
        return Reply(f"There are {last['content']} nuts.")
    item = "washers" if received.number % 4 == 0 else "nuts"
    call = {"name": "in_stock", "arguments": f'{{"item": "{item}"}}'}
    made = {"id": f"call-{received.number}", "type": "function", "function": call}
    return Reply(message={"content": None, "tool_calls": [made]}, finish="tool_calls")


def asked(kind: type[OpenAIChatModel] | type[OpenAIResponsesModel], address: str) -> bool:
    """Let the agent answer a question by one route; say whether it went as it should."""
    model = kind("m", provider=OpenAIProvider(base_url=address, api_key="any"))  # the one line
    agent = Agent(model, instructions="Answer from the stock alone. Look it up with in_stock.")
    called: list[str] = []

    @agent.tool_plain
    def in_stock(item: str) -> int:
        """Return how many of an item there are."""
        called.append(item)
        return STOCK.get(item, 0)

    said = agent.run_sync("How many nuts do we have?").output
    print(f"{kind.__name__}: called with {called}, said {said!r}", flush=True)
    return called == ["nuts"] and "12" in said


def main() -> None:
    """Ask by both routes."""
    named = sys.argv[1] if len(sys.argv) > 1 else None
    with FaultServer(scripted) if named is None else nullcontext() as server:
        upstream = named or server.spec("m")
        with proxied(upstream, Rules(k=3)) as address:
            went = [asked(kind, address) for kind in (OpenAIChatModel, OpenAIResponsesModel)]
    sys.exit(not all(went))


if __name__ == "__main__":
    main()
