"""What every kind of reply becomes: one row of the classification table each, and nothing can break it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.sample import Failure, Sample
from maker.models.openai.refusal import Asked, Trouble
from maker.models.openai.reply import read_reply

CANARY = "sk-canary-5f1e77"
LONG_ID = "chatcmpl-9f8e7d6c5b4a3928171605f4e3d2c1b0"
ASKED = Asked("http://h:1", "m-1", "state = [[3, 2, 1], [], []]\nmove?", (CANARY,))


def completion(**changes):
    """Return the body of a good reply, with top-level fields replaced."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 3}
    return {"id": LONG_ID, "model": "m-1", "choices": [choice], "usage": usage, **changes}


def choice(**changes):
    """Return a good reply whose only choice has fields replaced."""
    whole = completion()
    whole["choices"][0].update(changes)
    return whole


def read(body, status=200, headers=None, asked=ASKED):
    """Read a reply; what is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_reply(status, headers or {}, raw, asked, 0.5)


def sample(body, **options):
    """Return the one sample of a good reply."""
    said = read(body, **options)
    assert isinstance(said, list), said
    assert len(said) == 1
    assert isinstance(said[0], Sample)
    return said[0]


def trouble(body, *args, **options) -> Trouble:
    """Return what is wrong with a reply."""
    found = read(body, *args, **options)
    assert isinstance(found, Trouble), found
    return found


def refusal(status, message="no", **labels):
    """Return the trouble of an error reply."""
    return trouble({"error": {"message": message, **labels}}, status)


# -- samples ---------------------------------------------------------------------------------------------


def test_everything_a_reply_says_is_kept():
    """Text, tokens, finish reason, id, logprob, model, latency and fingerprint come into the sample."""
    body = choice(logprobs={"content": [{"token": "y", "logprob": -0.25}, {"token": "es", "logprob": -0.5}]})
    said = read({**body, "system_fingerprint": "fp_1"})
    assert said == [Sample("yes", 12, 3, "stop", LONG_ID, -0.75, "m-1", 0.5, "fp_1")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ""),
        (None, None),
        (7, None),
        ({}, None),
        ([], None),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "ab"),
        (["a", "b", 3], "ab"),
        ([{"type": "image"}], None),
        ("\x00\x1b[31m", "\x00\x1b[31m"),
        ("[" * 200_000, "[" * 200_000),
        ("9" * 4301, "9" * 4301),
        (f"the key is {CANARY}", "the key is ***"),
    ],
)
def test_content_of_any_kind(content, text):
    """Text stays as it is, parts are joined, what is no text is None; a key is never part of it."""
    assert sample(choice(message={"content": content})).text == text


def test_wild_bytes_are_read_as_far_as_they_go():
    """Lone surrogates, NaN, a byte-order mark, doubled keys and broken UTF-8 do not lose a reply."""
    raw = orjson.dumps(completion())
    assert sample(raw.replace(b'"yes"', rb'"\ud800"')).text == "\ud800"
    assert sample(raw.replace(b'"yes"', b'"\xff!"')).text == "\ufffd!"
    assert sample(b"\xef\xbb\xbf" + raw).text == "yes"
    assert sample(raw.replace(b'"id"', b'"x":NaN,"id"')).text == "yes"
    assert sample(raw.replace(b'"content":"yes"', b'"content":"no","content":"yes"')).text == "yes"


@pytest.mark.parametrize("figure", [-1, 2.0, 2.5, "12", True, None, [], 2**40, float("nan")])
def test_odd_usage_counts_as_not_given(figure):
    """A count that is negative, fractional, text or absurd is None, and the sample stays."""
    body = json.dumps(completion(usage={"prompt_tokens": figure, "completion_tokens": figure})).encode()
    assert (sample(body).tokens_in, sample(body).tokens_out) == (None, None)
    assert sample(completion(usage=figure)).tokens_in is None


@pytest.mark.parametrize(
    ("logprobs", "value"),
    [
        ({"token_logprobs": [-1.0, -2.5]}, -3.5),
        ({"content": [{"logprob": 0}]}, 0.0),
        ({"content": [{"logprob": -1.0}, {"logprob": None}]}, None),
        ({"content": [{"logprob": math.nan}]}, None),
        ({"content": [{"logprob": -math.inf}]}, None),
        ({"content": [{"logprob": 3.0}]}, None),
        ({"content": [7]}, None),
        ({"content": []}, None),
        ({"content": None}, None),
        ([], None),
        (None, None),
    ],
)
def test_logprobs_are_summed_or_not_believed(logprobs, value):
    """Both forms are summed; one figure that cannot be a logprob voids the sum."""
    assert sample(json.dumps(choice(logprobs=logprobs)).encode()).logprob == value


def test_refusals_are_samples_that_a_flag_can_see():
    """A refusal field, a content filter, and a filter that left no message have that finish reason."""
    assert sample(choice(message={"content": None, "refusal": "I cannot"})).finish_reason == "content_filter"
    assert sample(choice(finish_reason="content_filter")).finish_reason == "content_filter"
    assert sample(choice(message=None, finish_reason="content_filter")).text is None
    assert sample(choice(message={"content": "x", "refusal": None})).finish_reason == "stop"


def test_absent_facts_are_none():
    """What the server does not say is not made up: no finish reason, no id, no model."""
    bare = {"choices": [{"message": {"content": "yes"}}]}
    assert sample(bare) == Sample("yes", None, None, None, None, None, None, 0.5)
    assert sample(choice(finish_reason=5)).finish_reason is None
    assert sample(completion(id=["r"], model=None)).response_id is None


def test_names_are_kept_short_and_clean():
    """A huge id becomes its digest, so that equal ids stay equal and others different; control characters go."""
    one, two = sample(completion(id="a" * 10**6)), sample(completion(id="a" * 10**6 + "b"))
    assert len(one.response_id) < 60
    assert one.response_id != two.response_id
    assert sample(completion(id=f"0123456789x\n\x1b[2J {CANARY}")).response_id == "0123456789x [2J ***"


def test_plain_completions_are_read():
    """The text of a plain completion is its choice's own."""
    body = {"choices": [{"text": " yes", "finish_reason": "length", "logprobs": {"token_logprobs": [-0.5]}}]}
    assert (sample(body).text, sample(body).finish_reason, sample(body).logprob) == (" yes", "length", -0.5)


