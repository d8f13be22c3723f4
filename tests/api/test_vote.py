"""maker.vote: one question, voted on, its answer read strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

import maker
from maker.api.vote import places
from maker.decision.flags import RedFlag
from maker.decision.race import VoteUsage
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.errors import ModelError, TaskError, Undecided
from maker.sending import dispatcher
from maker.testing import ScriptedModel


class Point(BaseModel):
    """An answer with two numbers."""

    x: int
    y: float = 0.0


class Colour(Enum):
    """An answer with a fixed choice."""

    RED = "red"
    BLUE = "blue"


def ask(script: Any, **settings: Any) -> maker.Verdict[Any]:
    """Vote on a script."""
    return maker.vote_sync("What?", model=ScriptedModel(script), **settings)


# -- the vote ------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_first_to_ahead() -> None:
    """The answer that is first k ahead wins, with counts by answer, margin and waves."""
    model = ScriptedModel(["a", "b", "a", "a", "b", "a", "a"])
    verdict = await maker.vote("What?", model=model, k=3)
    assert (verdict.answer, verdict.samples, verdict.margin, verdict.step) == ("a", 7, 3, 0)
    assert dict(verdict.votes.items()) == {"a": 5, "b": 2}
    assert (verdict.flagged, dict(verdict.flags), verdict.waves) == (0, {}, 3)
    assert verdict.entropy == pytest.approx(-(5 / 7 * math.log(5 / 7) + 2 / 7 * math.log(2 / 7)))
    assert [r.address.draw for r in model.requests] == list(range(7))


def test_requests_carry_the_question_and_different_seeds() -> None:
    """Every draw has the whole prompt, the temperature asked for, and a seed of its own."""
    model = ScriptedModel(["a", "b", "c", "a", "a"])
    maker.vote_sync("Which letter?", model=model, k=2, temperature=0.7, seed=5)
    assert {(r.prompt, r.temperature, r.state) for r in model.requests} == {("Which letter?", 0.7, None)}
    seeds = [r.seed for r in model.requests]
    assert len(set(seeds)) == len(seeds) == 5
    again = ScriptedModel(["a"])
    maker.vote_sync("Which letter?", model=again, k=2, seed=5)
    assert [r.seed for r in again.requests] == seeds[:2]
    maker.vote_sync("Which letter?", model=again, k=2, seed=6)
    assert again.requests[2].seed != seeds[0]


def test_no_two_questions_share_their_seeds() -> None:
    """Fifty votes have as many seeds as draws; what is asked takes in the system's words and all paraphrases."""
    model = ScriptedModel("A" * 200)
    for number in range(50):
        maker.vote_sync(f"Is {number} even?", model=model)
    assert len({request.seed for request in model.requests}) == len(model.requests) == 150
    ways: list[dict[str, Any]] = [{}, {"system": "Be brief."}, {"paraphrases": ["Even: 7?"]}, {"seed": 1}]
    first = []
    for way in ways:
        other = ScriptedModel("A" * 9)
        maker.vote_sync("Is 7 even?", model=other, k=1, **way)
        first.append(other.requests[0].seed)
    assert len(set(first)) == len(ways)
    assert first[0] == model.requests[21].seed


def test_default_margin_is_three() -> None:
    """Without k three votes ahead are needed."""
    assert ask(["a"]).samples == 3
    assert ask(["a"], k=1).samples == 1


def test_votes_by_answer_tell_types_apart() -> None:
    """Counts are found by the answer itself; 1, True and "1" are different answers."""
    verdict = ask(["1", "true", '"1"', "1", "1"], k=2, parse=__import__("json").loads)
    assert (verdict.votes[1], verdict.votes[True], verdict.votes["1"]) == (3, 1, 1)
    assert type(verdict.answer) is int
    assert 2 not in verdict.votes


