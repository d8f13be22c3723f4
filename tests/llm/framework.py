"""An agent framework pointed at `maker serve`: its own agent, of which only the address is changed.

    python tests/llm/framework.py [qwen-0.5b | qwen-1.5b | FILE.gguf]

Needs `pip install 'pydantic-ai-slim[openai]'`. Leaves with 1 unless every answer was voted on and has its type. No
part of the test suite.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from weights import PARTS, weights

from llama_server import serving
from maker.serving.voting import Rules
from proxied import proxied

CITIES = ("Paris", "Rome", "Cairo", "Tokyo")


class Place(BaseModel):
    """Where a city is."""

    city: str
    country: str


def main() -> None:
    """Ask about some cities."""
    name = sys.argv[1] if len(sys.argv) > 1 else "qwen-0.5b"
    file = weights(name) if name in PARTS else Path(name)
    with serving(file, 4, 1024) as upstream, proxied(f"{upstream}/v1#m", Rules(k=3)) as address:
        model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=address, api_key="any"))  # the one line
        agent = Agent(model, output_type=NativeOutput(Place), instructions="Name the city and its country.")
        found = []
        for city in CITIES:
            found.append(agent.run_sync(f"Where is {city}?").output)
            print(repr(found[-1]), flush=True)
        told = Agent(model, instructions="Answer in one word.").run_sync("Say hello.").output
    print(f"prose: {told!r}")
    sys.exit(not (all(isinstance(place, Place) for place in found) and told))


if __name__ == "__main__":
    main()
