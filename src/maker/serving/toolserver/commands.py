"""`maker` as processes of its own: short ones that answer in JSON, and runs that outlive the server.

Promises: no task code runs in the server, and no word that a client says is taken for an option: what it names stands
behind `--`. A run is in a session of its own, so that nothing that ends the server, or its client, ends it. It holds a
lock on the file of what it says for as long as it lives; so it is known whether it runs, whoever started it.

Not covered: systems without flock; what a client may name (`inside.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from maker.errors import TaskError

MAKER = (sys.executable, "-P", "-m", "maker")  # -P: modules are not looked for in the working folder
_TAIL = 4 * 2**20  # bytes from the end of what a run said, in which its result is looked for

_children: list[subprocess.Popen[bytes]] = []


async def said(words: Sequence[str]) -> dict[str, Any]:
    """Run a command of `maker` with --json to its end and return its object, with the `exit_code`.

    Raises TaskError with what it said where it failed. Cancelled, it ends the process.
    """
    done = await anyio.run_process([*MAKER, *words], stdin=subprocess.DEVNULL, check=False)
    told = _last_object(done.stdout)
    if told is None or "error" in told:
        raise TaskError(str(told["error"]) if told else f"maker {words[0]}: ended without a word, {done.returncode}")
    return {**told, "exit_code": done.returncode}


def begin(words: Sequence[str], output: Path) -> int:
    """Begin a command of `maker` that goes on by itself, and return its process id. output: what it says.

    Raises TaskError while another one with the same output runs, OSError where no process can be had.
    """
    reap()
    file = os.open(output, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        # The lock is that of the open file, which the process has now too: it is given back when the process ends.
        child = subprocess.Popen(  # noqa: S603 -- no shell; what a client names is no option
            [*MAKER, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    except BlockingIOError:
        raise TaskError("this run is running: stop it first, or wait for its end") from None
    finally:
        os.close(file)
    _children.append(child)
    return child.pid


def runs(output: Path) -> bool:
    """Say whether the command with this output is running."""
    reap()
    try:
        file = os.open(output, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def stop(pid: int) -> None:
    """Ask a command that runs to stop in order; asked twice, it stops at once.

    pid: of one whose output is still held: while anything of its session lives, its number is given to no other.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def outcome(output: Path) -> dict[str, Any] | None:
    """Return the object that a command said last; None where it ended without, as a kill ends it."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - _TAIL))
            return _last_object(file.read())
    except FileNotFoundError:
        return None


def reap() -> None:
    """Let go of the processes that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def _last_object(text: bytes) -> dict[str, Any] | None:
    """Return the last line that is a JSON object: notes, and what task code prints, stand around it."""
    for line in reversed(text.splitlines()):
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                return told
    return None
