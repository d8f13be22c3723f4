"""Why a request gets no answer: a status, and an error in the form that OpenAI's clients read.

Everything that `maker` raises on purpose is mapped here, once: what the client has to mend is 4xx, what the upstream
has is 502 and 503; an undecided vote is 422 and brings its tally.

Not covered: finding out that there is something to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maker.errors import MakerError, ModelError, TaskError, Undecided

RETRY_AFTER = 10  # seconds that a client is asked to wait where no better time is known
_SPENT = ("max_cost", "max_tokens", "max_calls")  # limits that are met for want of money


class Refused(Exception):
    """A request that is answered with an error.

    status: of HTTP. code: a word for programs. param: the field that it is about. wait: seconds after which it is worth
    another try. tally: how the votes stood, where there were any.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "invalid_request", param: str | None = None,
        wait: int | None = None, tally: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code, self.param, self.wait, self.tally = status, code, param, wait, tally

    @property
    def body(self) -> dict[str, Any]:
        """The error as a reply's body."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error | ({"maker": dict(self.tally)} if self.tally is not None else {})}

    @property
    def headers(self) -> dict[str, str]:
        """What the reply's head says beside the status."""
        return {} if self.wait is None else {"Retry-After": str(self.wait)}


def refused(error: MakerError, tally: Mapping[str, Any] | None = None) -> Refused:
    """Return an error of ours as a reply. tally: how the votes stood."""
    said = str(error)
    if isinstance(error, Undecided):
        if error.limit == "model_lost":
            return Refused(503, said, code="upstream_lost", wait=RETRY_AFTER)
        if error.limit in _SPENT:
            return Refused(429, said, code="insufficient_quota", tally=tally)
        return Refused(422, said, code="undecided", tally=tally or {})
    if isinstance(error, TaskError):
        return Refused(400, said)
    if isinstance(error, ModelError):
        return Refused(502, said, code="upstream_unusable", wait=RETRY_AFTER)
    return Refused(500, said, code="internal_error")
