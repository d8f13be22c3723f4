"""The options of workers: what they mean, and what is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from maker.cli.workers import model_for, workers_of
from maker.engine.crew.cluster import Ray
from maker.errors import TaskError


@pytest.mark.parametrize(("given", "cluster"), [
    ((None, None, None, 1.0), None), (("ray", None, None, 1.0), Ray()), (("ray", "auto", 8, 0.5), Ray("auto", 8, 0.5)),
])  # fmt: skip
def test_what_options_mean(given: Any, cluster: Ray | None) -> None:
    """Without --workers the cores of this machine decide; with it the cluster that is described."""
    assert workers_of(*given) == cluster


@pytest.mark.parametrize(("given", "said"), [
    (("dask", None, None, 1.0), "--workers dask"), ((None, "auto", None, 1.0), "give --workers ray"),
    ((None, None, 4, 1.0), "give --workers ray"), (("ray", None, 0, 1.0), "workers = 0"),
    (("ray", None, None, 0.0), "cpus_per_worker"),
])  # fmt: skip
def test_options_that_do_not_fit(given: Any, said: str) -> None:
    """Another kind of workers, options of a cluster without one, and workers that cannot be are refused."""
    with pytest.raises(TaskError, match=said):
        workers_of(*given)


NOTHING = {"prices": None, "timeout": None, "header": None, "extra": None, "query": None}


def test_each_worker_makes_the_model_from_its_name() -> None:
    """One name is handed on; several models, and what a worker would not know of, are refused with what to do."""
    assert model_for({"model": ["http://h:1/v1#m"], **NOTHING}) == "http://h:1/v1#m"
    with pytest.raises(TaskError, match="one model"):
        model_for({"model": ["a", "b"], **NOTHING})
    with pytest.raises(TaskError, match=r"--prices, --header: .*maker\.toml"):
        model_for({"model": ["fast"], **NOTHING, "prices": "1,2", "header": ["A: b"]})