def test_equal_answers_written_differently_are_one() -> None:
    """Spaces and the order of keys make no other answer."""
    verdict = ask(['{"x": 1, "y": 2}', '{"y":2.0,"x":1}', ' {"x":1,"y":2} '], answer=Point)
    assert (verdict.answer, verdict.samples, len(verdict.votes)) == (Point(x=1, y=2.0), 3, 1)


# -- parse= and answer= -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"answer": str}])
def test_bare_text_is_stripped(settings: dict[str, Any]) -> None:
    """Text is the answer itself, without the blanks around it."""
    verdict = ask(["  Paris\n", "Paris", "\tParis "], **settings)
    assert (verdict.answer, verdict.samples) == ("Paris", 3)


@pytest.mark.parametrize(
    ("answer", "good", "value", "bad"),
    [
        (Literal["yes", "no"], " yes\n", "yes", ["maybe", "yess", "ye s"]),
        (Literal[1, 2], "2", 2, ["3", "2.0", "two"]),
        (int, "7", 7, ["7.5", '"7"', "true", "seven", "NaN", "7 8", "1e400"]),
        (float, "1.5", 1.5, ["NaN", "Infinity", "-Infinity", "1e999", '"1.5"', "true", "1.5.2"]),
        (bool, "true", True, ["1", '"true"', "maybe", "null"]),
        (list[int], "[1, 2]", [1, 2], ["[1, 2.5]", '["1", 2]', "[1, true]", "1, 2", "[1, 2", "[NaN]"]),
        (Point, '{"x": 1}', Point(x=1), ['{"x": 1.0}', '{"x": "1"}', '{"x": 1, "x": 1}', '{"y": 1}', "[1]"]),
        (dict[str, float], '{"a": 1.5}', {"a": 1.5}, ['{"a": NaN}', '{"a": 1, "a": 1.5}', '{"a": "1.5"}']),
        (int | None, "null", None, ["nothing", "[]"]),
        (Colour, '"red"', Colour.RED, ["re", '"green"']),
    ],
)
def test_answers_are_read_strictly(answer: Any, good: str, value: Any, bad: list[str]) -> None:
    """A reply that is not exactly of the type is flagged as malformed; none is ever converted."""
    verdict = ask([*bad, good], answer=answer, k=2)
    assert verdict.answer == value
    assert type(verdict.answer) is type(value)
    assert (verdict.flagged, dict(verdict.flags)) == (2 * len(bad), {"malformed": 2 * len(bad)})
    assert verdict.votes.values() == [2]


def test_nested_duplicate_keys_are_refused() -> None:
    """A key given twice is refused at any depth, since either value could be meant."""
    verdict = ask(['[{"a": 1, "a": 2}]', '[{"a": 2}]'], answer=list[dict[str, int]], k=1)
    assert (verdict.answer, verdict.flagged) == ([{"a": 2}], 1)


def test_schema_of_the_answer_is_sent() -> None:
    """A model that can enforce a schema gets it; bare text has none."""
    model = ScriptedModel(['{"x": 1}'])
    maker.vote_sync("Where?", model=model, answer=Point, k=1)
    assert model.requests[0].schema == Point.model_json_schema()
    model = ScriptedModel(["x"])
    maker.vote_sync("Where?", model=model, k=1)
    assert model.requests[0].schema is None


def test_parse_is_the_users_own() -> None:
    """With parse= its result is the answer, and whatever it raises is a flag."""

    def last_word(text: str) -> str:
        return text.split(":")[1].lower()

    verdict = ask(["Answer:YES", "no colon", "ANSWER:yes"], parse=last_word, k=2)
    assert (verdict.answer, verdict.samples, dict(verdict.flags)) == ("yes", 3, {"malformed": 1})


