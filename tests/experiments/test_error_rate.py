"""The error rate: what was planted is recovered, and what is drawn agrees with what is exact."""

from __future__ import annotations

import json
from dataclasses import replace

from maker.experiments import error_rate
from maker.experiments.kit.bench import Bench, Source, oracle, spread
from maker.experiments.kit.exact import measured
from maker.experiments.kit.study import Share
from maker.task.load import load_task
from maker.testing import FaultServer

DISKS = 20


def test_the_planted_error_is_recovered():
    """Counting the oracle's replies gives its p and v, and its legal rivals pass every flag."""
    source = oracle("p=0.8,v=0.9")
    with Bench(source) as bench:
        seen = error_rate.counted(bench, bench.draws(DISKS, list(range(1, 1501)), 1))
    assert seen["wrong"].low < 0.2 < seen["wrong"].high and seen["wrong"] == seen["wrong_default"]
    assert seen["flagged"].low < 0.1 < seen["flagged"].high
    assert seen["not_right"].low < 1 - 0.9 * 0.8 < seen["not_right"].high


def test_a_model_over_http_is_asked_in_words():
    """A server that answers by the rules, and every fourth time with another legal move, is graded as such."""
    task = load_task("hanoi", disks=5)

    def answer(received):
        before, stacks = (json.loads(line.split(" = ")[1]) for line in received.prompt.strip().splitlines()[-2:])
        state = type(task.initial_state())(tuple(map(tuple, stacks)), tuple(before) or None)
        wrong = len(server.requests) % 4 == 0
        return task.render(task.rivals(state, 0)[0] if wrong else task.truth(state, 0))

    with FaultServer(answer) as server, Bench(Source(server.spec(), 0.1, "served")) as bench:
        seen = error_rate.counted(bench, bench.draws(5, list(range(1, 25)), 1))
    assert seen["wrong"] == Share(6, 24) == seen["wrong_default"] and seen["flagged"].seen == 0
    assert len(server.requests) == 24 and "Rules: there are three pegs" in server.requests[0].prompt


def test_exact_and_drawn_errors_of_the_bundled_model_agree():
    """On a small tower the bundled model's drawn error is within the interval of its exact one."""
    hot = Source("neural:workers=0", 2.4, "bundled")
    with Bench(hot) as bench:
        seen = error_rate.counted(bench, bench.draws(4, *spread(15, 600, 0)))
    (p,) = measured([replace(hot, spec="neural")], [4], 20, 0).values()
    assert seen["not_right"].low < 1 - p.mean() < seen["not_right"].high
    assert measured([oracle("p=0.9")], [4], 20, 0) == {}
