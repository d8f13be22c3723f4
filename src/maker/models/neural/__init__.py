"""The bundled language model: a small transformer on numpy, offline."""

from maker.models.neural.model import NeuralModel

__all__ = ["NeuralModel"]
