"""Power cuts, simulated from the system calls of a real run.

`record` runs a Python script under strace and returns what it did to the files of one folder. `Disk` replays
that up to any call and knows what a power cut may leave at that moment: content that was synced stays;
writes that were not may be there, be missing, be torn at 512 bytes or have overtaken one another; a name made
or removed counts only once its folder was synced. That is stricter than the file systems in use.

The script says what it holds for durable with `acknowledge`, as a write that the trace shows in its place.

Not covered: `-shm`, which SQLite writes through a mapping that strace cannot see. It is no part of the promise:
the first process to open a database builds it anew, so images have none, or one of random bytes. Nor disks
that lie about a sync, or rot; for rot see `corrupt.py`.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SECTOR = 512
CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mmap")
# Calls that change files and that `Disk` does not model; a trace with one of them in its folder is refused.
UNMODELLED = ("writev", "pwritev", "pwritev2", "truncate", "fallocate", "copy_file_range", "sendfile", "linkat", "link",
              "renameat", "renameat2", "unlinkat", "open", "creat")  # fmt: skip
ACK = b"ack "

_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*?)|<\.\.\. (\w+) resumed>(.*?))(?:\) += (-?\d+).*|( <unfinished \.\.\.>))$")
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"-?\w+<((?:\\x[0-9a-f]{2})+)")

PRELUDE = """
import os, sys, sqlite3
import maker, maker.journal.writer
from maker.models.oracle import Oracle
told = os.open("/dev/null", os.O_WRONLY)
def acknowledge(count):
    os.write(told, b"ack %d" % count)
def inject(*pragmas):
    "Give every connection these pragmas, the last word on each; with them a mutant is made."
    names = [pragma.split("=")[0] for pragma in pragmas]
    class Connection(sqlite3.Connection):
        def execute(self, sql, *rest):
            if any(name in sql for name in names):
                sql = "PRAGMA " + next(p for p in pragmas if p.split("=")[0] in sql)
            return super().execute(sql, *rest)
    connect = sqlite3.connect
    def patched(*args, **kwargs):
        db = connect(*args, **kwargs, factory=Connection)
        for pragma in pragmas:
            sqlite3.Connection.execute(db, "PRAGMA " + pragma)
        return db
    sqlite3.connect = patched
append = maker.journal.writer.Journal.append
def noticed(self, record):
    "Say how many records are acknowledged whenever one is added: the tightest promise that the journal makes."
    acknowledge(self.acknowledged)
    return append(self, record)
maker.journal.writer.Journal.append = noticed
"""


@dataclass(slots=True)
class Call:
    """One change to the folder. `since` is the place in the trace where it began: a sync covers what began before."""

    kind: str
    name: str
    since: int
    at: int = 0
    data: bytes = b""


def record(script: str, folder: Path, *arguments: str) -> list[Call]:
    """Run a script, after `PRELUDE`, under strace; return its calls on the files of `folder`, in order."""
    trace = folder.with_name(folder.name + ".strace")
    command = ["strace", "-f", "-y", "-xx", "-s", "4000000", "--seccomp-bpf", "-e", "signal=none",
               "-e", "trace=" + ",".join(CALLS + UNMODELLED), "-o", str(trace),
               sys.executable, "-c", PRELUDE + script, *arguments]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with trace.open(encoding="ascii") as lines:
        return list(parse(lines, folder))


def parse(lines: Iterator[str], folder: Path) -> Iterator[Call]:
    """Yield the calls that a trace shows, each where it may first have had an effect, syncs where they ended."""
    begun: dict[str, tuple[int, str]] = {}
    found: list[tuple[int, Call]] = []
    for place, line in enumerate(lines):
        match = _LINE.match(line.rstrip("\n"))
        if match is None:
            assert "exited with" in line or "+++" in line or "---" in line, f"cannot read the trace: {line[:200]}"
            continue
        pid, name, arguments, resumed, rest, result, unfinished = match.groups()
        since = place
        if resumed:
            since, arguments = begun.pop(pid)
            name, arguments = resumed, arguments + rest
        if unfinished:
            begun[pid] = (since, arguments)
            continue
        if result is None or int(result) < 0:
            continue
        call = _call(name, arguments, since, str(folder))
        if call is not None:
            found.append((place if call.kind in ("sync", "ack") else since, call))
    found.sort(key=lambda item: item[0])
    yield from (call for _, call in found)


def _call(name: str, arguments: str, since: int, folder: str) -> Call | None:
    """Return what a system call did to the folder, None for one that did nothing to it."""
    strings = [_unhex(text) for text in _QUOTED.findall(arguments)]
    if name in ("write", "pwrite64") and strings and strings[0].startswith(ACK):
        return Call("ack", "", since, int(strings[0][len(ACK) :]))
    by_name = name in ("openat", "rename", "unlink")
    subject = strings[0] if by_name else b"".join(map(_unhex, _DESCRIPTOR.findall(arguments)[:1]))
    path = subject.decode("utf-8", "replace")
    if path == folder and name in ("fsync", "fdatasync"):
        return Call("sync", "", since)
    if not path.startswith(folder + "/"):
        return None
    return _changed(name, arguments, Call("", path[len(folder) + 1 :], since), strings)


def _changed(name: str, arguments: str, call: Call, strings: list[bytes]) -> Call | None:
    """Fill in what a call on one of the files did."""
    assert name in CALLS, f"a call that the simulator does not know: {name}({arguments[:200]})"
    if name in ("fsync", "fdatasync"):
        call.kind = "sync"
    elif name == "openat":
        call.kind = "create" if "O_CREAT" in arguments else ""
    elif name == "mmap":
        assert call.name.endswith("-shm") or "MAP_SHARED" not in arguments, f"{call.name} is written through a mapping"
    elif name == "unlink":
        call.kind = "unlink"
    elif name == "rename":
        call.kind, call.data = "rename", strings[1].rpartition(b"/")[2]
    elif name == "ftruncate":
        call.kind, call.at = "truncate", int(arguments.rsplit(",", 1)[1])
    else:  # a plain write goes where the descriptor stands; only the lock is written so, from its start
        call.kind, call.data = "write", strings[-1]
        call.at = int(arguments.rsplit(",", 1)[1]) if name == "pwrite64" else 0
    return call if call.kind else None


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(slots=True)
class _File:
    """One file: what is surely on the disk, and what was done since its last sync."""

    durable: bytes = b""
    pending: list[Call] = field(default_factory=list)


class Disk:
    """What is on the disk after some calls, and what a power cut may leave of it."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self._files: list[_File] = []
        self._durable: dict[str, int] = {}  # names whose folder was synced
        self._live: dict[str, int] = {}
        self._names: list[tuple[int, str, int | None]] = []  # not yet durable: when, name, file (None: removed)

    def apply(self, call: Call) -> None:
        """Take the next call."""
        if call.kind == "ack":
            self.acknowledged = max(self.acknowledged, call.at)
        elif call.kind == "create":
            if call.name not in self._live:
                self._files.append(_File())
                self._name(call, call.name, len(self._files) - 1)
        elif call.kind == "unlink":
            self._name(call, call.name, None)
        elif call.kind == "rename":
            self._name(call, call.data.decode(), self._live[call.name])
            self._name(call, call.name, None)
        elif call.kind == "sync" and not call.name:
            for since, name, number in self._names:
                if since < call.since:
                    _set(self._durable, name, number)
            self._names = [entry for entry in self._names if entry[0] >= call.since]
        elif call.kind == "sync":
            file = self._files[self._live[call.name]]
            file.durable = _written(file.durable, [c for c in file.pending if c.since < call.since])
            file.pending = [c for c in file.pending if c.since >= call.since]
        elif call.name in self._live:  # else a file that was removed while it was open
            self._files[self._live[call.name]].pending.append(call)

    def image(self, rng: random.Random, how: str) -> dict[str, bytes]:
        """Return the files that a power cut leaves now.

        how: "none" of what was not synced survives, "all" of it, an "ordered" beginning with its last write torn,
        or "any" part of it in any order, torn.
        """
        names = dict(self._durable)
        for _, name, number in _kept(self._names, rng, how):
            _set(names, name, number)
        return {
            name: _survivors(self._files[number], rng, how)
            for name, number in names.items()
            if not name.endswith("-shm")
        }

    def _name(self, call: Call, name: str, number: int | None) -> None:
        self._names.append((call.since, name, number))
        _set(self._live, name, number)


