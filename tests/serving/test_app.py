"""What OpenAI's own client sees of the proxy, and what a hostile one does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import orjson
import pytest
from pydantic import BaseModel

from maker.errors import JournalFull
from maker.serving import app
from maker.serving.record import Record
from maker.serving.voting import Rules
from maker.testing import FaultServer, Reply
from maker.testing.replies import Received
from proxied import proxied


class Sum(BaseModel):
    """An answer."""

    value: int


WEATHER = {"type": "function", "function": {"name": "weather", "description": "Tell the weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number"}}, "required": ["city"],
    "additionalProperties": False}}}  # fmt: skip
CALLS = [  # of a model that is asked for the weather: the second and third are no such calls
    ("weather", '{"city": "Rome", "days": 2}'), ("forecast", '{"city": "Rome"}'), ("weather", '{"town": "Rome"}'),
    ("weather", '{"days": 2.0, "city": "Rome"}'),
]  # fmt: skip


def called(received: Received) -> Reply:
    """Call a tool: the same each time, or a city of each; say it in words once there is a result."""
    if received.prompt == "21 degrees":
        return Reply("It is 21 degrees.")
    name, arguments = CALLS[received.number % 4]
    if received.prompt == "cities":
        name, arguments = "weather", f'{{"city": "{received.number}"}}'
    made = {"id": f"call-{received.number}", "type": "function", "function": {"name": name, "arguments": arguments}}
    return Reply(message={"content": None, "tool_calls": [made]}, finish="tool_calls")


def said(received: Received) -> Any:
    """Answer as the prompt tells: a number, one in four of them wrong; an endless argument; prose; slowly; a call."""
    if received.body.get("tools"):
        return called(received)
    often, ever = (41 if received.number % 4 == 0 else 42), received.number % 2
    told = {"sum": f'{{"value": {often}}}', "split": f'{{"value": {ever}}}'}
    return told.get(received.prompt, Reply("slow", delay=0.05) if received.prompt == "slow" else "Hello!")


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultServer]:
    """Run one upstream for all."""
    with FaultServer(said) as server:
        yield server


@pytest.fixture(scope="module")
def address(upstream: FaultServer) -> Iterator[str]:
    """Run one proxy before it."""
    with proxied(upstream.spec("m")) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    """Return the official client with nothing changed but the address."""
    with openai.OpenAI(base_url=address, api_key="any", max_retries=0) as client:
        yield client


def asking(text: str) -> dict[str, Any]:
    """Return the arguments of a chat."""
    return {"model": "gpt-any", "messages": [{"role": "user", "content": text}]}


def test_a_typed_answer_is_voted_on(client: openai.OpenAI):
    """`parse` gives the typed winner; the vote and the usage of all samples stand beside it."""
    found = client.chat.completions.parse(**asking("sum"), response_format=Sum, extra_body={"maker": {"k": 4}})
    assert found.choices[0].message.parsed == Sum(value=42)
    told = found.maker
    assert told["voted"] and told["decided"] and told["margin"] == 4 and told["samples"] >= 4
    assert found.usage.completion_tokens == 4 * told["samples"] and found.model == "m"


def weather(client: openai.OpenAI, text: str = "weather", **more: Any) -> Any:
    """Ask a question with a tool."""
    return client.chat.completions.create(**asking(text), tools=[WEATHER], **more)


def test_a_call_is_voted_on(client: openai.OpenAI):
    """The same call is one candidate, however it is written; an unknown tool and arguments that do not fit are none."""
    found = weather(client)
    (choice,) = found.choices
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, choice.message.content, call.type) == ("tool_calls", None, "function")
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Rome", "days": 2})
    assert call.id
    told = found.maker
    assert (told["decided"], told["margin"], told["samples"] - told["flagged"]) == (True, 3, 3)
    assert told["flagged"] >= 2
    assert json.loads(told["votes"][0]["answer"]) == [{"name": "weather", "arguments": {"city": "Rome", "days": 2}}]


def test_a_voted_call_is_streamed(client: openai.OpenAI):
    """The pieces make up the call that was decided."""
    with client.chat.completions.stream(**asking("weather"), tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        (choice,) = stream.get_final_completion().choices
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "weather")
    assert json.loads(call.function.arguments) == {"city": "Rome", "days": 2}


def test_an_agents_loop_ends_in_words(client: openai.OpenAI):
    """The call goes back with its result; that nothing more is called is what is voted on then."""
    message = weather(client).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"}
    told = [*asking("weather")["messages"], message, result]
    found = client.chat.completions.create(model="m", messages=told, tools=[WEATHER], tool_choice="auto")
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("It is 21 degrees.", "stop")
    assert not found.choices[0].message.tool_calls
    assert found.maker["margin"] == 3


def test_calls_that_do_not_agree_are_no_call(client: openai.OpenAI):
    """422 with the tally, in the form that the client reads."""
    with pytest.raises(openai.UnprocessableEntityError) as why:
        weather(client, "cities", extra_body={"maker": {"max_votes": 6}})
    assert why.value.body["code"] == "undecided"
    assert why.value.body["maker"]["margin"] == 0


def test_a_leading_call_is_given_where_that_was_asked_for(upstream: FaultServer):
    """Marked as undecided, with an id to answer it by."""
    with (
        proxied(upstream.spec("m"), Rules(plurality=True)) as address,
        openai.OpenAI(base_url=address, api_key="any", max_retries=0) as client,
    ):
        found = weather(client, "cities", extra_body={"maker": {"max_votes": 6}})
    assert found.choices[0].message.tool_calls[0].id
    assert found.maker["decided"] is False


def test_no_call_may_be_made(client: openai.OpenAI, upstream: FaultServer):
    """Then the tools change nothing: it is prose, asked once."""
    found = weather(client, "hi", tool_choice="none")
    assert (found.choices[0].message.content, found.maker["voted"]) == ("Hello!", False)


def test_a_tool_that_has_to_be_called_is(client: openai.OpenAI):
    """A choice goes to the upstream, and a reply without that call has no vote."""
    choice = {"type": "function", "function": {"name": "weather"}}
    assert weather(client, tool_choice=choice).choices[0].message.tool_calls
    with pytest.raises(openai.UnprocessableEntityError):
        weather(client, "21 degrees", tool_choice="required", extra_body={"maker": {"max_flags": 3}})


def test_prose_is_answered_once(client: openai.OpenAI):
    """It says that it was not voted on; the three routes agree."""
    found = client.chat.completions.create(**asking("hi"))
    assert (found.choices[0].message.content, found.maker["voted"], found.maker["samples"]) == ("Hello!", False, 1)
    assert client.completions.create(model="m", prompt="hi").choices[0].text == "Hello!"
    assert client.responses.create(model="m", input="hi").output_text == "Hello!"


def test_a_response_is_parsed_and_streamed(client: openai.OpenAI):
    """The newer route gives typed answers, and a stream that the client builds up to the same."""
    assert client.responses.parse(model="m", input="sum", text_format=Sum).output_parsed == Sum(value=42)
    with client.responses.stream(model="m", input="hi", instructions="Be short") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == "Hello!"
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


FLAT = {"type": "function", **WEATHER["function"]}  # as a response has it


def test_a_response_calls_what_was_voted_on(client: openai.OpenAI):
    """The call is an item of its own; it goes back with its result, and the next response is in words."""
    asked = [{"role": "user", "content": "weather"}]
    found = client.responses.create(model="m", input=asked, tools=[FLAT])
    (call,) = found.output
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "weather",
        {"city": "Rome", "days": 2},
    )
    assert (found.maker["decided"], found.maker["margin"], found.tools[0].name) == (True, 3, "weather")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    after = client.responses.create(model="m", input=[*asked, call, result], tools=[FLAT])
    assert (after.output_text, [item.type for item in after.output]) == ("It is 21 degrees.", ["message"])


def test_a_response_with_a_call_is_streamed(client: openai.OpenAI):
    """The client builds up the call from the events, which come in the documented order."""
    choice = {"type": "function", "name": "weather"}
    with client.responses.stream(model="m", input="weather", tools=[FLAT], tool_choice=choice) as stream:
        events = list(stream)
        (call,) = stream.get_final_response().output
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome", "days": 2})
    assert [event.type.removeprefix("response.") for event in events] == [
        "created", "in_progress", "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(7))


def test_a_stream_gives_the_decided_answer(client: openai.OpenAI):
    """The pieces are the answer, the vote is in the last one, and usage comes where it was asked for."""
    with client.chat.completions.create(
        **asking("sum"), stream=True, stream_options={"include_usage": True},
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": Sum.model_json_schema()}},
    ) as stream:  # fmt: skip
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert json.loads(text) == {"value": 42} and chunks[-2].maker["decided"] and chunks[-1].usage.total_tokens > 0
    with client.completions.create(model="m", prompt="hi", stream=True, stream_options={"include_usage": True}) as more:
        parts = list(more)
    assert parts[0].choices[0].text == "Hello!" and parts[-1].usage.completion_tokens == 2


def test_a_long_vote_keeps_its_stream_alive(client: openai.OpenAI, address: str, monkeypatch: pytest.MonkeyPatch):
    """Comments are sent while it lasts, which the client skips; an error that comes then is an event."""
    monkeypatch.setattr(app, "AT_ONCE", 0.0)
    monkeypatch.setattr(app, "KEEP_ALIVE", 0.01)
    told = json.dumps(asking("slow") | {"stream": True}).encode()
    with urlopen(Request(f"{address}/chat/completions", told)) as reply:
        assert reply.read().startswith(b": voting\n\n")
    with client.chat.completions.create(**asking("slow"), stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "slow"
    with pytest.raises(openai.APIError, match="undecided"), client.chat.completions.create(
        **asking("split"), stream=True, response_format={"type": "json_object"}, extra_body={"maker": {"max_votes": 6}}
    ) as stream:  # fmt: skip
        list(stream)


def test_an_undecided_vote_is_an_error_with_its_tally(client: openai.OpenAI):
    """422 in the form that the client reads, streamed or not."""
    for stream in (False, True):
        with pytest.raises(openai.UnprocessableEntityError) as why:
            client.chat.completions.create(**asking("split"), response_format={"type": "json_object"}, stream=stream,
                                           extra_headers={"X-Maker-Max-Votes": "6"})  # fmt: skip
        assert why.value.body["code"] == "undecided" and why.value.body["maker"]["samples"] == 5


def test_the_asynchronous_client_is_answered(address: str):
    """Twenty at once, and a stream."""

    async def go() -> list[str]:
        async with openai.AsyncOpenAI(base_url=address, api_key="any", max_retries=0) as client:
            many = await asyncio.gather(*[client.chat.completions.create(**asking("hi")) for _ in range(20)])
            async with await client.chat.completions.create(**asking("hi"), stream=True) as stream:
                chunks = [chunk async for chunk in stream]
            return [found.choices[0].message.content for found in many] + [chunks[0].choices[0].delta.content]

    assert asyncio.run(go()) == ["Hello!"] * 21


def test_models_health_and_metrics(client: openai.OpenAI, address: str):
    """What there is, whether it lives, and counts that grow with what is asked."""
    assert [model.id for model in client.models.list()] == ["m"]
    client.chat.completions.parse(**asking("sum"), response_format=Sum)
    root = address.removesuffix("/v1")
    assert json.loads(urlopen(f"{root}/health").read())["status"] == "ok"
    told = urlopen(f"{root}/metrics").read().decode()
    assert 'maker_requests_total{route="/v1/chat/completions",status="200"}' in told
    assert 'maker_votes_total{result="decided"}' in told and "# TYPE maker_samples_total counter" in told


def malformed() -> Iterator[bytes]:
    """Yield a hundred bodies that are none."""
    good = json.dumps({**asking("hi"), "maker": {"k": 2}}).encode()
    yield from (good[:cut] for cut in range(0, len(good), 2))
    yield from (
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"x"',
        b"1e999",
        b"NaN",
        b"{}",
        b"\0" * 99,
        b'{"prompt": "\\ud800", "input": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}',
    )
    for name in ("messages", "model", "temperature", "stop", "maker", "response_format", "seed", "stream", "n", "tools",
                 "stream_options", "max_tokens"):  # fmt: skip
        yield from (orjson.dumps({**asking("hi"), name: value}) for value in (-1, "\ud7ff", [[]], {"": {}}))
    for value in ({"role": 1}, {"role": "user"}, {"role": "user", "content": 1}, {"role": "user", "content": [1]}):
        yield orjson.dumps({"messages": [value]})
    for deep in (b'{"properties":{"a":' * 150 + b"{}" + b"}}" * 150, b"[" * 300 + b"]" * 300):
        yield b'{"messages":[{"role":"user","content":[{"a":%b}]}]}' % deep
        yield (b'{"messages":[{"role":"user","content":"sum"}],"maker":{"max_flags":1},"response_format":'
               b'{"type":"json_schema","json_schema":{"schema":%b}}}' % deep)  # fmt: skip


def test_malformed_bodies_are_told_so(address: str, client: openai.OpenAI, capfd: pytest.CaptureFixture[str]):
    """A hundred of them: an error in the form of OpenAI's each, no traceback, and the proxy lives."""
    bodies = list(malformed())
    assert len(bodies) >= 100
    errors: list[tuple[int, str, bytes]] = []
    for route in ("chat/completions", "completions", "responses"):
        for body in bodies:
            try:
                urlopen(Request(f"{address}/{route}", body), timeout=20).read()
            except HTTPError as why:
                errors.append((why.code, json.loads(why.read())["error"]["message"], body[:80]))
    assert len(errors) > 200 and [error for error in errors if not (400 <= error[0] < 500 and error[1])] == []
    assert client.chat.completions.create(**asking("hi")).choices[0].message.content == "Hello!"
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("chat/completions", {"Host": "evil.example"}, 403), ("models", {"Origin": "https://evil.example"}, 403),
     ("nothing", {}, 404), ("embeddings", {}, 404)],
)  # fmt: skip
def test_strangers_are_refused(address: str, path: str, headers: dict[str, str], status: int):
    """In the form of an error, too."""
    with pytest.raises(HTTPError) as why:
        urlopen(Request(f"{address}/{path}", headers=headers, data=None if path == "models" else b"{}"))
    assert why.value.code == status and json.loads(why.value.read())["error"]["message"]


