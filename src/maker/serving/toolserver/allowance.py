"""What all clients of a root may spend in a day (UTC), kept in a file, so that it outlives the server.

Whoever spends takes a share first and gives back what was left of it. Promises: what is out and what was spent is
never more than the caps together, however many servers share the root; a process that dies gives nothing back.

Not covered: that a share is kept to: the limits of a vote, and of a run, see to that.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maker.errors import TaskError

DAY = 86_400
SHARES = {"vote": 0.02, "estimate": 0.1, "run": 0.5}  # of a day's caps, where a client names no limit


@dataclass(slots=True, frozen=True)
class Share:
    """What one vote, estimate or run may spend. cost: US dollars, None for no cap; day: since 1970, UTC."""

    calls: int
    cost: float | None
    day: int

    @property
    def options(self) -> list[str]:
        """The limits as options of `maker`."""
        return [f"--max-calls={self.calls}"] + ([] if self.cost is None else [f"--max-cost={self.cost:.6f}"])


@dataclass(slots=True)
class _Spent:
    day: int = 0
    calls: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Allowance:
    """The caps of a day. file: keeps what was taken. max_cost: US dollars; None where there are no prices."""

    file: Path
    max_calls: int
    max_cost: float | None = None

    def take(self, what: str, calls: int | None = None, cost: float | None = None) -> Share:
        """Take a share for a vote, an estimate or a run. calls, cost: what the client asks for.

        Raises TaskError for more than is left of the day, and where nothing is.
        """
        part = SHARES[what]
        with self._open() as spent:
            left = self.max_calls - spent.calls
            share = min(left, max(1, int(self.max_calls * part))) if calls is None else calls
            if share < 1 or share > left:
                raise _too_much("max_calls", f"{share:,}", f"{max(0, left):,} of {self.max_calls:,}")
            money = cost
            if self.max_cost is not None:
                rest = self.max_cost - spent.cost
                money = min(rest, self.max_cost * part) if cost is None else cost
                if money <= 0 or money > rest:
                    raise _too_much("max_cost", f"${money:,.4f}", f"${max(0, rest):,.4f} of ${self.max_cost:,.4f}")
            spent.calls += share
            spent.cost += money or 0.0
            return Share(share, money, spent.day)

    def give_back(self, share: Share, calls: int, cost: float | None) -> None:
        """Give back what was not spent of a share. calls, cost: what was; None where that is not known."""
        with self._open() as spent:
            if spent.day == share.day:
                spent.calls -= max(0, share.calls - calls)
                spent.cost -= 0.0 if share.cost is None or cost is None else max(0.0, share.cost - cost)

    @contextmanager
    def _open(self) -> Iterator[_Spent]:
        """Hold the file; what was changed is written. Raises TaskError for a file that says something else."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            spent = self._read(file.read())
            yield spent
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"day": spent.day, "calls": spent.calls, "cost": spent.cost}))

    def _read(self, text: str) -> _Spent:
        """Return what was spent today."""
        today = int(time.time()) // DAY
        try:
            told = json.loads(text) if text else {"day": today, "calls": 0, "cost": 0.0}
            spent = _Spent(int(told["day"]), int(told["calls"]), float(told["cost"]))
        except (ValueError, TypeError, KeyError):
            raise TaskError(f"{self.file}: does not say what was spent today. Look at it, and remove it") from None
        return spent if spent.day == today else _Spent(today)


def _too_much(limit: str, asked: str, left: str) -> TaskError:
    return TaskError(
        f"{limit}: {asked} asked for, {left} left for today. Ask for less, wait for what runs, or have the server "
        f"started with a larger --{limit.replace('_', '-')}"
    )
