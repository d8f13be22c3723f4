"""Two processes race for one journal through links, symbolic links, copies and new names: never two writers.

    python tests/attacks/race.py [--rounds 1000] [--seed 0]

Each round lays out one journal under several names, lets two processes write to names of their own choice while a
third hand renames, copies, links and removes lock files, and then asks: was there ever more than one writer of one
file at once, and is every file that is left sound?
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from maker.errors import MakerError
from maker.journal.database import read_records
from maker.journal.writer import Journal

NAMES = ("run.db", "soft.db", "hard.db", "moved.db", "folder/run.db")
GROUPS = 6


def write(path: Path, mark: Path, rng: random.Random) -> int:
    """Write a few groups; 0: written, 1: refused or noticed in words, 2: another one was writing, 3: anything else."""
    try:
        with Journal(path) as journal:
            list(journal.replay())
            assert journal._lock is not None and journal._lock._identity is not None
            held = os.open(mark / "{}-{}".format(*journal._lock._identity), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 2
            for number in range(GROUPS):
                journal.append(b"%d of %d" % (number, os.getpid()))
                journal.flush()
                time.sleep(rng.random() / 500)
            os.close(held)
    except (MakerError, FileNotFoundError):
        return 1
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 3
    return 0


def meddle(folder: Path, rng: random.Random) -> None:
    """Do with the names what a careless or hostile hand does."""
    path = folder / "run.db"
    for _ in range(3):
        time.sleep(rng.random() / 200)
        with suppress(OSError):
            match rng.randrange(6):
                case 0:
                    path.rename(folder / "moved.db")
                case 1:
                    (folder / "hard.db").hardlink_to(path)
                case 2:
                    (folder / "run.db.lock").unlink()
                case 3:
                    shutil.copy(path, folder / "copy.db")
                case 4:
                    (folder / "moved.db").rename(path)
                case 5:
                    (folder / "hard.db").unlink()


def race(folder: Path, rng: random.Random) -> list[int]:
    """Play one round; return how the two writers ended."""
    (folder / "marks").mkdir()
    (folder / "folder").symlink_to(folder)
    (folder / "soft.db").symlink_to(folder / "run.db")
    if rng.random() < 0.7:
        with Journal(folder / "run.db") as journal:
            journal.append(b"first")
    if rng.random() < 0.3:
        with suppress(OSError):
            (folder / "hard.db").hardlink_to(folder / "run.db")
    children = []
    for _ in range(2):
        name, seed = rng.choice(NAMES), rng.random()
        if (child := os.fork()) == 0:
            os._exit(write(folder / name, folder / "marks", random.Random(seed)))
        children.append(child)
    meddle(folder, rng)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def damaged(folder: Path) -> list[str]:
    """Return the complaints about files of a finished round, seen through one name each; copies are not counted."""
    found = []
    for name in ("run.db", "moved.db"):
        if (folder / name).is_file():
            try:
                list(read_records(folder / name))
            except MakerError as error:
                found.append(str(error))
    return found


def rounds(count: int, seed: int) -> Counter[str]:
    """Play so many rounds and count how they ended; "two writers", "damaged" and "odd" must stay 0."""
    ends: Counter[str] = Counter({"two writers": 0, "damaged": 0, "odd": 0})
    for number in range(count):
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
            folder = Path(name)
            codes = race(folder, random.Random(f"{seed} {number}"))
            ends[f"{codes.count(0)} wrote"] += 1
            ends["two writers"] += codes.count(2)
            ends["odd"] += sum(code not in (0, 1, 2) for code in codes)
            for complaint in damaged(folder):
                ends["damaged"] += 1
                sys.stderr.write(f"round {number}: {complaint}\n")
    return ends


def main() -> None:
    """Play, say how it ended, and fail where anything must not have been."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends = rounds(given.rounds, given.seed)
    sys.stdout.write(f"{given.rounds} rounds: " + ", ".join(f"{n} {what}" for what, n in ends.items()) + "\n")
    sys.exit(bool(ends["two writers"] or ends["damaged"] or ends["odd"]))


if __name__ == "__main__":
    main()
