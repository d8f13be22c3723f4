"""When to come back, in every form that servers send -> seconds to wait, or None.

Read are, the more exact first: `retry-after-ms` (milliseconds), `Retry-After` (seconds, or an HTTP date), then resets
of rate limits (`x-ratelimit-reset`, `-reset-requests`, `-reset-tokens`, the forms without `x-`, Anthropic's): seconds,
"1h2m", "250ms", a time since 1970 in seconds or milliseconds, a date. A reset whose `remaining` beside it is above 0
means no wait. Where headers say nothing, the body of the error does: its `metadata.headers`, `retry_after`,
`retryDelay` and the like, then its words, where they name a time behind "try again in" or "retry after". A server that
loads its model names no wait, and is asked again after LOADING seconds.

A date is measured against the server's own `Date` header where there is one, so that a clock that is wrong on either
side does not matter.

Zero, a negative number and a date that is past mean 0: no wait was asked for. What is infinite, not a number,
unreadable or longer than LONGEST counts as absent.

Not covered: waits that are told in other words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST = 31 * 86_400.0  # seconds; a server that names a longer wait has not understood the question
LOADING = 1.0  # seconds
_EPOCH = 1e9  # seconds; a number from here on is a time, not a wait
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d)")
_RESETS = (
    *((f"{start}-reset{what}", f"{start}-remaining{what}")
      for start in ("x-ratelimit", "ratelimit") for what in ("", "-requests", "-tokens")),
    ("x-ratelimit-reset-after", "x-ratelimit-remaining"),
    *((f"anthropic-ratelimit-{what}-reset", f"anthropic-ratelimit-{what}-remaining")
      for what in ("requests", "tokens", "input-tokens", "output-tokens")),
)  # fmt: skip
_NAMES = (  # of a wait, or of the time when it is over
    "retry_after", "retryAfter", "retry_after_seconds", "retryDelay", "resets_in_seconds", "resets_in", "resets_at",
    "reset_at", "resetsAt",
)  # fmt: skip
_PROSE = re.compile(
    r"\b(?:try again|retry)(?: after| in)? ((?:\d{1,9}(?:\.\d{1,9})? ?(?:ms|s|m|h|d)[a-z]{0,6}\s?)+)", re.I
)
_WORDS = re.compile(r"(?<=[smhd])(?:econds?|ec|inutes?|in|ours?|r|ays?)s?\b", re.I)  # of units
_LOADING = re.compile(r"\bloading\b", re.I)


def retry_after(headers: Mapping[str, str], now: datetime | None = None, error: Any = None) -> float | None:
    """Return the seconds that a refusal asks to wait, or None when it does not say.

    headers: looked up in lower and in title case, so a plain dict serves as well as a multidict. now: the time at
    which a date without a `Date` header beside it is read; the wall clock's by default. error: of the body.
    """
    told = _told(headers, now)
    if told is not None or not isinstance(error, Mapping):
        return told
    metadata = error.get("metadata")
    inner = metadata.get("headers") if isinstance(metadata, Mapping) else None
    if isinstance(inner, Mapping):
        told = _told({str(name).lower(): str(value) for name, value in list(inner.items())[:100]}, now)
    if told is None:
        waits = (_wait(value, now) for value in _named_in(error))
        told = next((wait for wait in waits if wait is not None), None)
    if told is None and isinstance(message := error.get("message"), str):
        told = LOADING if _LOADING.search(message[:1000]) else _in_prose(message[:1000], now)
    return told


def _in_prose(message: str, now: datetime | None) -> float | None:
    """Return the wait that a message tells in so many words: "try again in 1h2m", "retry after 36 seconds"."""
    found = _PROSE.search(message)
    return None if found is None else _wait(_WORDS.sub("", found[1]).replace(" ", ""), now)


def _told(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Return what headers say."""
    milliseconds = _number(_header(headers, "Retry-After-Ms"))
    if milliseconds is not None:
        return _within(milliseconds / 1000)
    now = _date(_header(headers, "Date")) or now
    value = _header(headers, "Retry-After")
    if (wait := _wait(value, now)) is not None or _number(value) is not None:
        return wait
    waits = [
        _wait(_header(headers, reset.title()), now) for reset, remaining in _RESETS
        if (_number(_header(headers, remaining.title())) or 0.0) <= 0
    ]  # fmt: skip
    return max([wait for wait in waits if wait is not None], default=None)


def _named_in(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the waits that an error object names, as text."""
    parts = error.get("details")
    for part in (error, error.get("metadata"), *(parts[:20] if isinstance(parts, list) else ())):
        for name in _NAMES:
            value = part.get(name) if isinstance(part, Mapping) else None
            if type(value) in (int, float, str):
                yield str(value)[:100]


def _wait(value: str | None, now: datetime | None) -> float | None:
    """Return the seconds from now that a text means: a number, a time since 1970, parts with units, or a date."""
    if (number := _number(value)) is not None:
        if number < _EPOCH:
            return _within(number)
        until = number / 1000 if number >= 1000 * _EPOCH else number
        wait = until - (now or datetime.now(UTC)).timestamp()
        return _within(wait) if wait > -_UNITS["d"] else None  # long past: no time at all
    text = (value or "").strip().lower()[:100]
    parts = _PART.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text.replace(" ", ""):
        return _within(sum(float(amount) * _UNITS[unit] for amount, unit in parts))
    date = _date(value)
    return None if date is None else _within((date - (now or datetime.now(UTC))).total_seconds())


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
    """Return an HTTP or ISO date, or None for anything else; a date without a zone is in UTC."""
    date = None
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        date = parsedate_to_datetime(value or "")
    try:
        date = date or datetime.fromisoformat((value or "").strip())
        return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _within(seconds: float) -> float | None:
    return None if seconds > LONGEST else max(seconds, 0.0)
