"""The weight file: safetensors, read and written in a few lines, and checked before use.

Promises: `read_weights` returns exactly the tensors that were written (float16 in the file, the
wanted type in memory) or raises `ModelError`: a file that is missing, cut, changed, or not of this
format is refused, never half used. Not covered: other dtypes, sharded files.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.errors import ModelError

Weights = dict[str, NDArray[Any]]


class Shape(NamedTuple):
    """Sizes of the transformer: `heads` share `kv_heads` keys and values; `rope_base` of the rotation.

    back: of how many tokens before it a place knows at once, by embeddings of their own; token 0 stands before all.
    gate: of the feed-forward, "silu" or "relu".
    """

    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    rope_base: float
    vocabulary: int
    back: int = 0
    gate: str = "silu"


def write_weights(path: Path, weights: Weights, shape: Shape, edition: str | None = None) -> None:
    """Write `weights` in float16, in order of name, with the shape and the edition, if it has one, as metadata."""
    sizes = list(shape if shape.back else shape[:-2])  # as the files of the first edition have them
    metadata = {"shape": json.dumps(sizes)} | ({"edition": edition} if edition else {})
    header: dict[str, Any] = {"__metadata__": metadata}
    body = b""
    for name in sorted(weights):
        raw = np.ascontiguousarray(weights[name], dtype="<f2").tobytes()
        header[name] = {
            "dtype": "F16",
            "shape": list(weights[name].shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def read_weights(path: Path, dtype: Any = np.float32, sha256: str | None = None) -> tuple[Weights, Shape]:
    """Return (weights by name, shape); `sha256` is the checksum the file must have, if one is known."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the weight file {path} cannot be read: {error}. Reinstall maker.") from error
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"the weight file {path} is damaged: its SHA-256 is {found[:16]}..., not {sha256[:16]}... Reinstall maker."
        )
    try:
        (size,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + size])
        shape = Shape(*json.loads(header.pop("__metadata__")["shape"]))
        return {name: _tensor(raw[8 + size :], entry, dtype) for name, entry in header.items()}, shape
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(f"{path} is not a weight file of this format: {error!r}. Reinstall maker.") from error


def read_edition(path: Path) -> str:
    """Return the edition that a weight file names: "neural-1" if none, as the first one's files do not."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return str(json.loads(file.read(size))["__metadata__"].get("edition", "neural-1"))


def _tensor(body: bytes, entry: dict[str, Any], dtype: Any) -> NDArray[Any]:
    """Return one tensor of the file's body; a wrong length or type raises ValueError."""
    if entry["dtype"] != "F16":
        raise ValueError(f"dtype {entry['dtype']} instead of F16")
    start, stop = entry["data_offsets"]
    return np.frombuffer(body[start:stop], "<f2").reshape(entry["shape"]).astype(dtype)
