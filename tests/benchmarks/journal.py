"""Reading large journals: seconds and memory of every command, against what is wanted of it at a million steps.

Run: python tests/benchmarks/journal.py [--disks 16] [--items 65536] [--repeats 3] [--journal FILE]
The full size takes sixteen times as long: --disks 20 --items 1000000 (`make bench-journal` is the small one)

Two journals: the Towers of Hanoi with a simulated model (p = .99, k = 4), 2^disks - 1 steps, and a map of so many items
that a model in this process answers. Each command is a child process of its own; medians are printed, and the most
memory of all repeats. Where others use the machine, the seconds of processor time are what it would take. Of a journal
that is smaller than a million, the column "at 10^6" is reckoned from these: all but the start of a process grows with
the steps. --journal: a run of --disks that is there already, and is not made.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODEL, K = "oracle:p=0.99", "4"
MOST_MEMORY = 300  # MB, of each
MOST_PAGE = 1_000_000  # bytes of a report
FULL = 1_000_000  # steps, or items
WANTED = {"resume": 10, "show": 2, "verify": 45, "report": 20, "export": 60, "revote": 120}  # seconds


class Same:
    """A model that gives every item the same answer."""

    lockstep = True
    name = "same"

    async def draw(self, requests: Sequence[Any]) -> list[str]:
        """Answer all at once."""
        return ["yes"] * len(requests)


def ask_all(items: int, journal: str) -> None:
    """Make a map of so many items, or resume it."""
    import maker

    verdicts = maker.map_sync("{item}?", range(items), model=Same(), k=1, journal=journal)
    assert len(verdicts) == items


def child(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Run a program; return its seconds, those of processor time, and the most memory it had, in MB."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, *arguments], stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{said.read().decode()[-2000:]}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def commands(journal: Path, resume: Sequence[str], folder: Path) -> dict[str, Sequence[str]]:
    """Return what is measured of one journal, by name."""
    maker = ("-m", "maker")
    tables = {
        f"export {what} {kind}": (*maker, "export", str(journal), "--what", what, "-o", str(folder / f"out.{kind}"))
        for what in ("steps", "samples")
        for kind in ("parquet", "csv", "jsonl")
    }
    return {
        "resume": resume,
        "show": (*maker, "show", str(journal)),
        "verify": (*maker, "verify", str(journal)),
        "report": (*maker, "report", str(journal), "-o", str(folder / "page.html")),
        **tables,
        "revote": (*maker, "revote", str(journal), "--k", "2"),
    }


def measure(name: str, size: int, journal: Path, resume: Sequence[str], folder: Path, repeats: int) -> None:
    """Print the table of one journal of so many steps or items."""
    print(f"\n{name} of {size:,}: {journal.stat().st_size / 1e6:.0f} MB", flush=True)
    print(f"{'':24}{'s':>8}{'cpu s':>8}{'at 10^6':>8}{'wanted':>8}{'MB':>8}{'wanted':>8}", flush=True)
    start = statistics.median(child(("-m", "maker", "tasks"))[1] for _ in range(repeats))
    for what, arguments in commands(journal, resume, folder).items():
        taken = [child(arguments) for _ in range(repeats)]
        seconds, busy = (statistics.median(column) for column in list(zip(*taken, strict=True))[:2])
        memory = max(most for _, _, most in taken)
        wanted = WANTED[what.split()[0]]
        whole = start + max(0, busy - start) * max(1, FULL / size)
        over = " *" if whole > wanted or memory > MOST_MEMORY else ""
        print(f"{what:24}{seconds:8.1f}{busy:8.1f}{whole:8.1f}{wanted:8}{memory:8.0f}{MOST_MEMORY:8}{over}", flush=True)
    page = (folder / "page.html").stat().st_size
    print(f"page of the report: {page:,} bytes{' *' if page > MOST_PAGE else ''}", flush=True)


def main() -> None:
    """Make what is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=16)
    parser.add_argument("--items", type=int, default=2**16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--ask-all", nargs=2, help=argparse.SUPPRESS)  # a child: items, journal
    told = parser.parse_args()
    if told.ask_all:
        ask_all(int(told.ask_all[0]), told.ask_all[1])
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores; * is more than is wanted")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        run, items = told.journal or folder / "run.db", folder / "map.db"
        resume = (
            *("-m", "maker", "run", "hanoi", "--disks", str(told.disks)),
            *("--model", MODEL, "--k", K, "--journal", str(run)),
        )
        again = (__file__, "--ask-all", str(told.items), str(items))
        if told.journal is None:
            child(resume)
        measure("a run", 2**told.disks - 1, run, resume, folder, told.repeats)
        child(again)
        measure("a map", told.items, items, again, folder, told.repeats)


if __name__ == "__main__":
    main()
