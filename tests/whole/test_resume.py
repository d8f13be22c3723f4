"""Crash and resume: a run that is killed at any moment ends exactly as the undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.wave import Wave
from maker.engine.result import RunResult
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel, check_journal

# Groups are made small so that a short run has many moments at which a commit is under way.
CHILD = """
import sys
import maker, maker.journal.writer
from maker.models.oracle import Oracle
path, disks, segments, latency, group = sys.argv[1], *map(float, sys.argv[2:])
engine = sys.modules["maker.engine.result"]
engine.REPORT_SECONDS = 0.0
maker.journal.writer.GROUP_RECORDS = int(group)
def show(progress):
    print(progress.steps, flush=True)
task = maker.load_task("hanoi", disks=int(disks))
model = Oracle(p=0.95, v=0.95, latency=latency)
result = maker.run_sync(task, model=model, k=4, segments=int(segments), journal=path, progress=show)
print("end", result.solved, result.chain, result.state_digest, flush=True)
"""

FULL = """
import resource, sys
import maker
from maker.errors import JournalFull
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
seen = 0
def show(progress):
    global seen
    seen = progress.steps
engine = sys.modules["maker.engine.result"]
engine.REPORT_SECONDS = 0.0
try:
    maker.run_sync(maker.load_task("hanoi", disks=11), model="oracle:p=0.9", k=3, journal=sys.argv[1], progress=show)
except JournalFull as full:
    print("full", full.exit_code, seen)
"""


def undisturbed(disks: int) -> RunResult:
    """Return the same run without a journal file and without kills."""
    return maker.run_sync(maker.load_task("hanoi", disks=disks), model=Oracle(p=0.95, v=0.95), k=4, segments=1)


def stored_steps(path: Path) -> int:
    """Count the decided steps that the file holds."""
    return sum(isinstance(item, Wave) and item.verdict is not None for item in map(decode, read_records(path)))


def killed_after(lines: int, arguments: list[str]) -> tuple[int, str]:
    """Run a child until it has said `lines` lines, then kill it.

    Returns the most steps it acknowledged, and its last line if it came to its end before it was killed.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    acknowledged, end = 0, ""
    assert child.stdout is not None
    if lines == 0:  # before it has said anything at all
        os.kill(child.pid, signal.SIGKILL)
    for number, line in enumerate(child.stdout, start=1):  # also what it had said before the signal came
        if line.startswith("end"):
            end = line
        elif line.endswith("\n"):
            acknowledged = max(acknowledged, int(line))
        if number == lines and not end:
            os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    child.wait()
    return acknowledged, end


def kill_and_resume(folder: Path, kills: int, disks: int, segments: int, latency: float, seed: int) -> None:
    """Kill runs at random moments until `kills` kills have hit; compare each finished run with the undisturbed one."""
    expected = undisturbed(disks)
    rng = random.Random(seed)
    hits = number = 0
    while hits < kills:
        path = folder / f"run-{number}.db"
        number += 1
        promised, end = 0, ""
        while not end:
            lines = rng.choice([1, rng.randrange(5), rng.randrange(40), rng.randrange(400)])
            if hits == kills:
                lines = -1  # let it come to its end
            group = rng.choice([1, 7, 64, 300])
            acknowledged, end = killed_after(lines, [str(path), *map(str, (disks, segments, latency, group))])
            promised = max(promised, acknowledged)
            if path.exists():
                assert stored_steps(path) >= promised, "an acknowledged step was lost"
            hits += not end
        assert end.split() == ["end", "True", expected.chain, expected.state_digest]
        assert stored_steps(path) == expected.steps
        check_journal(path)


@pytest.mark.parametrize(
    ("disks", "segments", "latency", "seed"), [(12, 1, 0.0, 1), (12, 64, 0.0, 2), (8, 16, 0.0005, 3)]
)
def test_killed_at_random_moments(tmp_path: Path, disks: int, segments: int, latency: float, seed: int) -> None:
    """After every SIGKILL nothing acknowledged is lost, and the end is that of the undisturbed run."""
    kill_and_resume(tmp_path, 4, disks, segments, latency, seed)


@pytest.mark.slow
@pytest.mark.parametrize(("segments", "latency"), [(1, 0.0), (64, 0.0), (64, 0.0005)])
def test_killed_fifty_times(tmp_path: Path, segments: int, latency: float) -> None:
    """The same with fifty kills."""
    kill_and_resume(tmp_path, 50, 12, segments, latency, 50)


def test_every_cut_between_groups_resumes(tmp_path: Path) -> None:
    """Whatever number of records a crash left, the resumed run has the same verdicts, chain and samples."""
    task, path = maker.load_task("hanoi", disks=4), tmp_path / "run.db"
    settings: dict[str, Any] = {"k": 3, "segments": 4}
    whole = maker.run_sync(task, model=Oracle(p=0.8), journal=path, **settings)
    records = list(read_records(path))
    assert len(records) > 15
    for count in range(len(records)):
        cut = tmp_path / f"cut-{count}.db"
        rewrite(cut, records[:count])
        resumed = maker.run_sync(task, model=Oracle(p=0.8), journal=cut, **settings)
        assert (resumed.solved, resumed.chain, resumed.samples) == (True, whole.chain, whole.samples)
        ours, theirs = ({v.step: v for v in result.verdicts()} for result in (resumed, whole))
        assert ours == theirs
        check_journal(cut)


