"""A model too small to be of use, and prompts, for tests of what reads weights."""

import numpy as np

from maker.decision.sample import Address, Request
from maker.experiments.kit import hanoi_data as data
from maker.models.neural.vocabulary import edition
from maker.models.neural.weights import Shape

PROMPT = "clockwise\nprevious = [1, 0, 1]\nstate = [[4, 3, 2], [1], []]\n"


def random_weights(shape, seed=0):
    """Return weights large enough for a model that is unsure of everything."""
    rng = np.random.default_rng(seed)
    d, h, kv, f, v = (
        shape.width, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.hidden, shape.vocabulary,
    )  # fmt: skip
    sizes = {"q": (d, h), "k": (d, kv), "v": (d, kv), "o": (h, d), "gate": (d, f), "up": (d, f), "down": (f, d)}
    made = {f"{layer}.{n}": rng.normal(0, s[0] ** -0.5, s) for layer in range(shape.layers) for n, s in sizes.items()}
    made |= {f"{layer}.norm_{n}": rng.normal(1, 0.1, d) for layer in range(shape.layers) for n in ("attention", "feed")}
    made |= {f"embed_{i}": rng.normal(0, 1, (v, d)) for i in range(1, shape.back + 1)}
    return made | {"norm": rng.normal(1, 0.1, d), "embed": rng.normal(0, 1, (v, d)), "head": rng.normal(0, 0.1, (d, v))}


FIRST, SECOND = edition("neural-1"), edition("neural-2")
SMALL = Shape(2, 16, 24, 4, 2, 8, 1000.0, FIRST.size)


def requests(prompts, draws, temperature=1.0, **more):
    """Return `draws` requests for each prompt, with seeds that depend on prompt and draw alone."""
    return [
        Request(Address("test", i, d), prompt, hash((i, d)) % 2**64, temperature, **more)
        for i, prompt in enumerate(prompts)
        for d in range(draws)
    ]


def prompts_of(disks, count, seed=0):
    """Return random compact prompts and their right answers."""
    return data.texts(data.examples(np.random.default_rng(seed), count, disks))
