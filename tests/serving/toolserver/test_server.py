"""What the SDK's own client sees of the server, in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client
from mcp.shared.exceptions import MCPError

from maker.decision.sample import Reply, Request, Sample
from maker.serving.toolserver import commands, server
from maker.serving.toolserver.allowance import Allowance
from maker.serving.toolserver.runs import Runs
from maker.serving.toolserver.server import Desk, server_of

LISTING = Path(__file__).with_name("listing.json")  # what clients are offered; written anew where it is removed
PAGE = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text()
TOLD = {"name", "description", "input_schema", "annotations", "uri_template", "mime_type"}
Talk = Callable[[Client], Awaitable[None]]


class Agrees:
    """A model of one opinion."""

    name = "agrees"

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer."""
        return [Sample("red", 1, 1) for _ in requests]


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Talk], None]:
    """Return a function that lets a client talk to a server whose processes are shells doing what `then` says."""
    monkeypatch.setattr(commands, "MAKER", ("/bin/sh", "-c", f'. "{tmp_path}/then"', "maker"))
    monkeypatch.setattr(server, "POLL", 0.01)
    (tmp_path / "then").write_text('echo \'{"solved": true, "answer": 42, "calls": 2, "total": 7, "steps": 7}\'')

    def told(work: Talk) -> None:
        async def talking() -> None:
            runs = Runs(tmp_path, ["--model=m"], Allowance(tmp_path / "spent", 1_000))
            async with Client(server_of(Desk(runs, Agrees(), 3), "0")) as client:
                await work(client)

        asyncio.run(talking())

    return told


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool; return what it gave."""
    found = await client.call_tool(tool, arguments)
    assert not found.is_error, found.content
    return found.structured_content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool that refuses; return its words."""
    found = await client.call_tool(tool, arguments)
    assert found.is_error
    return found.content[0].text


def test_the_listing_is_what_it_was(talk: Callable[[Talk], None]):
    """Names, descriptions, schemas and resources change only on purpose; the page has all of them."""

    async def work(client: Client) -> None:
        found = [*(await client.list_tools()).tools, *(await client.list_resource_templates()).resource_templates]
        told = [one.model_dump(mode="json", include=TOLD, exclude_none=True) for one in found]
        listing = json.dumps(told, indent=1, sort_keys=True) + "\n"
        if not LISTING.exists():
            LISTING.write_text(listing)
        assert listing == LISTING.read_text()
        assert [
            one.name
            for one in found
            if f"`{getattr(one, 'uri_template', one.name)}`" not in PAGE.replace("ID", "{run}")
        ] == []

    talk(work)


def test_a_vote_tells_its_progress(talk: Callable[[Talk], None]):
    """The calls answered so far come as notifications, before the answer."""

    async def work(client: Client) -> None:
        told: list[float] = []

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        found = await client.call_tool(
            "vote", {"question": "colour?", "options": ["red", "blue"]}, progress_callback=heard
        )
        assert found.structured_content["answer"] == "red" and told == [1, 2, 3]

    talk(work)


def test_a_run_from_its_start_to_its_answer(talk: Callable[[Talk], None], tmp_path: Path):
    """It is started, waited for with progress, listed, and read as a resource."""

    async def work(client: Client) -> None:
        waiting = f"touch {tmp_path}/ready; while [ ! -e {tmp_path}/seen ]; do sleep 0.01; done"
        (tmp_path / "then").write_text(f"{waiting}; echo '{{\"answer\": 42}}'")
        run = (await call(client, "start_run", task="hanoi", parameters={"disks": 3}, k=3))["id"]
        while not (tmp_path / "ready").exists():
            await call(client, "list_runs")
        (tmp_path / f"{run}.db").touch()
        (tmp_path / "then").write_text('echo \'{"steps": 3, "total": 7}\'')
        assert (await call(client, "result", run=run))["state"] == "running"
        told = []

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total))
            (tmp_path / "seen").touch()

        found = await client.call_tool("result", {"run": run, "wait": 60}, progress_callback=heard)
        assert found.structured_content["answer"] == 42 and told[0] == (3, 7)
        assert [one["id"] for one in (await call(client, "list_runs"))["runs"]] == [run]
        read = await client.read_resource(f"run://{run}")
        assert json.loads(read.contents[0].text)["total"] == 7
        assert (await call(client, "stop_run", run=run))["state"] == "ended"
        assert (await call(client, "resume_run", run=run, max_calls=10))["max_calls"] == 10
        commands._children[-1].wait(60)

    talk(work)


def test_a_report_is_a_page(talk: Callable[[Talk], None], tmp_path: Path):
    """`maker report` writes it, and nothing of it stays."""

    async def work(client: Client) -> None:
        run = (await call(client, "start_run", task="hanoi"))["id"]
        commands._children[-1].wait(60)
        (tmp_path / "then").write_text('echo "<p>page" > "${2#--output=}"; echo "{}"; [ "$1" = report ]')
        read = await client.read_resource(f"run://{run}/report")
        assert (read.contents[0].text, read.contents[0].mime_type) == ("<p>page\n", "text/html")

    talk(work)


def test_what_is_refused_is_a_tool_error_with_the_remedy(talk: Callable[[Talk], None], tmp_path: Path):
    """Each says what to do; nothing was begun, and nothing outside the root was looked at."""

    async def work(client: Client) -> None:
        said = [
            (await refusal(client, "vote", question="why?"), "give either options"),
            (await refusal(client, "vote", question="x", options=["a", "b"], k=0), "greater than or equal to 1"),
            (await refusal(client, "start_run", task="../x.py:T"), "below the folder of this server"),
            (await refusal(client, "start_run", task="hanio"), "Built in: addition"),
            (await refusal(client, "start_run", task="hanoi", k=0), "greater than or equal to 1"),
            (await refusal(client, "start_run", task="hanoi", max_calls=10_000), "Ask for less"),
            (await refusal(client, "estimate", task="/etc/passwd.py:T"), "below the folder of this server"),
            (await refusal(client, "estimate", task="hanoi", target=1.5), "less than 1"),
            (await refusal(client, "run_status", run="0" * 12), "list_runs has all"),
            (await refusal(client, "result", run="../../etc/passwd"), "12 hex digits"),
            (await refusal(client, "stop_run", run="x" * 1_000), "at most 100"),
            (await refusal(client, "resume_run"), "Field required"),
        ]
        assert [words for words, remedy in said if remedy not in words] == []
        for uri in ("run://zzz", "run://..%2F..%2Fetc%2Fpasswd", f"run://{'0' * 12}/report", "file:///etc/passwd"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)

    talk(work)
    assert {path.name for path in tmp_path.iterdir()} <= {"then", "spent"}


def test_a_crash_tells_nothing_of_the_inside(talk: Callable[[Talk], None], monkeypatch: pytest.MonkeyPatch):
    """The client reads that the tool failed, and goes on."""

    def crash(_: Runs) -> None:
        raise RuntimeError("secret of the inside")

    async def work(client: Client) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(Runs, "all", crash)
            assert await refusal(client, "list_runs") == "Error executing tool list_runs"
        assert (await call(client, "list_runs")) == {"runs": []}

    talk(work)
