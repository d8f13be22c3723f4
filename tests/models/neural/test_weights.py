"""Weight files: whole, small, and refused when damaged."""

import numpy as np
import pytest

from maker.errors import ModelError
from maker.models.neural import NeuralModel
from maker.models.neural.bundled import BUNDLED, build, weight_file
from maker.models.neural.weights import read_edition, read_weights, write_weights
from small_model import SECOND, SMALL, random_weights


def test_the_bundled_files_are_whole_and_small():
    """Both files have their checksum, at most 200,000 parameters each, and fit in 1 MB together."""
    paths = []
    for name in BUNDLED:
        path, checksum = weight_file(name)
        tensors, _ = read_weights(path, sha256=checksum)
        assert checksum
        assert sum(tensor.size for tensor in tensors.values()) <= 200_000
        paths.append(path)
    assert sum(path.stat().st_size for path in paths) <= 1_000_000


@pytest.mark.parametrize("harm", ["flip", "cut", "missing", "text"])
def test_a_damaged_weight_file_is_refused(harm, tmp_path, monkeypatch):
    """One flipped bit, a cut, a missing or a foreign file raise ModelError that names the file."""
    raw = bytearray(weight_file("neural")[0].read_bytes())
    raw[len(raw) // 2] ^= harm == "flip"
    file = tmp_path / "neural.safetensors"
    if harm != "missing":
        file.write_bytes(b"hello, world" if harm == "text" else raw[: 1000 if harm == "cut" else None])
    monkeypatch.setattr("maker.models.neural.bundled._FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"neural\.safetensors"):
        NeuralModel(workers=0)
    if harm != "flip":  # without a known checksum the format still has to be right
        with pytest.raises(ModelError, match=r"neural\.safetensors"):
            NeuralModel(file, workers=0)


def test_a_file_names_its_edition_and_the_first_ones_files_name_none(tmp_path):
    """What is written for an edition is read in its tokens; files from before there were two are of the first."""
    shape = SMALL._replace(vocabulary=SECOND.size, back=2)
    write_weights(tmp_path / "w.safetensors", random_weights(shape), shape, "neural-2")
    made = build(tmp_path / "w.safetensors")
    assert (made.vocabulary, made.transformer.shape) == (SECOND, shape)
    assert {read_edition(weight_file(name)[0]) for name in (None, "neural-1", "early")} == {"neural-1"}
    assert weight_file("neural-1") == weight_file(None)


def test_the_first_editions_files_are_written_as_they_were(tmp_path):
    """Written again, the weights that shipped first are the same bytes: no field came into their file."""
    path, _ = weight_file("neural-1")
    write_weights(tmp_path / "again.safetensors", *read_weights(path, np.float16))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_weights_survive_the_file_and_other_readers(tmp_path):
    """What is written is read back to float16 precision, and the safetensors package reads it too."""
    weights = random_weights(SMALL)
    write_weights(tmp_path / "w.safetensors", weights, SMALL)
    tensors, shape = read_weights(tmp_path / "w.safetensors", np.float64)
    assert shape == SMALL
    for name, tensor in weights.items():
        assert np.array_equal(tensors[name], tensor.astype(np.float16))
    numpy_reader = pytest.importorskip("safetensors.numpy")
    assert numpy_reader.load_file(tmp_path / "w.safetensors").keys() == weights.keys()
