"""Retry-After in every form that servers send -> seconds to wait, or None.

Understood are `retry-after-ms` (milliseconds, the more exact one, read first) and `Retry-After` as
seconds, whole or not, or as an HTTP date. A date is measured against the server's own `Date` header
where there is one, so that a clock that is wrong on either side does not matter.

Zero, a negative number and a date that is past mean 0: no wait was asked for. What is infinite, not
a number, unreadable or longer than a day counts as absent.

Not covered: the many `x-ratelimit-*` headers, which say what is left, not when to come back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0  # seconds; a server that names a longer wait has not understood the question


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a reply asks to wait, or None when it does not say.

    headers: looked up in lower and in title case, so a plain dict serves as well as a multidict.
    now: the time at which a date without a `Date` header beside it is read; the wall clock's by default.
    """
    milliseconds = _number(_header(headers, "Retry-After-Ms"))
    if milliseconds is not None:
        return _within(milliseconds / 1000)
    value = _header(headers, "Retry-After")
    seconds = _number(value)
    if seconds is not None:
        return _within(seconds)
    until = _date(value)
    if until is None:
        return None
    since = _date(_header(headers, "Date")) or now or datetime.now(UTC)
    return _within((until - since).total_seconds())


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(name.lower())


def _number(value: str | None) -> float | None:
    """Return a finite number, or None for anything else."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(value: str | None) -> datetime | None:
    """Return an HTTP date, or None for anything else; a date without a zone is in UTC."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _within(seconds: float) -> float | None:
    return None if seconds > LONGEST else max(seconds, 0.0)
