"""Models by specification; one clear error for the rest."""

import pytest

from maker.decision.sample import Model
from maker.errors import MakerError, TaskError
from maker.models import load_model, style_of
from maker.models.named import EDITIONS
from maker.models.neural import bundled


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ("oracle", {}),
        ("oracle:", {}),
        ("oracle:p=0.9", {"p": 0.9}),
        ("oracle:p=0.99,v=0.97,rho=0.05", {"p": 0.99, "v": 0.97, "rho": 0.05}),
        ("oracle: p = .5 , seed = 7 ", {"p": 0.5, "seed": 7}),
        ("oracle:rivals=3,confusion=0.1,copies=0.2,latency=0.01", {"rivals": 3, "confusion": 0.1, "copies": 0.2}),
        ("oracle:p=1", {"p": 1.0}),
    ],
)
def test_a_model_is_made_from_its_specification(spec, settings):
    """`name:key=value,key=value` gives the model with those settings, as numbers."""
    model = load_model(spec)
    assert isinstance(model, Model)
    assert model.simulated
    assert {key: getattr(model, key) for key in settings} == settings


@pytest.mark.parametrize(
    ("spec", "error", "names"),
    [
        ("orakel", TaskError, ["'orakel'", "oracle"]),
        ("", TaskError, ["''", "oracle"]),
        ("Oracle:p=0.9", TaskError, ["Oracle", "oracle"]),
        ("oracle:p", TaskError, ["'p'", "key=value"]),
        ("oracle:p=", TaskError, ["p = ''"]),
        ("oracle:p=high", TaskError, ["p = 'high'"]),
        ("oracle:q=0.9", TaskError, ["'q'", "rho"]),
        ("oracle:p=1.5", TaskError, ["p = 1.5"]),
        ("oracle:p=nan", TaskError, ["p = nan"]),
        ("oracle:rivals=1.5", TaskError, ["rivals"]),
        ("oracle:rivals=0", TaskError, ["rivals"]),
        ("oracle:p=0.9;v=0.8", TaskError, ["p = "]),
    ],
)
def test_a_specification_that_does_not_fit_is_refused(spec, error, names):
    """An unknown model and a wrong setting are TaskErrors; each names what was wrong, on one line."""
    with pytest.raises(error) as caught:
        load_model(spec)
    assert isinstance(caught.value, MakerError)
    assert all(name in str(caught.value) for name in names)
    assert "\n" not in str(caught.value)


def test_the_editions_of_the_bundled_model_have_names_of_their_own():
    """`neural-1` is the first edition's weights under that name, whichever `neural` is; options follow as ever."""
    model = load_model("neural-1:workers=0,noise=0.1")
    assert model.name == "neural-1:noise=0.1" and style_of("neural-1") == "compact"
    assert bundled.EDITIONS == EDITIONS
    with pytest.raises(TaskError, match="there is no model 'neural-0'"):
        load_model("neural-0")
