"""What a question is answered, and what of it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from maker.decision.sample import Failure, Prices, Sample
from maker.errors import InternalError, ModelError, TaskError
from maker.models import load_model, pool_of
from maker.serving.asked import Question
from maker.serving.refused import Refused, refused
from maker.serving.voting import Answered, Heard, Rules, Voter
from maker.testing import ScriptedModel

ANY = {"type": "integer"}


def ask(replies: Any, rules: Rules | None = None, schema: Any = ANY, **voting: Any) -> tuple[Answered, Heard]:
    """Ask once."""
    voter = Voter(ScriptedModel(replies), rules or Rules())
    heard = Heard(voter.model)
    asking = {"max_tokens": 9, "long_answer": 9, "stop": []}
    return asyncio.run(voter.answer(Question("?", schema, asking, voting), heard)), heard


def test_a_decided_answer_brings_its_vote_and_the_account_of_all_samples():
    """The winner, the counts, flagged samples, and tokens of every reply."""
    given, _ = ask([Sample(text, 10, 2) for text in ("1", "2", "x", "1", "1", "1")])
    assert (given.text, given.voted, given.decided, given.finish) == ("1", True, True, "stop")
    assert given.votes == [{"answer": "1", "votes": 4}, {"answer": "2", "votes": 1}]
    assert (given.margin, given.samples, given.flagged, given.tokens_in, given.tokens_out) == (3, 6, 1, 60, 12)


def test_prose_is_answered_once_and_marked():
    """Whatever it is, cut off or empty, it is given as it came, and nothing claims a vote."""
    for reply in (Sample(" Well. \n", 3, 2), Sample("cut", 3, 9, "length"), Sample("", 3, 0), Sample(None, 3, 0)):
        given, heard = ask([reply], schema=None)
        assert (given.text, given.finish) == (reply.text or "", reply.finish_reason)
        assert (given.voted, given.decided, given.votes, len(heard.samples)) == (False, None, [], 1)


def test_prose_is_voted_on_when_strict():
    """The exact text is what is counted."""
    given, _ = ask(["yes", "no", "yes", "yes", "yes"], Rules(k=3, strict=True), None)
    assert (given.text, given.voted, given.votes[0]) == ("yes", True, {"answer": "yes", "votes": 4})


def test_an_undecided_vote_is_never_passed_off():
    """It is refused with its tally; or, where that was asked for, the leader is given and marked."""
    with pytest.raises(Refused) as why:
        ask(["1", "2"], max_votes=6)
    assert why.value.status == 422 and why.value.body["error"]["code"] == "undecided"
    told = why.value.body["error"]["maker"]
    assert told["votes"] == [{"answer": "1", "votes": 3}, {"answer": "2", "votes": 2}] and told["samples"] == 5
    given, _ = ask(["1", "2"], Rules(plurality=True), max_votes=6)
    assert (given.text, given.decided, given.margin) == ("1", False, 1)
    with pytest.raises(Refused):  # no reply has a vote: there is no leader
        ask(["x"], Rules(plurality=True), max_flags=3)


def test_a_request_says_how_to_vote():
    """Its own k and limits stand before the proxy's; one that cannot be is the client's fault."""
    assert ask(["1"], k=5)[0].margin == 5
    for voting in ({"k": 0}, {"k": "3"}, {"max_votes": -1}):
        with pytest.raises(Refused) as why:
            ask(["1"], **voting)
        assert why.value.status == 400


def test_the_budget_is_one_for_all_requests_of_a_day():
    """When it is spent requests are refused, and the next day they are not."""
    model, day = ScriptedModel([Sample("1", 10, 2)], lockstep=False), [5]
    model.prices = Prices(input=1, output=1)
    voter = Voter(model, Rules(k=1, max_calls=2), lambda: day[0])
    question = Question("?", ANY, {"max_tokens": 9}, {})

    def go() -> str:
        return asyncio.run(voter.answer(question, Heard(model))).text

    assert [go(), go()] == ["1", "1"]
    with pytest.raises(Refused) as why:
        go()
    assert (why.value.status, why.value.code) == (429, "insufficient_quota")
    day[0] += 1
    assert go() == "1"


def test_a_key_has_a_budget_within_that_of_all():
    """One that has spent its own leaves the others theirs, and no more than all may take; both are new each day."""
    model, day = ScriptedModel([Sample("1", 10, 0)], lockstep=False), [5]
    model.prices = Prices(input=1e5, output=0)  # a call costs a dollar, and is held at more
    voter = Voter(model, Rules(k=1, max_cost=1e9, max_calls=5, max_cost_per_key=12.0), lambda: day[0])
    question = Question("?", ANY, {"max_tokens": 9}, {})

    def go(key: int) -> str:
        try:
            return str(asyncio.run(voter.answer(question, Heard(model), key)).text)
        except Refused as why:
            return why.code

    assert [go(0) for _ in range(7)].count("1") == 4
    assert [go(1), go(1), go(2)] == ["1", "insufficient_quota", "insufficient_quota"]
    day[0] += 1
    assert [go(1), go(0)] == ["1", "1"]


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [(Failure("fatal", "the key was refused"), 502, "upstream_unusable"), (Failure("poison", "no"), 422, "undecided")],
)
def test_what_the_upstream_has_is_told_as_such(failure: Failure, status: int, code: str):
    """A failure of the upstream is no fault of the request."""
    with pytest.raises(Refused) as why:
        ask([failure])
    assert (why.value.status, why.value.code) == (status, code)


def test_errors_of_ours_have_their_status():
    """Each of the tree is mapped."""
    found = [refused(error("x")).status for error in (TaskError, ModelError, InternalError)]
    assert found == [400, 502, 500]


def test_a_simulated_model_cannot_be_served():
    """It answers a task's steps only."""
    with pytest.raises(TaskError, match="over HTTP"):
        Voter(load_model("oracle:p=0.9"), Rules())


def test_the_votes_of_a_pool_weigh_what_the_rules_say():
    """The first model outvotes the others; weights for another number of turns are refused at the start."""
    pool = pool_of([ScriptedModel(["1"]), ScriptedModel(["2"]), ScriptedModel(["2"])])
    heard = Heard(pool)
    asking = {"max_tokens": 9, "long_answer": 9, "stop": []}
    voter = Voter(pool, Rules(k=6, weights=(4, 1, 1)))
    given = asyncio.run(voter.answer(Question("?", ANY, asking, {}), heard))
    assert (given.text, given.margin, given.samples) == ("1", 6, 4)
    assert given.votes == [{"answer": "1", "votes": 8}, {"answer": "2", "votes": 2}]
    with pytest.raises(TaskError, match="give one for each --model: 3"):
        Voter(pool, Rules(weights=(2, 1)))
