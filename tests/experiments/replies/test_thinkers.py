"""Thinkers: a thought that is cut off is answered all the same, and its tokens count."""

from __future__ import annotations

from maker.decision.sample import Sample
from maker.experiments.replies.sums import products
from maker.experiments.replies.thinkers import BRIEF, STOP, ModelThinker, Said, StandIn


def test_a_thought_that_is_cut_off_is_ended_by_another_call(monkeypatch):
    """The thought goes with it as the model's own; one that came to its end is not asked again."""
    sent = []

    def replies(_self, prompts, most):
        sent.append((prompts, most))
        thoughts = [Sample("so far 3", tokens_out=32), Sample("Answer: 8", tokens_out=20)]
        return thoughts if len(sent) == 1 else [Sample("12", tokens_out=2)] * len(prompts)

    monkeypatch.setattr(ModelThinker, "replies", replies)
    thinker = ModelThinker("http://127.0.0.1:9/v1#none", 0.7, 0)
    asked = products(2, (1, 1), 0)
    assert thinker(asked, 32) == [Said(12, 34), Said(8, 20)]
    (forced,), most = sent[1]
    assert [turn["content"] for turn in forced] == [asked[0].aloud, "so far 3", STOP]
    assert most == [BRIEF]
    assert thinker(asked, 0) == [Said(12, 2), Said(12, 2)]


def test_the_stand_in_answers_as_it_was_planted():
    """More rightly after a thought than at once, less so after a very long one; a seed decides."""
    asked = products(4000, (2, 2), 0)
    right = {
        tokens: sum(said.answer == one.right for said, one in zip(StandIn(0)(asked, tokens), asked, strict=True))
        for tokens in (0, 80, 600)
    }
    assert abs(right[0] / 4000 - 0.55) < 0.03
    assert right[80] > right[0] > right[600]
    assert StandIn(1)(asked[:9], 32) == StandIn(1)(asked[:9], 32)
