"""The bundled model's arithmetic in numpy: Llama family, key-value cache, many rows at a time.

Promises: `prefill` and `step` return the logits that the plain definition gives (RMSNorm, rotary
positions, grouped keys and values, SwiGLU), to rounding; rows never see each other. Rewritten for
speed, never in meaning: norm gains and the 1/sqrt(head_dim) are multiplied into the matrices, and
the rotation is two products, of the projection and of its quarter-turned copy (more columns in
the same matrix product, but a third of the passes over memory).

Shapes: n prompts or r rows, t tokens, h heads, e = head_dim, d = width. Not covered: tokens,
sampling and draws (`model.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from maker.models.neural.weights import Shape, Weights

Array = NDArray[Any]
_EPSILON = 1e-5
#: prompts a prefill takes at once: their activations then stay in a processor's second cache
_CHUNK = 16


class Cache:
    """Keys and values, each [layers, rows, kv heads, places, e], grown on demand."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        empty = (shape.layers, 0, shape.kv_heads, 0, shape.head_dim)
        self.keys: Array = np.zeros(empty, dtype)
        self.values: Array = np.zeros(empty, dtype)

    def reserve(self, rows: int, places: int) -> None:
        """Make room; what is there is kept."""
        more_rows, more_places = max(rows - self.keys.shape[1], 0), max(places - self.keys.shape[3], 0)
        if more_rows or more_places:
            more = ((0, 0), (0, more_rows), (0, 0), (0, more_places), (0, 0))
            self.keys, self.values = np.pad(self.keys, more), np.pad(self.values, more)

    def copy_rows(self, source: Array, target: Array, places: int | None) -> None:
        """Copy the first `places` places (None: all) of rows `source` to rows `target`."""
        self.keys[:, target, :, :places] = self.keys[:, source, :, :places]
        self.values[:, target, :, :places] = self.values[:, source, :, :places]


