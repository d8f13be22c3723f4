"""The bundled model in jax, as it is trained: weights at random, logits, and the loss of whole answers.

Promises: the same arithmetic as `models/neural/transformer.py`, written plainly so that it can be
differentiated. Shapes: b examples, t tokens, d = width. Not covered: updates (`train.py`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from maker.models.neural.weights import Shape

Params = dict[str, Any]


def init(key: jax.Array, shape: Shape) -> Params:
    """Return random weights: embedding, per layer two norms, q k v o and the gated feed-forward, head."""
    d, f, kv = shape.width, shape.hidden, shape.kv_heads * shape.head_dim
    names = {"q": (d, shape.heads * shape.head_dim), "k": (d, kv), "v": (d, kv), "o": (shape.heads * shape.head_dim, d)}
    names |= {"gate": (d, f), "up": (d, f), "down": (f, d)}
    params: Params = {"norm": jnp.ones(d)}
    keys = iter(jax.random.split(key, 2 + len(names) * shape.layers))
    params["embed"] = jax.random.normal(next(keys), (shape.vocabulary, d)) * 0.5
    for i in range(1, shape.back + 1):
        params[f"embed_{i}"] = jax.random.normal(jax.random.fold_in(key, i), (shape.vocabulary, d)) * 0.25
    params["head"] = jax.random.normal(next(keys), (d, shape.vocabulary)) * 0.02
    for layer in range(shape.layers):
        for name, size in names.items():
            scale = size[0] ** -0.5 * (0.4 if name in ("o", "down") else 1.0)
            params[f"{layer}.{name}"] = jax.random.normal(next(keys), size) * scale
        params[f"{layer}.norm_attention"] = params[f"{layer}.norm_feed"] = jnp.ones(d)
    return params


def _norm(x: jax.Array, gain: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * gain


def _rotate(x: jax.Array, base: float) -> jax.Array:
    """Turn the two halves of every head by angles that grow with the place; x: [b, t, heads, head_dim]."""
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[1])[:, None] * base ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def forward(params: Params, tokens: jax.Array, shape: Shape, keep: int, unused: jax.Array | int = 0) -> jax.Array:
    """Return the logits [b, keep, vocabulary] after each of the last `keep` tokens; the first `unused` are not seen."""
    b, t = tokens.shape
    x = params["embed"][tokens]
    for i in range(1, shape.back + 1):
        x = x + params[f"embed_{i}"][jnp.pad(tokens, ((0, 0), (i, 0)))[:, :t]]
    seen = jnp.arange(t) >= jnp.reshape(jnp.asarray(unused), (-1, 1, 1, 1))
    mask = jnp.tril(jnp.ones((t, t), bool)) & seen
    groups = shape.heads // shape.kv_heads
    gate = jax.nn.relu if shape.gate == "relu" else jax.nn.silu
    for layer in range(shape.layers):
        w = {name: params[f"{layer}.{name}"] for name in ("q", "k", "v", "o", "gate", "up", "down")}
        h = _norm(x, params[f"{layer}.norm_attention"])
        q = _rotate((h @ w["q"]).reshape(b, t, shape.heads, -1), shape.rope_base)
        k = _rotate((h @ w["k"]).reshape(b, t, shape.kv_heads, -1), shape.rope_base)
        val = (h @ w["v"]).reshape(b, t, shape.kv_heads, -1)
        k, val = jnp.repeat(k, groups, 2), jnp.repeat(val, groups, 2)
        score = jnp.einsum("bihd,bjhd->bhij", q, k) * shape.head_dim**-0.5
        share = jax.nn.softmax(jnp.where(mask, score, -1e9), -1)
        x = x + jnp.einsum("bhij,bjhd->bihd", share, val).reshape(b, t, -1) @ w["o"]
        h = _norm(x, params[f"{layer}.norm_feed"])
        x = x + (gate(h @ w["gate"]) * (h @ w["up"])) @ w["down"]
    logits: jax.Array = _norm(x[:, -keep:], params["norm"]) @ params["head"]
    return logits


def losses(params: Params, rows: jax.Array, *, shape: Shape, keep: int) -> jax.Array:
    """Return [b]: minus the log probability of each whole answer (end token included). rows: of `mining.trimmed`.

    keep: the room of an answer, half of the tokens.
    """
    tokens, prompt, answer = rows[:, :-2], rows[:, -2], rows[:, -1]
    logits = forward(params, tokens[:, :-1], shape, keep, keep - prompt)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, keep:, None], -1)[..., 0]
    return -jnp.sum(chosen * (jnp.arange(keep) < answer[:, None]), -1)
