"""Power cuts: whatever the disk kept of the unsynced writes, every acknowledged record is there and the run resumes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import maker
from maker.errors import JournalError
from maker.journal.database import read_records
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.testing import check_journal
from powercut import Call, Disk, cuts, lay_out, record
from scratch import scratch

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

# A stop in the middle, a close, a resume; every wave is committed before the next. 8 disks are 255 steps.
SCRIPT = """
path, disks = sys.argv[1], int(sys.argv[2])
for limit in (2 ** (disks - 1), None):
    maker.run_sync(maker.load_task("hanoi", disks=disks), model=Oracle(p=0.95, v=0.9, latency=0.0001), k=3, segments=2,
                   journal=path, limits={"max_steps": limit})
acknowledge(sum(1 for _ in maker.journal.database.read_records(path)))
"""


@dataclass
class Traced:
    """A run under strace: its calls, the records that it left, and where images are laid out."""

    calls: list[Call]
    records: list[bytes]
    place: Path


def traced(base: Path, setup: str = "", disks: int = 8) -> Traced:
    """Run `SCRIPT` under strace."""
    folder, place = base / "traced", base / "image"
    folder.mkdir(parents=True)
    place.mkdir()
    calls = record(setup + SCRIPT, folder, str(folder / "run.db"), str(disks))
    return Traced(calls, list(read_records(folder / "run.db")), place)


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Return a folder for thousands of images."""
    with scratch() as folder:
        yield folder


@pytest.fixture(scope="module")
def shipped(base: Path) -> Traced:
    """Return the trace of the library as it is."""
    return traced(base / "shipped")


def after_cut(run: Traced, image: dict[str, bytes], rng: random.Random) -> list[bytes]:
    """Return the records that a new process finds."""
    lay_out(image, run.place, rng)
    with Journal(run.place / "run.db") as journal:
        return list(journal.replay())


def losses(run: Traced, random_cuts: int, seed: int, *, every: bool = False) -> list[str]:
    """Return what each cut lost or made up: nothing, if the journal keeps its promise."""
    rng = random.Random(seed)
    found = []
    for where, acknowledged, image in cuts(run.calls, random_cuts, seed, every=every):
        loss = _loss(run, image, acknowledged, rng)
        if loss:
            found.append(f"{where}: {loss}")
    return found


def _loss(run: Traced, image: dict[str, bytes], acknowledged: int, rng: random.Random) -> str:
    try:
        found = after_cut(run, image, rng)
    except JournalError as error:
        return f"refused: {error}"
    if len(found) < acknowledged:
        return f"{acknowledged} records were acknowledged, {len(found)} are there"
    return "" if found == run.records[: len(found)] else "other records than were written"


def test_the_trace_shows_the_whole_file(shipped: Traced) -> None:
    """All calls together, with nothing lost, rebuild the very file that the run left: the simulator misses no write."""
    disk = Disk()
    for call in shipped.calls:
        disk.apply(call)
    files = disk.image(random.Random(0), "all")
    assert {name: files[name] for name in files if name != "run.db.lock"} == {
        "run.db": (shipped.place.parent / "traced" / "run.db").read_bytes()
    }
    assert disk.acknowledged == len(shipped.records) > 200


def test_no_acknowledged_record_is_lost(shipped: Traced) -> None:
    """At five hundred random cuts what is left opens, has all that was acknowledged, and begins what was written."""
    assert losses(shipped, 500, seed=1) == []


def test_no_cut_after_any_call_loses_a_record(base: Path) -> None:
    """The same after every single call of a shorter run, with all or nothing kept of what was not synced."""
    assert losses(traced(base / "short", disks=3), 0, seed=1, every=True) == []


@pytest.mark.parametrize("mutant", ["OFF", "NORMAL"])
def test_a_journal_that_does_not_sync_is_caught(base: Path, mutant: str) -> None:
    """The test of the test: without syncing, records are lost within fifty random cuts."""
    run = traced(base / mutant, f'inject("synchronous={mutant}")\n', disks=4)
    rng = random.Random(2)
    found = [_loss(run, image, acknowledged, rng) for _, acknowledged, image in cuts(run.calls, 50, seed=2)]
    assert any("acknowledged" in loss for loss in found)


def test_checkpoints_lose_nothing_either(base: Path) -> None:
    """With a checkpoint every few commits, so that the -wal begins anew often, the same holds."""
    run = traced(base / "often", 'inject("wal_autocheckpoint=8")\n', disks=4)
    assert sum(call.kind == "write" and call.name == "run.db" for call in run.calls) > 20
    assert losses(run, 200, seed=3) == []


def test_images_resume_to_the_same_end(shipped: Traced) -> None:
    """A run that goes on from what a cut left decides as the undisturbed one, and its journal verifies."""
    task = maker.load_task("hanoi", disks=8)
    whole = maker.run_sync(task, model=Oracle(p=0.95, v=0.9), k=3, segments=2)
    rng = random.Random(4)
    for where, _, image in cuts(shipped.calls, 12, seed=4):
        lay_out(image, shipped.place, rng)
        path = shipped.place / "run.db"
        result = maker.run_sync(task, model=Oracle(p=0.95, v=0.9), k=3, segments=2, journal=path)
        assert (result.solved, result.chain, result.samples) == (True, whole.chain, whole.samples), where
        check_journal(path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("setup", ["", 'inject("wal_autocheckpoint=8")\n'])
def test_ten_thousand_power_cuts(base: Path, setup: str) -> None:
    """The same with ten thousand random cuts and one after every call, and with frequent checkpoints."""
    assert losses(traced(base / f"slow{len(setup)}", setup), 10_000, seed=5, every=True) == []
