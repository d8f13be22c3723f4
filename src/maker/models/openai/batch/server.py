"""What is asked of a server about batches: a file put there, a batch begun, looked at and found, a file fetched.

Each call is made once; what it cannot bring is a Trouble, as a call for a completion has it, and whether another
attempt is worth it is for the caller to say.

Not covered: how long to wait (`model.py`), and what the lines of a file mean (`lines.py`).
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from maker.decision.sample import Failure
from maker.models.openai.http.wire import Wire
from maker.models.openai.refusal import Asked, Trouble, words_of
from maker.models.openai.reply import read_reply

WINDOW = "24h"  # in which a server is to end a batch: the one that there is
MARK = "maker"  # under which a batch bears its tag
PAGE, MOST_PAGES = 100, 20  # of the list of batches, the newest first
SECONDS, FILE_SECONDS = 60.0, 600.0  # of one call, and of one that sends or fetches a file
_MOST, _MOST_FILE = 2**23, 2**30  # bytes of an answer

Told = dict[str, Any]


class Server:
    """The batches of one server. wire: the way there."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asked = Asked(wire.target.origin, wire.target.model, secrets=wire.secrets)

    def words(self, errors: list[Any]) -> str:
        """Return what a server says of some errors, for a person."""
        return words_of(errors, self._asked)

    async def put(self, file: bytes) -> str | Trouble:
        """Put the file of a batch there, and return its id."""
        kind, body = _form(file)
        told = await self._ask("POST", "/files", body, kind=kind, seconds=FILE_SECONDS)
        return told if isinstance(told, Trouble) else _identity(told)

    async def begin(self, file: str, tag: str) -> str | Trouble:
        """Begin a batch with a file that is there, and return its id."""
        asked = {
            "input_file_id": file, "endpoint": f"/v1{self._wire.target.route}", "completion_window": WINDOW,
            "metadata": {MARK: tag},
        }  # fmt: skip
        told = await self._ask("POST", "/batches", orjson.dumps(asked))
        return told if isinstance(told, Trouble) else _identity(told)

    async def find(self, tag: str) -> str | Trouble | None:
        """Return the id of the batch that bears a tag, None where the server lists none."""
        query = {"limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            told = await self._ask("GET", "/batches", query=query)
            if isinstance(told, Trouble):
                return told
            data = told.get("data")
            listed = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
            for one in listed:
                if isinstance(one.get("metadata"), dict) and one["metadata"].get(MARK) == tag:
                    return _identity(one)
            if not told.get("has_more") or not listed:
                break
            query = {"limit": str(PAGE), "after": str(listed[-1].get("id"))}
        return None

    async def look(self, identity: str) -> Told | Trouble:
        """Return how a batch stands."""
        return await self._ask("GET", f"/batches/{identity}")

    async def file(self, identity: str) -> bytes | Trouble:
        """Return the content of a file."""
        answer = await self._wire.fetch("GET", f"/files/{identity}/content", seconds=FILE_SECONDS, most=_MOST_FILE)
        if isinstance(answer, Trouble):
            return answer
        status, headers, body = answer
        return body if status == 200 else self._trouble(status, headers, body)

    async def _ask(self, method: str, path: str, body: bytes | None = None, **how: Any) -> Told | Trouble:
        """Make one call that is answered with an object."""
        answer = await self._wire.fetch(method, path, body, **{"seconds": SECONDS, "most": _MOST, **how})
        if isinstance(answer, Trouble):
            return answer
        status, headers, whole = answer
        try:
            told = orjson.loads(whole) if 200 <= status < 300 else None
        except orjson.JSONDecodeError:
            told = None
        return told if isinstance(told, dict) else self._trouble(status, headers, whole)

    def _trouble(self, status: int, headers: Any, body: bytes) -> Trouble:
        """Return what an answer means that is not the one that was due."""
        target = self._wire.target
        trouble = read_reply(status, headers, body, self._asked, 0.0)
        if isinstance(trouble, Trouble):
            return trouble
        return Trouble(Failure("transient", f"{target.origin} answered with a completion, not about a batch"), status)


def _identity(told: Told) -> str | Trouble:
    """Return the id in an object of the server's; it becomes a part of addresses."""
    name = told.get("id")
    if isinstance(name, str) and name and all(c.isalnum() or c in "-_." for c in name) and name.strip("."):
        return name
    return Trouble(Failure("transient", "the server told no id of a file or a batch that can be used"), 200)


def _form(file: bytes) -> tuple[str, bytes]:
    """Return the kind and the bytes of a form that puts a file there for a batch."""
    edge = secrets.token_hex(16)
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return f"multipart/form-data; boundary={edge}", head.encode() + file + f"\r\n--{edge}--\r\n".encode()
