"""The weights that ship, and a sampler made of them in this process.

Not covered: other processes (`worker.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maker.models.neural.sampler import Sampler
from maker.models.neural.transformer import Transformer
from maker.models.neural.vocabulary import edition
from maker.models.neural.weights import read_edition, read_weights

_FOLDER = Path(__file__).with_name("data")
#: what ships, by checksum: the editions of the model; `early` is the first one's training stopped too soon
BUNDLED = {
    "neural-1": "51e2a5735820e3811265b7c8b07d4ae5209ee6293a2f1473a2bdf7f9bd8849a8",
    "early": "5aa912487ed1e3bd6bd504dcde1301763d74fa0d29fff2a80bc71d289b0389ba",
}
EDITIONS = tuple(name for name in BUNDLED if name.startswith("neural-"))
_IN_FORCE = "neural-1"  # the edition that `neural` is


def weight_file(weights: str | Path | None) -> tuple[Path, str | None]:
    """Return the path of a bundled weight file, or of another one, and the checksum it must have, if known."""
    name = _IN_FORCE if weights in (None, "neural") else str(weights)
    file = "neural" if name == "neural-1" else name  # it had no number when it was the only one
    return (_FOLDER / f"{file}.safetensors" if name in BUNDLED else Path(name)), BUNDLED.get(name)


def build(weights: str | Path | None = None, dtype: str = "float32", noise: float = 0.0, seed: int = 0) -> Sampler:
    """Load weights and return a sampler that runs in this process.

    weights: None or "neural" for the edition in force, an edition, "early", or the path of another weight file (not
    checked by checksum).
    noise: every weight is multiplied by 1 + noise * (a standard normal number drawn with `seed`).
    Raises ModelError for a weight file that is missing or damaged, ValueError for other options.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise must be a number of 0 or more, not {noise!r}")
    path, checksum = weight_file(weights)
    tensors, shape = read_weights(path, np.dtype(dtype), checksum)
    if noise:
        rng = np.random.default_rng(seed)
        tensors = {
            name: tensor * (1 + noise * rng.standard_normal(tensor.shape)).astype(tensor.dtype)
            for name, tensor in sorted(tensors.items())
        }
    return Sampler(Transformer(tensors, shape, np.dtype(dtype)), edition(read_edition(path)))
