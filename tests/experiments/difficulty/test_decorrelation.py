"""Decorrelation: who is asked in which ways."""

from __future__ import annotations

from maker.experiments.difficulty import decorrelation
from maker.experiments.difficulty.decorrelation import DRAWS, FINISHED, count, ways
from maker.experiments.kit.bench import Bench, Way, neural, oracle
from maker.experiments.kit.study import Options
from maker.testing import FaultServer


def test_ways_ask_what_their_model_can_read():
    """The simulated model is asked in its own words; a pool has a partner; no two ways have the same draws."""
    with Bench(oracle("p=0.9")) as simulated, Bench(neural(1.0, "early")) as early, Bench(FINISHED) as partner:
        assert ways(simulated, None).keys() == {"plain", "plain, once more", "warmer by 0.5"}
        every = ways(early, partner)
        assert "other words" in every and every["pool of two"][1][0] is partner
        drawn = [(id(bench), repr(way)) for parts in every.values() for bench, way in parts]
    assert len(set(drawn)) == len(drawn)
    assert all(DRAWS % len(parts) == 0 for parts in every.values())


def test_parts_of_a_way_are_put_together():
    """Each step has the same number of draws in every way; another turn has other draws on the same steps."""
    with Bench(oracle("p=0.7")) as bench:
        whole = count(range(40), [(bench, Way(1.0))])
        parts = count(range(40), [(bench, Way(1.0)), (bench, Way(1.0, turn=1))])
    assert whole.votes == parts.votes == [DRAWS] * 40
    assert whole.replies == parts.replies == 40 * DRAWS
    assert whole.wrong != parts.wrong
    assert [lost for wrong, lost in zip(whole.wrong, whole.lost, strict=True) if wrong >= DRAWS / 2] == [True] * sum(
        whole.lost
    )


def test_a_language_model_compares_numbers(monkeypatch):
    """With a model and a partner the study has a row for each way, and nothing of the tower or the kept rows."""
    monkeypatch.setattr(decorrelation, "DRAWS", 4)
    monkeypatch.setattr(Options, "size", lambda _self, _full, _quick: 2)
    said: list[str] = []
    with FaultServer() as server, FaultServer() as beside:
        found = decorrelation.run(Options(model=server.spec("one"), partner=beside.spec("two"), say=said.append))
    assert {row["model"] for row in found.rows} == {"one, T = 0.1"}
    assert [row["way"] for row in found.rows][-2:] == ["partner alone", "pool of two"]
    assert {row["draws"] for row in found.rows} == {4} and len(said) == len(found.rows) == 8
    assert "comparisons of two numbers" in found.n
