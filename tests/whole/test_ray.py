"""A cluster of Ray on this machine: the run that one process makes, also where workers and nodes are killed.

Skipped where Ray is absent; `make cluster` runs it. It is no part of `make test`: to start Ray takes many seconds.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.engine.crew import cluster
from maker.testing import check_journal

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

MODEL = "oracle:p=0.97,v=0.95"


@pytest.fixture(scope="module", autouse=True)
def joined() -> Any:
    """Join the cluster that RAY_ADDRESS names, or begin one, for all tests of this file."""
    address = os.environ.get("RAY_ADDRESS")
    own = {} if address else {"num_cpus": 4, "include_dashboard": False}
    ray.init(address=address, namespace="maker", log_to_driver=False, logging_level="error", **own)
    yield
    ray.shutdown()


def run(path: Path | None = None, disks: int = 9, **changed: Any) -> maker.RunResult:
    """Carry out a Hanoi."""
    settings = {"model": MODEL, "k": 4, "segments": 16, **changed}
    return maker.run_sync(maker.load_task("hanoi", disks=disks), journal=path, **settings)


def told(result: maker.RunResult) -> dict[str, Any]:
    """Return what a run says of itself, but for the time and the file."""
    return {key: value for key, value in result.as_json().items() if key not in ("seconds", "journal", "replayed")}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_run(workers: int, tmp_path: Path) -> None:
    """With 1, 2 and 4 workers: chain, samples, flags and tokens of one process, and a journal that verifies."""
    assert told(run(tmp_path / "run.db", workers=cluster.Ray(workers=workers))) == told(run())
    check_journal(tmp_path / "run.db")


def test_killed_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rounds with a SIGKILL of an actor's process in mid-run: the same end, decided by those who replace it."""
    alone, names = told(run()), []
    take = cluster.Actor.ask
    killed: list[int] = []

    async def ask(self: cluster.Actor, told: bytes, answers: int) -> list[bytes]:
        names.append(self.name)
        if len(names) == 3:
            process = await self._handle.process.remote()
            os.kill(process, signal.SIGKILL)
            killed.append(process)
        return await take(self, told, answers)

    monkeypatch.setattr(cluster.Actor, "ask", ask)
    for _ in range(10):
        names.clear()
        assert told(run(workers=cluster.Ray(workers=2))) == alone
    assert len(killed) == 10


def test_an_interrupted_run_resumes(tmp_path: Path) -> None:
    """Stopped after its first job, a run goes on with other workers to the same end."""
    path = tmp_path / "run.db"
    first = run(path, workers=cluster.Ray(workers=2), interrupted=lambda: True)
    assert first.stopped == "interrupted"
    assert told(run(path, workers=cluster.Ray(workers=2))) == told(run())
    check_journal(path)
