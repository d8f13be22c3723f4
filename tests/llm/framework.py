"""An agent framework pointed at `maker serve`: agents of its documentation, of which only the address is changed.

    python tests/llm/framework.py [qwen-0.5b | qwen-1.5b | FILE.gguf]

Needs `pip install 'pydantic-ai-slim[openai]'`. A record is asked for, and one of two records; each decision is voted
on with k = 3. Leaves with 1 unless every answer has the type that it should: a small model may be wrong, and is so
with one voice. No part of the test suite.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from weights import PARTS, weights

from llama_server import serving
from maker.serving.voting import Rules
from proxied import proxied


class CityLocation(BaseModel):
    """A city and its country."""

    city: str
    country: str


class Fruit(BaseModel):
    """A fruit."""

    name: str
    color: str


class Vehicle(BaseModel):
    """A vehicle."""

    name: str
    wheels: int


ASKED: tuple[tuple[str, Any, type[BaseModel]], ...] = (
    ("Where were the olympics held in 2012?", NativeOutput(CityLocation), CityLocation),
    ("What is a Ford Explorer?", NativeOutput([Fruit, Vehicle], name="fruit_or_vehicle"), Vehicle),
    ("What is a banana?", NativeOutput([Fruit, Vehicle], name="fruit_or_vehicle"), Fruit),
)


def main() -> None:
    """Ask the documentation's questions, and one in prose."""
    name = sys.argv[1] if len(sys.argv) > 1 else "qwen-0.5b"
    file = weights(name) if name in PARTS else Path(name)
    right = 0
    with serving(file, 4, 1024) as upstream, proxied(f"{upstream}/v1#m", Rules(k=3)) as address:
        model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=address, api_key="any"))  # the one line
        for question, output, wanted in ASKED:
            try:
                found = Agent(model, output_type=output).run_sync(question).output
            except Exception as error:  # said, and counted as not right
                found = error
            right += isinstance(found, wanted)
            print(f"{question} {found!r}", flush=True)
        told = Agent(model, instructions="Answer in one word.").run_sync("Say hello.").output
    print(f"prose: {told!r}; {right} of {len(ASKED)} have their type")
    sys.exit(not (right == len(ASKED) and told))


if __name__ == "__main__":
    main()
