"""maker.compare: models and designs at the same states, from real requests to scripted and simulated models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import maker
from adding import Adding
from maker.decision.sample import Failure, Request, Sample
from maker.errors import ModelError, TaskError
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel


class Known(Adding):
    """A task with its truth."""

    def truth(self, state: int, step: int) -> int:
        return state + 1


def right_in(percent: int, salt: int = 0, tokens: int = 10) -> ScriptedModel:
    """Return a model of its own that is right in so many percent of the draws."""

    def answer(request: Request) -> Sample:
        roll = (request.seed * 2654435761 + salt * 7919 >> 7) % 100
        return Sample(str(request.state + (roll < percent)), 20, tokens)

    return ScriptedModel(answer)


def steps_of(model: ScriptedModel) -> list[int]:
    """Return the steps of a model's first draws, in order."""
    return [r.address.step for r in model.requests if r.address.run == "estimate"]


def test_all_models_are_asked_about_the_same_states() -> None:
    """The same steps with the same prompts in the same looks; what is said of one is what its own estimate says."""
    models = {"a": right_in(95), "b": right_in(93, 1)}
    found = maker.compare_sync(Known(2000), models=models, steps=60)
    assert steps_of(models["a"]) == steps_of(models["b"])
    assert len(set(steps_of(models["a"]))) == 60
    alone = maker.estimate_sync(Known(2000), model=right_in(95), steps=60)
    (kept,) = [arm.estimate for arm in found.arms if arm.name == "a"]
    assert kept is not None
    of_the_machine = dict.fromkeys(("seconds", "seconds_low", "seconds_high", "settling"))
    assert kept.as_json() | of_the_machine == alone.as_json() | of_the_machine
    (pair,) = found.pairs
    assert (pair.one, pair.other, pair.n) == ("a", "b", 60)


def test_a_worse_model_is_dropped_early_and_stands_below() -> None:
    """P = .70 beside .95: dropped after a part of the steps, with the reason; the other is drawn on to the end."""
    models = {"worse": right_in(70), "better": right_in(95, 1)}
    found = maker.compare_sync(Known(2000), models=models, steps=600)
    better, worse = found.arms
    assert [better.name, worse.name] == ["better", "worse"]
    assert (better.dropped, worse.dropped, better.reason) == (False, True, "")
    assert worse.reason.startswith("dropped after ")
    assert "its run would be dearer" in worse.reason
    assert (len(set(steps_of(models["better"]))), len(set(steps_of(models["worse"]))) < 300) == (600, True)
    assert found.pairs[0].chance < 0.05
    assert worse.estimate is not None
    assert worse.estimate.p < better.estimate.p  # type: ignore[union-attr]


def test_a_model_that_errs_more_but_costs_less_is_kept() -> None:
    """Replies of a small part of the length make the worse model the cheaper one: it stands first."""
    models = {"long": right_in(95, 0, 700), "short": right_in(80, 1, 3)}
    found = maker.compare_sync(Known(2000), models=models, steps=400)
    assert [(arm.name, arm.dropped) for arm in found.arms] == [("short", False), ("long", False)]
    assert found.pairs[0].chance < 0.001


def test_a_model_without_an_error_is_never_dropped() -> None:
    """However dear it is: nothing was shown against it."""
    models = {"clean": right_in(100, 0, 700), "cheap": right_in(90, 1, 2)}
    found = maker.compare_sync(Known(2000), models=models, steps=300)
    assert [(arm.name, arm.dropped) for arm in found.arms] == [("cheap", False), ("clean", False)]


def test_the_cheapest_feasible_one_stands_first() -> None:
    """By dollars where all have prices; what voting cannot do stands below what it can."""
    models: dict[str, Any] = {"mostly wrong": right_in(30), "dear": right_in(95, 1), "cheap": right_in(95, 2)}
    for name, price in (("mostly wrong", 0.1), ("dear", 9.0), ("cheap", 1.0)):
        models[name].prices = maker.Prices(input=price, output=price)
    found = maker.compare_sync(Known(2000), models=models, steps=200)
    assert [arm.name for arm in found.arms] == ["cheap", "dear", "mostly wrong"]
    assert [arm.feasible for arm in found.arms] == [True, True, False]
    assert found.exit_code == 3
    wrong = models["mostly wrong"]
    assert len(set(steps_of(wrong))) < 200  # shown to be hopeless, so not drawn on to the end


def test_limits_are_of_all_together_and_leave_what_is_known() -> None:
    """Calls of all models count; what was seen is told, and who has too little says so."""
    models = {"a": right_in(95), "b": right_in(95, 1)}
    found = maker.compare_sync(Known(2000), models=models, steps=500, limits={"max_calls": 300})
    assert found.stopped == "max_calls"
    assert sum(len(model.requests) for model in models.values()) <= 300
    assert all(arm.estimate is not None and arm.estimate.n >= 30 for arm in found.arms)
    early = maker.compare_sync(Known(2000), models=models, steps=500, limits={"max_calls": 90})
    assert [arm.estimate is None for arm in early.arms] == [False, True]
    assert "0 steps were seen, 30 are needed. Stopped by max_calls" in early.arms[1].reason