def test_undefined_numbers_never_win() -> None:
    """A parser that returns NaN gives no vote, though NaN were always the same text."""
    with pytest.raises(Undecided) as error:
        ask(["nan"], parse=float, limits={"max_flags": 10})
    assert error.value.tally.total == 0


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"parse": int, "answer": int}, "not both"),
        ({"parse": "int"}, "not callable"),
        ({"answer": lambda text: text}, "answer ="),
        ({"answer": object()}, "answer ="),
        ({"k": 0}, "k = 0"),
        ({"k": "auto"}, "k"),
        ({"k": True}, "k"),
        ({"flags": "strict"}, "flags = 'strict'"),
        ({"flags": [1]}, "flags"),
        ({"limits": {"max_vote": 1}}, "max_vote"),
        ({"limits": {"max_votes": -1}}, "max_votes"),
        ({"seed": -1}, "seed"),
        ({"temperature": math.nan}, "temperature"),
    ],
)
def test_arguments_that_do_not_fit(settings: dict[str, Any], match: str) -> None:
    """Wrong arguments are a TaskError that names them, before anything is sent."""
    model = ScriptedModel(["a"])
    with pytest.raises(TaskError, match=match):
        maker.vote_sync("What?", model=model, **settings)
    assert model.requests == []


@pytest.mark.parametrize("prompt", ["", None, 7])
def test_prompt_must_be_text(prompt: Any) -> None:
    """An empty prompt, or none, is a TaskError."""
    with pytest.raises(TaskError, match="prompt"):
        maker.vote_sync(prompt, model=ScriptedModel(["a"]))


# -- flags, limits, failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "  \n", None])
def test_replies_without_content_are_flagged(nothing: str | None) -> None:
    """Empty and missing content is flagged and drawn again; it raises nothing and wins nothing."""
    verdict = ask([nothing, "a"], k=2)
    assert (verdict.answer, verdict.samples, dict(verdict.flags)) == ("a", 4, {"empty": 2})


def test_missing_content_has_no_vote_even_without_flags() -> None:
    """No content is not the same answer as empty text: with no flags at all it still cannot be read."""
    verdict = ask([None, "a"], k=2, flags=[])
    assert (verdict.answer, dict(verdict.flags)) == ("a", {"malformed": 2})


def test_list_of_flags() -> None:
    """The user's flags alone are asked, in order, with the samples before; the first that speaks names the kind."""

    def shy(sample: Sample, step: Any, earlier: Sequence[Sample]) -> RedFlag | None:
        return RedFlag("shy") if sample.text and sample.text.startswith("maybe") else None

    def repeated(sample: Sample, step: Any, earlier: Sequence[Sample]) -> RedFlag | None:
        return RedFlag("repeated") if any(s.text == sample.text for s in earlier) else None

    script = ["maybe a", "maybe a", "a1", "a1", "", "a2", "a3", "a4"]
    verdict = ask(script, k=3, parse=lambda text: text[:1], flags=[shy, repeated], limits={"max_votes": 10})
    assert (dict(verdict.flags), dict(verdict.votes.items())) == ({"shy": 2, "repeated": 1}, {"a": 4, "": 1})


def test_truncated_answer_that_looks_whole() -> None:
    """A reply cut off by length never votes, however right it looks; nor does one at the token cap."""
    script = [Sample("a", 1, 5, "length"), Sample("a", 1, 1024, "stop"), Sample("b", 1, 5, "stop")]
    verdict = ask(script, k=1)
    assert (verdict.answer, dict(verdict.flags)) == ("b", {"truncated": 2})


@pytest.mark.parametrize("limits", [{"max_votes": 8}, maker.Limits(max_votes=8)])
def test_undecided_carries_the_tally(limits: Any) -> None:
    """A race that cannot be decided within max_votes raises Undecided with all that was counted, never a plurality."""
    with pytest.raises(Undecided, match=r"undecided after 8 samples.*votes 4, 4 .*Raise max_votes") as error:
        ask(["a", "b"], k=2, limits=limits)
    undecided = error.value
    assert (undecided.limit, undecided.step, undecided.exit_code) == ("max_votes", 0, 4)
    assert (undecided.tally.total, undecided.tally.flagged, undecided.tally.margin) == (8, 0, 0)
    assert undecided.tally.votes == {"a": 4, "b": 4}


