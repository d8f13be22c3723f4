"""Whole journals as a forger makes them, put before every command that reads one: no hang, no traceback, no lie.

    python tests/attacks/fuzz_journals.py [--files 20000] [--first 1] [--seed 0] [--seconds 900]

File number i of a seed is always the same one. Two kinds of edit: odd content under a perfect chain (fields of any
type and number, records dropped, doubled and exchanged), and SQLite's own (views, triggers, indexes, columns, rows,
pragmas). Each command has 10 s of processor time and 1 GB (`report`, which takes ten times as long as all others,
reads each tenth file). What a command raises must be a MakerError. Where `verify` finds every check sound, all that
can be read of the file is so: no command refuses it, each decided step has the answer, the votes and the samples of
the journal that was edited, and nothing says solved that is not.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import io
import random
import resource
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from maker import ladder
from maker.decision.address import ATTEMPTS, ROUND
from maker.decision.sample import Request
from maker.decision.wave import Wave
from maker.errors import MakerError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.repair import repair
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.checking.verify import verify
from maker.review.export import export
from maker.review.report.page import write_report
from maker.review.revote import revote
from maker.testing import ScriptedModel
from scratch import scratch

SECONDS, BYTES = 10, 2**30
REPORTED = 10  # of so many files one goes to `report`
Item = Wave | dict[str, Any]

JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 5, 2**31, 2**53, 2**63, 2**64, 2**70, -(2**63), 1e308, -0.5,
    float("inf"), float("nan"),
    "", "x", "auto", "9" * 5000, "\ud800", "\x1b[2J", "=1+1", [], {}, [[]], {"a": 1}, [None] * 3, [0] * 9,
]  # fmt: skip
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n) SELECT x"
EDITS = [
    f"DROP TABLE groups; CREATE VIEW groups AS {ENDLESS} AS first, 1 AS count, x'00' AS data FROM n",
    f"DROP TABLE newest; CREATE VIEW newest AS {ENDLESS} AS records, 0 AS id FROM n WHERE x < 0",
    "CREATE TRIGGER t AFTER INSERT ON groups BEGIN DELETE FROM groups; END",
    f"CREATE TRIGGER t BEFORE INSERT ON newest BEGIN INSERT INTO groups {ENDLESS}, 1, x'' FROM n; END",
    "CREATE UNIQUE INDEX i ON groups (data)", "CREATE TABLE more (x)", "ANALYZE",
    "DROP TABLE newest", "DROP TABLE groups",
    "ALTER TABLE groups ADD COLUMN g INTEGER AS (count * 2)", "CREATE VIRTUAL TABLE v USING fts5(x)",
    "UPDATE groups SET count = 9223372036854775807", "UPDATE groups SET count = 0", "UPDATE groups SET count = -1",
    "UPDATE groups SET first = first + 1", "UPDATE groups SET first = -9223372036854775808 WHERE first = 0",
    "UPDATE groups SET data = zeroblob(1000000)", "UPDATE groups SET data = x''", "DELETE FROM groups",
    "UPDATE newest SET records = 9223372036854775807", "UPDATE newest SET records = -1", "DELETE FROM newest",
    "PRAGMA user_version = 0", "PRAGMA user_version = 1", "PRAGMA user_version = 3", "PRAGMA application_id = 0",
    "PRAGMA journal_mode = WAL", "PRAGMA page_size = 512; VACUUM", "PRAGMA page_size = 65536; VACUUM",
    "PRAGMA auto_vacuum = FULL; VACUUM",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE groups (first, count, data)'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 1",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 3 - rootpage + 2",
    "PRAGMA writable_schema = ON; INSERT INTO sqlite_master SELECT * FROM sqlite_master",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET name = 'sqlite_master'",
]  # fmt: skip


@dataclass
class Source:
    """A sound journal: how it is gone on with, what it holds, what it says of each step, and its run's answer."""

    again: Callable[[Path], Any]
    items: list[Item] = field(default_factory=list)
    truth: dict[int, Any] = field(default_factory=dict)
    answer: Any = None


def grown(folder: Path) -> list[Source]:
    """Return small sound journals of several kinds."""
    sources = [Source(again) for again in (_plain, _calibrated, _escalated, _changed, _asked)]
    for number, source in enumerate(sources):
        path = folder / f"grown-{number}.db"
        if source.again is _changed:  # part of it under other settings
            _plain(path, limits={"max_steps": 3})
        source.again(path)
        source.items = [decode(record) for record in read_records(path)]
        source.truth, source.answer = told(path), verify(path).answer
        for command in commands(path, source.again, whole=True).values():  # imports count for none of the files
            command()
    return sources


