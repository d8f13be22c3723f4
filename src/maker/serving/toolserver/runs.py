"""The runs of a folder: started, stopped, gone on with, and told of; each is a process and three files.

ROOT/ID.db is its journal, ROOT/ID.json what was asked, ROOT/ID.out what its process says. Promises: each run has caps;
what they leave of the day's allowance comes back when it has ended. What is known of a run is read from its files, so
that a server that was started anew knows as much as the one before.

Not covered: runs that were started by hand in the same folder.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from pydantic import BaseModel, Field, ValidationError

from maker.engine.steering.address import tell
from maker.errors import JournalError, TaskError
from maker.serving.toolserver import commands
from maker.serving.toolserver.allowance import Allowance, Share
from maker.serving.toolserver.inside import Value, parameters_written, run_named, task_within

K = Annotated[int, Field(ge=1)] | Literal["auto", "table"]
_TOLD = ("solved", "stopped", "detail", "error", "steps", "samples", "calls", "cost", "exit_code")  # of an end
_SEEN = ("k", "model", "simulated", "steps", "total", "samples", "flagged", "flags", "escalations")  # of a journal

# What a run says of itself; its state is "running", or "paused".
_LIVE = (
    "state", "why", "steps", "total", "samples", "flagged", "calls", "tokens", "cost", "in_flight", "seconds", "limits",
    "pace", "retrying",
)  # fmt: skip


class Asked(BaseModel):
    """What was asked of a run, and the process that last carried it out. share: None once it was settled."""

    task: str
    parameters: dict[str, Value]
    k: K
    max_seconds: float | None
    began: float
    pid: int = 0
    share: Share | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What a client reads of it."""
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began))
        return {"task": self.task, "parameters": self.parameters, "began": began}