def test_several_choices_are_several_draws():
    """Each choice is a draw: ids differ, tokens add up to the server's, a missing one is a failure."""
    asked = Asked("http://h:1", "m-1", choices=3)
    whole = completion(usage={"prompt_tokens": 12, "completion_tokens": 7})
    whole["choices"] *= 2
    said = read(whole, asked=asked)
    assert [s.response_id for s in said[:2]] == [f"{LONG_ID}#0", f"{LONG_ID}#1"]
    assert [s.tokens_in for s in said[:2]] == [12, 0]
    assert [s.tokens_out for s in said[:2]] == [4, 3]
    assert said[2] == Failure("transient", "http://h:1 sent 2 of 3 choices")
    for choice in whole["choices"]:  # a server that counts the tokens of one choice only
        choice["logprobs"] = {"content": [{"logprob": -0.5}] * 6}
    assert [s.tokens_out for s in read(whole, asked=asked)[:2]] == [6, 6]
    whole["choices"] = [whole["choices"][0], {}, 7]
    kinds = [type(reply).__name__ for reply in read(whole, asked=asked)]
    assert kinds == ["Sample", "Failure", "Failure"]


# -- troubles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["m-2", "bedrock/m", "M-1", "gpt-4o-2024-11-20", "/models/m-1.gguf"])
def test_another_name_is_accepted(declared):
    """Routers, deployments and aliases answer under another name: the sample says which."""
    assert sample(completion(model=declared)).model == declared


@pytest.mark.parametrize("declared", [None, "", 3])
def test_no_name_is_accepted(declared):
    """A reply that names no model is one all the same."""
    assert sample(completion(model=declared)).model is None


