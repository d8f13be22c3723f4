"""A cluster of Ray on this machine: the run that one process makes, also where workers, a node or it itself is killed.

Skipped where Ray is absent; `make cluster` runs it. It is no part of `make test`: to start Ray takes many seconds.
ROUNDS in the environment says how often something is killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maker
from counting_on import counting
from maker.engine.crew import cluster
from maker.testing import FaultServer, Reply, check_journal, error
from maker.testing.replies import Received

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]

MODEL = "oracle:p=0.97,v=0.95"
ROUNDS = int(os.environ.get("ROUNDS", "10"))
PATIENT = {  # on a busy machine its parts come late, and have not failed
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_enable_metrics_collection": "0",
    "RAY_gcs_server_request_timeout_seconds": "120",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_worker_register_timeout_seconds": "300",
}
KEY = "sk-canary-of-the-cluster"
SMALL = {"object_store_memory": 80_000_000}
KILLED = """
import os, signal, sys
import ray, maker
from maker.engine.crew import cluster

address, path = sys.argv[1:]
ray.init(address=address, namespace="maker", log_to_driver=False, logging_level="error")
cluster.Cluster.job, cluster.Cluster.aim = 16, None
maker.run_sync(maker.load_task("hanoi", disks=9), model="oracle:p=0.97,v=0.95", k=4, segments=16, journal=path,
               workers=cluster.Ray(workers=2, cpus_per_worker=0.25),
               progress=lambda seen: seen.steps and os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Have a cluster whose head has room for workers that together take two cores."""
    os.environ.update(PATIENT, MAKER_API_KEY=KEY)  # workers have the environment of their node
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **SMALL})
    yield made
    made.shutdown()


@pytest.fixture(scope="module", autouse=True)
def joined(nodes: Any) -> Iterator[None]:
    """Join the cluster for all tests of this file."""
    ray.init(address=nodes.address, namespace="maker", log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """Return what the run says that one process makes."""
    return told(run())


def run(
    path: Path | None = None, workers: int = 0, cpus: float = 0.25, task: maker.Task | None = None, **changed: Any
) -> maker.RunResult:
    """Carry out a Hanoi of 9 disks, or another task; workers: 0 for this process."""
    settings = {"model": MODEL, "k": 4, "segments": 16, **changed}
    hired = cluster.Ray(workers=workers, cpus_per_worker=cpus) if workers else None
    return maker.run_sync(task or maker.load_task("hanoi", disks=9), journal=path, workers=hired, **settings)


def told(result: maker.RunResult) -> dict[str, Any]:
    """Return what a run says of itself, but for the time, the file, and how its calls were seen."""
    apart = ("seconds", "journal", "replayed", "observed")
    return {key: value for key, value in result.as_json().items() if key not in apart}


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_the_same_run(workers: int, alone: dict[str, Any], tmp_path: Path) -> None:
    """With 1 to 8 workers: chain, samples, flags and tokens of one process, and a journal that verifies."""
    assert told(run(tmp_path / "run.db", workers)) == alone
    check_journal(tmp_path / "run.db")


def test_killed_workers(alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGKILL of an actor's process in mid-run: the same end, decided by those who replace it."""
    killed: list[int] = []

    async def kill(actor: cluster.Actor) -> None:
        killed.append(await actor._handle.process.remote())
        os.kill(killed[-1], signal.SIGKILL)

    for _ in range(ROUNDS):
        at_the_third_job(monkeypatch, kill)
        assert told(run(workers=2)) == alone
    assert len(killed) == ROUNDS


def test_a_removed_node(nodes: Any, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node goes in mid-run, with the worker that has room only there: the same end."""
    removed: list[Any] = []

    async def remove(_: cluster.Actor) -> None:
        nodes.remove_node(node, allow_graceful=False)
        removed.append(node)

    for _ in range(max(1, ROUNDS // 5)):
        node = nodes.add_node(num_cpus=2, **SMALL)
        at_the_third_job(monkeypatch, remove)
        assert told(run(workers=2, cpus=2)) == alone
    assert removed


def test_a_killed_coordinator(nodes: Any, alone: dict[str, Any], tmp_path: Path) -> None:
    """SIGKILL of the process that journals, after some jobs: the same command goes on to the same end."""
    for at in range(max(1, ROUNDS // 5)):
        path = tmp_path / f"run{at}.db"
        ended = subprocess.run([sys.executable, "-c", KILLED, nodes.address, str(path)], check=False)
        assert ended.returncode == -signal.SIGKILL
        result = run(path, 2)
        assert 0 < result.replayed < result.steps
        assert told(result) == alone
        check_journal(path)


def test_an_interrupted_run_resumes(alone: dict[str, Any], tmp_path: Path) -> None:
    """Stopped after its first job, a run goes on with other workers to the same end."""
    path = tmp_path / "run.db"
    assert run(path, 2, interrupted=lambda: True).stopped == "interrupted"
    assert told(run(path, 2)) == alone
    check_journal(path)


def test_the_bundled_model(tmp_path: Path) -> None:
    """With the bundled model, made in each of two workers: the chain and the samples of one process."""
    asked: dict[str, Any] = {
        "task": maker.load_task("hanoi", disks=8, style="compact"),
        "model": "neural:workers=0",
        "k": 2,
    }
    assert told(run(tmp_path / "run.db", 2, **asked)) == told(run(**asked))
    check_journal(tmp_path / "run.db")


class Busy:
    """A server that answers as the seed of a request says, in a while, and refuses what comes beyond its slots."""

    def __init__(self, slots: int) -> None:
        self.slots, self.ends, self.most, self.refused = slots, list[float](), 0, 0

    def __call__(self, received: Received) -> Reply:
        self.ends = [end for end in self.ends if end > received.at]
        self.most = max(self.most, len(self.ends) + 1)
        if len(self.ends) >= self.slots:
            self.refused += 1
            return error(429, headers={"Retry-After": "1"})
        self.ends.append(received.at + 0.05)
        number = int(received.prompt.split()[2])
        right = random.Random(received.body["seed"]).random() < 0.8
        return Reply(str(number + 1 if right else number + 2), delay=0.05)


@pytest.mark.parametrize("workers", [2, 4])
def test_a_model_over_http(workers: int, tmp_path: Path) -> None:
    """At one server with 8 slots: chain, samples, tokens and bill of one process, the key, and no storm."""
    task = counting(240)
    seen: list[tuple[maker.RunResult, Busy]] = []
    for count in (0, workers):
        busy = Busy(slots=8)
        with FaultServer(busy) as server:
            path = tmp_path / f"{count}.db"
            seen.append((run(path, count, task=task, model=server.spec(), k=3, limits={"max_calls": 5000}), busy))
            assert server.ledger.calls == seen[-1][0].usage.dispatched
            assert {received.headers["Authorization"] for received in server.requests} == {f"Bearer {KEY}"}
        assert KEY.encode() not in path.read_bytes()
        check_journal(path, task)
    (alone, one), (found, busy) = seen
    assert found.solved
    assert (found.chain, found.samples, found.flags) == (alone.chain, alone.samples, alone.flags)
    assert (found.usage.tokens_in, found.usage.tokens_out) == (alone.usage.tokens_in, alone.usage.tokens_out)
    assert found.usage.cancelled == 0
    assert busy.most <= 3 * busy.slots
    for count, had, result in ((0, one, alone), (workers, busy, found)):
        print(f"{count} workers: {had.most} at once at most, {had.refused} refused of {result.usage.dispatched}")


def test_a_worker_is_killed_at_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGKILL of an actor whose calls are out: the same end; its block is booked, and a replay agrees."""
    task, path = counting(240), tmp_path / "run.db"
    alone = None

    async def kill(actor: cluster.Actor) -> None:
        os.kill(await actor._handle.process.remote(), signal.SIGKILL)

    for workers in (0, 2):
        with FaultServer(Busy(slots=64)) as server:
            if workers:
                at_the_third_job(monkeypatch, kill)
            found = run(path if workers else None, workers, task=task, model=server.spec(), k=3)
            alone = alone or found
            assert server.ledger.calls <= found.usage.dispatched
    assert (found.chain, found.samples) == (alone.chain, alone.samples)
    assert found.usage.cancelled > 0
    assert run(path, task=task, model=server.spec(), k=3).usage == found.usage
    check_journal(path, task)


def at_the_third_job(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Have something happen when a worker is asked for the third time."""
    asked = iter(range(3))

    async def ask(self: cluster.Actor, job: bytes, answers: int) -> list[bytes]:
        if next(asked, None) == 2:
            await act(self)
        return await take(self, job, answers)

    monkeypatch.undo()
    take = cluster.Actor.ask
    monkeypatch.setattr(cluster.Actor, "ask", ask)
