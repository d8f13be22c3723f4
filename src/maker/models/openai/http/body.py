"""Reading a reply's body without trusting its size.

Promises: no more bytes are read or unpacked than a reply of the tokens asked for can have (`most_bytes`), whatever
the headers say; compressed bodies are unpacked piece by piece, so a bomb costs its cap and not its size.
A body that was cut off in the middle of its compression, or is compressed in a way nobody asked
for, is `BadBody`.

Not covered: the time it takes, which is the deadline of the attempt, and the size of the headers,
which aiohttp limits (8,190 bytes each, 128 of them).
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

_LEAST = 2**20  # bytes that any reply may have: a thought is often not counted among the tokens asked for
_A_TOKEN = 256  # bytes: its text, escaped, and its logprob
_MOST = 8 * 2**20
ENCODINGS = "gzip, deflate"  # what is asked for
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, by the header


class Content(Protocol):
    """What a reply's body is read from, as aiohttp has it."""

    def is_eof(self) -> bool:
        """Say whether all of it has come."""

    def read_nowait(self) -> bytes:
        """Return what has come."""


class BadBody(Exception):
    """The body cannot be had: too large, cut off, or in an encoding that was not asked for."""


class Unpacker:
    """Bytes as they came -> bytes as they were meant, both counted."""

    def __init__(self, encoding: str, most: int) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            known = name if name in ("br", "zstd", "compress") else "something"  # a header could hold anything
            raise BadBody(f"the reply is encoded as {known}, which was not asked for")
        self._inflate = None if name in ("", "identity") else zlib.decompressobj(_EITHER)
        self._most = most
        self._wire = 0
        self._decoded: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body. Raises BadBody when it is too large or cannot be unpacked."""
        self._wire += len(piece)
        if self._wire > self._most:
            raise BadBody(f"the reply is larger than {self._most} bytes")
        if self._inflate is not None:
            try:
                piece = self._inflate.decompress(piece, self._most - self._size + 1)
            except zlib.error:
                raise BadBody("the reply's compression is damaged") from None
            if self._inflate.unused_data:
                raise BadBody("the reply goes on after the end of its compressed part")
        self._size += len(piece)
        if self._size > self._most:
            raise BadBody(f"the reply is larger than {self._most} bytes when unpacked")
        self._decoded.append(piece)

    def finish(self) -> bytes:
        """Return the whole body. Raises BadBody when its compression has not come to its end."""
        if self._inflate is not None and self._wire and not self._inflate.eof:
            raise BadBody("the reply was cut off")
        return b"".join(self._decoded)


def most_bytes(tokens: int) -> int:
    """Return how large a reply of so many tokens may be: reading a larger one would keep everybody waiting."""
    return min(_LEAST + _A_TOKEN * tokens, _MOST)


def at_hand(content: Content, encoding: str) -> bytes | None:
    """Return a body that came with its headers, as short ones do; None where `read_body` has to."""
    return content.read_nowait() if content.is_eof() and not encoding else None


async def read_body(pieces: AsyncIterator[bytes], encoding: str, length: int | None, most: int) -> bytes:
    """Return a body from its pieces, `most` bytes at most. Raises BadBody; `length` is what the headers announce."""
    unpacker = Unpacker(encoding, most)
    if length is not None and length > most:
        raise BadBody(f"the reply announces {length} bytes, more than {most}")
    async for piece in pieces:
        unpacker.feed(piece)
    return unpacker.finish()
