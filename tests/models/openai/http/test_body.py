"""Bodies are unpacked within their caps, and bad ones are refused."""

from __future__ import annotations

import zlib

import pytest

from maker.models.openai.http.body import BadBody, Unpacker, most_bytes


def unpacked(raw, encoding="", size=7, most=10**6):
    """Feed a body piece by piece."""
    unpacker = Unpacker(encoding, most)
    for at in range(0, len(raw), size):
        unpacker.feed(raw[at : at + size])
    return unpacker.finish()


def gzipped(raw):
    """Return a gzip body."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(raw) + packer.flush()


def test_bodies_are_unpacked():
    """Plain, gzip and deflate bodies come out as they went in, in pieces of any size."""
    text = bytes(range(256)) * 20
    for size in (1, 7, 10**6):
        assert unpacked(text, size=size) == text
        assert unpacked(gzipped(text), "gzip", size) == text
        assert unpacked(zlib.compress(text), " Deflate", size) == text
    assert unpacked(b"", "gzip") == b""


@pytest.mark.parametrize(
    ("raw", "encoding", "words"),
    [
        (b"x" * 101, "", "larger than 100 bytes"),
        (gzipped(b"\0" * 10**7)[:90], "gzip", "when unpacked"),
        (gzipped(b"\0" * 1001), "gzip", "when unpacked"),
        (gzipped(b"hello")[:-3], "gzip", "cut off"),
        (gzipped(b"hello") + b"more", "gzip", "goes on after"),
        (b"not gzip", "gzip", "damaged"),
        (b"x", "br", "not asked for"),
        (b"x", "gzip, gzip", "not asked for"),
        (b"x", "\x1b" * 1000, "not asked for"),
    ],
)
def test_bad_bodies_are_refused(raw, encoding, words):
    """Too large before or after unpacking, cut off, damaged, or packed in a way nobody asked for."""
    for size in (1, 10**6):
        with pytest.raises(BadBody, match=words):
            unpacked(raw, encoding, size, most=100)


def test_a_reply_may_be_as_large_as_its_tokens_make_it():
    """The more tokens are asked for the larger a reply may be, up to a size that nobody gets beyond."""
    assert most_bytes(1) > 2**20
    assert most_bytes(16_384) > 16_384 * 200 + most_bytes(1024)
    assert most_bytes(10**9) == 8 * 2**20
