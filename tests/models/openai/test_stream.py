"""A stream where one reply was asked for: what its pieces make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.models.openai.stream import is_stream, joined


def test_streams_are_known_by_type_or_by_their_first_line():
    """By the header, or by how they begin; JSON is none."""
    assert is_stream(b"x", "text/event-stream; charset=utf-8")
    assert is_stream(b"\ndata: {}", "application/json")
    for begin in (b": PROCESSING\n\n", b"event: message\n", b"id: 1\n", b"\xef\xbb\xbfdata: {}"):
        assert is_stream(begin, "application/json")
    for body in (b'{"data": 1}', b'"data: x"', b"<p>: x", b"", b"dating: no"):
        assert not is_stream(body, "application/json")


def test_a_byte_order_mark_hides_no_piece():
    """The first piece is read behind it."""
    body = b'\xef\xbb\xbfdata: {"choices": [{"index": 0, "delta": {"content": "42"}}]}\n\ndata: [DONE]\n\n'
    assert joined(body, 9)["choices"][0]["message"]["content"] == "42"


def test_an_error_in_a_stream_is_the_reply():
    """What the server complains of is not lost behind the pieces before it."""
    assert joined(b'data: {"choices": []}\n\ndata: {"error": {"message": "boom"}}', 9) == {"error": {"message": "boom"}}


def test_pieces_of_several_choices_are_told_apart():
    """By their numbers, whatever their order; texts of plain completions too."""
    body = b"".join(
        b'data: {"choices": [{"index": %d, "text": "%s"}]}\n\n' % piece for piece in [(1, b"c"), (0, b"a"), (1, b"d")]
    )
    whole = joined(body + b"data: [DONE]", 9)
    assert [choice["message"]["content"] for choice in whole["choices"]] == ["a", "cd"]


@pytest.mark.parametrize("body", [b"", b"data:", b"data: [DONE]", b"data: 3\n\ndata: [1]", b"event: x\n\n"])
def test_a_stream_of_nothing_is_no_reply(body):
    """No piece, no reply."""
    assert joined(body, 9) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(body):
    """Whatever comes, it is a reply or none."""
    joined(b"data: " + body, 9)
    joined(b'data: {"choices": [' + body + b"]}", 9)
