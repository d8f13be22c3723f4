"""Train the bundled model: `python -m maker.experiments.training.train` (extra `[train]`: jax, optax).

Promises: nothing is downloaded, every seed is fixed, one CPU core is enough (under an hour), and
no state of the 20-disk path is trained on (`kit.hanoi_data.examples` is the only source, also of
mining). It writes to `training/`: the finished model, an early checkpoint of the same run, kept
under-trained on purpose, the weights before each round of polishing (all in float16), and the curve
as JSON. The same seed gives the same data; the weights are equal bit for bit only on the same
processor and jax version.

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
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from maker.experiments.kit import hanoi_data as data
from maker.experiments.training.mining import Rows, Source, rows_of
from maker.experiments.training.network import Params, init, losses
from maker.models.neural import vocabulary as v
from maker.models.neural.weights import Shape, read_weights, write_weights

# one thread: two busy threads on a small shared machine can be slower than one; set before jax loads
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

#: disks in each group of batches (padded to its largest), and how often the group is drawn
GROUPS = ((3, 9, 0.2), (10, 15, 0.2), (16, 20, 0.6))


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


@partial(jax.jit, static_argnames=("shape", "keep", "rule", "of"))
def update(
    params: Params, state: Any, rows: jax.Array, *, shape: Shape, keep: int, rule: Any, of: Any = losses
) -> tuple[Params, Any, jax.Array]:
    """Take one step; return the new weights, the new state and the loss of every example. of: the loss."""

    def mean(weights: Params) -> tuple[jax.Array, jax.Array]:
        each = of(weights, rows, shape=shape, keep=keep)
        return each.mean(), each

    gradient, each = jax.grad(mean, has_aux=True)(params)
    change, state = rule.update(gradient, state, params)
    return optax.apply_updates(params, change), state, each


def schedule(steps: int, peak: float) -> optax.Schedule:
    """Warm up over 100 steps, hold for a tenth, and fall linearly to zero."""
    hold = 100 + steps // 10
    rise, fall = optax.linear_schedule(0, peak, 100), optax.linear_schedule(peak, 0, steps - hold)
    return optax.join_schedules([rise, optax.constant_schedule(peak), fall], [100, hold])


#: step, weights, mean loss of the batch, number of its examples with P(answer) < 1/2
Progress = tuple[int, Params, float, int]


class Phase:
    """A phase under way: its weights and the state of its rule, and its batches, one source a group."""

    def __init__(self, params: Params, rule: optax.GradientTransformation, shape: Shape, seed: int, size: int,
                 *, runs: bool = False) -> None:  # fmt: skip
        self.params, self.rule, self.shape = params, rule, shape
        self.state = rule.init(params)
        self.rng = np.random.default_rng(seed)
        self.sources = [Source(self.rng, low, high, size, runs) for low, high, _ in GROUPS]

    def source(self) -> Source:
        """Draw the group of the next batch."""
        return self.sources[int(self.rng.choice(len(GROUPS), p=[share for *_, share in GROUPS]))]

    def learn(self, step: int, rows: Rows, keep: int) -> tuple[Progress, NDArray[np.float64]]:
        """Take one step on a batch; return where the phase is, and the loss of every row."""
        self.params, self.state, each = update(
            self.params, self.state, rows, shape=self.shape, keep=keep, rule=self.rule
        )
        loss = np.asarray(each)
        return (step, self.params, float(loss.mean()), int((loss > np.log(2)).sum())), loss


def learn(shape: Shape, a: argparse.Namespace) -> Iterator[Progress]:
    """Phase 1: from random weights, on the first `stop` steps of the schedule, hard examples drawn again."""
    phase = Phase(init(jax.random.key(a.seed), shape), optimizer(schedule(a.steps, a.peak), a.decay), shape, a.seed,
                  a.size)  # fmt: skip
    for step in range(1, a.stop + 1):
        source = phase.source()
        rows = source.draw()
        progress, loss = phase.learn(step, rows, source.keep)
        source.learn(rows, loss)
        yield progress


class Polish(NamedTuple):
    """A round of phase 2: its number and settings. `right` is the p_s under which a state counts as hard."""

    number: int
    steps: int
    peak: float
    runs: bool
    pool: int
    right: float
    mine_every: int


POLISH = (Polish(1, 3600, 0.003, False, 49152, 0.9, 600), Polish(2, 1500, 0.0015, True, 49152, 0.97, 500))


def polish(start: Path, shape: Shape, a: argparse.Namespace, part: Polish) -> Iterator[Progress]:
    """Phase 2: from a file written before; now and then look through many fresh states for those still hard."""
    params: Params = {name: jnp.asarray(weight) for name, weight in read_weights(start)[0].items()}
    rule = optimizer(optax.linear_schedule(part.peak, 0, part.steps), a.decay)
    phase = Phase(params, rule, shape, a.seed + part.number, a.size, runs=part.runs)
    before = a.stop + sum(p.steps for p in POLISH[: part.number - 1])
    for step in range(1, part.steps + 1):
        if step % part.mine_every == 1:
            for source, (*_, share) in zip(phase.sources, GROUPS, strict=True):
                score = partial(_look, phase.params, shape=shape, keep=source.keep)
                found = source.mine(score, int(part.pool * share), -np.log(part.right))
                print(f"mined {found} of {int(part.pool * share)}, {len(source.hard)} stored", flush=True)
        source = phase.source()
        yield phase.learn(before + step, source.draw_mined(), source.keep)[0]


def on_the_path(params: Params, shape: Shape, chunks: int = 20, size: int = 96) -> dict[str, float]:
    """Return p and the share of lost steps (p_s < 1/2) on random 20-disk path steps: watched, never trained on."""
    steps = np.random.default_rng(0).integers(0, (1 << v.MAX_DISKS) - 1, chunks * size)
    rows = rows_of(data.path_batch(steps, v.MAX_DISKS), 2 * v.MAX_DISKS + 13)
    look = partial(_look, params, shape=shape, keep=v.MAX_DISKS + 8)
    each = np.exp(-np.concatenate([look(part) for part in np.split(rows, chunks)]))
    return {"path_p": round(float(each.mean()), 6), "path_lost": round(float((each < 0.5).mean()), 6)}


def arguments() -> argparse.Namespace:
    """Return the settings; the defaults made the weights that ship."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("training"))
    parser.add_argument(
        "--polish", type=int, choices=(1, 2), help="start with this round, from OUT/before-N.safetensors"
    )
    for name, kind, value in (
        ("steps", int, 15000), ("stop", int, 10000), ("size", int, 64), ("seed", int, 1), ("early", int, 1500),
        ("peak", float, 0.01), ("decay", float, 0.01), ("layers", int, 4), ("width", int, 64), ("hidden", int, 96),
        ("heads", int, 2), ("kv-heads", int, 2), ("head-dim", int, 32), ("rope-base", float, 10000.0),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=value)
    return parser.parse_args()


