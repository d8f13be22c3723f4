"""What is asked of a server about batches: each answer as it is meant, and whatever else comes as a trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from batching import BatchServer, Begun, Plan
from maker.models.openai.batch.server import Server
from maker.models.openai.http.reach import Reach
from maker.models.openai.http.wire import Wire
from maker.models.openai.refusal import Trouble
from maker.models.openai.target import Target
from maker.testing import FaultServer, Reply

T = TypeVar("T")
KEY = "sk-canary-77e1f5aa"


def on(url: str, ask: Callable[[Server], Awaitable[T]]) -> Awaitable[T]:
    """Ask a server and close the connection."""

    async def asked() -> T:
        wire = Wire(Target.of(url, "m"), KEY, Reach())
        try:
            return await ask(Server(wire))
        finally:
            await wire.aclose()

    return asked()


def test_a_file_goes_up_and_a_batch_begins():
    """What was put there is what the batch is given, under the tag that finds it again."""

    async def main() -> None:
        async with BatchServer() as server:

            async def both(asked: Server) -> tuple[object, object]:
                file = await asked.put(b'{"custom_id": "a"}\n')
                return await asked.begin(file, "tag-1"), await asked.find("tag-1")

            assert await on(server.url, both) == ("batch_0", "batch_0")
            assert server.drawn == ["a"]
            assert await on(server.url, lambda asked: asked.find("tag-2")) is None

    asyncio.run(main())


def test_the_list_is_read_to_its_end():
    """A batch on the third page is found; batches of others, without a mark, are passed over."""

    async def main() -> None:
        async with BatchServer() as server:
            server.batches["own"] = Begun({"id": "own", "metadata": {"maker": "t"}}, [], Plan())
            for number in range(4):
                server.batches[f"b{number}"] = Begun({"id": f"b{number}", "metadata": None}, [], Plan())
            assert await on(server.url, lambda asked: asked.find("t")) == "own"

    asyncio.run(main())


@pytest.mark.parametrize("reply", [
    Reply(status=401, body={"error": {"message": f"wrong key {KEY}"}}), Reply(status=503), Reply(body=b"<html>"),
    Reply(body=b"[]"), Reply(body=b"null"), Reply(body={}), Reply(body={"id": "../files"}), Reply(body={"id": 7}),
    Reply(body={"id": ".."}), Reply(body={"id": ""}), Reply(reset=True),
])  # fmt: skip
def test_whatever_else_comes_is_a_trouble(reply):
    """An answer that is none is never taken for one, nor for an address; the key is not repeated."""

    async def main() -> Trouble | str:
        async with FaultServer([reply]) as server:
            return await on(server.url, lambda asked: asked.begin("file-1", "tag"))

    found = asyncio.run(main())
    assert isinstance(found, Trouble) and KEY not in found.failure.detail
