"""The files of a batch: what is written is one line a draw, and what is read is never more than what was asked."""

from __future__ import annotations

import orjson
import pytest

from maker.decision.address import Address
from maker.models.openai.batch import lines as module
from maker.models.openai.batch.lines import Line, Lines, files, name_of, request_line

A, B = Address("run-1", 3, 0), Address("run-1", 3, 65_537)


def told(name: object, status: object = 200, body: object = "x") -> bytes:
    """Return a line of a file of replies."""
    return orjson.dumps({"custom_id": name, "response": {"status_code": status, "body": body}, "error": None})


def test_a_request_is_the_body_under_the_address_of_its_draw():
    """The line has the body as it would be posted, and a name that is the draw's alone, of 64 characters at most."""
    line = orjson.loads(request_line(B, "/chat/completions", b'{"model":"m"}'))
    assert line == {
        "custom_id": "run-1/3/65537", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"},
    }  # fmt: skip
    assert len(name_of(Address("run-" + 16 * "f", 2**40, 2**32))) <= 64


def test_files_hold_what_a_batch_takes(monkeypatch):
    """No file has more lines or bytes than told, the lines stay in order, and one line too long goes by itself."""
    monkeypatch.setattr(module, "MOST_REQUESTS", 3)
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    lines = [b"1"] * 4 + [b"x" * 8] * 2 + [b"y" * 20, b"1"]
    assert [list(part) for part in files(lines)] == [[0, 1, 2], [3, 4], [5], [6], [7]]


def test_replies_in_any_order_are_read_by_their_names():
    """The first of two to one draw counts; strange, doubled and torn lines are counted and left out."""
    found = Lines()
    file = b"\n".join(
        [told(name_of(B)), b"", told("nobody"), told(name_of(A), 503, {}), told(name_of(B), 200, "y"), b"{"]
    )
    found.add(file, {name_of(A), name_of(B)})
    assert found.came == {name_of(B): Line(200, b'"x"'), name_of(A): Line(503, b"{}")}
    assert (found.strange, found.doubled, found.torn) == (1, 1, 1)


@pytest.mark.parametrize(
    "error", [{"code": "batch_expired"}, {"message": "batch_expired", "code": "c"}, "batch_expired"]
)
def test_a_line_without_a_reply_says_why(error):
    """What the error of a line tells is kept, in whichever form it comes."""
    found = Lines()
    found.add(orjson.dumps({"custom_id": "a", "response": None, "error": error}), {"a"})
    assert found.came == {"a": Line(0, fault="batch_expired")}
