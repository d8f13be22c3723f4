"""The training script: what was cut goes on to the same weights (needs the extra `[train]`)."""

import sys

import numpy as np
import pytest

from maker.experiments.kit import hanoi_data as data
from maker.models.neural.transformer import Cache, Transformer
from maker.models.neural.weights import read_edition
from small_model import SECOND, random_weights

pytest.importorskip("jax")
pytest.importorskip("optax")

from maker.experiments.training import train
from maker.experiments.training.mining import rows_of
from maker.models.neural.weights import Shape

SIZES = ["--layers", "1", "--width", "8", "--hidden", "8", "--heads", "1", "--kv-heads", "1", "--head-dim", "8"]


@pytest.fixture
def training(monkeypatch):
    """Return what makes a training in a folder: four batches, then two and two of polishing."""
    whole = train.parts
    monkeypatch.setattr(train, "KEPT_EVERY", 2)
    monkeypatch.setattr(train, "POOL", 1024)
    monkeypatch.setattr(train, "GROUPS", ((3, 0.5), (5, 0.5)))
    monkeypatch.setattr(
        train, "parts", lambda a: (whole(a)[0], *(part._replace(steps=2, mine_every=2) for part in whole(a)[1:]))
    )

    def made(out):
        monkeypatch.setattr(sys, "argv", ["train", "--out", str(out), "--stop", "4", "--size", "8", *SIZES])
        out.mkdir(exist_ok=True)
        return train.Training(train.arguments())

    return made


def test_a_training_that_was_cut_comes_to_the_same_weights(tmp_path, training):
    """Stopped between two batches it takes up weights, rule, draws and hard states."""
    training(tmp_path / "whole").run()
    cut = training(tmp_path / "cut")
    for _ in range(3):
        cut.learn()
        if cut.step == 2:
            cut.keep()
    training(tmp_path / "cut").run()
    one, other = ((tmp_path / name / "neural-2.safetensors").read_bytes() for name in ("whole", "cut"))
    assert one == other
    assert read_edition(tmp_path / "whole" / "neural-2.safetensors") == "neural-2"


def test_the_loss_is_that_of_the_runtime():
    """The log probability of whole answers is the same in jax, with room around them, and in numpy, without."""
    shape = Shape(2, 16, 24, 4, 2, 8, 1000.0, SECOND.size, 2, "relu")
    weights = random_weights(shape)
    batch = data.examples(np.random.default_rng(0), 12, 7)
    found = train.look(weights, rows_of(batch, SECOND), shape=shape)
    transformer, cache = Transformer(weights, shape, np.float64), Cache(shape, np.float64)
    cache.reserve(1, 60)
    for loss, (prompt, answer) in zip(found, data.encoded(batch, SECOND), strict=True):
        tokens = np.array([[*prompt, *answer]])
        logits = transformer.read(tokens[:, :-1], 0, np.arange(1), cache, len(answer))[0]
        log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        assert -log[np.arange(len(answer)), answer].sum() == pytest.approx(loss, rel=1e-4)
