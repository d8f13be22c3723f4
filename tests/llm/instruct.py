"""A real instruct model behind a real llama.cpp server: every way to ask, and to read what comes.

    python tests/llm/instruct.py [qwen-0.5b | qwen-1.5b | FILE.gguf]

One line for each way, with the answer, the votes and the seconds. Leaves with 1 where one of them fails. What is asked
is easy on purpose: this tries the way to the model and back, not the model. No part of the test suite.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import openai
import pydantic
from weights import PARTS, weights

import maker
from llama_server import serving
from maker.models import from_client

SLOTS = 4
LIMITS = {"max_votes": 20, "max_flags": 20}
ICE = "Is ice cold? Answer yes or no."
SUM = "What is {item} + 3? The number alone."
TICKET = "Classify this support ticket: 'I cannot log in since this morning.' Give category, urgent and a summary."


class Ticket(pydantic.BaseModel):
    """What is asked about a ticket; the summary differs in each reply, and has no vote."""

    category: Literal["billing", "login", "other"]
    urgent: bool
    summary: Annotated[str, maker.unvoted]


def ways(address: str) -> dict[str, Callable[[], Any]]:
    """Return the ways to ask, by name; each gives a verdict, or answers, or raises."""
    asked: dict[str, Any] = {"k": 2, "temperature": 0.7, "max_tokens": 160, "limits": LIMITS}
    chat = asked | {"model": f"{address}/v1#an-alias"}
    plain = asked | {"model": f"{address}/v1/completions#m", "stop": ["\n"]}
    fifth = "What is 17 + 25? Answer with the number alone."
    france = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    shots = "Q: What is 2 + 2?\nA: 4\nQ: What is 3 + 5?\nA:"
    return {
        "a number, with a JSON schema": lambda: maker.vote_sync(fifth, answer=int, **chat),
        "a number, without a schema": lambda: maker.vote_sync(fifth, parse=int, **chat),
        "one of two words": lambda: maker.vote_sync(ICE, answer=Literal["yes", "no"], **chat),
        "a record with free text": lambda: maker.vote_sync(TICKET, answer=Ticket, **chat),
        "messages, with a system prompt": lambda: maker.vote_sync(france, system="Be brief.", **chat),
        "plain completions, with a stop": lambda: maker.vote_sync(shots, answer=int, **plain),
        "a temperature of the server's own": lambda: maker.vote_sync(fifth, answer=int, **chat | {"temperature": None}),
        "the official client": lambda: asyncio.run(by_the_official_client(f"{address}/v1", fifth, answer=int, **asked)),
        "a map": lambda: list(maker.map_sync(SUM, [4, 5, 6], answer=int, **chat).answers()),
    }  # fmt: skip


async def by_the_official_client(url: str, question: str, **asked: Any) -> maker.Verdict[Any]:
    """Vote through the official SDK's client."""
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        return await maker.vote(question, model=from_client(client, "an-alias"), **asked)


def main() -> None:
    """Try them all."""
    name = sys.argv[1] if len(sys.argv) > 1 else "qwen-0.5b"
    file = weights(name) if name in PARTS else Path(name)
    failed = 0
    with serving(file, SLOTS, 1024) as address:
        for what, ask in ways(address).items():
            begun = time.monotonic()
            try:
                came = ask()
                said = (
                    f"{came.answer!r}, {came.samples} samples, flags {came.flags}" if hasattr(came, "votes") else came
                )
            except maker.MakerError as error:
                failed += 1
                said = f"FAILED: {error}"
            print(f"{file.stem}, {what}: {said}, {time.monotonic() - begun:.1f} s", flush=True)
    sys.exit(min(failed, 1))


if __name__ == "__main__":
    main()
