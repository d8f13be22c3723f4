"""Kills: a run whose process dies by SIGKILL, at random moments and at every system call, and is resumed.

Random moments: a `Nursery` (a process that has imported everything) forks one worker after another, each going on
with the same journal; the harness kills it after so many seconds or so many lines, and keeps what was
acknowledged in a line. Run as a script it does that a thousand times over a run of 131,071 steps:

    python tests/kit/crash.py [--kills 1000] [--disks 17] [--seed 0]

Chosen moments: `points` lists the system calls on the journal that a run makes, each with a name for where it
stands in a commit; `killed_at` runs a worker that dies on entering one of them (strace).

Not covered: power cuts (`powercut.py`). A killed process loses no write that it made, so kills prove the order of
the code and the resume, not the syncing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maker
from maker.engine.result import RunResult
from maker.models.oracle import Oracle
from scratch import scratch

MODEL = {"p": 0.95, "v": 0.95}
CALLS = ("openat", "pwrite64", "pread64", "fsync", "fdatasync", "ftruncate", "unlink", "fcntl", "write")


def say(line: str) -> None:
    """Tell the harness a line: in one write, which no other process's can split."""
    os.write(1, line.encode() + b"\n")


def work(order: dict[str, Any]) -> None:
    """Be a worker: go on with a run, saying `open`, the acknowledged steps after every round, and the end."""
    sys.modules["maker.engine.result"].REPORT_SECONDS = 0.0  # type: ignore[attr-defined]
    sys.modules["maker.journal.writer"].GROUP_RECORDS = order["group"]  # type: ignore[attr-defined]
    task, model = maker.load_task("hanoi", disks=order["disks"]), Oracle(**MODEL, latency=order["latency"])
    if order.get("alone"):
        model.replicable = False

    if "mutant" in order:  # acknowledges what is not written yet

        async def committed(self: Any) -> None:
            self.acknowledged = self.appended

        journal = sys.modules["maker.journal.writer"].Journal  # type: ignore[attr-defined]
        journal.committed, journal.commit_soon, journal.commit_if_due = committed, lambda self: None, lambda self: None
    say("open")
    result = maker.run_sync(task, model=model, k=4, segments=order["segments"], journal=order["path"],
                            progress=lambda seen: say(str(seen.steps)))  # fmt: skip
    say(f"end {result.solved} {result.chain} {result.state_digest} {result.samples} {result.replayed}")


def undisturbed(disks: int) -> RunResult:
    """Return the run without kills and without a journal file."""
    return maker.run_sync(maker.load_task("hanoi", disks=disks), model=Oracle(**MODEL), k=4, segments=1)


def end_of(result: RunResult) -> list[str]:
    """Return what a worker's last line must say of the run, but for how much it replayed."""
    return ["end", str(result.solved), result.chain, result.state_digest, str(result.samples)]


def nursery() -> None:
    """Fork a worker for each order on stdin; say its pid, and when it is gone."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            work(json.loads(line))
            os._exit(0)
        say(f"pid {pid}")
        say(f"gone {os.waitpid(pid, 0)[1]}")


@contextmanager
def nursery_process() -> Iterator[subprocess.Popen[str]]:
    """Run a nursery as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()  # a worker that still speaks then ends too
        process.wait()


@dataclass
class Life:
    """What one worker did: whether it opened the journal, what it acknowledged, its last line if it came to it."""

    opened: bool = False
    first: int | None = None  # steps at its first report: what it replayed and one round
    acknowledged: int = 0
    end: str = ""
    status: int = 0

    @property
    def phase(self) -> str:
        """Where it was when it was killed."""
        if not self.opened:
            return "before it opened"
        return "while resuming" if self.first is None else "while running"


