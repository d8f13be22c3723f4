"""The files of a batch: requests in, replies out, a line each. Pure.

A line bears the address of its draw (`custom_id`), so replies may come in any order. Of two replies to one draw the
first counts; a reply to a draw that nobody asked about is left out, and so is a line that is no JSON object: the file
was torn then. Whatever is missing, or was not answered, is for the caller to ask again.

Not covered: what a reply means (`reply.py`), and sending (`server.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from maker.decision.address import Address

MOST_REQUESTS = 50_000  # of one batch
MOST_BYTES = 100 * 10**6  # of its file: half of what OpenAI takes, as others take less


@dataclass(slots=True, frozen=True)
class Line:
    """What came of one request. status, body: of the reply, as of a call by itself; 0 where there is none: fault."""

    status: int
    body: bytes = b""
    fault: str = ""


@dataclass(slots=True)
class Lines:
    """What was read of a batch: by draw, and how many lines were of use to nobody.

    torn: lines that cannot be read; strange: of draws that were not asked about; doubled: of draws that had one.
    """

    came: dict[str, Line] = field(default_factory=dict)
    torn: int = 0
    strange: int = 0
    doubled: int = 0

    def add(self, file: bytes, wanted: Collection[str]) -> None:
        """Read a file of replies, or of errors. wanted: the draws that were asked about."""
        for raw in file.split(b"\n"):
            if not raw.strip():
                continue
            told = _object(raw)
            name = told.get("custom_id") if told is not None else None
            if told is None or not isinstance(name, str):
                self.torn += 1
            elif name not in wanted:
                self.strange += 1
            elif name in self.came:
                self.doubled += 1
            else:
                self.came[name] = _line(told)


def name_of(address: Address) -> str:
    """Return what a draw is called in a file."""
    return f"{address.run}/{address.step}/{address.draw}"


def request_line(address: Address, route: str, body: bytes) -> bytes:
    """Return the line that asks for a draw. route: the last part of the URL that its body would be posted to."""
    name, url = orjson.dumps(name_of(address)), orjson.dumps(f"/v1{route}")
    return b'{"custom_id":%b,"method":"POST","url":%b,"body":%b}\n' % (name, url, body)


def files(lines: Sequence[bytes]) -> list[range]:
    """Return which lines go into which file: as many as a batch takes, neighbours together."""
    found, first, size = [], 0, 0
    for number, line in enumerate(lines):
        if number > first and (number - first == MOST_REQUESTS or size + len(line) > MOST_BYTES):
            found.append(range(first, number))
            first, size = number, 0
        size += len(line)
    return [*found, range(first, len(lines))]


def _line(told: dict[str, Any]) -> Line:
    response, error = told.get("response"), told.get("error")
    status = response.get("status_code") if isinstance(response, dict) else None
    if isinstance(response, dict) and type(status) is int and response.get("body") is not None:
        return Line(status, orjson.dumps(response["body"]))
    fault = (error.get("message") or error.get("code")) if isinstance(error, dict) else error
    return Line(0, fault=fault if isinstance(fault, str) else "")


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None