def test_decided_on_the_last_vote_allowed() -> None:
    """A race that is decided by exactly the last vote allowed is decided."""
    assert ask(["a", "b", "a", "a"], k=2, limits={"max_votes": 4}).samples == 4


def test_undecided_by_flags() -> None:
    """A question that brings only flagged replies is undecided at max_flags, naming the kinds."""
    with pytest.raises(Undecided, match=r"votes none.*empty 7.*Raise max_flags") as error:
        ask([""], limits={"max_flags": 7})
    assert (error.value.limit, error.value.tally.flagged) == ("max_flags", 7)


@pytest.mark.parametrize(
    ("limits", "limit", "most"), [({"max_calls": 4}, "max_calls", 4), ({"max_tokens": 2500}, "max_tokens", 2)]
)
def test_other_limits(limits: dict[str, int], limit: str, most: int) -> None:
    """The limits of sending raise Undecided by their name, and are not passed."""
    model = ScriptedModel(["a", "b"])
    with pytest.raises(Undecided) as error:
        maker.vote_sync("What?", model=model, k=3, limits=limits)
    assert error.value.limit == limit
    assert len(model.requests) <= most


def test_a_verdict_says_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls with those that failed, samples, tokens; dollars by the model's prices, else as each reply says its own."""
    failed = iter([Failure("transient", "503", tokens_in=5, tokens_out=0)])
    monkeypatch.setattr(dispatcher, "FIRST_BACKOFF", 0.0)

    def model(cost: float | None, prices: Prices | None = None) -> ScriptedModel:
        made = ScriptedModel(lambda _: next(failed, Sample("a", 10, 2, cost=cost)), lockstep=False)
        made.prices = prices  # type: ignore[attr-defined]
        return made

    priced = maker.vote_sync("What?", model=model(9.0, Prices(input=1e6, output=1e6)), k=3)
    assert priced.usage == VoteUsage(calls=4, samples=3, tokens_in=35, tokens_out=6, assumed=0)
    assert priced.cost == 41.0
    assert maker.vote_sync("What?", model=model(0.5), k=3).cost == 1.5
    assert maker.vote_sync("What?", model=model(0.0), k=3).cost == 0.0
    assert maker.vote_sync("What?", model=model(None), k=3).cost is None
    charged = iter([0.5, None, 0.5])
    some = ScriptedModel(lambda _: Sample("a", 10, 2, cost=next(charged)), lockstep=False)
    assert maker.vote_sync("What?", model=some, k=3).cost is None


def test_a_vote_that_a_budget_stops_speaks_of_no_run() -> None:
    """It names the cause behind the limit, and no step, journal or resume."""
    lost = Failure("again", "500 bad key")
    with pytest.raises(Undecided, match=r"4 of 4 calls are used; 4 of them failed: 500 bad key\. Raise") as error:
        ask([lost], limits={"max_calls": 4}, k=1)
    with pytest.raises(Undecided, match="the next draw could take") as other:
        ask(["a"], limits={"max_tokens": 5})
    for said in (str(error.value), str(other.value)):
        assert not re.search(r"step|resume|journal", said)


def test_refusals() -> None:
    """A question that is refused ten times is not asked for ever."""
    with pytest.raises(Undecided, match=r"refused 1[0-2] times") as error:
        ask(["I cannot help with that."], answer=int)
    assert error.value.limit == "poison_step"


def test_failures_are_neither_flags_nor_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transient failures are repeated unseen; the verdict knows nothing of them."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    script = iter([Failure("transient", "503")] * 4 + ["a"] * 9)
    verdict = maker.vote_sync("What?", model=ScriptedModel(lambda request: next(script)), k=3)
    assert (verdict.samples, verdict.flagged) == (3, 0)


