"""Workers of a cluster: the same run as in one process, whatever becomes of its actors.

A stand-in for Ray answers here, in this process; Ray itself is asked in `tests/whole/test_ray.py` (`make cluster`).
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.engine.course import Course
from maker.engine.crew import cluster, lead, processes
from maker.engine.crew.stretch import Stretch
from maker.engine.front import Lane
from maker.errors import ModelError, TaskError
from maker.testing import check_journal

SETTINGS: dict[str, Any] = {"k": 3, "segments": 8}


class Method:
    """A method of an actor; it answers later, as Ray does."""

    def __init__(self, ray: StandIn, actor: Any, name: str) -> None:
        self.ray, self.actor, self.name = ray, actor, name

    def remote(self, *given: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.answer(*given))

    async def answer(self, *given: Any) -> Any:
        self.ray.asked += self.name == "decide"
        await asyncio.sleep(0)
        if isinstance(self.actor, Exception):
            raise self.actor
        if self.ray.dies(self.name):
            raise RuntimeError("ActorDiedError\nthe actor died")
        return await getattr(self.actor, self.name)(*given)


class Handle:
    """An actor's handle."""

    def __init__(self, ray: StandIn, actor: Any) -> None:
        self.ready, self.decide = (Method(ray, actor, name) for name in ("ready", "decide"))


class StandIn:
    """As much of Ray as is used. deaths: how many jobs an actor dies in, from the fifth on."""

    def __init__(self, cpus: float = 2.0, deaths: int = 0, *, refuse: bool = False) -> None:
        self.cpus, self.deaths, self.refuse = cpus, deaths, refuse
        self.begun: dict[str, Any] | None = None
        self.names: list[str] = []
        self.killed = self.jobs = self.asked = 0

    def is_initialized(self) -> bool:
        return self.begun is not None

    def init(self, **settings: Any) -> None:
        if self.refuse:
            raise Exception("nobody is there")  # noqa: TRY002 -- as Ray itself does where a node is late
        self.begun = settings

    def shutdown(self) -> None:
        self.begun = None

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def remote(self, **settings: Any) -> Any:
        def named(made: Any) -> Any:
            def make(order: bytes) -> Handle:
                try:
                    return Handle(self, made(order))
                except Exception as error:
                    return Handle(self, error)

            def options(name: str) -> Any:
                self.names.append(name)
                return type("Options", (), {"remote": staticmethod(make)})

            return type("Made", (), {"options": staticmethod(options)})

        return named

    def kill(self, handle: Handle) -> None:
        self.killed += 1

    def dies(self, method: str) -> bool:
        self.jobs += method == "decide"
        if method != "decide" or self.jobs < 5 or not self.deaths:
            return False
        self.deaths -= 1
        return True


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Have the stand-in for Ray, and jobs that are short."""
    ray = StandIn()
    monkeypatch.setattr(cluster, "_imported", lambda: ray)
    monkeypatch.setattr(cluster, "FIRST_STEPS", 8)
    monkeypatch.setattr(cluster.Cluster, "job", 8)
    monkeypatch.setattr(cluster.Cluster, "aim", None)
    return ray


@pytest.fixture
def no_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave runs without workers to one process."""
    monkeypatch.setattr(processes, "_cores", lambda: 1)
    return None


def run(model: str = "oracle:p=0.95,v=0.95", disks: int = 6, **changed: Any) -> maker.RunResult:
    """Carry out a short Hanoi."""
    return maker.run_sync(maker.load_task("hanoi", disks=disks), model=model, **{**SETTINGS, **changed})


def told(result: maker.RunResult) -> dict[str, Any]:
    """Return what a run says of itself, but for the time, the file, and how its calls were seen."""
    apart = ("seconds", "journal", "replayed", "observed")
    return {key: value for key, value in result.as_json().items() if key not in apart}


def test_a_cluster_changes_nothing(ray: StandIn, no_cores: None, tmp_path: Path) -> None:
    """Chain, samples, flags and tokens are those of one process; the journal verifies, and the cluster is left."""
    path = tmp_path / "run.db"
    assert told(run(workers="ray", journal=path)) == told(run())
    check_journal(path)
    assert len(ray.names) == ray.killed == 2
    assert ray.begun is None


def test_a_cluster_that_the_caller_has_joined_stays(ray: StandIn) -> None:
    """Where `ray.init` was called before, the run takes part in that cluster and does not end it."""
    ray.init(address="auto")
    assert run(workers="ray").solved
    assert ray.begun == {"address": "auto"}


@pytest.mark.parametrize("deaths", [1, 3, 100])
def test_lost_actors_are_replaced(deaths: int, ray: StandIn, no_cores: None) -> None:
    """What a lost actor had is decided by others, and alone where none is left."""
    ray.deaths = deaths
    assert told(run(disks=7, workers=maker.cluster.Ray(workers=2))) == told(run(disks=7))
    assert len(ray.names) == ray.killed
    assert deaths == 1 or ray.killed > 2  # of one lost actor's work, another may be done before a third begins