def main() -> None:
    """Learn, polish, write the weights and the curve."""
    a = arguments()
    shape = Shape(a.layers, a.width, a.hidden, a.heads, a.kv_heads, a.head_dim, a.rope_base, v.SIZE)
    a.out.mkdir(parents=True, exist_ok=True)
    curve, began = Curve(a.size), time.perf_counter()

    def follow(run: Iterator[Progress], name: str) -> None:
        for step, params, loss, wrong in run:
            curve.add(step, loss, wrong, time.perf_counter() - began, params, shape)
            tensors = {key: np.asarray(weight) for key, weight in params.items()} if step % 100 == 0 else {}
            if step == a.early:
                write_weights(a.out / "early.safetensors", tensors, shape)
            if tensors:
                write_weights(a.out / f"{name}.safetensors", tensors, shape)

    if not a.polish:
        follow(learn(shape, a), "before-1")
    if a.polish != 2:
        follow(polish(a.out / "before-1.safetensors", shape, a, POLISH[0]), "before-2")
    follow(polish(a.out / "before-2.safetensors", shape, a, POLISH[1]), "neural")
    settings = {name: value for name, value in vars(a).items() if name != "out"}
    (a.out / "curve.json").write_text(json.dumps({"arguments": settings, "curve": curve.rows}, indent=0))
    for file in sorted(a.out.glob("*.safetensors")):  # to be put into models/neural.py
        print(file.name, hashlib.sha256(file.read_bytes()).hexdigest())


class Curve:
    """The training curve: a row for every 100 steps, with a look at the path at every 500."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: list[dict[str, float]] = []
        self._window: list[tuple[float, int]] = []

    def add(self, step: int, loss: float, wrong: int, seconds: float, params: Params, shape: Shape) -> None:
        """Take in one step."""
        self._window.append((loss, wrong))
        if step % 100:
            return
        mean, miss = np.mean(self._window, 0).tolist()
        row = {"step": step, "seconds": round(seconds), "loss": round(mean, 6), "wrong": round(miss / self.size, 6)}
        self.rows.append(row | (on_the_path(params, shape) if step % 500 == 0 else {}))
        self._window.clear()
        print(self.rows[-1], flush=True)


if __name__ == "__main__":
    main()
