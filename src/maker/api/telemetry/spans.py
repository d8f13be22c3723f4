"""The events of the log -> spans and metrics, under the names that OpenTelemetry has for generative AI.

A run is a span from its opening to its end, whatever ends it. Steps are spans under it, every so many-th; the calls of
these are spans under theirs, each made when it has ended, with the time at which it began. A call outside a run, that
of a `maker.vote`, stands under whatever span its caller has open. What else a run tells at level info or above is an
event of its span. Metrics count all, steps without a span of their own included.

What a model read and wrote enters nothing of this, and neither does a key: the log has none of it.

Not covered: calls of in-process models, and of your own, which may have spans of your own; steps that helping processes
decide; a call that was cancelled. A step whose votes go on after a restart begins where this process began it.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer_provider

Fields = MutableMapping[str, Any]

_OPERATIONS = {"chat": "chat", "completions": "text_completion"}
_PORTS = {"http": 80, "https": 443}
_NAMES = {  # of what `model.reply` says: attributes that a span of a call has where they are known
    "temperature": "gen_ai.request.temperature", "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed", "tokens_in": "gen_ai.usage.input_tokens",
    "tokens_out": "gen_ai.usage.output_tokens", "named": "gen_ai.response.model", "id": "gen_ai.response.id",
    "run": "maker.run", "step": "maker.step", "draw": "maker.draw",
}  # fmt: skip
_BIGGEST = 2**63  # that an attribute holds: seeds may be larger


@dataclass(slots=True)
class _Run:
    """A run under way: its span, the spans of its open steps, and how far each of these has come."""

    span: Span
    steps: dict[int, Span] = field(default_factory=dict)
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)  # of an open step: waves, samples


class Spans:
    """A listener to the log. every: of how many steps one has a span. The providers: as of `telemetry`."""

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None, every: int) -> None:
        self._tracer = (tracers or get_tracer_provider()).get_tracer("maker")
        self._every, self._runs = every, dict[str, _Run]()
        meter = (meters or get_meter_provider()).get_meter("maker")
        self._seconds = meter.create_histogram("gen_ai.client.operation.duration", "s", "Seconds of one call")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens of one call")
        self._samples = meter.create_counter("maker.samples", "{sample}", "Samples that were counted, flagged or not")
        self._flags = meter.create_counter("maker.flags", "{sample}", "Samples that were flagged, by kind")
        self._steps = meter.create_counter("maker.steps", "{step}", "Steps that one answer has won")

    def __call__(self, event: str, fields: Fields) -> None:
        """Hear one event."""
        match event:
            case "model.reply":
                self._call(fields)
            case "step.wave":
                self._wave(fields)
            case "run.open" | "solve.open":
                self._open(event, fields)
            case "run.close" | "solve.close":
                self._close(fields)
            case _:
                span = next(iter(self._runs.values())).span if len(self._runs) == 1 else trace.get_current_span()
                span.add_event(event, _plain(fields))

    # -- runs and steps ------------------------------------------------------------------------------

    def _open(self, event: str, fields: Fields) -> None:
        """Begin a run's span; a run that is replayed once more, after a rollback, has one."""
        name = fields["run"]
        if name not in self._runs:
            told = {"maker.run": name, "maker.replayed": fields["replayed"]}
            self._runs[name] = _Run(self._tracer.start_span(f"maker.{event.partition('.')[0]}", attributes=told))

    def _close(self, fields: Fields) -> None:
        run = self._runs.pop(fields["run"], None)
        if run is None:
            return
        for span in run.steps.values():  # those that are open still
            span.end()
        stopped = fields.get("stopped")
        run.span.set_attribute("maker.solved", bool(fields.get("solved", stopped is None)))
        if stopped is not None:
            run.span.set_attribute("error.type", stopped)
            run.span.set_status(Status(StatusCode.ERROR, stopped))
        run.span.end()

    def _step(self, name: str, step: int, seconds: float) -> tuple[Span | None, bool]:
        """Return the span of a step, begun so many seconds ago if it is new, and whether its calls are to be told."""
        run = self._runs.get(name)
        if run is None:
            return None, True
        if step % self._every:
            return None, False
        if step not in run.steps:
            run.steps[step] = self._tracer.start_span(
                "maker.step", _under(run.span), start_time=_ago(seconds), attributes={"maker.step": step}
            )
        return run.steps[step], True

    def _wave(self, fields: Fields) -> None:
        """Count a wave; if it decided its step, end the span of that."""
        samples, flags, step = fields["samples"], fields["flags"], fields["step"]
        self._samples.add(samples)
        for kind in flags:
            self._flags.add(1, {"maker.flag": kind})
        if fields["won"]:
            self._steps.add(1)
        span, _ = self._step(fields["run"], step, fields["seconds"])
        if span is None:
            return
        run = self._runs[fields["run"]]
        waves, drawn = run.counts.get(step, (0, 0))
        run.counts[step] = waves + 1, drawn + samples
        span.set_attributes({"maker.waves": waves + 1, "maker.samples": drawn + samples})
        for kind in flags:
            span.add_event("maker.flag", {"maker.flag": kind})
        if fields["won"]:
            del run.steps[step], run.counts[step]
            span.end()

    # -- calls ---------------------------------------------------------------------------------------

    def _call(self, fields: Fields) -> None:
        """Tell of one call: two metrics, and a span where its step has one."""
        server = urlsplit(fields["server"])
        about = {
            "gen_ai.operation.name": _OPERATIONS[fields["api"]],
            "gen_ai.provider.name": "openai",  # the form of the interface, whoever speaks it
            "gen_ai.request.model": fields["model"],
        }
        if server.hostname:
            about |= {"server.address": server.hostname, "server.port": server.port or _PORTS[server.scheme]}
        failed = fields["outcome"] != "sample"
        if failed:
            about["error.type"] = str(fields["status"] or fields["outcome"])
        self._seconds.record(fields["seconds"], about)
        for kind, tokens in (("input", fields["tokens_in"]), ("output", fields["tokens_out"])):
            if tokens is not None:
                self._tokens.record(tokens, about | {"gen_ai.token.type": kind})
        above, wanted = self._step(fields["run"], fields["step"], fields["seconds"])
        if not wanted:
            return
        for key, name in _NAMES.items():
            if (value := fields.get(key)) is not None:
                about[name] = value if not isinstance(value, int) or value < _BIGGEST else str(value)
        about["gen_ai.response.finish_reasons"] = [reason or "" for reason in fields.get("finish", ())]
        if fields["choices"] > 1:
            about["gen_ai.request.choice.count"] = fields["choices"]
        span = self._tracer.start_span(
            f"{about['gen_ai.operation.name']} {fields['model']}", None if above is None else _under(above),
            SpanKind.CLIENT, about, start_time=_ago(fields["seconds"]),
        )  # fmt: skip
        if failed:
            span.set_status(Status(StatusCode.ERROR, fields["outcome"]))
        span.end()


def _under(span: Span) -> Context:
    return trace.set_span_in_context(span)


def _ago(seconds: float) -> int:
    """Return the time so many seconds ago, as spans have it."""
    return time.time_ns() - int(seconds * 1e9)


def _plain(fields: Fields) -> dict[str, Any]:
    """Return the fields of an event as attributes: what is no plain value is written out."""
    return {
        f"maker.{key}": value if isinstance(value, (str, bool, int, float)) else str(value)
        for key, value in fields.items() if key not in ("event", "level") and value is not None
    }  # fmt: skip
