"""Where a running run is spoken to: a unix socket beside its journal, and one order sent through it.

The socket of `FILE` is `FILE.ctl`, or a short hidden name where that would be too long. A socket's address has little
room (some 100 bytes), so one that is longer is reached through a descriptor of its folder, where the system has those.

Not covered: what is said (`orders.py`), and who answers (`listener.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maker.errors import JournalError
from maker.journal.lock import acknowledged
from maker.task.canonical import digest

LONGEST_NAME = 64  # bytes of a socket's name, which has to fit into an address behind that of a descriptor
LONGEST_ADDRESS = 100  # bytes; systems have room for 104 or 108
MOST_BYTES = 64 * 1024  # of one order, and of one answer
ANSWER_WITHIN = 10.0  # seconds; a run that computes in this process answers between two batches


def socket_of(journal: Path) -> Path:
    """Return where the socket of a journal's run is, if one runs."""
    place = Path(os.path.realpath(journal))
    name = f"{place.name}.ctl"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{digest(os.fsencode(place.name)).hex()}.ctl"
    return place.with_name(name)


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """Offer a name of a socket that fits into an address. Raises OSError where there is none, or no folder."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def tell(journal: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """Give one order to the run that writes a journal, and return its answer: `orders.py` says what these are.

    Raises JournalError where no run listens, or what listens is none.
    """
    try:
        with address(socket_of(journal)) as name, socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_WITHIN)
            line.connect(name)
            line.sendall(json.dumps(order).encode() + b"\n")
            answer = _line(line)
    except TimeoutError:
        raise JournalError(f"{journal}: its run has not answered for {ANSWER_WITHIN:g} s. Try again.") from None
    except OSError as error:
        raise JournalError(f"{journal}: {_why_not(journal, error)}") from None
    if not answer:
        raise JournalError(f"{journal}: its run has ended meanwhile. `maker show` says how.")
    try:
        said = json.loads(answer)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise JournalError(f"{journal}: what answers at {socket_of(journal).name} is no run of maker's.")
    return said


def _line(line: socket.socket) -> bytes:
    """Read to the end of a line, or of what is sent."""
    read = b""
    while not read.endswith(b"\n") and len(read) < MOST_BYTES and (part := line.recv(4096)):
        read += part
    return read


def _why_not(journal: Path, error: OSError) -> str:
    """Return why nobody listens, for a person."""
    if not journal.exists():
        return "no such journal. Give the file that `maker run --journal` writes."
    if isinstance(error, PermissionError):
        return "its run belongs to another user, who alone may steer it."
    if acknowledged(journal):
        return "no run listens: it was killed, or has not read its journal to the end yet."
    return "no run is under way. `maker show` says how it ended; the same run command resumes it."