@pytest.mark.parametrize(
    ("identity", "tells"),
    [
        ("chatcmpl-512", False), ("chatcmpl-1", False), ("r-1", False), ("1", False), ("chatcmpl-1712345678", False),
        ("chatcmpl-9f8e7d6c5b4a3928171605f4e3d2c1b0", True), ("gen-1712345678-AbCdEfGhIjKl", True), ("-", False),
        ("0197c1f0-1b2c-7d3e-8f40-112233445566", True), ("c12-0.8444218515250481", True), ("copy of 17", True),
        ("chatcmpl-00000000-0000-0000-0000-000000000000", False), ("cmpl-default-response-id", False),
    ],
)  # fmt: skip
def test_only_ids_that_tell_replies_apart_are_kept(identity, tells):
    """An id of a few digits, or one for all, makes no copies of honest replies; long or varied ones do."""
    assert (sample(completion(id=identity)).response_id is not None) is tells


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 9, "completion_tokens": 100, "reasoning_tokens": 90},
        {"input_tokens": 9, "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 90}},
    ],
)
def test_tokens_under_other_names(usage):
    """What was read, written and thought is found where some routers put it."""
    told = sample(completion(usage=usage))
    assert (told.tokens_in, told.tokens_out, told.tokens_reasoning) == (9, 100, 90)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"errors": [{"message": "no tenant"}]}, "no tenant"), ({"Message": "no tenant", "ErrorCode": 3}, "no tenant"),
        ({"errors": [{"field": "seed", "message": "is not allowed"}]}, "seed: is not allowed"),
        ({"fault": {"faultstring": "no tenant", "detail": {"errorcode": "x"}}}, "no tenant"),
        ({"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no tenant"}, "no tenant"),
        ({"error": {"message": {"text": "no tenant"}}}, "no tenant"), ({"error": {"message": ["a", "b"]}}, "a; b"),
        ({"code": 1210, "msg": "参数有误。"}, "参数有误"), ({"code": 7, "why": "no tenant"}, "no tenant"),
        ({"error": '{"message": "{\\"error\\": \\"no tenant\\"}"}'}, "no tenant"), ({"code": 7}, ""), ([], ""),
        (b"<?xml version='1.0'?><Error><Code>Denied</Code><Message>no tenant</Message></Error>", "Denied no tenant"),
    ],
)  # fmt: skip
def test_the_servers_words_are_found_in_any_shape(told, words):
    """An object, a list, one of these in a text, XML; under whichever name, in any script, with one full stop."""
    trouble = read(told if isinstance(told, bytes) else json.dumps(told).encode(), status=400)
    assert trouble.failure.detail.removeprefix(f"{ASKED.where} answered 400").removeprefix(": ") == words


@pytest.mark.parametrize("status", [400, 403, 429])
def test_an_account_that_is_used_up_is_known_by_the_words(status):
    """Where no code says it: no repetition helps, and the message says what does."""
    trouble = read(json.dumps({"error": {"message": "Your credit balance is too low"}}).encode(), status=status)
    assert trouble.failure.kind == "fatal"
    assert "add credit" in trouble.failure.detail


def test_a_content_that_is_one_part_is_read():
    """A part that is not in a list is the text all the same."""
    assert sample(completion(choices=[{"message": {"content": {"type": "text", "text": "42"}}}])).text == "42"


