"""Train the bundled model: `python -m maker.experiments.training.train` (extra `[train]`: jax, optax).

Promises: nothing is downloaded, every seed is fixed, one CPU core is enough, and
no state of the paths that are held out is trained on (`kit.hanoi_data.examples` is the only source, also of
mining). It writes to `training/EDITION`: the finished model, an early checkpoint of the same run, kept
under-trained on purpose, the weights before each round of polishing (all in float16), the curve
as JSON, and every 200 batches all that it needs to go on from there when it is started again with the same settings:
a training that was cut comes to what one that was not comes to. The same seed gives the same data; the weights are
equal bit for bit only on the same processor and jax version.

Two phases. Learning: the hardest examples of every batch go to a store, and a quarter of every batch
comes from it. Polishing, at a small learning rate: every few hundred steps many fresh states are
looked through, and half of every batch are those found hard; the second round also meets
long runs of neighbouring disks, which uniform states lack.

Not covered: measuring the result (`card.py`), running it (`models/neural/model.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from maker.experiments.kit import hanoi_data as data
from maker.experiments.training.mining import Rows, Source, rows_of, trimmed
from maker.experiments.training.network import Params, init, losses
from maker.models.neural.vocabulary import Vocabulary, edition
from maker.models.neural.weights import Shape, write_weights

# one thread: two busy threads on a small shared machine can be slower than one; set before jax loads
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

#: sizes of the network of each edition, but for the vocabulary
SHAPES = {
    "neural-1": Shape(4, 64, 96, 2, 2, 32, 10000.0, vocabulary=0),
    "neural-2": Shape(2, 64, 128, 4, 2, 24, 100000.0, vocabulary=0, back=2, gate="relu"),
}
#: disks of the smallest tower in each group of batches (the last group has those up to the largest), and its share
GROUPS = ((3, 0.2), (10, 0.2), (16, 0.6))
KEPT_EVERY = 200

Losses = NDArray[Any]  # of every example of a batch

_look = jax.jit(losses, static_argnames=("shape", "keep"))


def optimizer(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
    """Muon for the matrices of the layers, Adam for embedding, head and norms."""
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.contrib.muon(
            rate,
            weight_decay=decay,
            adam_learning_rate=lambda step: rate(step) * 0.3,
            muon_weight_dimension_numbers=_matrices,
        ),
    )


def _matrices(params: Params) -> Params:
    """Mark the weights that Muon orthogonalises (all others go to Adam)."""
    return {
        name: optax.contrib.MuonDimensionNumbers() if "." in name and getattr(weight, "ndim", 0) == 2 else None
        for name, weight in params.items()
    }


def update(
    params: Params, state: Any, rows: Any, *, shape: Shape, keep: int, rule: Any, of: Any = losses
) -> tuple[Params, Any, jax.Array]:
    """Take one step; return the new weights, the new state and the loss of every example. of: the loss."""
    gradient, each = _gradient(params, rows, shape=shape, keep=keep, of=of)
    return *_follow(params, state, gradient, rule=rule), each


@partial(jax.jit, static_argnames=("shape", "keep", "of"))
def _gradient(params: Params, rows: jax.Array, *, shape: Shape, keep: int, of: Any) -> tuple[Params, jax.Array]:
    def mean(weights: Params) -> tuple[jax.Array, jax.Array]:
        each = of(weights, rows, shape=shape, keep=keep)
        return each.mean(), each

    gradient, each = jax.grad(mean, has_aux=True)(params)
    return gradient, each


@partial(jax.jit, static_argnames="rule")
def _follow(params: Params, state: Any, gradient: Params, *, rule: Any) -> tuple[Params, Any]:
    """Change the weights as the rule says; apart from the gradient, as this does not depend on the batch's size."""
    change, state = rule.update(gradient, state, params)
    return optax.apply_updates(params, change), state


def schedule(steps: int, peak: float) -> optax.Schedule:
    """Warm up over 100 steps, hold for a tenth, and fall linearly to zero."""
    hold = 100 + steps // 10
    rise, fall = optax.linear_schedule(0, peak, 100), optax.linear_schedule(peak, 0, steps - hold)
    return optax.join_schedules([rise, optax.constant_schedule(peak), fall], [100, hold])