@pytest.mark.parametrize(("segments", "ahead"), [(8, 1), (2, 1), (1, 0)])
def test_a_worker_decides_while_its_last_answer_is_counted(
    segments: int, ahead: int, ray: StandIn, no_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker has a second job while the answer to its first is counted, where there are lanes for two."""
    recount, taken, most = lead.recount, [0], [0]

    def counted(course: Course, lane: Lane, stretch: Stretch) -> bool:
        taken[0] += 1
        most[0] = max(most[0], ray.asked - taken[0])
        return recount(course, lane, stretch)

    monkeypatch.setattr(lead, "recount", counted)
    assert told(run(workers=maker.cluster.Ray(workers=1), segments=segments)) == told(run(segments=segments))
    assert most == [ahead]


def test_a_model_that_waits_is_asked_side_by_side(ray: StandIn, no_cores: None) -> None:
    """A simulated model that takes time is made with its latency, and many steps of it wait at once."""
    model = "oracle:p=0.95,v=0.95,latency=0.0001"
    assert told(run(model, workers="ray")) == told(run(model))


def test_a_long_job_is_a_lost_worker(ray: StandIn, no_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not answer in time are given up, and the run goes on without them."""
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.0)
    assert told(run(workers="ray")) == told(run())
    assert ray.killed == 2


@pytest.mark.parametrize(("changed", "said"), [
    ({"workers": "dask"}, "maker.cluster.Ray"),
    ({"ladder": [maker.ladder.look_ahead(2, wins=True)]}, "looks ahead before wins"),
    ({"flags": [lambda sample, step, earlier: None]}, "red flags of your own"),
])  # fmt: skip
def test_what_workers_cannot_do_is_refused(changed: dict[str, Any], said: str, ray: StandIn) -> None:
    """Other workers, looks ahead before wins and flags of the caller's own are refused before a cluster is joined."""
    with pytest.raises(TaskError, match=said):
        run(**{"workers": "ray", **changed})
    assert ray.names == []


def test_a_model_that_is_made_already_is_refused(ray: StandIn) -> None:
    """Each worker makes its own model, so it has to have a name."""
    with pytest.raises(TaskError, match="makes its own model"):
        run(model=maker.load_model("oracle:p=1"), workers="ray")  # type: ignore[arg-type]


def test_a_chain_starts_no_cluster(ray: StandIn) -> None:
    """Where each step needs the one before, no worker could help, and none is started."""
    assert run(workers="ray", segments=1).solved
    assert ray.names == []


def test_no_cluster_is_told_in_words(ray: StandIn) -> None:
    """An address where nobody is, or a cluster that does not come up here, ends the run before its first step."""
    ray.refuse = True
    with pytest.raises(ModelError, match="no Ray cluster at auto"):
        run(workers=maker.cluster.Ray("auto"))
    with pytest.raises(ModelError, match=r"at this machine: .*ray start --head"):
        run(workers="ray")
    assert ray.begun is None


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"cpus_per_worker": 0}, {"cpus_per_worker": float("nan")}])
def test_clusters_that_cannot_be(wrong: dict[str, Any]) -> None:
    """No workers, and workers that take nothing, are refused."""
    with pytest.raises(TaskError):
        maker.cluster.Ray(**wrong)


def test_without_ray_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named, and nothing else fails without it."""
    imported = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TaskError, match=r"pip install 'maker\[ray\]'"):
        run(workers="ray")


class Named:
    """As much of Ray as the keepers of gates need: actors by name, which can be killed."""

    def __init__(self) -> None:
        self.actors: dict[str, Any] = {}
        self.made = 0

    def remote(self, **settings: Any) -> Any:
        assert settings == {"num_cpus": 0, "max_restarts": 0}
        return lambda made: type("Made", (), {"options": staticmethod(lambda **told: Option(self, made, told))})


class Option:
    """What is made under a name, where there is none of that name."""

    def __init__(self, ray: Named, made: Any, told: dict[str, Any]) -> None:
        self.ray, self.made, self.told = ray, made, told
        assert told["get_if_exists"]

    def remote(self, *given: Any) -> Any:
        name = self.told["name"]
        if name not in self.ray.actors:
            self.ray.made += 1
            self.ray.actors[name] = self.made(*given)
        return Kept(self.ray, name, self.ray.actors[name])


class Kept:
    """Its handle, of use as long as that one lives."""

    def __init__(self, ray: Named, name: str, actor: Any) -> None:
        self._ray, self._name, self._actor = ray, name, actor

    def __getattr__(self, method: str) -> Any:
        async def call(*given: Any) -> Any:
            if self._ray.actors.get(self._name) is not self._actor:
                raise RuntimeError("ActorDiedError")
            return await getattr(self._actor, method)(*given)

        return type("Method", (), {"remote": staticmethod(call)})


@pytest.mark.asyncio
async def test_workers_share_one_keeper_for_each_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first who asks makes it, the others find it; another server has another; a dead one is replaced."""
    ray = Named()
    monkeypatch.setattr(cluster, "_imported", lambda: ray)
    monkeypatch.setattr("maker.models.openai.http.shared.AGAIN", 0.0)
    gates = [cluster.gate_for_all("http://h:1", 2) for _ in range(3)]
    permits = [await gate.enter(9.0) for gate in gates[:2]]
    waiting = asyncio.ensure_future(gates[2].enter(9.0))
    await asyncio.sleep(0.01)
    assert not waiting.done(), "two are out, of all workers"
    gates[0].leave(permits[0])
    await waiting
    assert sorted(ray.actors) == ["maker gate http://h:1 2"]
    await cluster.gate_for_all("http://h:2", None).enter(9.0)
    assert sorted(ray.actors) == ["maker gate http://h:1 2", "maker gate http://h:2"]
    ray.actors.clear()
    await gates[0].enter(9.0)
    assert ray.made == 3