def test_unusable_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fatal failure is a ModelError; a name that nobody knows is bad input, told with those that are known."""
    with pytest.raises(ModelError, match="401"):
        ask([Failure("fatal", "401")])
    with pytest.raises(TaskError, match=r"there is no model 'gpt-17'.*oracle") as error:
        maker.vote_sync("What?", model="gpt-17")
    assert error.value.exit_code == 2


class Named(ScriptedModel):
    """A model that is loaded by its name and wants to be closed."""

    closed = 0

    async def aclose(self) -> None:
        """Count the farewells."""
        await anyio.lowlevel.checkpoint()
        type(self).closed += 1


@pytest.mark.parametrize("script", [["a"], [Failure("fatal", "401")], ["a", "b"]])
def test_model_by_name_is_closed(monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
    """A model given by name is made for the call and closed after it, whatever comes of it; one given is not."""
    monkeypatch.setattr(Named, "closed", 0)
    asked: list[str] = []

    def load(spec: str) -> Named:
        asked.append(spec)
        return Named(script)

    monkeypatch.setattr("maker.api.opened.load_model", load)
    try:
        assert maker.vote_sync("What?", model="named:x=1", k=2, limits={"max_votes": 6}).answer == "a"
    except (Undecided, ModelError):
        assert script != ["a"]
    assert (asked, Named.closed) == (["named:x=1"], 1)
    maker.vote_sync("What?", model=Named(["a"]))
    assert Named.closed == 1


def test_simulated_model_by_name_has_no_task() -> None:
    """The simulated model needs a task's truth; asked a bare question it says so."""
    with pytest.raises(TaskError, match="not bound to a task"):
        maker.vote_sync("What?", model="oracle:p=0.9")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("no place", set()),
        ("{a} and {b.c[d]} and {a!r:>{width}}", {"a", "b"}),
        ("{{a}} {}", {""}),
        ("{0[x]}", {"0"}),
    ],
)
def test_places_of_a_template(template: str, found: set[str]) -> None:
    """A template is asked for by the names that its places begin with."""
    assert places("here", [template]) == found


def test_broken_templates() -> None:
    """Text that is no template is a TaskError that says how to write braces."""
    for text in ("{", "a } b", "{a[}"):
        with pytest.raises(TaskError, match=r"^here: .*no template: .*\{\{ and \}\} for braces"):
            places("here", [text])


@pytest.mark.asyncio
async def test_many_votes_at_once() -> None:
    """Concurrent votes on one model do not mix their draws."""
    model = ScriptedModel(lambda request: request.prompt, lockstep=False)
    answers: list[str] = []

    async def one(number: int) -> None:
        answers.append((await maker.vote(f"question {number}", model=model)).answer)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(one, number)
    assert sorted(answers) == sorted(f"question {number}" for number in range(10))


@pytest.mark.asyncio
async def test_free_mode_respects_concurrency() -> None:
    """In free mode a vote has at most `concurrency` draws under way."""
    active = most = 0

    class Slow(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            nonlocal active, most
            active += 1
            most = max(most, active)
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            active -= 1
            return await super().draw(requests)

    verdict = await maker.vote("What?", model=Slow(["a"], lockstep=False), k=9, limits={"concurrency": 4})
    assert (verdict.samples, most) == (9, 4)


@pytest.mark.asyncio
async def test_cancelled_vote() -> None:
    """A vote can be cancelled while its model hangs, and nothing of it is left behind."""
    entered = anyio.Event()

    class Hanging(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            entered.set()
            await anyio.sleep_forever()
            raise AssertionError("unreachable")

    for lockstep in (True, False):
        entered = anyio.Event()
        hung: Callable[[], Any] = lambda lockstep=lockstep: maker.vote("?", model=Hanging(["a"], lockstep=lockstep))  # noqa: E731
        async with anyio.create_task_group() as group:
            group.start_soon(hung)
            await entered.wait()
            group.cancel_scope.cancel()
        assert group.cancel_scope.cancelled_caught