def test_a_stream_is_read():
    """A stream of events becomes the reply that it makes, thought apart; one without an end is cut off."""
    pieces = [
        {"id": LONG_ID, "model": "m-1", "choices": [{"index": 0, "delta": {"role": "assistant", "reasoning": "hm"}}]},
        {"choices": [{"index": 0, "delta": {"content": "ye"}}]},
        {"choices": [{"index": 0, "delta": {"content": "s"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}},
    ]
    lines = [b"data: " + orjson.dumps(piece) + b"\r\n\r\n" for piece in pieces]
    whole = sample(b": ping\n\n" + b"".join(lines) + b"data: [DONE]\n\n", headers={"Content-Type": "text/event-stream"})
    assert (whole.text, whole.reasoning, whole.finish_reason, whole.response_id) == ("yes", "hm", "stop", LONG_ID)
    assert (whole.tokens_in, whole.tokens_out) == (12, 3)
    cut = sample(b"".join(lines[:2]))
    assert (cut.text, cut.finish_reason) == ("ye", "length")


def test_tokens_of_thought_are_told_apart():
    """As the server counts them, at most all; else by its share of the text, or what no answer can have."""
    usage = {"prompt_tokens": 9, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 90}}
    assert sample(completion(usage=usage)).tokens_reasoning == 90
    usage["completion_tokens_details"] = {"reasoning_tokens": 900}
    assert sample(completion(usage=usage)).tokens_reasoning == 100
    thinking = choice(message={"role": "assistant", "content": "yes", "reasoning_content": "x" * 27})
    assert sample({**thinking, "usage": {"completion_tokens": 20}}).tokens_reasoning == 18
    assert sample({**thinking, "usage": {"completion_tokens": 100}}).tokens_reasoning == 97
    usage = {"completion_tokens": 400, "completion_tokens_details": {"reasoning_tokens": 360}}
    four = read(completion(choices=completion()["choices"] * 4, usage=usage), asked=replace(ASKED, choices=4))
    assert [(one.tokens_out, one.tokens_reasoning) for one in four] == [(100, 90)] * 4


def test_a_thought_without_an_end_never_votes():
    """It has no answer, and counts as cut off whatever the server says."""
    cut = sample(choice(message={"role": "assistant", "content": "<think>6 x 7"}))
    assert (cut.text, cut.reasoning, cut.finish_reason) == (None, "6 x 7", "length")


def test_tool_calls_instead_of_text_are_seen():
    """Such a reply has no text, and its finish reason says why."""
    called = choice(message={"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]}, finish_reason="stop")
    assert (sample(called).text, sample(called).finish_reason) == (None, "tool_calls")


@pytest.mark.parametrize("body", [b"", b" \n", b'{"id": "r-1", "choi', b'{"a": ' + b"[" * 90_000])
def test_cut_bodies_are_transient(body):
    """A truncated body is tried again, and looked at as the request's own fault if it stays."""
    found = trouble(body)
    assert (found.failure.kind, found.own, found.alien) == ("transient", True, True)
    assert "cut off" in found.failure.detail


@pytest.mark.parametrize("body", [b"null", b"[1]", b'"x"', b"data: {}\n\ndata: [DONE]", b"hello", b"[" * 200_000])
def test_what_is_no_object_is_alien(body):
    """JSON without an object, a stream nobody asked for, or plain text: not this API, if it stays so."""
    found = trouble(body)
    assert (found.failure.kind, found.alien) == ("transient", True)


@pytest.mark.parametrize("status", [200, 418])
def test_html_is_a_page(status):
    """A web page where JSON was expected says: check the address; one in mid-run passes."""
    assert trouble(b"\n<!doctype html><p>hi", status).page
    found = trouble(b"hi", status, {"Content-Type": "text/html; charset=utf-8"})
    assert "often ends in /v1" in found.failure.detail


def test_a_page_of_a_proxy_in_trouble_is_transient():
    """502 and 503 come with HTML as often as not."""
    for status in (500, 502, 503, 504, 529, 429, 408):
        assert trouble(b"<html>bad gateway", status).failure.kind == "transient"


@pytest.mark.parametrize(
    "body",
    [{"choices": None}, {"choices": []}, {"choices": {}}, {"choices": [None]}, {"choices": [{}]}, {"object": "list"},
     {"choices": [{"message": 5}]}, {"choices": [{"message": None}]}],
)  # fmt: skip
def test_replies_without_a_choice_are_transient(body):
    """Null, empty or shapeless choices are no answer of the model: never a vote, never a flag."""
    found = trouble(body)
    assert (found.failure.kind, found.own) == ("transient", True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("overloaded", "transient"),
        ({"message": "try later"}, "transient"),
        ({"message": "slow down", "code": 429}, "transient"),
        ({"message": "slow down", "code": "503"}, "transient"),
        ({"message": "bad key", "code": 401}, "fatal"),
        ({"message": "context", "code": 400}, "poison"),
        ({"message": "empty", "code": "insufficient_quota"}, "fatal"),
        (["odd"], "transient"),
        ({"code": [[["deep"]]]}, "transient"),
    ],
)
def test_an_error_in_a_good_reply_counts_as_an_error(error, kind):
    """Status 200 does not make an error a sample; a status named inside is believed."""
    assert trouble({**completion(), "error": error}).failure.kind == kind
    assert trouble(choice(error=error)).failure.kind == "transient"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529, 599])
