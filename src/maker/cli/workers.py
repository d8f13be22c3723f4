"""The options that have workers of a cluster decide the steps of a run.

Not covered: what they do (`engine/crew/cluster.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from maker.cli.options import REACHING
from maker.engine.crew.cluster import Ray
from maker.errors import TaskError

Workers = Annotated[str | None, typer.Option(help="ray: workers of a Ray cluster decide the steps (maker[ray]).")]
Address = Annotated[str | None, typer.Option(help="Of the cluster, or auto; without it one begins on this machine.")]
NumWorkers = Annotated[int | None, typer.Option(help="How many; as many as the cluster has room for.")]
CpusPerWorker = Annotated[float, typer.Option(help="What each takes of the cluster.")]


def workers_of(workers: str | None, address: str | None, number: int | None, cpus: float) -> Ray | None:
    """Return the cluster that the options describe, None for this machine's own cores. Raises TaskError."""
    if workers is None:
        if address is not None or number is not None:
            raise TaskError("--address and --num-workers are of a cluster: give --workers ray")
        return None
    if workers != "ray":
        raise TaskError(f"--workers {workers}: give ray, or leave it out for this machine's own cores")
    return Ray(address, number, cpus)


def model_for(options: Mapping[str, Any]) -> str:
    """Return the name that each worker makes the model from. Raises TaskError for what it would not know of."""
    if len(options["model"]) > 1:
        raise TaskError("--model twice: workers ask one model. Several servers of one: http://A/v1,http://B/v1#NAME")
    if given := [f"--{name}" for name in REACHING.split() if options[name]]:
        raise TaskError(f"{', '.join(given)}: each worker makes the model from its name. Put it into maker.toml, under "
                        "a name of its own, and give that as --model")  # fmt: skip
    return str(options["model"][0])