def test_a_key_is_asked_for_and_kept_out_of_everything(upstream: FaultServer, tmp_path: Path):
    """The client's key opens the proxy, is not sent to the upstream, and is in no record."""
    path = tmp_path / "asked"
    with (
        proxied(upstream.spec("m"), keys=["sesame"], record=Record(path)) as address,
        openai.OpenAI(base_url=address, api_key="wrong", max_retries=0) as client,
    ):
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**asking("hi"))
        client.with_options(api_key="sesame").chat.completions.parse(**asking("sum"), response_format=Sum)
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["said"]["answer"], len(line["samples"])) == ('{"value": 42}', line["said"]["samples"])
    assert "sesame" not in path.read_text()
    assert "sesame" not in str([dict(received.headers) for received in upstream.requests])


def test_nothing_is_answered_unrecorded(upstream: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk is an error of the proxy, not a silent gap."""
    record = Record(tmp_path / "asked")

    def full(_: object) -> None:
        raise JournalFull("full")

    monkeypatch.setattr(record, "keep", full)
    with (
        proxied(upstream.spec("m"), record=record) as address,
        openai.OpenAI(base_url=address, api_key="x", max_retries=0) as client,
        pytest.raises(openai.InternalServerError, match="full"),
    ):
        client.chat.completions.create(**asking("hi"))


def test_a_lost_upstream_is_told_with_a_time_to_come_back(monkeypatch: pytest.MonkeyPatch):
    """503 and Retry-After when nobody has answered for as long as a request waits."""
    monkeypatch.setattr("maker.serving.voting.PATIENCE", 0.2)
    with (
        FaultServer() as server,
        proxied(server.spec("m"), Rules(k=1)) as address,
        openai.OpenAI(base_url=address, api_key="x", max_retries=0) as client,
    ):
        client.chat.completions.create(**asking("hi"))
        server._thread.close()
        with pytest.raises(openai.InternalServerError) as why:
            client.chat.completions.create(**asking("hi"))
    assert (why.value.status_code, why.value.response.headers["Retry-After"]) == (503, "10")


def test_a_client_that_leaves_ends_its_vote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A vote that would go on for minutes is over once nobody waits for it, and is recorded as left."""
    over, told = threading.Event(), []
    record = Record(tmp_path / "asked")

    def keep(line: dict[str, Any]) -> None:
        told.append(line["said"])
        over.set()

    monkeypatch.setattr(record, "keep", keep)
    rules = Rules(strict=True, k=100)
    with (
        FaultServer(lambda received: Reply(str(received.number % 2), delay=0.05)) as server,
        proxied(server.spec("m"), rules, record=record) as address,
    ):
        with pytest.raises(OSError, match="timed out"):
            urlopen(Request(f"{address}/chat/completions", json.dumps(asking("hi")).encode()), timeout=0.2)
        assert over.wait(10)
    assert told == [{"error": "the client left"}]
