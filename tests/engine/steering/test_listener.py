"""The run's end of the socket: private, replaced where it is stale, gone afterwards, and never the run's trouble."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from maker.engine.steering.address import MOST_BYTES, socket_of, tell
from maker.engine.steering.listener import MOST_TALKS, listening
from scratch import scratch


def echo(order: dict[str, Any]) -> dict[str, Any]:
    """Answer with what was said."""
    return {"heard": order}


@pytest.fixture
def journal() -> Iterator[Path]:
    """Offer a place with a short address."""
    with scratch() as folder:
        yield folder / "run.db"


@pytest.mark.asyncio
async def test_an_order_is_answered_and_nothing_is_left(journal: Path) -> None:
    """The socket is its user's alone, answers, and is gone with the block."""
    async with listening(journal, echo) as heard:
        assert heard
        assert stat.S_IMODE(socket_of(journal).stat().st_mode) == 0o600
        assert await to_thread.run_sync(tell, journal, {"order": "status"}) == {"heard": {"order": "status"}}
    assert [file.name for file in journal.parent.iterdir()] == []


@pytest.mark.asyncio
async def test_a_killed_run_s_socket_is_replaced(journal: Path) -> None:
    """What an earlier process left behind does not keep the next one from listening."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_of(journal)))
    async with listening(journal, echo) as heard:
        assert heard
        assert "heard" in await to_thread.run_sync(tell, journal, {})


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["file", "link"])
async def test_a_file_of_that_name_is_not_touched(journal: Path, kind: str) -> None:
    """Somebody's file, or a link to one, stays as it is: the run just has no socket."""
    other = journal.with_name("other")
    other.write_text("mine")
    if kind == "file":
        other.rename(socket_of(journal))
    else:
        socket_of(journal).symlink_to(other)
    async with listening(journal, echo) as heard:
        assert not heard
    assert socket_of(journal).read_text() == "mine"


@pytest.mark.asyncio
async def test_without_a_journal_or_a_folder_there_is_none() -> None:
    """Where no socket can be, the block runs all the same."""
    for place in (None, Path("/no/such/folder/run.db")):
        async with listening(place, echo) as heard:
            assert not heard


@pytest.mark.asyncio
async def test_a_successor_s_socket_is_left_alone(journal: Path) -> None:
    """Whoever gave the name to another file meanwhile keeps it."""
    async with listening(journal, echo):
        socket_of(journal).unlink()
        socket_of(journal).write_text("mine")
    assert socket_of(journal).read_text() == "mine"


@pytest.mark.asyncio
async def test_what_is_no_order_is_refused(journal: Path) -> None:
    """Lines that are no object are answered with an error, one each, and the line after them counts."""
    async with listening(journal, echo):
        reader, writer = await asyncio.open_unix_connection(str(socket_of(journal)))
        nested = b"[" * 50_000
        writer.write(b"nonsense\n[1]\n\xff\xfe\n" + nested + b'\n{"order": "status"}\n')
        answers = [json.loads(await reader.readline()) for _ in range(5)]
        writer.close()
    assert ["error" in answer for answer in answers] == [True, True, True, True, False]


@pytest.mark.asyncio
async def test_a_line_without_an_end_ends_its_connection(journal: Path) -> None:
    """Nobody fills the run's memory by never ending a line."""
    async with listening(journal, echo):
        reader, writer = await asyncio.open_unix_connection(str(socket_of(journal)))
        writer.write(b"x" * (MOST_BYTES + 1))
        assert await reader.read() == b""
        writer.close()


@pytest.mark.asyncio
async def test_no_more_than_some_connections_are_served(journal: Path) -> None:
    """One connection too many is closed, and room is made by one that ends."""
    async with listening(journal, echo):
        path = str(socket_of(journal))
        talks = [await asyncio.open_unix_connection(path) for _ in range(MOST_TALKS)]
        for reader, writer in talks:
            writer.write(b"{}\n")
            assert await reader.readline()
        reader, writer = await asyncio.open_unix_connection(path)
        with suppress(ConnectionResetError):  # either way of ending it will do
            assert await reader.read() == b""
        writer.close()
        for _, other in talks:
            other.close()


@pytest.mark.asyncio
async def test_who_hangs_on_does_not_keep_the_run_alive(journal: Path) -> None:
    """A connection that stays open is broken off when the block ends."""
    async with listening(journal, echo):
        reader, writer = await asyncio.open_unix_connection(str(socket_of(journal)))
        writer.write(b"{}\n")
        assert await reader.readline()
    assert await reader.read() == b""
    writer.close()