class Transformer:
    """The weights, arranged for speed. `dtype` is that of all arithmetic."""

    def __init__(self, weights: Weights, shape: Shape, dtype: Any = np.float32) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.embed = weights["embed"].astype(dtype)
        self.head = (weights["norm"][:, None] * weights["head"]).astype(dtype)
        self.layers = [self._arrange(weights, layer) for layer in range(shape.layers)]
        self._turns: tuple[Array, Array] = self._angles(64)

    def _arrange(self, weights: Weights, layer: int) -> tuple[Array, Array, Array, Array]:
        """Return (q, k, their quarter turns and v; o; gate and up; down) of one layer."""
        w = {n: weights[f"{layer}.{n}"].astype(np.float64) for n in ("q", "k", "v", "o", "gate", "up", "down")}
        gain = weights[f"{layer}.norm_attention"].astype(np.float64)[:, None]
        feed = weights[f"{layer}.norm_feed"].astype(np.float64)[:, None]
        q, k, v = gain * w["q"] * self.shape.head_dim**-0.5, gain * w["k"], gain * w["v"]
        whole = [q, k, self._quarter(q), self._quarter(k), v]
        parts = (whole, [w["o"]], [feed * w["gate"], feed * w["up"]], [w["down"]])
        inward, outward, gates, down = (np.ascontiguousarray(np.concatenate(part, 1), self.dtype) for part in parts)
        return inward, outward, gates, down

    def _quarter(self, matrix: Array) -> Array:
        """Turn the two halves (a, b) of every head's columns into (-b, a)."""
        heads = matrix.reshape(len(matrix), -1, 2, self.shape.head_dim // 2)
        return np.stack([-heads[:, :, 1], heads[:, :, 0]], 2).reshape(matrix.shape)

    def _angles(self, places: int) -> tuple[Array, Array]:
        """Return cos and sin [places, (heads + kv heads) e] of the rotation, for q and k side by side."""
        half = self.shape.head_dim // 2
        angle = np.arange(places)[:, None] * self.shape.rope_base ** (-np.arange(half) / half)
        wide = np.tile(angle, (1, 2 * (self.shape.heads + self.shape.kv_heads)))
        return np.cos(wide).astype(self.dtype), np.sin(wide).astype(self.dtype)

    def _turn(self, start: int, stop: int) -> tuple[Array, Array]:
        if stop > len(self._turns[0]):
            self._turns = self._angles(2 * stop)
        return self._turns[0][start:stop], self._turns[1][start:stop]

    def _norm(self, x: Array) -> Array:
        """Divide every vector by its root mean square (the gain is in the matrix that follows)."""
        square = np.einsum("...d,...d->...", x, x)
        square /= self.shape.width
        square += self.dtype.type(_EPSILON)
        np.sqrt(square, out=square)
        return x / square[..., None]  # type: ignore[no-any-return]

    def _feed(self, x: Array, layer: int) -> Array:
        """Return x plus the gated feed-forward of x; x: [.., d]."""
        both = self._norm(x) @ self.layers[layer][2]
        gate, up = both[..., : self.shape.hidden], both[..., self.shape.hidden :]
        share = np.exp(-gate)
        share += 1
        np.divide(gate, share, out=share)
        share *= up
        x += share @ self.layers[layer][3]
        return x

    def prefill(self, tokens: NDArray[np.int64], cache: Cache) -> Array:
        """Read prompts of equal length, [n, t], into rows 0..n-1; return the logits [n, v] after the last token."""
        with np.errstate(over="ignore", under="ignore"):
            chunks = [self._prefill(tokens[at : at + _CHUNK], cache, at) for at in range(0, len(tokens), _CHUNK)]
        return np.concatenate(chunks)

    def _prefill(self, tokens: NDArray[np.int64], cache: Cache, at: int) -> Array:
        s = self.shape
        n, t = tokens.shape
        cos, sin = self._turn(0, t)
        future = np.triu(np.full((t, t), -np.inf, self.dtype), 1)
        x = self.embed[tokens]
        for layer in range(s.layers):
            last = layer == s.layers - 1
            qk, v = self._project(self._norm(x), layer, cos, sin)
            heads = qk.reshape(n, t, s.heads + s.kv_heads, s.head_dim).swapaxes(1, 2)
            keys = np.ascontiguousarray(heads[:, s.heads :])
            values = np.ascontiguousarray(v.reshape(n, t, s.kv_heads, s.head_dim).swapaxes(1, 2))
            cache.keys[layer, at : at + n, :, :t] = keys
            cache.values[layer, at : at + n, :, :t] = values
            # after the last layer only the last place is asked for anything
            query = np.ascontiguousarray(heads[:, : s.heads, -1:] if last else heads[:, : s.heads])
            mixed = self._attend(query, keys, values, None if last else future)
            x = x[:, -1:] if last else x
            x += mixed.swapaxes(1, 2).reshape(n, x.shape[1], -1) @ self.layers[layer][1]
            x = self._feed(x, layer)
        return np.asarray(self._norm(x[:, -1]) @ self.head)

    def step(self, tokens: NDArray[np.int64], place: int, cache: Cache) -> Array:
        """Read one more token at `place` in each of rows 0..r-1, [r]; return the logits [r, v] after it."""
        s = self.shape
        r = len(tokens)
        cos, sin = self._turn(place, place + 1)
        x = self.embed[tokens]
        with np.errstate(over="ignore", under="ignore"):
            for layer in range(s.layers):
                qk, v = self._project(self._norm(x), layer, cos, sin)
                heads = qk.reshape(r, s.heads + s.kv_heads, s.head_dim)
                cache.keys[layer, :r, :, place] = heads[:, s.heads :]
                cache.values[layer, :r, :, place] = v.reshape(r, s.kv_heads, s.head_dim)
                keys, values = cache.keys[layer, :r, :, : place + 1], cache.values[layer, :r, :, : place + 1]
                x += self._attend(heads[:, : s.heads, None], keys, values, None).reshape(r, -1) @ self.layers[layer][1]
                x = self._feed(x, layer)
            return np.asarray(self._norm(x) @ self.head)

    def _project(self, x: Array, layer: int, cos: Array, sin: Array) -> tuple[Array, Array]:
        """Return q and k, rotated and side by side, and v."""
        wide = x @ self.layers[layer][0]
        width = cos.shape[1]
        qk = wide[..., :width] * cos
        qk += wide[..., width : 2 * width] * sin
        return qk, wide[..., 2 * width :]

    def _attend(self, query: Array, keys: Array, values: Array, future: Array | None) -> Array:
        """Mix values [r, kv, t, e] by softmax of query [r, h, q, e] times keys [r, kv, t, e] plus `future` [q, t]."""
        r, h, q, e = query.shape
        groups = self.shape.heads // self.shape.kv_heads
        if groups > 1:
            query = query.reshape(r, h // groups, groups * q, e)
        score = query @ keys.swapaxes(2, 3)
        if future is not None:
            score += future if groups == 1 else np.tile(future, (groups, 1))
        score -= score.max(-1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(-1, keepdims=True)
        return np.asarray((score @ values).reshape(r, h, q, e))
