"""What a `FaultServer` is told, what it received, and what it billed.

Not covered: sending any of it (`faults.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(slots=True, frozen=True)
class Reply:
    """One reply, and what is wrong with it.

    text: the content, of any type. body: the whole body (bytes, or JSON) instead of a completion. fields, message:
    replace top-level fields of the completion (id, model, usage, choices, error), or those of its
    message. delay: seconds before the status line. drip: seconds between the bytes of the body. hang: never
    answers. cut: closes the connection after that many bytes of the body. framed: False leaves out
    Content-Length, so that only the end of the connection ends the body. endless: repeated for ever.
    reset: aborts the connection without a reply.
    """

    text: Any = "OK"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)
    finish: str | None = "stop"
    delay: float = 0.0
    drip: float = 0.0
    hang: bool = False
    cut: int | None = None
    framed: bool = True
    endless: bytes = b""
    reset: bool = False


def error(status: int, message: str = "as told", *, headers: Mapping[str, str] | None = None, **labels: Any) -> Reply:
    """Return an error reply as these servers write it; labels: code, type, param."""
    return Reply(status=status, headers=headers or {}, body={"error": {"message": message, **labels}})


@dataclass(slots=True, frozen=True)
class Received:
    """A request as it came. headers holds the key, if one was sent: it is not shown and not in the ledger.

    peer: the other end of its connection, the same for requests that share one.
    """

    number: int
    at: float  # monotonic seconds
    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(repr=False)
    peer: Any = None
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def prompt(self) -> str:
        """The whole prompt, whichever API it came by."""
        messages = self.body.get("messages")
        return str(messages[-1].get("content", "")) if messages else str(self.body.get("prompt", ""))


@dataclass(slots=True, frozen=True)
class Entry:
    """One line of the ledger. event: "received" or "billed". key: a digest of the key that was sent."""

    event: str
    number: int
    at: float
    path: str = ""
    seed: int | None = None
    key: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0


class Ledger:
    """Entries in the order they were made; nothing is ever taken out. `file`: also written there, one JSON a line."""

    def __init__(self, file: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self.tokens_in = self.tokens_out = self.calls = self.bills = 0
        self._file = file

    def append(self, entry: Entry) -> None:
        """Add an entry, to the file first."""
        if self._file is not None:
            with self._file.open("ab") as out:
                out.write(orjson.dumps(asdict(entry)) + b"\n")
        self.entries.append(entry)
        self.calls += entry.event == "received"
        self.bills += entry.event == "billed"
        self.tokens_in += entry.tokens_in
        self.tokens_out += entry.tokens_out


def completion(received: Received, reply: Reply, identity: str) -> dict[str, Any]:
    """Return a completion as these servers write it: about one token for four characters."""
    asked = received.body
    choices = int(asked.get("n") or 1)
    return {
        "id": identity,
        "object": "chat.completion",
        "model": asked.get("model"),
        "choices": [_choice(i, received, reply) for i in range(choices)],
        "usage": {
            "prompt_tokens": len(received.prompt) // 4 + 1,
            "completion_tokens": (len(str(reply.text)) // 4 + 1) * choices,
        },
    }


def _choice(index: int, received: Received, reply: Reply) -> dict[str, Any]:
    """Return one choice; with logprobs, where they were asked for: one token, of probability 1/2."""
    choice: dict[str, Any] = {"index": index, "finish_reason": reply.finish}
    if "messages" in received.body:
        choice["message"] = {"role": "assistant", "content": reply.text, **reply.message}
    else:
        choice["text"] = reply.text
    if received.body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": str(reply.text), "logprob": -0.6931471805599453}]}
    return choice