def one_life(process: subprocess.Popen[str], order: dict[str, Any], *, lines: int, seconds: float | None) -> Life:
    """Let a worker live for so many lines of progress (-1: no limit), or so many seconds, and then kill it."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    life, pid, said, timer = Life(), 0, 0, None
    for line in process.stdout:
        word, *rest = line.split()
        if word == "pid":
            pid = int(rest[0])
            if seconds is not None:
                timer = threading.Timer(seconds, _kill, (pid,))
                timer.start()
        elif word == "gone":
            life.status = int(rest[0])
            break
        elif word == "open":
            life.opened = True
        elif word == "end":
            life.end = line.strip()
        elif line.endswith("\n"):
            life.first = int(word) if life.first is None else life.first
            life.acknowledged = int(word)
            said += 1
        if pid and 0 <= lines <= said and not life.end:
            _kill(pid)
            lines = -1
    if timer is not None:
        timer.cancel()
        timer.join()
    return life


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it came to its end by itself
        os.kill(pid, signal.SIGKILL)


def kill_again_and_again(
    folder: Path, kills: int, order: dict[str, Any], seed: int, *, tell: bool = False
) -> tuple[Counter[str], list[Path]]:
    """Kill the workers of a run until `kills` kills have hit, then let it end; return what was hit, and the journals.

    Every worker must begin with at least what the ones before acknowledged, and every run end as the undisturbed
    one: raises AssertionError otherwise. A run that ends before all kills have hit is followed by another.
    """
    rng = random.Random(seed)
    expected = end_of(undisturbed(order["disks"]))
    hits: Counter[str] = Counter()
    journals: list[Path] = []
    with nursery_process() as process:
        while sum(hits.values()) < kills or not journals:
            journals.append(folder / f"run-{len(journals)}.db")
            end = _to_its_end(process, {**order, "path": str(journals[-1])}, kills, hits, rng, tell=tell)
            assert end.split()[:5] == expected, "the end is not that of the undisturbed run"
    return hits, journals


def _to_its_end(
    process: subprocess.Popen[str],
    order: dict[str, Any],
    kills: int,
    hits: Counter[str],
    rng: random.Random,
    *,
    tell: bool,
) -> str:
    """Kill one run's workers until it ends, or all kills have hit; return its last line."""
    promised, replay_seconds, life = 0, 0.3, Life()
    while not life.end:
        done = sum(hits.values())
        # Most kills come a few rounds after the resume, and early: a kill costs the replay of all before it.
        goal = (2 ** order["disks"] - 1) * (done / kills) ** 6
        lines, seconds = rng.randrange(1, 2 + int(max(0, goal - promised) / 32)), None
        if promised > goal or rng.random() < 0.2:
            lines = rng.randrange(4)
            seconds = rng.random() * replay_seconds if rng.random() < 0.3 else None
        begun = time.monotonic()
        # With other processes a round is thousands of steps: alone, unless there is that far to go.
        order["alone"] = goal - promised < 8192
        order["group"] = rng.choice([1, 7, 64, 300, 4096])
        life = one_life(process, order, lines=lines if done < kills else -1, seconds=seconds if done < kills else None)
        found = promised if life.first is None else life.first
        assert found >= promised, f"{promised} steps were acknowledged, {found} found"
        if life.first is not None and seconds is None:
            replay_seconds = time.monotonic() - begun
        promised = max(promised, life.acknowledged)
        if not life.end:
            assert os.WIFSIGNALED(life.status), f"a worker failed by itself: {life.status}"
            hits[life.phase] += 1
        if tell and done % 50 == 0:
            print(f"{done} kills, {promised} steps acknowledged", flush=True)
    return life.end


# -- chosen moments -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A system call on the journal at which a worker can be killed: its name, its number in its thread, where it is."""

    call: str
    number: int
    where: str


_LINE = re.compile(r"(\d+) +(\w+)\((.*)")


def strace(order: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run one worker under strace, which looks at the journal's files alone."""
    path = order["path"]
    files = [f"-P{name}" for name in (path, f"{path}-wal", f"{path}-journal", f"{path}-shm", f"{path}.lock")]
    return subprocess.run(
        ["strace", "-f", "-y", "-e", "signal=none", "-e", "trace=" + ",".join(CALLS), *files, *options,
         sys.executable, __file__, "--worker", json.dumps(order)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def points(order: dict[str, Any], trace: Path) -> list[Point]:
    """Return every point of an undisturbed run at which a kill can be placed."""
    assert strace(order, "-o", str(trace)).returncode == 0
    counts: Counter[tuple[str, str]] = Counter()
    reached: set[tuple[str, int]] = set()
    found = []
    before, stage = "", "making"
    for match in filter(None, map(_LINE.match, trace.read_text().splitlines())):
        thread, call, rest = match.groups()
        counts[thread, call] += 1
        if stage == "making" and "-wal" in rest:
            stage = "committing"
        elif stage == "committing" and (call == "unlink" or (call == "ftruncate" and "-shm" not in rest)):
            stage = "closing"
        point = Point(call, counts[thread, call], _where(call, rest, before, stage))
        if (call, point.number) not in reached:  # else another thread is killed there first
            reached.add((call, point.number))
            found.append(point)
        before = call
    return found


def _where(call: str, rest: str, before: str, stage: str) -> str:
    """Name the place of a call in the life of a journal."""
    if ".lock" in rest:
        return "after a sync, before acknowledging" if stage == "committing" else "in the lock"
    if stage != "committing":
        return {"making": "making the file", "closing": "in close"}[stage]
    if call == "pwrite64":
        return "before a write" if ", 24, " in rest else "in the middle of a write"
    if call == "pread64":
        return "in replay"
    return "before a sync" if call == "fdatasync" else "after a sync" if before == "fdatasync" else "between"


def killed_at(point: Point, order: dict[str, Any]) -> Life:
    """Run a worker that dies on entering the call at `point`; return what it said."""
    done = strace(order, "-e", f"inject={point.call}:signal=KILL:when={point.number}", "-o", os.devnull)
    life = Life(status=done.returncode)
    for line in done.stdout.splitlines(keepends=True):
        life.opened = life.opened or line == "open\n"
        if line.startswith("end"):
            life.end = line.strip()
        elif line.strip().isdigit() and line.endswith("\n"):
            life.acknowledged = int(line)
    return life


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Kill a run many times and compare its end with the undisturbed one.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--disks", type=int, default=17)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nursery", action="store_true", help="be the process that forks the workers")
    parser.add_argument("--worker", help="be one worker, with this order")
    asked = parser.parse_args()
    if asked.nursery:
        nursery()
    elif asked.worker:
        work(json.loads(asked.worker))
    else:
        order = {"disks": asked.disks, "segments": 16, "latency": 0.0}
        begun = time.monotonic()
        with scratch() as folder:
            hits, journals = kill_again_and_again(folder, asked.kills, order, asked.seed, tell=True)
        print(f"{sum(hits.values())} kills, {len(journals)} runs of {2**asked.disks - 1} steps: {dict(hits)}; "
              f"every end is that of the undisturbed run; {time.monotonic() - begun:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
