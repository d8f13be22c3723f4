"""Whom an experiment asks: each draw has a seed of its own, and what reads no words is refused."""

from __future__ import annotations

import pytest

from maker.errors import TaskError
from maker.experiments.kit.speaker import Speaker


def test_each_draw_has_a_seed_of_its_own(monkeypatch):
    """Also the same prompt asked again; the same experiment asks with the same seeds."""
    sent = []
    monkeypatch.setattr(Speaker, "send", lambda _self, requests: sent.append(requests) or [])
    for _ in "ab":
        speaker = Speaker("http://127.0.0.1:9/v1#none", 0.7, 1)
        speaker.replies(["a", "b"], [5, 6])
        speaker.replies(["a", "a"], [5, 5])
    seeds = [request.seed for requests in sent[:2] for request in requests]
    assert len(set(seeds)) == 4
    assert [request.seed for requests in sent[2:] for request in requests] == seeds
    assert [request.max_tokens for request in sent[0]] == [5, 6]


def test_a_simulated_model_reads_no_words():
    """It knows the truth of a task, and an experiment's prompts have none."""
    with pytest.raises(TaskError, match="reads no words"):
        Speaker("oracle:p=0.9", 0.1, 0)
