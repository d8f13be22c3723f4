"""Retry-After in every form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.models.retry_after import LOADING, LONGEST, retry_after

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"Retry-After": " 12 "}, 12.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "7200"}, 7200.0),
        ({"Retry-After": "1e12"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "-inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"Retry-After": "Wed, 99 Foo 2026 12:00:00 GMT"}, None),
        ({"retry-after-ms": "150"}, 0.15),
        ({"Retry-After-Ms": "150", "Retry-After": "9"}, 0.15),
        ({"Retry-After-Ms": "garbage", "Retry-After": "9"}, 9.0),
        ({"Retry-After-Ms": "inf", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:30"}, 30.0),
        ({"Retry-After": "Wed, 01 Jul 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 01 Jul 2099 12:00:30 GMT"}, None),
        ({"Retry-After": "Wed, 01 Jul 2026 10:00:05 GMT", "Date": "Wed, 01 Jul 2026 10:00:00 GMT"}, 5.0),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:05 GMT", "Date": "garbage"}, 5.0),
    ],
)
def test_every_form_of_retry_after(headers, seconds):
    """Seconds, milliseconds and dates are read; what is infinite, unreadable or absurd counts as absent."""
    assert retry_after(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Limit 500000. Please try again in 10h20m12.5s. Need more?", 37_212.5),
        ("Please retry after 36 seconds.", 36.0),
        ("try again in 5 minutes", 300.0), ("Try again in 2 hrs", 7200.0), ("try again in 250ms", 0.25),
        ("try again in 1 day", 86_400.0), ("try again in a moment", None), ("try again later", None),
        ("retry after", None),
        ("try again in 99999999999999999999s", None),
    ],
)  # fmt: skip
def test_a_wait_in_prose(message, seconds):
    """It is read behind the words that every provider uses, where nothing else names one."""
    assert retry_after({}, NOW, {"message": message}) == seconds
    assert retry_after({"Retry-After": "7"}, NOW, {"message": message}) == 7.0


@pytest.mark.parametrize("told", [{"resets_in_seconds": 90}, {"resets_at": NOW.timestamp() + 90}, {"reset_at": "90s"}])
def test_a_reset_in_the_body(told):
    """A wait, or the time when it is over, under the names that servers have for it."""
    assert retry_after({}, NOW, {"message": "limit", **told}) == 90.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-after": "90"}, 90.0),
        ({"anthropic-ratelimit-requests-reset": "2026-07-01T12:00:09Z"}, 9.0),
        ({"Retry-After": "6m0s"}, 360.0),
        ({"Retry-After": "1h2m"}, 3720.0),
        ({"Retry-After": "2026-07-01T12:00:09Z"}, 9.0),
        ({"x-ratelimit-reset-requests": "250ms"}, 0.25),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-reset-requests": "1s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "17"}, None),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 40)}, 40.0),
        ({"X-RateLimit-Reset".title(): str(int(NOW.timestamp() * 1000) + 40_000)}, 40.0),
        ({"ratelimit-reset": "12"}, 12.0),
        ({"Retry-After": "2", "x-ratelimit-reset": "90"}, 2.0),
        ({"x-ratelimit-reset": "5 apples"}, None),
    ],
)
def test_resets_of_rate_limits(headers, seconds):
    """Times with units, times since 1970 and plain numbers are read; what remains needs no wait."""
    assert retry_after(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"metadata": {"headers": {"X-RateLimit-Reset": str(int(NOW.timestamp() * 1000) + 7_200_000)}}}, 7200.0),
        ({"metadata": {"headers": {"X-RateLimit-Reset": 1}, "retry_after": 3}}, 1.0),
        ({"retry_after": 2.5}, 2.5),
        ({"details": [{"@type": "x"}, {"retryDelay": "37s"}]}, 37.0),
        ({"message": "Loading model"}, LOADING),
        ({"message": "downloading is not loaded"}, None),
        ({"message": ["Loading model"], "details": "37s", "metadata": [], "retry_after": True}, None),
        ("rate limited", None),
    ],
)
def test_waits_in_bodies(error, seconds):
    """Where the headers say nothing, the error object is read, whatever its shape; where they do, they count."""
    assert retry_after({}, NOW, error) == (None if seconds is None else pytest.approx(seconds))
    assert retry_after({"Retry-After": "9"}, NOW, error) == 9.0


def test_a_date_is_read_against_the_wall_clock_by_default():
    """Without a Date header beside it, a date counts from now."""
    wait = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)})
    assert wait is not None
    assert 55 < wait <= 60


@given(st.dictionaries(st.sampled_from(["Retry-After", "retry-after-ms", "Date"]), st.text(max_size=40)))
def test_no_header_is_too_strange(headers):
    """Whatever the headers hold, there is a decent wait or none."""
    wait = retry_after(headers, NOW)
    assert wait is None or 0 <= wait <= LONGEST