def test_an_interrupt_leaves_what_is_known() -> None:
    """It ends before the next batch, and what was seen is ranked."""
    models = {"a": right_in(95), "b": right_in(95, 1)}
    found = maker.compare_sync(
        Known(2000), models=models, steps=500, interrupted=lambda: len(models["b"].requests) >= 60
    )
    assert (found.stopped, {arm.estimate.n for arm in found.arms if arm.estimate}) == ("interrupted", {30})


def test_a_model_that_is_lost_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an arm without an estimate; only where none can be used it is an error."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    dead = ScriptedModel(lambda r: Failure("fatal", "no such model"))
    found = maker.compare_sync(Known(2000), models={"dead": dead, "a": right_in(95)}, steps=60)
    assert [arm.name for arm in found.arms] == ["a", "dead"]
    assert (found.arms[1].estimate, found.exit_code) == (None, 3)
    assert "no such model" in found.arms[1].reason
    with pytest.raises(ModelError, match="no such model"):
        maker.compare_sync(Known(2000), models={"dead": dead}, steps=60)


def test_what_the_run_is_worth_is_what_the_cheapest_says() -> None:
    """Without a number of steps each arm draws a tenth of the cheapest arm's run at most."""
    models = {"good": right_in(99), "bad": right_in(65, 1)}
    found = maker.compare_sync(Known(3000), models=models)
    good = found.arms[0].estimate
    assert good is not None
    assert good.samples is not None
    assert all(len(model.requests) <= good.samples.value / 10 * 1.3 for model in models.values())


def test_designs_are_of_the_same_problem() -> None:
    """Each design of each model is an arm; a simulated model is told of the task that is asked about."""
    found = maker.compare_sync(
        "addition", models=[Oracle(p=0.97)], designs="all", parameters={"x": 9 * 10**59, "y": 1}, steps=60
    )
    assert {arm.name: arm.design for arm in found.arms} == {"lines": "lines", "questions": "questions"}
    assert {arm.estimate.steps for arm in found.arms if arm.estimate} == {60, 120}
    assert all(arm.estimate is not None and arm.estimate.p > 0.8 for arm in found.arms)
    both = maker.compare_sync("addition", models=["oracle:p=0.9", "oracle:p=0.99"], designs=["lines"], steps=30)
    assert {arm.name for arm in both.arms} == {"oracle:p=0.9 lines", "oracle:p=0.99 lines"}


def test_windows_are_of_the_same_steps() -> None:
    """Each window of each design is an arm, at the same places; what a history costs in tokens is seen."""
    found = maker.compare_sync(
        "dict-sum", models=["oracle:p=0.9"], designs=["lines", "questions"], windows=[0, "all"], steps=40
    )
    lines = {arm.design: arm.estimate for arm in found.arms if arm.design.startswith("lines")}
    assert list(lines) == ["lines, window 0", "lines, window all"]
    none, everything = lines.values()
    assert none is not None and everything is not None
    assert (none.p, none.n) == (everything.p, everything.n)
    assert none.tokens_in is not None and everything.tokens_in is not None
    assert none.tokens_in.value < everything.tokens_in.value
    (pair,) = [pair for pair in found.pairs if {pair.one, pair.other} == set(lines)]
    assert (pair.n, pair.one_wrong, pair.other_wrong) == (40, 0, 0)


def test_without_a_truth_nothing_is_paired() -> None:
    """Each is graded by its own votes, which is said; none is dropped."""
    models = {"a": right_in(70), "b": right_in(95, 1)}
    found = maker.compare_sync(Adding(60), models=models, steps=40)
    assert (found.pairs, [arm.dropped for arm in found.arms]) == ([], [False, False])
    assert all(arm.estimate is not None and "agreement" in arm.estimate.reason for arm in found.arms)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: maker.compare_sync(Known(99), models=[]), "models is empty"),
        (lambda: maker.compare_sync(Known(99), models="oracle:p=1"), "give a list of models"),
        (lambda: maker.compare_sync("hanoi", models=["oracle:p=1", "oracle:p=1"]), "two have the same name"),
        (lambda: maker.compare_sync(Known(99), models=["oracle:p=1"], designs="all"), "task given by its name"),
        (lambda: maker.compare_sync("addition", models=["oracle:p=1"], windows=[1]), "no parameter 'window'"),
        (lambda: maker.compare_sync("dict-sum", models=["oracle:p=1"], windows=["few"]), "window = 'few'"),
        (lambda: maker.compare_sync("template", models=["oracle:p=1"], designs="all"), "template has one design"),
        (lambda: maker.compare_sync("addition", models=["oracle:p=1"], designs="odd"), "no design 'odd'"),
        (lambda: maker.compare_sync(Known(99), models=["oracle:p=1"], steps=7), "steps = 7"),
        (lambda: maker.compare_sync(Known(99), models=["oracle:p=1"], tmperature=1.0), "Did you mean temperature"),
    ],
)
def test_bad_input_is_said(call: Callable[[], Any], said: str) -> None:
    """A TaskError that names the argument, before anything is drawn."""
    with pytest.raises(TaskError) as refused:
        call()
    assert said in str(refused.value)