def test_statuses_to_try_again(status):
    """Overload and server errors are transient, and carry the wait that was asked for."""
    found = trouble({"error": {"message": "later"}}, status, {"Retry-After": "3"})
    assert (found.failure.kind, found.failure.retry_after, found.status) == ("transient", 3.0, status)
    assert found.own is (status not in (429, 503, 529)), "a pause of the endpoint is no fault of a request"
    assert f"answered {status}: later" in found.failure.detail
    billed = None if status in (502, 504) else 0
    assert (found.failure.tokens_in, found.failure.tokens_out) == (billed, billed), "a gateway does not see the bill"


@pytest.mark.parametrize(
    ("status", "labels", "words"),
    [
        (401, {}, "The key was refused: set OPENAI_API_KEY"),
        (403, {}, "MAKER_API_KEY"),
        (402, {}, "quota is used up"),
        (429, {"code": "insufficient_quota"}, "add credit"),
        (429, {"type": "insufficient_quota"}, "add credit"),
        (403, {"code": "billing_not_active"}, "add credit"),
        (404, {"code": "model_not_found"}, "model's name (m-1)"),
        (404, {}, "often ends in /v1"),
        (400, {"code": "model_not_found"}, "model's name (m-1)"),
        (405, {}, "Check the address"),
        (410, {}, "Check the address"),
    ],
)
def test_hopeless_statuses_say_what_to_do(status, labels, words):
    """No repetition helps: the message names the remedy."""
    found = refusal(status, **labels)
    assert found.failure.kind == ("poison" if found.about else "fatal")
    assert words in found.failure.detail + found.remedy
    assert found.about is (not labels.get("code", "").startswith("billing") and status in (400, 403, 404, 405))


def test_a_missing_key_is_told_from_a_refused_one():
    """Without a key, 401 says that none was sent."""
    found = read({"error": {"message": "no"}}, 401, asked=Asked("http://h:1", "m-1"))
    assert "No key was sent" in found.failure.detail


def test_a_rate_limit_that_mentions_billing_is_no_quota():
    """OpenAI's ordinary rate limit message has a link to the billing page in it."""
    found = refusal(
        429, "Rate limit reached. Add a payment method: https://x/account/billing", code="rate_limit_exceeded"
    )
    assert found.failure.kind == "transient"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_complaints_about_the_request_are_suspected_poison(status):
    """A context too long or a policy is this request's affair, if others succeed."""
    found = refusal(status, "maximum context length is 4096 tokens, you asked for 9000 in max_tokens")
    assert (found.failure.kind, found.named, found.sure) == ("poison", (), True)
    assert trouble(b"<html>413", 413).failure.kind == "poison"


@pytest.mark.parametrize(
    ("optional", "message", "labels"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", {}),
        ("max_tokens", "no", {"param": "max_tokens", "code": "unsupported_parameter"}),
        ("logprobs", "logprobs are not supported by this model", {}),
        ("logprobs", "This model does not support the 'logprobs' parameter", {"param": "logprobs"}),
        ("schema", "Invalid schema for response_format 'answer'", {"param": "response_format"}),
        ("schema", "response_format json_schema is unavailable: unsupported", {}),
        ("seed", "Extra inputs are not permitted: seed", {}),
        (None, "max_tokens is too large: 99999, not supported beyond 4096", {"param": "max_tokens"}),
        ("seed", "seed must be less than 10", {"param": "seed"}),
        ("temperature", "Unsupported value: 'temperature' does not support 0.1", {"param": "temperature"}),
        (None, "no", {"param": "messages"}),
    ],
)
def test_optional_fields_that_are_refused_are_named(optional, message, labels):
    """A field that a complaint names is told, but for a token limit that is too large."""
    found = refusal(400, message, **labels)
    assert found.named == ((optional,) if optional else ())
    assert found.failure.kind == "poison"


