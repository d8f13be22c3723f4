"""How a run ends early: by name, resumable."""

from __future__ import annotations


class Stop(Exception):
    """A named, resumable end: `kind` is its name, the message says where and what to do.

    step: the one that it is about, None where it is about the run.
    """

    def __init__(self, kind: str, detail: str, exit_code: int = 3, *, step: int | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.exit_code = exit_code
        self.step = step
