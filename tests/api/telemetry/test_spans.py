"""Spans and metrics of runs and votes, as OpenTelemetry's SDK gets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import maker
from maker import log
from maker.testing import FaultServer, ScriptedModel

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SECRET = "an answer nobody is to see"


class Heard:
    """What was exported so far."""

    def __init__(self, every: int = 1) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        maker.telemetry(self.tracers, MeterProvider([self._reader]), every=every)

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the ended spans of a name, in the order of their ends."""
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def metric(self, name: str) -> list[Any]:
        """Return the points of a metric."""
        data = self._reader.get_metrics_data()
        found = [metric for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics] if data else []
        return [point for metric in found if metric.name == name for point in metric.data.data_points]


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    """Leave nobody listening."""
    yield
    log.listen(None)


def seven(_request: Any) -> str:
    """Reply with a number."""
    return '{"value": 7}'


def test_a_run_its_steps_and_its_calls_are_a_tree():
    """Each call stands under its step and each step under its run; none lies outside the time of what it is under."""
    heard = Heard()
    with FaultServer(seven) as server:
        verdicts = maker.map_sync("How many? {item}", ["a", "b", "c"], model=server.spec("small"), answer=int, k=2)
    assert [verdict.answer for verdict in verdicts] == [7, 7, 7]
    (run,), steps, calls = heard.spans("maker.run"), heard.spans("maker.step"), heard.spans("chat small")
    assert [len(steps), len(calls)] == [3, 6]
    assert {span.attributes["maker.step"] for span in steps} == {0, 1, 2}
    assert {span.parent.span_id for span in steps} == {run.context.span_id}
    above = {span.context.span_id: span for span in steps}
    for call in calls:
        step = above[call.parent.span_id]
        assert call.attributes["maker.step"] == step.attributes["maker.step"]
        assert step.start_time <= call.start_time + 2_000_000 and call.end_time <= step.end_time
    assert {(span.attributes["maker.waves"], span.attributes["maker.samples"]) for span in steps} == {(1, 2)}
    assert run.attributes["maker.solved"] is True and run.status.is_unset


def test_a_call_has_the_names_that_generative_ai_has():
    """Operation, provider, models, settings, tokens, finish reasons and server stand under the names of the SDK's."""
    semconv = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    heard = Heard()
    with FaultServer(seven) as server:
        maker.vote_sync("How many?", model=server.spec("small"), answer=int, k=1)
    (call,) = heard.spans("chat small")
    told = dict(call.attributes)
    assert told[semconv.GEN_AI_OPERATION_NAME] == "chat" and told[semconv.GEN_AI_PROVIDER_NAME] == "openai"
    assert told[semconv.GEN_AI_REQUEST_MODEL] == "small" and told[semconv.GEN_AI_RESPONSE_FINISH_REASONS] == ("stop",)
    assert told[semconv.GEN_AI_USAGE_INPUT_TOKENS] > 0 and told[semconv.GEN_AI_USAGE_OUTPUT_TOKENS] > 0
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", server.port)
    known = {value for name, value in vars(semconv).items() if name.startswith("GEN_AI_") and isinstance(value, str)}
    assert {name for name in told if name.startswith("gen_ai.")} - known == set()
    assert call.kind.name == "CLIENT"


def test_a_vote_stands_under_its_callers_span():
    """A call outside a run has the span as its parent that was open round `vote`."""
    heard = Heard()
    with FaultServer(seven) as server, heard.tracers.get_tracer("mine").start_as_current_span("mine") as mine:
        maker.vote_sync("How many?", model=server.spec("small"), answer=int, k=2)
    assert [span.parent.span_id for span in heard.spans("chat small")] == [mine.get_span_context().span_id] * 2
    assert heard.spans("maker.step") == []


def test_steps_are_sampled_and_metrics_are_not():
    """Every third step has a span, with its calls; the metrics count all of them."""
    heard = Heard(every=3)
    with FaultServer(seven) as server:
        maker.map_sync("How many? {item}", list("abcdefg"), model=server.spec("small"), answer=int, k=2)
    assert sorted(span.attributes["maker.step"] for span in heard.spans("maker.step")) == [0, 3, 6]
    assert len(heard.spans("chat small")) == 6
    (seconds,) = heard.metric("gen_ai.client.operation.duration")
    assert seconds.count == 14
    assert {point.attributes["gen_ai.token.type"]: point.count for point in heard.metric("gen_ai.client.token.usage")}
    assert [heard.metric(f"maker.{name}")[0].value for name in ("steps", "samples")] == [7, 14]


def test_a_failure_is_an_error_of_its_call_and_a_flag_an_event_of_its_step():
    """A reply 500 ends its span as an error of that type; the retry is an event of the run; a flag is counted."""
    heard = Heard()
    with FaultServer([500, "no number", '{"value": 7}', '{"value": 7}']) as server:
        maker.map_sync(
            "How many? {item}", ["a"], model=server.spec("small"), answer=int, k=2, limits={"concurrency": 1}
        )
    calls, (step,), (run,) = heard.spans("chat small"), heard.spans("maker.step"), heard.spans("maker.run")
    assert [call.attributes.get("error.type") for call in calls].count("500") == 1
    assert [call.status.is_ok or call.status.is_unset for call in calls].count(False) == 1
    assert [dict(event.attributes)["maker.flag"] for event in step.events] == ["malformed"]
    assert "model.retry" in [event.name for event in run.events]
    (flags,) = heard.metric("maker.flags")
    assert (flags.attributes["maker.flag"], flags.value) == ("malformed", 1)


def test_whatever_ends_a_run_ends_its_spans():
    """A limit and an error leave no span open; the run's says what ended it."""
    heard = Heard()
    with FaultServer(seven) as server:
        maker.map_sync("? {item}", ["a", "b"], model=server.spec("small"), answer=int, k=2, limits={"max_calls": 3})
    with FaultServer(lambda _: 401) as server, pytest.raises(maker.ModelError):
        maker.map_sync("? {item}", ["a"], model=server.spec("small"), answer=int, k=2)
    assert [run.attributes["error.type"] for run in heard.spans("maker.run")] == ["max_calls", "ModelError"]
    assert heard.spans("maker.step")[-1].attributes["maker.step"] == 0


def test_nothing_that_a_model_reads_or_writes_is_told():
    """Neither prompt nor reply is in any span or event."""
    heard = Heard()
    with FaultServer(lambda _: SECRET) as server:
        maker.vote_sync(f"Say it: {SECRET}", model=server.spec("small"), k=2)
    assert heard.spans("chat small")
    assert SECRET not in "".join(span.to_json() for span in heard._spans.get_finished_spans())


def test_an_in_process_model_has_runs_and_steps():
    """A model that is not reached over HTTP has no spans of calls, and all others."""
    heard = Heard()
    maker.map_sync("? {item}", ["a", "b"], model=ScriptedModel(seven), answer=int, k=2)
    assert [len(heard.spans(name)) for name in ("maker.run", "maker.step")] == [1, 2]
    assert all(span.end_time >= span.start_time for span in heard.spans("maker.step"))