def test_complaints_of_every_form_are_repeated():
    """Text, an object, FastAPI's list: the server's words reach the user, on one line and cut."""
    for body in (
        {"error": "bad thing"},
        {"error": {"message": "bad thing"}},
        {"detail": "bad thing"},
        {"detail": [{"msg": "bad thing", "input": "x"}]},
        {"message": "bad\n\x1b[31mthing"},
        {"error": '{"error": {"message": "bad thing"}}'},
        [{"error": {"code": 400, "message": "bad thing"}}],
        [{"message": "bad thing"}],
        {"message": {"detail": [{"msg": "bad thing"}]}},
        b"bad thing",
        b"<html><head><title>bad\n thing</title>",
    ):
        detail = trouble(body, 400).failure.detail
        assert detail.startswith("http://h:1 answered 400: bad"), body
        assert "\n" not in detail
        assert "\x1b" not in detail
    assert len(refusal(500, "x" * 10**6).failure.detail) < 400


def test_the_prompt_is_not_repeated():
    """A server that echoes the prompt in its complaint does not get it into messages and logs."""
    detail = refusal(422, "cannot read: state = [[3, 2, 1], [], []]").failure.detail
    assert "[[3" not in detail
    assert "repeat the prompt" in detail


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://evil.example/steal?x=1#y", "evil.example"),
        ("/login", "another path"),
        (f"https://{CANARY}.example/", "***.example"),
        (f"https://user:{CANARY}@evil.example/", "evil.example"),
        ("http://[bad", "cannot be read"),
        ("", "another path"),
    ],
)
def test_redirects_are_fatal_and_name_the_host_only(location, shown):
    """Where a redirect points to is said without path, query or credentials."""
    for status in (301, 302, 303, 307, 308):
        failure = trouble(b"", status, {"Location": location}).failure
        assert failure.kind == "fatal"
        assert shown in failure.detail
        assert CANARY not in failure.detail
        assert "steal" not in failure.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "text", "error", "code", "model", "id", "usage", "detail",
                         "finish_reason", "logprobs", "token_logprobs", "refusal", "prompt_tokens", "param", "msg"]),
        inner, max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON, st.integers(100, 599), st.integers(1, 3))
def test_no_json_is_too_strange(body, status, choices):
    """Any JSON with any status becomes samples or one trouble, and the key is in neither."""
    asked = Asked("http://h:1", "m-1", "prompt", (CANARY,), choices)
    found = read_reply(status, {}, json.dumps(body).encode(), asked, 0.1)
    assert CANARY not in repr(found)
    if isinstance(found, list):
        assert len(found) == choices


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(100, 599), st.dictionaries(st.text(max_size=10), st.text(max_size=10)))
def test_no_bytes_are_too_strange(body, status, headers):
    """Any bytes with any headers become something without an exception."""
    assert isinstance(read_reply(status, headers, body, ASKED, 0.1), (list, Trouble))


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (0.0025, 0.0025),
        (0, 0.0),
        (-1, None),
        ("1", None),
        (True, None),
        (float("nan"), None),
        (1e9, None),
        (None, None),
        ({"input_tokens_cost": 0.2, "total_cost": 0.5}, 0.5),
        ({"total": 0.5}, None),
    ],
)
def test_what_a_router_charged(told, cost):
    """Dollars in the usage are the sample's cost; what cannot be a charge is none."""
    body = json.dumps(completion(usage={"prompt_tokens": 12, "completion_tokens": 3, "cost": told})).encode()
    assert sample(body).cost == cost


def test_choices_share_what_was_charged():
    """Several choices of one reply cost together what the reply did."""
    body = completion(usage={"prompt_tokens": 12, "completion_tokens": 4, "cost": 0.5})
    body["choices"] *= 2
    assert [one.cost for one in read(body, asked=replace(ASKED, choices=2))] == [0.25, 0.25]
