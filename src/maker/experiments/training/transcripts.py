"""Train the transcript net: `make train-transcript` (extra `[train]`: jax, optax).

Promises: nothing is downloaded, every batch comes from its own seed, one CPU core is enough. It writes to
`training/transcript`: the weights in float16, the log as JSON, and every 100 steps what it needs to go on from
there when it is started again. The same seeds give the same data; the weights are equal bit for bit only on the same
processor and jax version.

Network, rule and step are the bundled model's (`network.py`, `train.py`). The loss counts answers alone: words are
drawn at random, and there is nothing to learn of them. Beside it the log has that of the exact reader on the same
transcripts, which no reader of these writers beats but by chance.

Not covered: what the net is asked (`avalanche/net.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from maker.experiments.avalanche.transcript import SIZE, exact_losses, written
from maker.experiments.training.network import Params, forward, init
from maker.experiments.training.train import optimizer, schedule, update
from maker.models.neural.weights import Shape, write_weights

TURNS = 40
HELD_OUT = 256  # transcripts that are watched, never trained on
SHAPE = Shape(layers=3, width=48, hidden=96, heads=2, kv_heads=2, head_dim=24, rope_base=10000.0, vocabulary=SIZE)


def answer_losses(params: Params, tokens: jax.Array, *, shape: Shape, keep: int) -> jax.Array:
    """Return [b]: minus the log probability of an answer, the mean over those of each transcript."""
    log = jax.nn.log_softmax(forward(params, tokens[:, :-1], shape, keep)[:, 1::2], -1)
    return -jnp.take_along_axis(log, tokens[:, 2::2, None], -1)[..., 0].mean(1)


_look = jax.jit(answer_losses, static_argnames=("shape", "keep"))


class Training:
    """The training under way: step, weights, the state of the rule, and the log; kept in a folder."""

    def __init__(self, out: Path, steps: int, seed: int) -> None:
        self.seed = seed
        self.rule = optimizer(schedule(steps, 0.01), 0.01)
        self.params = init(jax.random.key(seed), SHAPE)
        self.state: Any = self.rule.init(self.params)
        self.step = 0
        self.log: list[dict[str, float]] = []
        self.watched = written(HELD_OUT, TURNS, np.random.default_rng((seed, 0)))
        self._exact = float(exact_losses(self.watched).mean())
        self._out = out
        if (out / "state.npz").exists():
            self._go_on()

    def _go_on(self) -> None:
        """Take up what was kept."""
        with np.load(self._out / "state.npz") as kept:
            leaves = [jnp.asarray(kept[name]) for name in kept.files]
        _, tree = jax.tree.flatten((self.step, self.params, self.state))
        step, self.params, self.state = jax.tree.unflatten(tree, leaves)
        self.step = int(step)
        log = json.loads((self._out / "transcript.json").read_text())
        self.log = [row for row in log if row["step"] <= self.step]

    def learn(self, size: int) -> None:
        """Take one step."""
        self.step += 1
        rows = written(size, TURNS, np.random.default_rng((self.seed, self.step)))
        self.params, self.state, _ = update(
            self.params, self.state, rows, shape=SHAPE, keep=2 * TURNS, rule=self.rule, of=answer_losses
        )

    def keep(self, seconds: float) -> None:
        """Write weights, log and state. seconds: since the last time."""
        loss = float(_look(self.params, self.watched, shape=SHAPE, keep=2 * TURNS).mean())
        self.log.append({"step": self.step, "seconds": round(seconds), "loss": round(loss, 4),
                         "exact": round(self._exact, 4)})  # fmt: skip
        print(self.log[-1], flush=True)
        weights = {name: np.asarray(weight) for name, weight in self.params.items()}
        write_weights(self._out / "transcript.safetensors", weights, SHAPE)
        (self._out / "transcript.json").write_text(json.dumps(self.log, indent=0))
        np.savez(self._out / "next.npz", *jax.tree.leaves((self.step, self.params, self.state)))
        (self._out / "next.npz").replace(self._out / "state.npz")  # whole, whenever it is stopped


def main() -> None:
    """Train, from where it was left, and say the checksum of the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("training/transcript"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    training, began = Training(a.out, a.steps, a.seed), time.perf_counter()
    while training.step < a.steps:
        training.learn(a.size)
        if training.step % 100 == 0:
            training.keep(time.perf_counter() - began)
            began = time.perf_counter()
    made = (a.out / "transcript.safetensors").read_bytes()
    print(hashlib.sha256(made).hexdigest())  # to be put into avalanche/net.py


if __name__ == "__main__":
    main()