@dataclass(slots=True)
class Runs:
    """The runs below a root. model: the options that name it and how it is reached, of every run."""

    root: Path
    model: Sequence[str]
    allowance: Allowance

    def start(
        self, task: str, parameters: Mapping[str, Value], k: K, calls: int | None = None, cost: float | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Start a run and return its id and caps. Raises TaskError for what cannot be run, or is not allowed."""
        asked = Asked(task=task, parameters=dict(parameters), k=k, max_seconds=seconds, began=time.time())
        self._words("0" * 12, asked)  # what cannot be run takes nothing of the allowance
        return self._begin(secrets.token_hex(6), asked, calls, cost)

    def resume(self, run: str, calls: int | None = None, cost: float | None = None) -> dict[str, Any]:
        """Go on with a run that has ended; the caps count all of it, what it spent before included."""
        asked = self.asked(run)
        if commands.runs(self.file(run, "out")):
            raise TaskError(f"{run} is running: there is nothing to resume")
        return self._begin(run, self._settled(run, asked), calls, cost)

    def stop(self, run: str) -> dict[str, Any]:
        """Ask a run to stop in order, at once when asked twice. One that has ended is left as it is."""
        asked = self.asked(run)
        if commands.runs(self.file(run, "out")):
            commands.stop(asked.pid)
        return self.state(run)

    def state(self, run: str) -> dict[str, Any]:
        """Return what is known of a run without a look into its journal."""
        asked, output = self.asked(run), self.file(run, "out")
        running = commands.runs(output)
        told: dict[str, Any] = {"id": run, "state": "running" if running else "ended", **asked.told}
        if running:
            return told
        self._settled(run, asked)
        ended = commands.outcome(output) or {"stopped": "killed", "detail": "It ended without a word: resume_run."}
        return told | {name: ended[name] for name in _TOLD if ended.get(name) is not None}

    async def status(self, run: str) -> dict[str, Any]:
        """Return what is known of a run, its journal included; one that runs is asked itself, and nothing is read."""
        told = self.state(run)
        if told["state"] == "running":
            with suppress(JournalError):  # it does not listen yet
                says = await anyio.to_thread.run_sync(tell, self.file(run, "db"), {"order": "status"})
                return told | {name: says[name] for name in _LIVE if says.get(name) is not None}
        with suppress(TaskError):  # there is none yet, or nothing in it
            seen = await self.journal(run)
            told = {name: seen[name] for name in _SEEN if seen.get(name) is not None} | told
        return told

    def result(self, run: str) -> dict[str, Any]:
        """Return all that a run said when it ended; of one that runs, or was killed, the same as `state`."""
        told = self.state(run)
        ended = None if told["state"] == "running" else commands.outcome(self.file(run, "out"))
        return told | (ended or {})

    def all(self) -> list[dict[str, Any]]:
        """Return the state of each run, the newest first; of one whose files are damaged, what is wrong with them."""
        return sorted(map(self._listed, self.names()), key=lambda told: str(told.get("began", "")), reverse=True)

    def names(self) -> Iterator[str]:
        """Yield the runs of the root."""
        for path in self.root.glob("*.json"):
            with suppress(TaskError):
                yield run_named(path.stem)

    async def journal(self, run: str) -> dict[str, Any]:
        """Return what `maker show --json` says of a run. Raises TaskError where it has no journal yet."""
        self.asked(run)
        if not self.file(run, "db").exists():
            raise TaskError(f"{run} has no journal yet: run_status says why, or ask again in a moment")
        return await commands.said(["show", "--json", "--", str(self.file(run, "db"))])

    def asked(self, run: str) -> Asked:
        """Return what was asked. Raises TaskError for a run that is not here."""
        try:
            return Asked.model_validate_json(self.file(run_named(run), "json").read_bytes())
        except FileNotFoundError:
            raise TaskError(f"there is no run {run}: list_runs has all") from None
        except ValidationError:
            raise TaskError(f"{run}.json does not say what was asked: this run cannot be told of") from None

    def file(self, run: str, kind: str) -> Path:
        """Return a file of a run."""
        return self.root / f"{run_named(run)}.{kind}"

    def _listed(self, run: str) -> dict[str, Any]:
        try:
            return self.state(run)
        except TaskError as why:
            return {"id": run, "state": "unknown", "error": str(why)}

    def _begin(self, run: str, asked: Asked, calls: int | None, cost: float | None) -> dict[str, Any]:
        """Take a share of the allowance and begin the process."""
        share = self.allowance.take("run", calls, cost)
        try:
            pid = commands.begin(self._words(run, asked, share), self.file(run, "out"))
        except BaseException:
            self.allowance.give_back(share, 0, 0.0)
            raise
        self._write(run, asked.model_copy(update={"pid": pid, "share": share}))
        return {"id": run, "state": "running", "max_calls": share.calls, "max_cost": share.cost}

    def _words(self, run: str, asked: Asked, share: Share | None = None) -> list[str]:
        """Return the command of a run; what a client named stands behind `--`, where nothing is an option."""
        limits = [] if share is None else share.options
        if asked.max_seconds is not None:
            limits.append(f"--max-seconds={asked.max_seconds}")
        task, parameters = task_within(self.root, asked.task), parameters_written(asked.parameters)
        options = [f"--k={asked.k}", f"--journal={self.file(run, 'db')}", "--quiet", "--json"]
        return ["run", *self.model, *options, *limits, "--", task, *parameters]

    def _settled(self, run: str, asked: Asked) -> Asked:
        """Give back what a run that has ended left of its share; one that was killed gives nothing back."""
        ended = commands.outcome(self.file(run, "out"))
        if asked.share is None or ended is None:
            return asked
        cost = ended.get("cost")
        self.allowance.give_back(asked.share, int(ended.get("calls", 0)), 0.0 if "error" in ended else cost)
        return self._write(run, asked.model_copy(update={"share": None}))

    def _write(self, run: str, asked: Asked) -> Asked:
        """Write what was asked, all of it or nothing."""
        partial = self.file(run, "json").with_suffix(".partial")
        partial.write_text(asked.model_dump_json(), encoding="utf-8")
        partial.replace(self.file(run, "json"))
        return asked