def _set(names: dict[str, int], name: str, number: int | None) -> None:
    if number is None:
        names.pop(name, None)
    else:
        names[name] = number


def _kept(pending: list[T], rng: random.Random, how: str) -> list[T]:
    """Return what survives of things that happen whole, in the order in which they were done."""
    if how == "all":
        return list(pending)
    if how == "none":
        return []
    if how == "ordered":
        return pending[: rng.randrange(len(pending) + 1)]
    return [entry for entry in pending if rng.random() < 0.5]


def _survivors(file: _File, rng: random.Random, how: str) -> bytes:
    kept = _kept(file.pending, rng, how)
    if how == "any":
        rng.shuffle(kept)
    if how in ("ordered", "any"):
        kept = [call for call in kept[:-1] for call in (_torn(call, rng) if how == "any" else [call])] + (
            _torn(kept[-1], rng) if kept else []
        )
    return _written(file.durable, kept)


def _torn(call: Call, rng: random.Random) -> list[Call]:
    """Return the part of a write that reached the disk: any of its sectors."""
    if call.kind != "write":
        return [call]
    parts = []
    at, end = call.at, call.at + len(call.data)
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        if rng.random() < 0.5:
            parts.append(Call("write", call.name, call.since, at, call.data[at - call.at : stop - call.at]))
        at = stop
    return parts


def _written(content: bytes, calls: list[Call]) -> bytes:
    data = bytearray(content)
    for call in calls:
        if call.kind == "truncate":
            data[call.at :] = bytes(max(0, call.at - len(data)))
            continue
        data.extend(bytes(max(0, call.at - len(data))))
        data[call.at : call.at + len(call.data)] = call.data
    return bytes(data)


def cuts(
    calls: list[Call], random_cuts: int, seed: int, *, every: bool = False
) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """Yield power cuts as (where, acknowledged, files): so many random ones, and with `every` also one after each call.

    After a sync nothing that was not synced is kept there, after a write all: the two ends of what may be left.
    """
    rng = random.Random(seed)
    planned = Counter(rng.randrange(len(calls)) for _ in range(random_cuts))
    disk = Disk()
    for place, call in enumerate(calls):
        disk.apply(call)
        kinds = [rng.choice(["ordered", "any", "any", "none", "all"]) for _ in range(planned[place])]
        if every and call.kind != "ack" and not call.name.endswith(("-shm", ".lock")):
            kinds.append("none" if call.kind == "sync" else "all")
        for how in kinds:
            yield f"after call {place} ({call.kind} {call.name}), {how}", disk.acknowledged, disk.image(rng, how)


def lay_out(image: dict[str, bytes], folder: Path, rng: random.Random) -> None:
    """Write an image to an empty folder; beside a -wal there is sometimes a -shm of random bytes."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
        if name.endswith("-wal") and rng.random() < 0.3:
            (folder / (name[: -len("wal")] + "shm")).write_bytes(rng.randbytes(32768))
