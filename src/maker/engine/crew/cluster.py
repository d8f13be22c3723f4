"""Workers that are actors of a Ray cluster: many cores, on one machine or on many, for one long run.

An actor is told its order when it is made, and its jobs after that, all as bytes (Ray may wrap them in a pickle of its
own: a cluster is one trust domain). What it sends is counted again before it is journaled. An actor that is lost, with
its node or alone, or that does not answer in time, is replaced. Of each server that is asked over HTTP a further actor
keeps the gate for all workers. Ray is imported when a cluster is used, and never before.

Not covered: making a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from anyio import to_thread

from maker.decision.sample import AnyModel
from maker.engine.crew.launcher import Launcher, Lost
from maker.engine.crew.processes import Processes
from maker.errors import ModelError, TaskError
from maker.models import over_http

__all__ = ["Ray"]  # what is public

FIRST_STEPS = 64  # of a worker's first job: that says how long a step takes
JOB_SECONDS = 1.0  # that a job should take; so far is an interrupt or a lost worker behind
ANSWER_SECONDS = 300.0  # a worker that says nothing for so long is lost, beside the patience that it has with a server
START_SECONDS = 600.0  # a cluster that has no room for a worker for so long has none: one that grows needs minutes
BUSY = (
    "Ray gives parts of its own 15 s to start, which no setting lengthens: on a busy machine try again, or begin one "
    "with `ray start --head` and give --address auto."
)


@dataclass(frozen=True, slots=True)
class Ray:
    """A Ray cluster whose workers decide steps.

    address: of the cluster ("auto": the one that this machine is part of); None begins one on this machine, which ends
    with the run, unless `ray.init` was called. workers: how many, None for as many as the cluster has room for when
    the run begins. cpus_per_worker: what each takes of the cluster. Raises TaskError for what cannot be.
    """

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise TaskError(
                f"workers = {self.workers}: give 1 or more, or None for as many as the cluster has room for"
            )
        if not 0 < self.cpus_per_worker < float("inf"):
            raise TaskError(f"cpus_per_worker = {self.cpus_per_worker}: give a number above 0")


Workers = Ray | Literal["ray"] | None


@contextlib.contextmanager
def hired(workers: Workers, model: AnyModel) -> Iterator[Launcher]:
    """Have who starts the workers of a run: processes of this machine where nothing is said.

    A cluster is joined when the first worker is due, and left when the block ends. Raises TaskError for a model that a
    cluster cannot make, and where Ray is not installed.
    """
    if workers is None:
        yield Processes()
        return
    told = Ray() if workers == "ray" else workers
    if not isinstance(told, Ray):
        raise TaskError(f'workers = {workers!r}: give "ray" or a maker.cluster.Ray')
    if not isinstance(model, str):
        raise TaskError("workers: each of them makes its own model: give its name, such as neural or openai:NAME, and "
                        "what else it needs (prices, headers, ...) in maker.toml")  # fmt: skip
    cluster = Cluster(told, model)
    try:
        yield cluster
    finally:
        cluster.close()


class Cluster:
    """Starts actors, and waits for what they say."""

    model: str | None
    trusted: bool = False
    aim: float | None = JOB_SECONDS
    job: int = FIRST_STEPS

    def __init__(self, cluster: Ray, model: str) -> None:
        self._told, self.model, self._waits = cluster, model, over_http(model)
        self._ray = _imported()
        self._numbers = itertools.count()
        self._turn = asyncio.Lock()
        self._joined = False

    async def count(self, lanes: int, steps: int) -> int:
        """Say how many are worth starting: as many as were asked for, or as there is room for, and one a lane."""
        count = self._told.workers
        return min(await to_thread.run_sync(self._room) if count is None else count, lanes)

    def _room(self) -> int:
        """Return how many workers the cluster has room for now."""
        self._begin()
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) / self._told.cpus_per_worker))

    def _begin(self) -> None:
        """Join the cluster, or begin one. Raises ModelError where there is none."""
        ray, address = self._ray, self._told.address
        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
        own = {"include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level="error", namespace="maker", **own)
        except Exception as error:  # a node that is not up in time raises just that
            with contextlib.suppress(Exception):
                ray.shutdown()  # what of it is up
            remedy = BUSY if address is None else "Say where one is, or leave the address out to begin one here."
            raise ModelError(
                f"workers: no Ray cluster at {address or 'this machine'}: {str(error).strip()} {remedy}"
            ) from error
        self._joined = True

    def close(self) -> None:
        """Leave the cluster, which ends one that was begun here."""
        if self._joined:
            self._ray.shutdown()
            self._joined = False

    @contextlib.asynccontextmanager
    async def worker(self, order: bytes) -> AsyncIterator[Actor]:
        """Have an actor at work; it is killed when the block ends. Raises Lost where there is no room for one."""
        async with self._turn:
            await to_thread.run_sync(self._begin)
        patience = json.loads(order)["limits"]["patience"] if self._waits else 0.0
        name = f"maker {os.getpid()} worker {next(self._numbers)}"
        made = self._ray.remote(num_cpus=self._told.cpus_per_worker, max_restarts=0)(Hand)
        handle = made.options(name=name).remote(order)
        try:
            actor = Actor(name, handle, patience)
            await actor.heard(handle.ready.remote(), START_SECONDS)
            yield actor
        finally:
            with contextlib.suppress(Exception):  # it may be gone, and the cluster with it
                self._ray.kill(handle)


class Actor:
    """One worker, as the coordinator sees it. patience: that it has with its server, in seconds."""

    def __init__(self, name: str, handle: Any, patience: float) -> None:
        self.name, self._handle, self._patience = name, handle, patience

    async def ask(self, told: bytes, answers: int) -> list[bytes]:
        """Tell the actor something and wait for its answers. Raises Lost when it is gone, or says nothing in time."""
        found: list[bytes] = await self.heard(self._handle.decide.remote(told), ANSWER_SECONDS + self._patience)
        return found

    async def end(self) -> None:
        """Have the actor end its jobs early, if it is there."""
        with contextlib.suppress(Exception):
            await self._handle.end.remote()

    async def heard(self, reply: Awaitable[Any], seconds: float) -> Any:
        """Wait for a reply. Raises Lost for an actor that failed or that says nothing for so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                return await reply
        except TimeoutError:
            raise Lost(self.name, f"it says nothing for {seconds:g} s") from None
        except Exception as error:
            first, *_, last = [type(error).__name__, *filter(str.strip, str(error).splitlines())]
            raise Lost(self.name, f"{first}: {last.strip()}") from error


