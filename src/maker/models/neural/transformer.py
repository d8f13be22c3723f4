"""The bundled model's arithmetic in numpy: Llama family, key-value cache, many rows and many tokens at a time.

Promises: `read` returns the logits that the plain definition gives (RMSNorm, rotary positions, grouped keys
and values, gated feed-forward), to rounding; rows never see each other, nor a token what comes after it. Rewritten for
speed, never in meaning: norm gains, the 1/sqrt(head_dim) and the signs of the gate are multiplied into the matrices;
a head's two halves are interleaved, so that the rotation is one complex product; what the first layer makes of
a token is looked up; and softmax goes without the largest score, unless the sum then leaves a safe range.

Shapes: n rows, t tokens, v = vocabulary, d = width. Not covered: tokens, sampling and draws (`sampler.py`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.models.neural.weights import Shape, Weights

Array = NDArray[Any]
_EPSILON = 1e-5
#: tokens read at once: enough for the matrix products, few enough that what is made of them stays in a second cache
_CHUNK = 640
#: between these, sums of exponentials have lost nothing in float32
_LEAST, _MOST = 1e-20, 1e30


class Cache:
    """Keys and values side by side, [layers, slots, places, 2 * kv heads * head_dim], and tokens; grown on demand."""

    def __init__(self, shape: Shape, dtype: Any) -> None:
        self.held: Array = np.zeros((shape.layers, 0, 0, 2 * shape.kv_heads * shape.head_dim), dtype)
        self.tokens = np.zeros((0, 0), np.int64)

    def reserve(self, slots: int, places: int) -> None:
        """Make room; what is there is kept."""
        more_slots, more_places = max(slots - self.held.shape[1], 0), max(places - self.held.shape[2], 0)
        if more_slots or more_places:
            self.held = np.pad(self.held, ((0, 0), (0, more_slots), (0, more_places), (0, 0)))
            self.tokens = np.pad(self.tokens, ((0, more_slots), (0, more_places)))

    def copy(self, source: int, target: int, places: int) -> None:
        """Copy the first `places` places of one slot to another."""
        self.held[:, target, :places] = self.held[:, source, :places]
        self.tokens[target, :places] = self.tokens[source, :places]


class _Layer(NamedTuple):
    """The matrices of one layer: q, k and v; o; gate (negated) and up; down (negated)."""

    qkv: Array
    o: Array
    gates: Array
    down: Array


class Transformer:
    """The weights, arranged for speed. `dtype` is that of all arithmetic."""

    def __init__(self, weights: Weights, shape: Shape, dtype: Any = np.float32) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.embed = weights["embed"].astype(dtype)
        self._back = [weights[f"embed_{i}"].astype(dtype) for i in range(1, shape.back + 1)]
        self.head = (weights["norm"][:, None] * weights["head"]).astype(dtype)
        self.layers = [self._arrange(weights, layer) for layer in range(shape.layers)]
        normed = self._norm(self.embed)
        self._first = normed @ self.layers[0].qkv  # of every token, if it does not know those before it
        self._turns: Array = self._angles(64)

    def _arrange(self, weights: Weights, layer: int) -> _Layer:
        """Return the matrices of one layer with everything multiplied in that can be."""
        w = {n: weights[f"{layer}.{n}"].astype(np.float64) for n in ("q", "k", "v", "o", "gate", "up", "down")}
        gain = weights[f"{layer}.norm_attention"].astype(np.float64)[:, None]
        feed = weights[f"{layer}.norm_feed"].astype(np.float64)[:, None]
        q, k = self._paired(gain * w["q"] * self.shape.head_dim**-0.5), self._paired(gain * w["k"])
        qkv, gates = np.concatenate([q, k, gain * w["v"]], 1), np.concatenate([-feed * w["gate"], feed * w["up"]], 1)
        return _Layer(*(np.ascontiguousarray(m, self.dtype) for m in (qkv, w["o"], gates, -w["down"])))

    def _paired(self, matrix: Array) -> Array:
        """Put next to each other the columns of a head that the rotation turns against each other."""
        halves = matrix.reshape(len(matrix), -1, 2, self.shape.head_dim // 2)
        return halves.swapaxes(2, 3).reshape(matrix.shape)

    def _angles(self, places: int) -> Array:
        """Return the rotation of q and k as complex numbers [places, (heads + kv heads) * head_dim / 2]."""
        half = self.shape.head_dim // 2
        angle = np.arange(places)[:, None] * self.shape.rope_base ** (-np.arange(half) / half)
        turns = np.exp(1j * np.tile(angle, (1, self.shape.heads + self.shape.kv_heads)))
        return np.asarray(turns.astype(np.result_type(self.dtype, np.complex64)))

    def _norm(self, x: Array) -> Array:
        """Divide every vector by its root mean square (the gain is in the matrix that follows)."""
        return np.asarray(x / self._size(x)[:, None])

    def _size(self, x: Array) -> Array:
        """Return the root mean square of every vector."""
        square: Array = np.einsum("nd,nd->n", x, x)
        square /= self.shape.width
        square += self.dtype.type(_EPSILON)
        return np.sqrt(square, out=square)

    def read(
        self,
        tokens: NDArray[np.int64],
        place: int,
        slots: NDArray[np.int64],
        cache: Cache,
        asked: int,
        unused: NDArray[np.int64] | None = None,
    ) -> Array:
        """Read tokens [n, t] at `place` and after it; return the logits [n, asked, v] after the last `asked` tokens.

        slots: [n], the slots of the cache that hold the places before, and get these. unused: [n], how many of the
        first places of a row no other place of it sees (they hold token 0).
        """
        n, t = tokens.shape
        if place + t > len(self._turns):
            self._turns = self._angles(2 * (place + t))
        step = max(1, _CHUNK // t)
        unused = np.zeros(n, np.int64) if unused is None else unused
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            chunks = [
                self._read(tokens[at : at + step], place, slots[at : at + step], cache, asked, unused[at : at + step])
                for at in range(0, n, step)
            ]
        return np.concatenate(chunks)

    def _read(
        self,
        tokens: NDArray[np.int64],
        place: int,
        slots: NDArray[np.int64],
        cache: Cache,
        asked: int,
        unused: NDArray[np.int64],
    ) -> Array:
        s, (n, t), end = self.shape, tokens.shape, place + tokens.shape[1]
        # neighbouring slots are read where they are, others copied
        where = slice(slots[0], slots[0] + n) if np.array_equal(slots, np.arange(slots[0], slots[0] + n)) else slots
        past = self._past(t, place, unused)
        cache.tokens[where, place:end] = tokens
        x = self._embedded(tokens, place, where, cache)
        turns, split = self._turns[place:end], s.heads * s.head_dim
        for number, layer in enumerate(self.layers):
            wide = self._norm(x) @ layer.qkv if number or self._back else self._first[tokens.ravel()]
            wide = wide.reshape(n, t, -1)
            pairs = wide[..., : 2 * turns.shape[1]].view(turns.dtype)
            pairs *= turns
            q, kv = wide[..., :split], wide[..., split:]
            cache.held[number, where, place:end] = kv
            held = kv if place == 0 else cache.held[number, where, :end]
            if number == s.layers - 1:  # after the last layer nobody looks at what came before
                x = x.reshape(n, t, -1)[:, t - asked :].reshape(n * asked, -1)
                q, past = q[:, t - asked :], past[..., t - asked :, :]
            x += self._attend(q, held, past) @ layer.o
            self._feed(x, layer)
        return np.asarray(self._norm(x) @ self.head).reshape(n, asked, -1)

    def _embedded(self, tokens: NDArray[np.int64], place: int, where: Any, cache: Cache) -> Array:
        """Return what the tokens, with those before each, are to the first layer."""
        x, end = self.embed[tokens.ravel()], place + tokens.shape[1]
        for i, table in enumerate(self._back, 1):
            before = np.zeros_like(tokens)
            known = min(place, i)
            before[:, i - known :] = cache.tokens[where, place - known : max(place - known, end - i)]
            x += table[before.ravel()]
        return np.asarray(x)

    def _past(self, t: int, place: int, unused: NDArray[np.int64]) -> Array:
        """Return 1 for every place that a token sees, or 0: [t, places], or [n, 1, 1, t, places] if rows differ."""
        past = np.tri(t, place + t, place, self.dtype)
        if not unused.any():
            return past
        itself = past - np.tri(t, place + t, place - 1, self.dtype)  # so that there is something to see at every place
        seen = np.arange(place + t) >= unused[:, None]
        return np.asarray(np.maximum(past * seen[:, None, None, None], itself))

    def _attend(self, query: Array, held: Array, past: Array) -> Array:
        """Mix values by softmax of query [n, t, ..] times keys, over the places that `past` [.., t, places] marks."""
        s, (n, t, _) = self.shape, query.shape
        groups = s.heads // s.kv_heads
        q = query.reshape(n, t, s.kv_heads, groups, s.head_dim).transpose(0, 2, 3, 1, 4)
        keys, values = held.reshape(n, -1, 2, s.kv_heads, s.head_dim).transpose(2, 0, 3, 1, 4)
        # heads that share keys are one product
        score = (q.reshape(n, s.kv_heads, groups * t, -1) @ keys.swapaxes(-1, -2)).reshape(*q.shape[:4], -1)
        share = np.exp(score)
        share *= past
        ones = np.ones(past.shape[-1], self.dtype)
        total = share.reshape(-1, len(ones)) @ ones  # one product for all is faster than one for each row and head
        if not (total.min() > _LEAST and total.max() < _MOST):
            score = np.where(past == 0, -np.inf, score)
            share = np.exp(score - score.max(-1, keepdims=True))
            total = share.reshape(-1, len(ones)) @ ones
        mixed = (share.reshape(n, s.kv_heads, groups * t, -1) @ values).reshape(q.shape)
        mixed /= total.reshape(share.shape[:-1])[..., None]
        return np.asarray(mixed.transpose(0, 3, 1, 2, 4).reshape(n * t, -1))

    def _feed(self, x: Array, layer: _Layer) -> None:
        """Add to x [.., d] its gated feed-forward."""
        both = self._norm(x) @ layer.gates
        gate, up = both[:, : self.shape.hidden], both[:, self.shape.hidden :]
        if self.shape.gate == "relu":
            opened = np.minimum(gate, 0)
        else:
            opened = np.exp(gate)
            opened += 1
            np.divide(gate, opened, out=opened)
        opened *= up
        x += opened @ layer.down
