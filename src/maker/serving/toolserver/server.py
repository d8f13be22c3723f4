"""The server of the Model Context Protocol: eight tools and two resources, in the SDK's terms.

Promises: what is refused, and what fails as it can, is a tool error that says what to do; nothing else is told of the
inside. Every call that spends has caps. Nothing a client says names the model: whoever starts the server does.

Not covered: who may connect: over stdio whoever started the server, over HTTP whoever is on this machine.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from maker.decision.sample import Model
from maker.errors import MakerError
from maker.serving.toolserver import commands
from maker.serving.toolserver.inside import Value
from maker.serving.toolserver.runs import K, Runs
from maker.serving.toolserver.voting import Question, estimated, voted

P = ParamSpec("P")
T = TypeVar("T")
Told = dict[str, Any]

POLL = 1.0  # seconds between two looks at a run that is waited for
LONGEST_WAIT = 600.0

INSTRUCTIONS = (
    "Answers of a language model that are voted on, and long tasks of many voted steps. `vote` decides one question. "
    "`start_run` begins a long task and returns at once with an id; the run goes on by itself: look at it with "
    "`run_status`, take its answer with `result`. `estimate` says beforehand what a run would need. All that spends "
    "has caps; what is refused says what to do."
)

Id = Annotated[str, Field(description="The id that start_run returned.", max_length=100)]
Task = Annotated[str, Field(description="A built-in task, or path/to/file.py:Class below this server's folder.",
                            max_length=1_000)]  # fmt: skip
Parameters = Annotated[dict[str, Value] | None, Field(description="The task's own, such as {'disks': 10}.")]
Calls = Annotated[int | None, Field(ge=1, description="The most calls of the model; a share of the day's if left out.")]
Cost = Annotated[float | None, Field(gt=0, description="The most US dollars; needs a model with prices.")]


def refusing(error: type[Exception]) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Make what `maker` refuses, or a disk, an error of the SDK: the client reads its message, and no traceback is."""

    def made(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(work)
        async def told(*args: P.args, **given: P.kwargs) -> T:
            """Do the work; its own docstring stands in the place of this one."""
            try:
                return await work(*args, **given)
            except (MakerError, OSError) as why:
                raise error(str(why)) from None

        return told

    return made


class Desk:
    """What the tools do. model: the one that votes are taken of; k: the margin of votes where a client names none."""

    def __init__(self, runs: Runs, model: Model, k: int) -> None:
        self._runs, self._model, self._k = runs, model, k

    @refusing(ToolError)
    async def vote(
        self,
        question: Annotated[str, Field(description="All that the model reads.", min_length=1, max_length=1_000_000)],
        ctx: Context[Any, Any],
        options: Annotated[list[str] | None, Field(description="What the answer can be: one of these.")] = None,
        answer_schema: Annotated[dict[str, Any] | None, Field(description="A JSON schema of the answer.")] = None,
        k: Annotated[int | None, Field(ge=1, le=100, description="Votes that the winner is ahead by.")] = None,
        system: Annotated[str | None, Field(description="Said to the model before the question.")] = None,
        max_calls: Calls = None,
        max_cost: Cost = None,
    ) -> Told:
        """Ask the model one question until one answer is k votes ahead of all others. Give options or answer_schema."""
        asked = Question(question, options, answer_schema, system)

        async def tell(calls: int) -> None:
            """Notify the client of the progress."""
            await ctx.report_progress(calls, message=f"{calls:,} calls answered")

        return await voted(self._model, self._runs.allowance, asked, k or self._k, max_calls, max_cost, tell)

    @refusing(ToolError)
    async def estimate(
        self,
        task: Task,
        parameters: Parameters = None,
        target: Annotated[float, Field(gt=0, lt=1, description="Wanted probability that all is right.")] = 0.95,
        max_calls: Calls = None,
        max_cost: Cost = None,
    ) -> Told:
        """Say what a run would need, and whether voting can do it, from a sample of its steps. Takes minutes."""
        return await estimated(self._runs, task, parameters or {}, target, max_calls, max_cost)

    @refusing(ToolError)
    async def start_run(
        self,
        task: Task,
        parameters: Parameters = None,
        k: Annotated[K, Field(description="Votes to be ahead by, or how to find it.")] = "auto",
        max_calls: Calls = None,
        max_cost: Cost = None,
        max_seconds: Annotated[float | None, Field(gt=0, description="Wall seconds.")] = None,
    ) -> Told:
        """Start a run of a long task; returns its id at once. The run goes on when the client leaves."""
        return self._runs.start(task, parameters or {}, k, max_calls, max_cost, max_seconds)

    @refusing(ToolError)
    async def run_status(self, run: Id) -> Told:
        """Say how far a run is, and how it ended if it has."""
        return await self._runs.status(run)

    @refusing(ToolError)
    async def stop_run(self, run: Id) -> Told:
        """Ask a run to stop in order: what it has decided is kept. Asked twice, it stops at once."""
        return self._runs.stop(run)

    @refusing(ToolError)
    async def resume_run(self, run: Id, max_calls: Calls = None, max_cost: Cost = None) -> Told:
        """Go on with a run that was stopped or killed. The caps count all of the run: raise one that was met."""
        return self._runs.resume(run, max_calls, max_cost)

    @refusing(ToolError)
    async def result(
        self,
        run: Id,
        ctx: Context[Any, Any],
        wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the end.")] = 0,
    ) -> Told:
        """Return a run's answer and its account; of one that still runs, its state. Waiting, it tells the progress."""
        with anyio.move_on_after(wait):
            while self._runs.state(run)["state"] == "running":
                seen = await self._runs.status(run)
                await ctx.report_progress(seen.get("steps", 0), seen.get("total"))
                await anyio.sleep(POLL)
        return self._runs.result(run)

    @refusing(ToolError)
    async def list_runs(self) -> Told:
        """Return all runs of this server's folder, the newest first, each with its state."""
        return {"runs": self._runs.all()}

    @refusing(ResourceError)
    async def journal(self, run: str) -> str:
        """Return what the journal of a run says: the object of `maker show --json`."""
        return json.dumps(await self._runs.journal(run))

    @refusing(ResourceError)
    async def report(self, run: str) -> str:
        """Return a run as one HTML page that needs nothing else."""
        self._runs.asked(run)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            await commands.said(
                ["report", f"--output={page}", "--quiet", "--json", "--", str(self._runs.file(run, "db"))]
            )
            return page.read_text(encoding="utf-8")


def server_of(desk: Desk, version: str) -> MCPServer[Any]:
    """Return the server. version: that of this package."""
    server: MCPServer[Any] = MCPServer("maker", instructions=INSTRUCTIONS, version=version, log_level="WARNING")
    looks = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    acts = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
    acting: list[Callable[..., Any]] = [desk.vote, desk.estimate, desk.start_run, desk.stop_run, desk.resume_run]
    looking: list[Callable[..., Any]] = [desk.run_status, desk.result, desk.list_runs]
    for tools, told in ((acting, acts), (looking, looks)):
        for tool in tools:
            server.add_tool(tool, annotations=told)
    server.resource("run://{run}", name="run", mime_type="application/json")(desk.journal)
    server.resource("run://{run}/report", name="report", mime_type="text/html")(desk.report)
    return server