class Hand:
    """What runs in an actor. order: as `order_of` makes it."""

    def __init__(self, order: bytes) -> None:
        from maker.engine.crew.order import Worker  # noqa: PLC0415 -- what an actor needs is loaded where it runs
        from maker.models.process import collect_seldom  # noqa: PLC0415 -- likewise

        collect_seldom()
        if over_http(json.loads(order)["model"][0]):
            from maker.models.openai.http.gates import make_gates  # noqa: PLC0415 -- likewise

            make_gates(gate_for_all)
        self._worker = Worker(order)

    async def ready(self) -> None:
        """Answer when the order was understood."""

    async def process(self) -> int:
        """Return the number of its process."""
        return os.getpid()

    async def end(self) -> None:
        """End all jobs early."""
        self._worker.end()

    async def decide(self, told: bytes) -> Sequence[bytes]:
        """Return the stretches of a job."""
        return await self._worker.decide(**json.loads(told))


def gate_for_all(origin: str, ceiling: int | None) -> Any:
    """Return this worker's part of the gate that an actor keeps for all workers of the cluster."""
    from maker.models.openai.http.keeper import Keeper  # noqa: PLC0415 -- likewise
    from maker.models.openai.http.shared import SharedGate  # noqa: PLC0415 -- likewise

    ray = _imported()
    name = f"maker gate {origin} {ceiling or ''}".strip()
    known: list[Any] = []  # its handle, as long as it lives

    def keeper() -> Any:
        kept = ray.remote(num_cpus=0, max_restarts=0)(Keeper)
        return kept.options(name=name, namespace="maker", get_if_exists=True).remote(ceiling)

    async def call(method: str, *told: Any) -> Any:
        """Say something to the keeper, found or made where none is known."""
        if not known:
            known.append(await to_thread.run_sync(keeper))
        try:
            return await getattr(known[0], method).remote(*told)
        except Exception:
            known.clear()  # whoever had it made may be gone, and it with them
            raise

    return SharedGate(call, ceiling)


def _imported() -> Any:
    """Return Ray. Raises TaskError where it is not installed."""
    try:
        import ray  # noqa: PLC0415 -- an extra
    except ImportError:
        raise TaskError("workers: Ray is not installed. Run: pip install 'maker[ray]'") from None
    return ray