def _run(path: Path, model: Any, **settings: Any) -> object:
    return maker.run_sync(maker.load_task("hanoi", disks=3), model=model, journal=path, **settings)


def _plain(path: Path, **settings: Any) -> object:
    return _run(path, "oracle:p=0.9", k=3, **settings)


def _changed(path: Path) -> object:
    return _plain(path, seed=7, accept_change=["seed"])


def _calibrated(path: Path) -> object:
    return _run(path, "oracle:p=0.8,v=0.8", segments=2, k="auto", limits={"max_calls": 2000})


def _escalated(path: Path) -> object:
    """Fail at one step until it begins anew, and then until two steps are rolled back."""
    task = maker.load_task("hanoi", disks=3)

    def tell(request: Request) -> str:
        at = request.address
        lost = at.step == 4 and at.draw < ROUND * ATTEMPTS
        return "well" if lost else str(task.render(task.truth(request.state, at.step)))

    rungs = [ladder.refine, ladder.go_back(2)]
    return _run(path, ScriptedModel(tell), k=2, ladder=rungs, limits={"max_flags": 3})


def _asked(path: Path) -> object:
    model = ScriptedModel(lambda request: "yes" if request.address.draw % 4 else "no", lockstep=False)
    return maker.map_sync("Is {item} even?", [1, 2, 3], model=model, k=2, journal=path)


def forged(items: list[Item], rng: random.Random) -> list[Item]:
    """Return the items with a few things changed that only a forger could."""
    items = copy.deepcopy(items)
    for _ in range(rng.choice([1, 1, 2, 4])):
        number = rng.randrange(len(items))
        match rng.randrange(8):
            case 0:
                del items[number]
            case 1:
                items.insert(rng.randrange(len(items)), copy.deepcopy(items[number]))
            case 2:
                other = rng.randrange(len(items))
                items[number], items[other] = items[other], items[number]
            case _:
                item = items[number]
                _forge_wave(item, rng) if isinstance(item, Wave) else _forge_note(item, rng)
        if not items:
            break
    return items


def _forge_note(inside: Any, rng: random.Random) -> None:
    """Put junk at a random depth of a note."""
    while isinstance(inside, dict) and inside:
        key = rng.choice(list(inside))
        if not isinstance(inside[key], dict) or rng.random() < 0.2:
            inside[key] = rng.choice(JUNK)
            return
        inside = inside[key]


def _forge_wave(wave: Wave, rng: random.Random) -> None:
    match rng.randrange(7):
        case 0 if wave.draws:
            at = rng.randrange(len(wave.draws))
            wave.draws[at] = rng.choice([0, 1, 7, 30_000] + ([-1, -30_000] if at % 4 == 0 else [65_535]))
        case 1:
            wave.step = rng.choice([0, 1, 10**6, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1])
        case 2:
            wave.first = rng.choice([0, 1, 2**16, 2**22, 2**32 - 1])
        case 3:
            facts = ("flag", "finish", "id", "logprob", "model", "latency", "silent")
            wave.extras = {rng.choice([0, 1, 99, -1]): {rng.choice(facts): rng.choice(JUNK) for _ in range(3)}}
        case 4:
            wave.texts = [(bool(rng.randrange(2)), rng.choice([b"", b"\xff", b"[" * 100_000, b"move = [1,0,2]"]))] * 2
        case 5:
            wave.verdict = rng.choice([None, (9, bytes(16), bytes(16)), (0, bytes(16), bytes(16))])
        case _:
            wave.draws *= rng.choice([0, 2, 50])


def lay_out(path: Path, items: list[Item], rng: random.Random) -> str:
    """Write a forged journal, and say what was done to it."""
    edited = rng.random() < 0.3
    with Journal(path) as journal:
        for item in items if edited else forged(items, rng):
            try:
                journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
            except Exception:  # what has no bytes cannot be in a file
                continue
            if rng.random() < 0.3:
                journal.flush()
    if not edited:
        return "content"
    statement = rng.choice(EDITS)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        try:
            db.executescript(statement)
        except sqlite3.Error:
            return "no edit"
    return statement


