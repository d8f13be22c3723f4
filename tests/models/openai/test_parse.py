"""The JSON of a foreign body: not parsed where it has more values than its tokens can."""

from __future__ import annotations

import time

import orjson
import pytest

from maker.models.openai import parse as module
from maker.models.openai.parse import _A_TOKEN, _LEAST, LARGE, crowded, parse
from maker.models.openai.refusal import Asked, Trouble
from maker.models.openai.reply import read_reply

TOKEN = {"token": "wait", "logprob": -0.25, "bytes": [119, 97, 105, 116], "top_logprobs": []}
BLOCK = 0.05  # seconds


def body(**fields: object) -> bytes:
    """Return a reply with fields of its own."""
    return orjson.dumps({"choices": [{"message": {"content": "x"}}], **fields})


@pytest.mark.parametrize("tokens", [1, 1024, 2**15])
def test_a_reply_with_the_logprobs_of_all_its_tokens_is_parsed(tokens):
    """What an honest server sends is far from too many values, however long."""
    assert not crowded(body(logprobs=[TOKEN] * tokens), tokens)


@pytest.mark.parametrize("values", [[], {}, "a", [1], {"a": 1}], ids=str)
def test_a_body_of_too_many_values_is_told_before_it_is_parsed(values):
    """Whatever the values are; the tokens asked for make room for more."""
    many = body(junk=[values] * (_LEAST + 1))
    assert crowded(many, 1024)
    assert not crowded(body(junk=[1] * _LEAST), _LEAST // _A_TOKEN + 1)


@pytest.mark.parametrize(
    "text", ["[" * 400_000, '["\\\\\\",' * 100_000, '"[' * 200_000], ids=["brackets", "escapes", "quotes"]
)
def test_a_text_is_one_value_whatever_stands_in_it(text):
    """Brackets, commas and escaped quotes within a text make no values: what is wrong with it is for flags to say."""
    assert parse(body(content=text))["content"] == text
    assert not crowded(body(content=text), 1024)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_crowded_reply_is_a_trouble_and_blocks_nobody(status):
    """Four hundred thousand empty lists become a failure, billed at the most, in less than 50 ms of processor time."""
    many = body(junk=[[]] * 400_000)
    took = []
    for _ in range(3):
        began = time.thread_time()
        trouble = read_reply(status, {}, many, Asked("http://h", "m"), 0.1)
        took.append(time.thread_time() - began)
        assert isinstance(trouble, Trouble)
    assert min(took) < BLOCK
    if status == 200:
        assert (trouble.failure.kind, trouble.failure.tokens_in) == ("transient", None)
        assert trouble.failure.detail == "http://h sent a reply that has more values than its tokens can"


@pytest.mark.parametrize("values", [[], {}, "a"], ids=str)
def test_what_is_parsed_blocks_nobody(values):
    """As many values as are let through take less than 50 ms of processor time."""
    most = body(junk=[values] * (_LEAST // (1 if values == "a" else 2) - 10))
    assert not crowded(most, 1024)
    took = []
    for _ in range(3):
        began = time.thread_time()
        parse(most)
        took.append(time.thread_time() - began)
    assert min(took) < BLOCK


def test_a_large_body_lets_others_go_on_with_every_object(monkeypatch):
    """What 32,000 tokens bring is parsed by code that calls back for each of them; a small body at once."""
    turn, turns = module._turn, []
    monkeypatch.setattr(module, "_turn", lambda value: turns.append(1) or turn(value))
    large, small = body(logprobs=[TOKEN] * 32_000), body(logprobs=[TOKEN])
    assert len(small) < LARGE < len(large)
    assert (parse(small), turns) == (orjson.loads(small), [])
    token = {"token": TOKEN["token"], "logprob": TOKEN["logprob"]}  # the rest of it nobody reads
    assert (parse(large), len(turns)) == (orjson.loads(body(logprobs=[token] * 32_000)), 32_000 + 3)


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_a_body_is_counted_in_pieces_as_in_one(piece, monkeypatch):
    """Wherever a piece ends, in a text or at its quote, the same values are found."""
    monkeypatch.setattr(module, "_PIECE", piece)
    monkeypatch.setattr(module, "_LEAST", 9)
    for count in range(1, 8):
        told = body(junk=[["[,{", ""]] * count)
        assert crowded(told, 0) == (4 + 3 * count > 9), count


def test_what_is_no_json_is_none():
    """Cut off, nested too deeply, or something else; NaN and lone surrogates are let through."""
    assert [parse(text) for text in (b"", b'{"a": [', b"[" * 100_000, b"hello")] == [None] * 4
    assert parse(b'{"a": NaN, "b": "\\ud800"}')["b"] == "\ud800"
