"""Do equivalent prompts decorrelate the bundled model? `python -m maker.experiments.training.views`.

A Hanoi step has six equivalent prompts: the pegs relabelled in every way (`Hanoi.paraphrases`). A
model without systematic errors gains nothing from them; one whose errors belong to a wording gains
what the other wordings know. For steps of the 20-disk path this computes exactly, from token
probabilities, p_s in each view, and compares draws of the first view with draws that take the views
in turn, whose p_s is the mean over views.

Not covered: sampling, flags and votes; a step counts as lost when p_s < 1/2 over all replies.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import permutations

import numpy as np

from maker.experiments.kit import hanoi_data as data
from maker.experiments.kit.exact import Floats, right_probability, summary
from maker.experiments.kit.study import markdown_head, markdown_row
from maker.models.neural.bundled import build
from maker.models.neural.sampler import Sampler


def relabelled(batch: data.Batch, names: tuple[int, ...]) -> data.Batch:
    """Return the same steps with peg p called names[p]; a reversed circle of pegs reverses the direction."""
    name = np.asarray(names)
    previous = batch.previous.copy()
    previous[:, 1:] = name[previous[:, 1:]]
    same_circle = (names[1] - names[0]) % 3 == 1
    return data.Batch(name[batch.pegs], previous, batch.clockwise == same_circle)


def probabilities(sampler: Sampler, steps: int, temperature: float, seed: int) -> Floats:
    """Return [6, steps]: p_s of steps of the 20-disk path in each view."""
    numbers = np.random.default_rng(seed).choice((1 << 20) - 2, steps, replace=False) + 1
    batch = data.path_batch(numbers, 20)
    return np.stack([
        right_probability(sampler, relabelled(batch, names), [temperature])[0] for names in permutations(range(3))
    ])  # fmt: skip


def rows(weights: str, steps: int, temperature: float, seed: int) -> Iterator[tuple[object, ...]]:
    """Yield the table rows of one weight file: its first view, its worst and best, and the views in turn."""
    p = probabilities(build(weights), steps, temperature, seed)
    singles = [summary(view) for view in p]
    for name, s in (
        ("first view", singles[0]),
        ("worst view", min(singles, key=lambda s: s["p"])),
        ("best view", max(singles, key=lambda s: s["p"])),
        ("six in turn", summary(p.mean(0))),
    ):
        yield weights, temperature, name, s["p"], s["rho"], s["lost"], s["least"]


def main() -> None:
    """Measure both weight files and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    columns = ("weights", "temperature", "draws", "p", "rho", "share with p_s < 1/2", "smallest p_s")
    print(markdown_head(columns))
    for weights, temperature in (("neural", 1.8), ("early", 1.0)):
        for row in rows(weights, options.steps, temperature, options.seed):
            print(markdown_row(row))


if __name__ == "__main__":
    main()
