"""Telling OpenTelemetry what runs do: one call turns it on, for this process.

Promises: off unless called, and then nothing of OpenTelemetry is imported. Not covered: where spans and metrics go,
which is your provider's affair, and what they say (`spans.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maker.errors import TaskError
from maker.log import listen

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


def telemetry(
    tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None, *, every: int = 100
) -> None:
    """Have all runs and votes of this process told to OpenTelemetry from now on, as spans and metrics.

    tracer_provider, meter_provider: where they go; where none is given, to the process's own, as the SDK or
    `opentelemetry-instrument` has set them. every: of so many steps one has a span, with a span for each of its calls;
    1 for all of them. Called again, it replaces what was said before.

    Raises TaskError where OpenTelemetry is not installed, and for a number that is none.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise TaskError(f"every = {every!r}: of how many steps one is to have a span, at least 1")
    try:
        from maker.api.telemetry.spans import Spans  # noqa: PLC0415 -- costs nothing where it is off
    except ModuleNotFoundError as error:
        raise TaskError(f"telemetry needs {error.name}: pip install 'maker[otel]'") from None
    listen(Spans(tracer_provider, meter_provider, every))