class Part(NamedTuple):
    """A part of the training: its batches and rate; with or without runs of neighbours in the first family of states.

    mine_every: batches between two looks through `POOL` fresh states for those whose right answer has less than `right`
    of the probability; 0 for none: then the hardest of each batch are drawn again.
    """

    steps: int
    rate: optax.Schedule
    runs: bool = False
    mine_every: int = 0
    right: float = 1.0


POOL = 49152


def parts(a: argparse.Namespace) -> tuple[Part, ...]:
    """Return the parts: learning, on the first `stop` batches of its schedule, and two rounds of polishing."""
    first, second = a.polish
    return (
        Part(a.stop, schedule(a.steps, a.peak)),
        Part(first, optax.linear_schedule(0.003, 0, first), mine_every=600, right=0.9),
        Part(second, optax.linear_schedule(0.0015, 0, second), runs=True, mine_every=500, right=0.97),
    )


class Training:
    """A training under way: the part it is in and the batches done of it, weights, rule, and sources of batches."""

    def __init__(self, a: argparse.Namespace) -> None:
        self.a, self.parts = a, parts(a)
        self.vocabulary = edition(a.edition)
        given = {name: value for name, value in vars(a).items() if name in Shape._fields and value is not None}
        self.shape = SHAPES[a.edition]._replace(**given, vocabulary=self.vocabulary.size)
        self.params = init(jax.random.key(a.seed), self.shape)
        self.curve = Curve(a.size, self.shape, self.vocabulary)
        self.seconds = 0.0
        self._begin(0)
        if (a.out / "state.npz").exists():
            self._take_up()

    def _begin(self, part: int) -> None:
        """Begin a part."""
        self.part, self.step = part, 0
        self.rule = optimizer(self.parts[part].rate, self.a.decay)
        self.state: Any = self.rule.init(self.params)
        self.rng = np.random.default_rng(self.a.seed + part)
        ends = [low - 1 for low, _ in GROUPS[1:]] + [self.vocabulary.disks]
        self.sources = [
            Source(self.vocabulary, self.rng, low, high, self.a.size, runs=self.parts[part].runs)
            for (low, _), high in zip(GROUPS, ends, strict=True)
        ]

    def run(self) -> None:
        """Go through what is left of all parts, writing weights, the curve, and what a later start needs."""
        began = time.perf_counter() - self.seconds
        while True:
            before = sum(part.steps for part in self.parts[: self.part])
            while self.step < self.parts[self.part].steps:
                loss = self.learn()
                self.seconds = time.perf_counter() - began
                self.curve.add(before + self.step, loss, self.seconds, self.params)
                if before + self.step == self.a.early:
                    self.write("early")
                if self.step % KEPT_EVERY == 0:
                    self.keep()
            if self.part == len(self.parts) - 1:
                break
            self.write(f"before-{self.part + 1}")
            self._begin(self.part + 1)
        self.write(self.a.edition)

    def learn(self) -> Losses:
        """Take one step; return the loss of every example of its batch."""
        part = self.parts[self.part]
        if part.mine_every and self.step % part.mine_every == 0:
            self._mine(part.right)
        self.step += 1
        source = self.sources[int(self.rng.choice(len(GROUPS), p=[share for _, share in GROUPS]))]
        rows = source.draw_mined() if part.mine_every else source.draw()
        batch = trimmed(rows)
        self.params, self.state, each = update(
            self.params, self.state, batch, shape=self.shape, keep=batch.shape[1] // 2 - 1, rule=self.rule
        )
        loss = np.asarray(each)
        if not part.mine_every:
            source.learn(rows, loss)
        return loss

    def _mine(self, right: float) -> None:
        """Look through many fresh states for those still hard."""
        for source, (_, share) in zip(self.sources, GROUPS, strict=True):
            score = partial(look, self.params, shape=self.shape)
            found = source.mine(score, int(POOL * share), -np.log(right))
            print(f"mined {found} of {int(POOL * share)}, {len(source.hard)} stored", flush=True)

    def write(self, name: str) -> None:
        """Write the weights."""
        tensors = {key: np.asarray(weight) for key, weight in self.params.items()}
        write_weights(self.a.out / f"{name}.safetensors", tensors, self.shape, self.a.edition)

    def keep(self) -> None:
        """Write what a later start goes on from: whole, whenever it is stopped."""
        told = {"part": self.part, "step": self.step, "seconds": self.seconds, "curve": self.curve.rows,
                "rng": self.rng.bit_generator.state}  # fmt: skip
        leaves = jax.tree.leaves((self.params, self.state))
        rows: dict[str, Any] = {f"rows_{i}_{j}": part.astype(np.int16) for i, source in enumerate(self.sources)
                for j, part in enumerate(source.kept())}  # fmt: skip
        np.savez(self.a.out / "next.npz", *leaves, told=np.array(json.dumps(told)), **rows)
        (self.a.out / "next.npz").replace(self.a.out / "state.npz")
        self.write("now")

    def _take_up(self) -> None:
        """Take up what was kept."""
        with np.load(self.a.out / "state.npz") as kept:
            told = json.loads(str(kept["told"]))
            self._begin(told["part"])
            self.step, self.seconds, self.curve.rows = told["step"], told["seconds"], told["curve"]
            self.rng.bit_generator.state = told["rng"]
            leaves, tree = jax.tree.flatten((self.params, self.state))
            found = [jnp.asarray(kept[f"arr_{i}"]) for i in range(len(leaves))]
            self.params, self.state = jax.tree.unflatten(tree, found)
            for i, source in enumerate(self.sources):
                source.take_up(*(kept[f"rows_{i}_{j}"].astype(np.int64) for j in range(2)))
        print(f"goes on in part {self.part + 1} after {self.step} batches", flush=True)


