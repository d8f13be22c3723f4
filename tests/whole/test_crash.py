"""Kills: whenever a process dies, its successors end the run as if nothing had happened."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crash
from crash import Point, end_of, kill_again_and_again, killed_at, nursery_process, one_life, points, undisturbed
from maker.decision.wave import Wave
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.testing import check_journal
from scratch import scratch

PLACES = {
    "in the lock", "making the file", "before a write", "in the middle of a write", "before a sync", "after a sync",
    "after a sync, before acknowledging", "in replay", "in close",
}  # fmt: skip
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Return a folder in which syncing costs little."""
    with scratch() as folder:
        yield folder


def order_in(folder: Path, disks: int = 4) -> dict[str, Any]:
    """Return the order for a short run in which every wave is committed before the next."""
    folder.mkdir(exist_ok=True)
    return {"path": str(folder / "run.db"), "disks": disks, "segments": 2, "latency": 0.0001, "group": 64}


@pytest.fixture(scope="module")
def chosen(base: Path) -> list[Point]:
    """Return the points of a run that was killed half way and resumed: it replays, commits and closes."""
    folder = base / "points"
    half_done(folder)
    return points(order_in(folder), base / "trace")


def half_done(folder: Path, disks: int = 4) -> dict[str, Any]:
    """Leave the journal of a run that was killed half way, with its -wal and its lock."""
    order = order_in(folder, disks)
    killed_at(Point("fdatasync", 12, ""), order)
    assert (folder / "run.db-wal").exists()
    return order


def in_full(order: dict[str, Any]) -> list[str]:
    """Let the run come to its end, and return what it says there."""
    worker = [sys.executable, crash.__file__, "--worker", json.dumps(order)]
    return subprocess.run(worker, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()[:5]


def decided(path: Path) -> list[int]:
    """Return the steps with a verdict, in the order of the file."""
    if not path.exists():
        return []
    return [item.step for item in map(decode, read_records(path)) if isinstance(item, Wave) and item.verdict]


def kill_and_compare(point: Point, folder: Path, *, resumed: bool, disks: int = 4) -> None:
    """Kill one worker at a point, and compare what becomes of its journal with the undisturbed run."""
    order = half_done(folder, disks) if resumed else order_in(folder, disks)
    life = killed_at(point, order)
    assert life.status == -signal.SIGKILL or life.end, f"{point}: left with {life.status}"
    path = Path(order["path"])
    if not path.with_name("run.db-journal").exists():  # else the next writer has first to roll something back
        assert len(decided(path)) >= life.acknowledged, f"{point}: acknowledged steps were lost"
    assert in_full(order) == end_of(undisturbed(order["disks"])), f"{point}: another end"
    check_journal(path)
    assert [p.name for p in folder.iterdir()] == ["run.db"]


@needs_strace
def test_the_named_points_are_all_there(chosen: list[Point]) -> None:
    """A resumed run passes every named point: in replay, before, in and after a write and a sync, in close."""
    assert {point.where for point in chosen} >= PLACES - {"making the file"}


@needs_strace
@pytest.mark.parametrize("place", sorted(PLACES))
def test_killed_at_every_named_point(base: Path, chosen: list[Point], place: str) -> None:
    """Killed on entering a system call of that place, the run loses nothing and ends as the undisturbed one."""
    resumed = place != "making the file"
    some = chosen if resumed else points(order_in(base / "new"), base / "trace")
    point = random.Random(place).choice([point for point in some if point.where == place])
    kill_and_compare(point, base / place.replace(" ", "-"), resumed=resumed)


@needs_strace
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("resumed", [False, True])
def test_killed_at_every_system_call(base: Path, resumed: bool) -> None:
    """The same at every single system call on the journal, of a new run and of a resumed one."""
    folder = base / f"all-{resumed}"
    order = half_done(folder, 2) if resumed else order_in(folder, 2)
    every = points(order, base / "trace-all")
    shutil.rmtree(folder)
    for number, point in enumerate(every):
        kill_and_compare(point, base / f"all-{resumed}-{number}", resumed=resumed, disks=2)
        shutil.rmtree(base / f"all-{resumed}-{number}")


@pytest.mark.timeout(600)
def test_fifty_kills(base: Path) -> None:
    """Runs of 2,047 steps, killed fifty times at random moments, end as the undisturbed one."""
    order = {"disks": 11, "segments": 16, "latency": 0.0}
    hits, journals = kill_again_and_again(base, 50, order, seed=1)
    assert sum(hits.values()) == 50 and hits["while running"] > 20
    for path in journals:
        assert sorted(decided(path)) == list(range(2047))  # none is lost, none is there twice
        check_journal(path)


def test_a_journal_that_acknowledges_too_early_is_caught(base: Path) -> None:
    """The test of the test: a journal that says yes before it has written is found out by one kill."""
    order = {**order_in(base / "early", 13), "mutant": True}
    with nursery_process() as process:
        life = one_life(process, order, lines=60, seconds=None)
    assert life.status == signal.SIGKILL
    assert len(decided(Path(order["path"]))) < life.acknowledged