def commands(path: Path, again: Callable[[Path], Any], *, whole: bool) -> dict[str, Callable[[], Any]]:
    """Return what reads a journal, by name; whole: `report` too. The last ones write to it."""
    out = path.parent
    asked: dict[str, Callable[[], Any]] = {
        "show": lambda: Story(path).summary().as_json(),
        "verify": lambda: verify(path),
        "verdicts": lambda: told(path),
        "export steps": lambda: export(path, out / "out.parquet"),
        "export samples": lambda: export(path, out / "out.csv", what="samples"),
        "export lines": lambda: export(path, out / "out.jsonl", what="samples"),
        "revote": lambda: revote(path, k=2),
        "repair": lambda: repair(path),
        "resume": lambda: again(path),
    }
    return {"report": lambda: write_report(path, out / "out.html"), **asked} if whole else asked


READERS = ("show", "verdicts", "export steps", "export samples", "export lines")  # of what is verified


class TooLong(BaseException):
    """A command took more than it may; nothing that it catches."""


def _too_long(*_: object) -> None:
    raise TooLong(f"more than {SECONDS} s")


def attack(path: Path, source: Source, *, whole: bool) -> tuple[list[str], bool]:
    """Run every command on a file; return the complaints, and whether its content passed every check."""
    found: list[str] = []
    said: dict[str, Any] = {}
    for name, command in commands(path, source.again, whole=whole).items():
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                said[name] = command()
        except MakerError as error:
            if type(error).__name__ == "InternalError":
                found.append(f"{name}: {error!r:.200}")
        except (Exception, TooLong) as error:
            found.append(f"{name}: {type(error).__name__}: {error!s:.200}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    sound = "verify" in said and said["verify"].problem is None
    return [*found, *lies(said, source)] if sound else found, sound


def lies(said: dict[str, Any], source: Source) -> Iterator[str]:
    """Yield what a file that passed every check says otherwise than the journal which was edited."""
    yield from (f"verified, but {name} refuses it" for name in READERS if name not in said)
    for step, row in said.get("verdicts", {}).items():
        if source.truth.get(step) != row:
            yield f"verified, but step {step} has {row}"
    audit = said["verify"]
    if audit.solved and audit.answer != source.answer:
        yield f"verified as solved, but the answer is {audit.answer!r:.80}"
    if "show" in said and said["show"]["solved"] and not audit.solved:
        yield "verified as not solved, but it shows as solved"


def told(path: Path) -> dict[int, Any]:
    """Return what a journal says of each decided step: the answer, the votes, and how many samples it took."""
    return {v.step: (v.answer, dict(v.votes.items()), v.samples, v.flagged) for v in Story(path).verdicts()}


def fuzz(numbers: range, seed: int, seconds: float = 1e9) -> tuple[int, Counter[str], list[str]]:
    """Forge the files of these numbers; return how many in the time, what was done to them, and the complaints."""
    signal.signal(signal.SIGPROF, _too_long)
    done: Counter[str] = Counter()
    found: list[str] = []
    end = time.monotonic() + seconds
    with scratch() as folder:
        sources = grown(folder)
        for number in numbers:
            faulthandler.dump_traceback_later(12 * SECONDS, exit=True)  # for what no signal interrupts
            rng = random.Random(f"{seed} {number}")
            source = rng.choice(sources)
            path = folder / "forged.db"
            what = lay_out(path, source.items, rng)
            complaints, sound = attack(path, source, whole=number % REPORTED == 0)
            done["content" if what == "content" else "schema and rows"] += 1
            done["passed every check"] += sound
            found += [f"--seed {seed}, file {number} ({what:.60}): {complaint}" for complaint in complaints]
            for left in folder.glob("forged.db*"):
                left.unlink()
            if time.monotonic() > end:
                break
    faulthandler.cancel_dump_traceback_later()
    return done["content"] + done["schema and rows"], done, found


def main() -> None:
    """Forge, say what was found, and fail if anything was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=900)
    given = parser.parse_args()
    used = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * BYTES, resource.RLIM_INFINITY))  # threads reserve, unused
    made, done, found = fuzz(range(given.first, given.first + given.files), given.seed, given.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.writelines(line + "\n" for line in found[:50])
    sys.stdout.write(f"{made} files ({dict(done)}): {len(found)} complaints, peak {peak:.0f} MB\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