def look(params: Params, rows: Rows, *, shape: Shape) -> Losses:
    """Return the loss of every row."""
    batch = trimmed(rows)
    return np.asarray(_look(params, batch, shape=shape, keep=batch.shape[1] // 2 - 1))


def on_the_path(
    params: Params, shape: Shape, vocabulary: Vocabulary, chunks: int = 4, size: int = 512
) -> dict[str, float]:
    """Return p and the share of lost steps (p_s < 1/2) on random steps of the longest path: never trained on."""
    steps = np.random.default_rng(0).integers(0, (1 << vocabulary.disks) - 1, chunks * size)
    rows = rows_of(data.path_batch(steps, vocabulary.disks), vocabulary)
    each = np.exp(-np.concatenate([look(params, part, shape=shape) for part in np.split(rows, chunks)]))
    return {"path_p": round(float(each.mean()), 6), "path_lost": round(float((each < 0.5).mean()), 6)}


class Curve:
    """The training curve: a row for every 100 steps, with a look at the path at every 500."""

    def __init__(self, size: int, shape: Shape, vocabulary: Vocabulary) -> None:
        self.size, self.shape, self.vocabulary = size, shape, vocabulary
        self.rows: list[dict[str, float]] = []
        self._window: list[tuple[float, float]] = []

    def add(self, step: int, loss: Losses, seconds: float, params: Params) -> None:
        """Take in one step: the loss of every example of its batch."""
        self._window.append((float(loss.mean()), float((loss > np.log(2)).mean())))
        if step % 100:
            return
        mean, miss = np.mean(self._window, 0).tolist()
        row = {"step": step, "seconds": round(seconds), "loss": round(mean, 6), "wrong": round(miss, 6)}
        self.rows.append(row | (on_the_path(params, self.shape, self.vocabulary) if step % 500 == 0 else {}))
        self._window.clear()
        print(self.rows[-1], flush=True)


def arguments() -> argparse.Namespace:
    """Return the settings; sizes that are not given are those of the edition."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--edition", choices=sorted(SHAPES), default="neural-2")
    parser.add_argument("--out", type=Path, help="training/EDITION")
    for name, kind, value in (
        ("steps", int, 15000), ("stop", int, 10000), ("size", int, 64), ("seed", int, 1), ("early", int, 1500),
        ("peak", float, 0.01), ("decay", float, 0.01),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--polish", type=int, nargs=2, default=[3600, 1500], help="batches of its two rounds")
    for name, size in SHAPES["neural-1"]._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(size))
    a = parser.parse_args()
    a.out = a.out or Path("training") / a.edition
    return a


def main() -> None:
    """Learn, polish, write the weights and the curve."""
    a = arguments()
    a.out.mkdir(parents=True, exist_ok=True)
    training = Training(a)
    training.run()
    settings = {name: value for name, value in vars(a).items() if name != "out"} | training.shape._asdict()
    (a.out / "curve.json").write_text(json.dumps({"arguments": settings, "curve": training.curve.rows}, indent=0))
    for file in sorted(a.out.glob("*.safetensors")):  # to be put into models/neural/bundled.py
        print(file.name, hashlib.sha256(file.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
