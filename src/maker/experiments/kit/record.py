"""Replies of a language model, kept in a file as they come: an experiment that was cut off goes on where it was.

One JSON object a line: the first says whose replies these are, each other one is a reply, under a short hash of what
was asked. The same command reads what is there and asks for the rest; where all is there, no model is needed, and table
and figure are made again. A line that was cut off is dropped, and its reply asked for anew.

Not covered: rows of models that are kept with the code (`files.py`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from time import monotonic
from typing import Any, Self

from maker.decision.sample import Request, Sample
from maker.errors import TaskError
from maker.experiments.kit.study import Options

_FIRST = 10  # replies, after which the rest can be told in minutes
_EACH = 50  # replies, after which it is said how far it is
_FIELDS = ("text", "tokens_in", "tokens_out", "finish_reason")


class Record:
    """Replies so far. path: of the file, None for no file. whose: must be the same as in the file. options: hears.

    about: replies that the experiment needs, as far as it can know. Raises TaskError for a file of other replies, or
    one that cannot be read or written.
    """

    def __init__(self, path: Path | None, whose: dict[str, Any], options: Options, name: str, about: int) -> None:
        self._path, self._say, self._name, self._about = path, options.say, name, about
        self._known: dict[str, Sample] = {}
        self._new, self._began = 0, monotonic()
        if path is not None:
            self._open(path, whose)
        kept = f", {len(self._known)} of them kept in {path}" if self._known else f"; kept in {path}" if path else ""
        self._say(f"{name}: about {about} replies of {whose['model']}{kept}")

    @classmethod
    def of(cls, options: Options, name: str, about: int) -> Self:
        """Return the replies of an experiment with these options, in the folder where its rows will be."""
        whose = {"model": model_name(str(options.model)), "temperature": options.temperature, "seed": options.seed}
        return cls(options.out / f"{name}-replies.jsonl" if options.out else None, whose, options, name, about)

    @property
    def where(self) -> str:
        """Say where replies are."""
        return str(self._path or "this process alone")

    def known(self, request: Request) -> Sample | None:
        """Return the reply that came to this request before."""
        return self._known.get(_key(request))

    def add(self, request: Request, sample: Sample) -> None:
        """Keep a reply, at once."""
        key = _key(request)
        self._known[key] = sample
        if self._path is not None:
            self._write(self._path, "a", {"key": key, **{field: getattr(sample, field) for field in _FIELDS}})
        self._new += 1
        if self._new == _FIRST:
            took = monotonic() - self._began
            rest = max(0, self._about - len(self._known))
            self._say(f"{self._name}: {_FIRST} replies in {took:.1f} s; the {rest} that are left take about "
                      f"{_minutes(rest * took / _FIRST)}")  # fmt: skip
        elif self._new % _EACH == 0:
            self._say(f"{self._name}: {len(self._known)} of about {self._about} replies")

    def _open(self, path: Path, whose: dict[str, Any]) -> None:
        """Read the file, or begin it."""
        try:
            raw = path.read_bytes() if path.exists() else b""
            *lines, torn = raw.split(b"\n")
            if torn:
                with path.open("r+b") as file:
                    file.truncate(len(raw) - len(torn))
        except OSError as error:
            raise TaskError(f"{path}: cannot be read: {error}. Give another --out.") from None
        if not lines:
            self._write(path, "w", whose)
            return
        try:
            head, *rows = map(json.loads, lines)
            self._known = {row["key"]: Sample(**{field: row[field] for field in _FIELDS}) for row in rows}
        except (ValueError, KeyError, TypeError):
            raise TaskError(f"{path}: a line of it is no reply. Remove the file, or give another --out.") from None
        if head != whose:
            raise TaskError(f"{path} holds replies of {head}, and {whose} is asked. Give another --out.")

    def _write(self, path: Path, mode: str, row: dict[str, Any]) -> None:
        """Write a line."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode) as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise TaskError(f"{path}: cannot be written: {error}. Give another --out.") from None


def model_name(spec: str) -> str:
    """Return what a language model is called: the name behind the address of its server."""
    return spec.rpartition("#")[2]


def _key(request: Request) -> str:
    """Return a short hash of what is asked."""
    asked = json.dumps([request.prompt, request.seed, request.temperature, request.max_tokens])
    return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def _minutes(seconds: float) -> str:
    """Say how long that is."""
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