def rewrite(path: Path, records: list[bytes]) -> None:
    """Write a journal of these records."""
    with Journal(path) as journal:
        list(journal.replay())
        for record in records:
            journal.append(record)


def test_crash_in_the_middle_of_a_step(tmp_path: Path) -> None:
    """A step whose first wave was kept goes on with its next draw; no draw is asked for twice."""
    task, path = maker.load_task("hanoi", disks=2), tmp_path / "run.db"
    moves = {"good": lambda r: task.render(task.truth(r.state, r.address.step)),
             "bad": lambda r: task.render(task.rivals(r.state, r.address.step)[0])}  # fmt: skip
    model = ScriptedModel(lambda r: moves["bad" if r.address.draw == 1 else "good"](r))
    whole = maker.run_sync(task, model=model, k=2, segments=1, journal=path)
    records = list(read_records(path))
    all_draws = [request.address for request in model.requests]
    cut = tmp_path / "cut.db"
    rewrite(cut, records[:2])  # the header and the first wave: one vote each
    model.requests.clear()
    resumed = maker.run_sync(task, model=model, k=2, segments=1, journal=cut)
    assert [request.address for request in model.requests] == all_draws[2:]
    assert (resumed.chain, resumed.samples) == (whole.chain, whole.samples)


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
def test_texts_kept_or_not_resume_alike(tmp_path: Path, keep: Any) -> None:
    """What is kept of the samples changes neither the verdicts nor a resume."""
    task = maker.load_task("hanoi", disks=5)
    settings: dict[str, Any] = {"k": 3, "segments": 1, "keep_samples": keep}
    whole = maker.run_sync(task, model="oracle:p=0.8,v=0.8", k=3, segments=1)
    path = tmp_path / "run.db"
    for calls in (20, 40, 60, None):
        limits = {"max_calls": calls}
        result = maker.run_sync(task, model="oracle:p=0.8,v=0.8", journal=path, limits=limits, **settings)
    assert (result.solved, result.chain, result.samples, result.flags) == (
        True, whole.chain, whole.samples, whole.flags,
    )  # fmt: skip
    texts = [full for item in map(decode, read_records(path)) if isinstance(item, Wave) for full, _ in item.texts]
    assert (all(texts), any(texts)) == (keep == "all" or (keep == "flagged" and all(texts)), True)


def test_copies_are_recognised_across_a_resume(tmp_path: Path) -> None:
    """A response id that was seen before the crash is a copy after it."""
    path = tmp_path / "run.db"
    whole = maker.run_sync("hanoi", model="oracle:p=0.6,copies=0.04", k=3, segments=1, limits={"max_steps": 100})
    for calls in (137, 274, 411, 548, 685, None):
        limits = {"max_steps": 100, "max_calls": calls}
        result = maker.run_sync("hanoi", model="oracle:p=0.6,copies=0.04", k=3, segments=1, journal=path, limits=limits)
    assert whole.flags["copied"] > 5
    assert (result.chain, result.samples, result.flags) == (whole.chain, whole.samples, whole.flags)


def test_full_disk_during_a_run(tmp_path: Path) -> None:
    """A run that fills its disk ends with JournalFull, keeps all that it acknowledged, and resumes to the same end."""
    path = tmp_path / "run.db"
    child = subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, capture_output=True, text=True)
    word, code, acknowledged = child.stdout.split()
    assert (word, code) == ("full", "3")
    kept = stored_steps(path)
    assert kept >= int(acknowledged)
    whole = maker.run_sync(maker.load_task("hanoi", disks=11), model="oracle:p=0.9", k=3)
    resumed = maker.run_sync(maker.load_task("hanoi", disks=11), model="oracle:p=0.9", k=3, journal=path)
    assert resumed.replayed == kept
    assert (resumed.stopped, resumed.chain, resumed.samples) == (whole.stopped, whole.chain, whole.samples)


def test_copied_while_it_is_written(tmp_path: Path) -> None:
    """The file and its -wal, copied at a moment when nobody closed them, are a journal that resumes."""
    path, copy = tmp_path / "run.db", tmp_path / "copy.db"
    task = maker.load_task("hanoi", disks=4)

    def snapshot(progress: Any) -> None:
        if not copy.exists() and progress.steps >= 5:
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")

    engine = sys.modules["maker.engine.result"]
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(engine, "REPORT_SECONDS", 0.0)
        whole = maker.run_sync(task, model=Oracle(latency=0.0001), k=2, segments=1, journal=path, progress=snapshot)
    resumed = maker.run_sync(task, model=Oracle(), k=2, segments=1, journal=copy)
    assert resumed.replayed >= 5
    assert (resumed.solved, resumed.chain) == (True, whole.chain)


def test_usage_of_all_processes_is_one_account(tmp_path: Path) -> None:
    """Draws, flags and tokens of every process that worked on a run add up to those of an undisturbed one."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=5)
    whole = maker.run_sync(task, model="oracle:p=0.9,v=0.8", k=3)
    for steps in (5, 12, 25, None):
        result = maker.run_sync(task, model="oracle:p=0.9,v=0.8", k=3, journal=path, limits={"max_steps": steps})
    assert result.solved
    assert result.usage == whole.usage
    assert (result.flags, result.waves, result.wrong) == (whole.flags, whole.waves, whole.wrong)
