"""maker.estimate: what a run would need, drawn from real requests to simulated and scripted models."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

import maker
from adding import Adding
from gathered import probed
from maker import theory
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.errors import Infeasible, ModelError, TaskError
from maker.models.oracle import Oracle
from maker.task.plan import Plan
from maker.testing import FaultServer, ScriptedModel
from maker.testing.faults import Received
from maker.theory.worst import worst_case


class Known(Adding):
    """The same with its truth, in kinds: even and odd steps."""

    def truth(self, state: int, step: int) -> int:
        return state + 1

    def kind(self, state: int, step: int) -> str:
        return "odd" if step % 2 else "even"


class Planned(Adding):
    """The same with a plan that knows every entry state, and no truth."""

    def plan(self, segments: int = 8) -> Plan:
        return Plan.chain(self.goal, lambda step: step, segments)


def noisy(request: Request) -> str:
    """Answer wrongly in about an eighth of the draws."""
    return str(request.state + (request.seed % 8 != 0))


def hanoi(disks: int = 10) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


# ---- what is drawn


def test_steps_are_drawn_at_random_and_repeated() -> None:
    """Each chosen step is drawn `repeats` times, steps come from the whole run, and no address or seed comes twice."""
    model = ScriptedModel(noisy)
    maker.estimate_sync(Known(3000), model=model, steps=200, repeats=3)
    first = Counter(r.address.step for r in model.requests if r.address.run == "estimate")
    assert len(first) == 200
    assert set(first.values()) == {3}
    places = [(r.address.run, r.address.step, r.address.draw) for r in model.requests]
    assert len(set(places)) == len(places) == len({r.seed for r in model.requests})
    with_plan = ScriptedModel(lambda r: "[]")
    with pytest.raises(Infeasible):
        maker.estimate_sync(hanoi(12), model=with_plan, steps=200)
    quarters = Counter(r.address.step * 4 // 4095 for r in with_plan.requests)
    assert min(quarters.values()) > 60


def test_erring_steps_are_drawn_twenty_times_more() -> None:
    """A step with a wrong answer is drawn again 20 times; one without is not."""
    model = ScriptedModel(lambda r: str(r.state + (r.address.step % 10 != 3 or r.address.draw % 2)))
    found = maker.estimate_sync(Known(500), model=model, steps=500, repeats=2)
    again = Counter(r.address.step for r in model.requests if r.address.run == "estimate/1")
    assert set(again) == set(range(3, 500, 10))
    assert set(again.values()) == {20}
    assert found.wrong == 50


def test_an_estimate_is_a_function_of_its_seed() -> None:
    """The same seed gives the same estimate, lock-step or one by one; another seed another one."""
    settings: dict[str, Any] = {"steps": 200, "repeats": 2}
    first = maker.estimate_sync(hanoi(8), model=Oracle(p=0.9), **settings).as_json()
    free = maker.estimate_sync(hanoi(8), model=Oracle(p=0.9, latency=1e-5), **settings).as_json()
    other = maker.estimate_sync(hanoi(8), model=Oracle(p=0.9), seed=1, **settings).as_json()
    told = ("p", "rho", "rho_high", "k", "samples", "draws", "reason")
    assert [first[name] for name in told] == [free[name] for name in told]
    assert [first[name] for name in told] != [other[name] for name in told]


def test_its_seeds_are_not_those_of_a_run() -> None:
    """What an estimate drew never votes in a run of the same seed."""
    task = Known(100)
    estimating, running = ScriptedModel(noisy), ScriptedModel(noisy)
    maker.estimate_sync(task, model=estimating, steps=100)
    maker.run_sync(task, model=running)
    assert not {r.seed for r in estimating.requests} & {r.seed for r in running.requests}


@pytest.mark.parametrize("disks", [1, 2, 4])
def test_a_short_task_is_gone_round_again(disks: int) -> None:
    """With more draws wanted than there are steps, every step is drawn on equally often, give or take one."""
    model = ScriptedModel(lambda r: task.render(task.truth(r.state, r.address.step)))
    task = hanoi(disks)
    found = maker.estimate_sync(task, model=model, steps=100, repeats=2)
    counts = Counter(r.address.step for r in model.requests)
    assert set(counts) == set(range(2**disks - 1))
    assert max(counts.values()) - min(counts.values()) <= 2
    assert found.n == 100


def test_a_task_of_unknown_length_is_said_to_be_one() -> None:
    """Where nobody says how long the task is, a million steps are planned for, or what the caller says."""
    found = maker.estimate_sync(Known(400, known=False), model=ScriptedModel(noisy), steps=100)
    assert found.steps == 1_000_000
    assert "total_steps" in found.reason
    told = maker.estimate_sync(Known(400, known=False), model=ScriptedModel(noisy), steps=100, total_steps=50)
    assert (told.steps, "total_steps" in told.reason) == (50, False)
    assert told.k is not None
    assert found.k is not None
    assert told.k < found.k


# ---- what is said


@pytest.mark.parametrize("rho", [0.0, 0.05])
def test_the_truth_lies_in_its_intervals(rho: float) -> None:
    """Of six simulated models each interval of p, v and rho holds the planted value at least five times."""
    held: Counter[str] = Counter()
    for seed in range(6):
        model = Oracle(p=0.95, v=0.9, rho=rho, seed=seed)
        found = maker.estimate_sync(hanoi(), model=model, steps=300, repeats=2, seed=seed)
        held["p"] += found.p_low <= 0.95 <= found.p_high
        held["v"] += found.v_low <= 0.9 <= found.v_high
        held["rho"] += found.rho_low <= rho <= found.rho_high
    assert min(held[name] for name in ("p", "v", "rho")) >= 5


def test_a_good_model_is_feasible_and_not_proven() -> None:
    """The projection agrees with the formulas at what was seen; a thousand steps prove nothing about a thousand."""
    found = maker.estimate_sync(hanoi(), model="oracle:p=0.99,v=0.9", steps=600)
    assert (found.feasible, found.proven, found.exit_code) == (True, False, 3)
    assert found.verdict == "feasible unless errors cluster"
    assert found.k is not None
    assert found.k >= theory.k_min(found.p_plan, 1023, 0.95)
    assert found.samples is not None
    plain = theory.expected_cost(found.p, found.k, 1023, v=found.v)
    assert found.samples.value == pytest.approx(plain, rel=0.02)
    assert found.samples.low <= found.samples.value <= found.samples.high
    assert found.success.low < 0.95 < found.success.value < 1
    assert "Not proven" in found.reason


@pytest.mark.parametrize("spec", ["oracle:p=0.45", "oracle:p=0.9,rho=0.3", "oracle:p=0.99,rho=0.3"])
def test_what_voting_cannot_do_is_refused(spec: str) -> None:
    """At p = .45 and at rho = .3 a run of 1,023 steps is infeasible, and the reason says what to do."""
    found = maker.estimate_sync(hanoi(), model=spec, steps=1000)
    assert (found.feasible, found.k, found.samples, found.exit_code) == (False, None, None, 2)
    assert (found.verdict, found.worst_case.success_low) == ("infeasible", 0)
    assert found.success.value < 0.95
    with pytest.raises(TypeError):
        assert found.success < 0.95
    assert "Make the steps finer" in found.reason


def test_a_hopeless_model_is_not_drawn_on_for_long() -> None:
    """Where p is not above 1/2 every step is unclear: erring ones are drawn again once, not until they are clear."""
    found = maker.estimate_sync(hanoi(), model="oracle:p=0.45", steps=200)
    assert found.draws == 200 * 2 + 100 * 20


def test_a_clean_model_is_never_certain() -> None:
    """Without one error p is below 1, rho unknown, and the number of steps that may be lost is said."""
    found = maker.estimate_sync(hanoi(8), model="oracle:p=1", steps=40)
    assert found.p < 1
    assert found.p_low == pytest.approx(0.025 ** (1 / 40))
    assert (found.rho_low, found.rho_high, found.proven) == (0, 1, False)
    assert "40 clean steps cannot exclude" in found.reason


def test_a_lost_step_is_found_and_named() -> None:
    """One step that is always wrong makes the run infeasible, with its number."""
    model = ScriptedModel(lambda r: str(r.state + (r.address.step != 77)))
    found = maker.estimate_sync(Known(300), model=model, steps=300)
    assert (found.feasible, found.lost) == (False, [77])
    assert found.worst_case.lost_low == 1
    assert "Step 77" in found.reason


def test_what_was_not_excluded_is_a_number_in_the_first_lines() -> None:
    """One step in 3,000 at p = .4, the rest at .9984: of a million steps at least the 333 lost ones stay possible."""

    def clustered(request: Request) -> str:
        rate = 600_000 if request.address.step % 3000 == 7 else 1_600
        return str(request.state + (request.seed % 1_000_000 >= rate))

    found = maker.estimate_sync(Known(4000), model=ScriptedModel(clustered), total_steps=1_000_000)
    assert found.worst_case.lost_low <= 333 <= found.worst_case.lost_high
    assert (found.proven, found.exit_code != 0, found.worst_case.success_low) == (False, True, pytest.approx(0))


def test_what_votes_agree_on_bounds_nothing() -> None:
    """Graded by votes of the same model, an estimate proves nothing: all steps may be lost."""
    found = maker.estimate_sync(Planned(40), model=ScriptedModel(lambda r: str(r.state + 1)), steps=40, total_steps=2)
    assert (found.against, found.feasible, found.proven, found.exit_code) == ("agreement", True, False, 3)
    assert (found.worst_case.lost_high, found.worst_case.success_low) == (2, 0)


def test_a_plurality_below_one_half_is_planned_and_solved() -> None:
    """Where wrong answers are spread out, k auto runs a model with p = .4 to its goal."""

    def scattered(request: Request) -> str:
        roll = request.seed % 1000
        return str(request.state + 1 if roll < 400 else (request.state + 2 + roll % 12) % 60)

    task = Known(60)
    found = maker.estimate_sync(task, model=ScriptedModel(scattered), steps=400)
    assert (found.feasible, found.by) == (True, "plurality")
    assert found.p_high < 0.5
    result = maker.run_sync(task, model=ScriptedModel(scattered))
    assert (result.solved, result.wrong) == (True, 0)


def test_kinds_have_their_own_error_rates() -> None:
    """A task that names kinds of steps gets the error of each, one draw a step, with its interval."""
    model = ScriptedModel(lambda r: str(r.state + (r.address.step % 2 == 0 or r.seed % 4 != 0)))
    found = maker.estimate_sync(Known(2000), model=model, steps=400)
    even, odd = found.kinds["even"], found.kinds["odd"]
    assert even.n + odd.n == found.n == 400
    assert (even.wrong, odd.wrong) == (0, found.wrong)
    assert odd.low is not None
    assert odd.high is not None
    assert odd.low < 0.25 < odd.high


def test_errors_that_gather_along_the_task_are_said_and_planned_for() -> None:
    """Where the last quarter of a task errs much oftener, the estimate says where, and k is that of the stretch."""

    def tired(request: Request) -> str:
        return str(request.state + (request.address.step < 900 or request.seed % 6 != 0))

    found = maker.estimate_sync(Known(1200), model=ScriptedModel(tired), steps=300)
    assert found.drift is not None
    assert (850 < found.drift[0] < 950, found.drift[1] > 1170) == (True, True)
    assert f"Steps {found.drift[0]:,} to {found.drift[1]:,} err more than the others, beyond chance" in found.reason
    assert found.k is not None
    assert found.k >= theory.k_min(5 / 6, 1200, 0.95)


def test_every_default_estimate_leaves_room_for_the_steps_that_are_lost() -> None:
    """One step in 3,000 at p = .4, the rest at .9984, a million steps: 40 of 40 allow for the 333 that are lost."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = probed(np.where(rng.random(1000) < 1 / 3000, 0.6, 0.0016), rng)
        assert worst_case(found, 1_000_000, 4, own=False).lost_high >= 333


def test_k_is_planned_from_the_worst_kind() -> None:
    """A task whose kinds differ gets the k that a run of its worst kind alone would need."""

    def worse(request: Request) -> str:
        return str(request.state + (request.address.step % 2 == 0 or request.seed % 5 != 0))

    found = maker.estimate_sync(Known(2000), model=ScriptedModel(worse), steps=600)
    assert found.k is not None
    assert found.k >= theory.k_min(0.8, 2000, 0.95)
    assert "Steps of the kind odd err more than the others, beyond chance" in found.reason


def test_a_kind_below_one_half_is_named_with_its_wrong_replies() -> None:
    """One kind that is mostly wrong makes the run infeasible; its wrong replies stand beside what was right."""
    model = ScriptedModel(lambda r: str(r.state + (r.address.step % 2 == 0 or r.seed % 5 == 0)))
    found = maker.estimate_sync(Known(2000), model=model, steps=200)
    assert (found.feasible, found.k) == (False, None)
    assert "of the kind odd (p = 0." in found.reason
    assert list(found.kinds) == ["odd", "even"]
    slips = found.kinds["odd"].slips
    assert len(slips) == 3
    assert all(int(slip.right) == int(slip.reply) + 1 for slip in slips)
    told = found.as_json()["kinds"]
    assert told["odd"]["p_high"] < 0.5 < told["even"]["p_low"]
    assert told["even"]["slips"] == []


def test_designs_are_named_where_the_one_that_was_measured_cannot_do_it() -> None:
    """What a task offers beside the design at hand is said only where that helps."""
    task = maker.load_task("addition", x=10**40, y=3)
    assert "designs of its steps: lines, questions" in maker.estimate_sync(task, model="oracle:p=0.3", steps=60).reason
    assert "designs" not in maker.estimate_sync(task, model="oracle:p=0.99", steps=60).reason


def test_a_map_in_batches_is_estimated_at_half_the_price() -> None:
    """The draws of the estimate are the same and cost what they cost; the map counts half, and no seconds."""
    model = ScriptedModel(lambda request: Sample("yes", 10, 2))
    model.prices = Prices(input=2.0, output=8.0)

    def estimated(**how: bool) -> maker.Estimate:
        return maker.estimate_map_sync("{item}?", range(40), answers=["yes"] * 40, model=model, steps=40, **how)

    plainly, found = estimated(), estimated(batch=True)
    assert plainly.cost is not None and found.cost == plainly.cost.times(0.5)
    assert (found.seconds, found.draws) == (None, plainly.draws)


def test_tokens_money_and_time_are_projected() -> None:
    """Tokens follow from samples and their means, money from prices; without prices it is not known."""
    model = Oracle(p=0.95)
    found = maker.estimate_sync(hanoi(), model=model, steps=100)
    assert found.cost is None
    model.prices = maker.load_model("http://127.0.0.1:9/v1#m", prices={"input": 2.0, "output": 8.0}).prices  # type: ignore[attr-defined]
    paid = maker.estimate_sync(hanoi(), model=model, steps=100)
    assert paid.samples is not None
    assert paid.tokens_in is not None
    assert paid.tokens_out is not None
    assert paid.tokens is not None
    assert paid.cost is not None
    assert paid.seconds is not None
    assert paid.tokens.value == pytest.approx(paid.samples.value * (paid.tokens_in.value + paid.tokens_out.value))
    dollars = paid.samples.value * (2 * paid.tokens_in.value + 8 * paid.tokens_out.value) / 1e6
    assert paid.cost.value == pytest.approx(dollars)
    assert 0 < paid.seconds.low <= paid.seconds.value <= paid.seconds.high


def test_a_sequential_task_waits_for_every_wave() -> None:
    """Without a plan the time is steps times waves times latency, whatever ran side by side here."""
    model = ScriptedModel(lambda r: Sample(noisy(r), 10, 2, latency=0.5))
    found = maker.estimate_sync(Known(2000), model=model, steps=200)
    assert found.k is not None
    assert found.seconds is not None
    assert found.seconds.value == pytest.approx(2000 * 0.5 * theory.expected_waves(found.p, found.k))


def test_flags_are_measured_where_their_texts_can_be_read() -> None:
    """Over-long replies hold the rival's answer in the simulated model, and the estimate says so."""
    found = maker.estimate_sync(hanoi(), model="oracle:p=0.99,v=0.95,confusion=0.05", steps=300)
    effect = found.flags["over_long"]
    assert effect.pays
    assert effect.dropped.n == effect.dropped.wrong > 10
    assert found.flags["malformed"].pays is None
    assert found.lengths.cap is not None
    assert found.v == pytest.approx(0.9, abs=0.05)


# ---- without a truth


@pytest.mark.parametrize("task", [Adding(150), Adding(40), Planned(2000), Adding(150, known=False)])
def test_agreement_is_said_to_hide_lost_steps(task: Adding) -> None:
    """Without a truth samples are graded by votes, and the estimate says what that hides."""
    found = maker.estimate_sync(task, model=ScriptedModel(noisy), steps=100)
    assert (found.against, found.n) == ("agreement", 100)
    assert found.p_low < 0.875 < found.p_high
    assert "agreement" in found.reason


def test_agreement_cannot_see_a_lost_step() -> None:
    """A step that is always wrong in the same way looks right: the known limit of agreement."""
    found = maker.estimate_sync(
        Adding(100), model=ScriptedModel(lambda r: str(r.state + (r.address.step != 7))), steps=100
    )
    assert found.wrong == 0
    assert found.lost == []


def test_a_slow_model_is_drawn_on_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten replies show the pace; then a batch is what fifteen seconds take, ten draws at least and 128 at most."""
    now = [0.0]
    monkeypatch.setattr("maker.engine.probe.time.monotonic", lambda: now[0])

    def slow(request: Request) -> str:
        now[0] += 0.5
        return str(request.state + 1)

    seen: list[int] = []
    model = ScriptedModel(slow, lockstep=False)
    model.simulated = False
    maker.estimate_sync(Known(2000), model=model, steps=40, progress=lambda count, _: seen.append(count))
    assert seen == [5, 20, 35, 40]  # 10 draws, then 30 each
    fast: list[int] = []
    maker.estimate_sync(Known(2000), model=Oracle(p=1.0), steps=100, progress=lambda count, _: fast.append(count))
    assert fast == [64, 100]  # a simulated one has no pace


# ---- of a map


def doubling(request: Request) -> str:
    """Double the number asked about: each 20th item never rightly, the others wrongly in a tenth of the draws."""
    item = int(str(request.prompt).split()[-1])
    return str(2 * item + (request.seed % 10 == 0) if item % 20 else 2 * item + 1)


NUMBERS = list(range(200))
DOUBLES = [2 * item for item in NUMBERS]


def of_map(model: Any, **settings: Any) -> maker.Estimate:
    """Estimate a map that doubles 200 numbers."""
    return maker.estimate_map_sync("double {item}", NUMBERS, model=model, **{"answer": int, **settings})


def test_items_of_a_map_are_drawn_at_random() -> None:
    """A tenth of the items, 30 at least; each is asked what the map would ask, and planned for are all."""
    model = ScriptedModel(doubling)
    found = of_map(model, answers=DOUBLES)
    first = Counter((r.address.step, r.prompt) for r in model.requests if r.address.run == "estimate")
    assert len(first) == 30
    assert set(first.values()) == {2}
    assert all(prompt == f"double {step}" for step, prompt in first)
    assert (found.task, found.steps, found.n, found.against) == ("map", 200, 30, "truth")
    more = maker.estimate_map_sync("double {item}", range(1000), model=model, answer=int, total_steps=10**6)
    assert (more.n, more.steps) == (100, 10**6)


def test_agreement_cannot_see_a_systematic_error_of_a_map_and_given_answers_can() -> None:
    """Items that are always wrong alike look right by agreement, which is said; against the answers they are lost."""
    by_votes = of_map(ScriptedModel(doubling), steps=100)
    assert (by_votes.against, by_votes.lost, by_votes.feasible) == ("agreement", [], True)
    assert by_votes.p_low < 0.9 < by_votes.p_high
    assert "what most samples of a step get wrong alike stays hidden" in by_votes.reason
    found = of_map(ScriptedModel(doubling), steps=100, answers=DOUBLES)
    assert (found.against, found.feasible) == ("truth", False)
    assert found.lost
    assert all(item % 20 == 0 for item in found.lost)


def test_answers_are_compared_as_votes_are() -> None:
    """What has one vote is one answer: by the key, by the type, by text without blanks; options by their text."""

    def shouting(request: Request) -> str:
        return ("Yes ", "YES", "yes")[request.seed % 3]

    def wrong(answers: list[Any], **reading: Any) -> int:
        ask = {"model": ScriptedModel(shouting), "steps": 60, "repeats": 1, "flags": []}
        return maker.estimate_map_sync("{item}", range(60), answers=answers, **ask, **reading).wrong

    assert wrong(["yEs"] * 60, key=str.casefold) == 0
    assert wrong(["yes\n"] * 60) > 0
    assert wrong(["Yes"] * 60, parse=str.capitalize, key=str.strip) == 0
    assert wrong(["no"] * 60, key=str.casefold) == 60
    assert of_map(ScriptedModel(lambda r: str(2 * r.state)), answers=[str(right) for right in DOUBLES]).wrong == 0


def test_given_answers_reach_neither_flags_nor_votes() -> None:
    """A flag sees the position of an item, and neither the task nor its answers; the draws are the same without."""
    seen: set[tuple[str, ...]] = set()

    def looking(sample: Sample, step: maker.Step, earlier: Any) -> None:
        seen.add((type(step.state).__name__, *(name for name in dir(step.rules) if name[0] != "_")))

    given, blind = ScriptedModel(doubling), ScriptedModel(doubling)
    of_map(given, answers=DOUBLES, flags=[looking])
    of_map(blind, answers=[1] * 200, flags=[looking])
    assert seen == {("int", "agrees", "apply", "legal", "of", "parse")}
    drawn = [[r.seed for r in model.requests if r.address.run == "estimate"] for model in (given, blind)]
    assert drawn[0] == drawn[1]


def test_a_vote_is_a_map_of_one_item() -> None:
    """One question is drawn on 30 times, by agreement after one vote, and no address or seed comes twice."""
    for answers in (None, [7]):
        model = ScriptedModel(lambda r: str(7 + (r.seed % 10 == 0)))
        found = maker.estimate_map_sync(lambda item: item, ["Which?"], model=model, answer=int, answers=answers)
        assert (found.steps, found.n, found.feasible) == (1, 30, True)
        assert {r.prompt for r in model.requests} == {"Which?"}
        assert len({r.seed for r in model.requests}) == len(model.requests) == found.draws <= 30 * 2 + 20


def test_an_item_that_stays_undecided_is_one_that_errs() -> None:
    """One coin among the items is no failure of the estimate; without any vote it is one."""

    def tied(request: Request) -> str:
        return str(request.address.draw % 2) if request.state == 3 else "0"

    model = ScriptedModel(tied)
    found = maker.estimate_map_sync("{item}", range(40), model=model, answer=int, steps=40)
    assert (found.n, found.wrong) == (40, 0)
    assert [r.state for r in model.requests].count(3) > 100
    with pytest.raises(Infeasible, match="step 0 is undecided"):
        maker.estimate_map_sync("{item}", range(40), model=ScriptedModel(lambda r: "none"), answer=int)


def test_an_estimate_of_a_map_shows_how_far_it_is() -> None:
    """Items seen, of how many are wanted, by agreement too."""
    for answers in (None, DOUBLES):
        told: list[tuple[int, int]] = []
        of_map(ScriptedModel(doubling), answers=answers, steps=60, progress=lambda *at, to=told: to.append(at))
        assert told[-1] == (60, 60)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"answers": [1]}, "answers: give a list of the right answers, one an item: 200. 1 are given"),
        ({"answers": "yes"}, "answers: give a list"), ({"answers": 7}, "answers: give a list"),
        ({"answers": ["x"] * 200}, "answers[0] = 'x' is none that a reply could give"),
        ({"answers": [float("nan")] * 200, "answer": None, "parse": float}, "answers[0] = nan is none"),
        ({"answers": ["maybe"] * 200, "answer": Literal["yes", "no"]}, "'maybe' is none that a reply could give"),
        ({"answers": [5] * 200, "answer": str}, "answers[0] = 5 is none"),
        ({"answers": [5] * 200, "key": lambda value: 1 / 0}, "key= of 5 raised ZeroDivisionError"),
        ({"steps": 7}, "steps = 7"), ({"temprature": 1.0}, "Did you mean temperature?"),
    ],
)  # fmt: skip
def test_bad_answers_are_said(settings: dict[str, Any], said: str) -> None:
    """What no reply can be read as is refused before anything is drawn, with its place."""
    model = ScriptedModel(doubling)
    with pytest.raises(TaskError) as refused:
        of_map(model, **settings)
    assert said in str(refused.value)
    assert model.requests == []


def test_no_items_are_nothing_to_estimate() -> None:
    """An empty map takes nothing and says nothing of a model."""
    with pytest.raises(TaskError, match="items is empty"):
        maker.estimate_map_sync("{item}", [], model=ScriptedModel(doubling))


# ---- what cannot be estimated


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 29}, "steps = 29: give a whole number, 30 or more: fewer say nothing about p"),
        ({"steps": 1.5}, "steps = 1.5"), ({"repeats": 0}, "repeats = 0"), ({"total_steps": 0}, "total_steps = 0"),
        ({"target": 1.0}, "target"), ({"flags": "none"}, "flags"), ({"limits": {"max_cost": 1.0}}, "max_cost"),
    ],
)  # fmt: skip
def test_bad_input_is_said(settings: dict[str, Any], said: str) -> None:
    """What cannot be is refused before anything is drawn, naming the setting."""
    model = ScriptedModel(noisy)
    with pytest.raises(TaskError, match=said.split("=", maxsplit=1)[0]) as refused:
        maker.estimate_sync(Known(2000), model=model, **settings)
    assert said in str(refused.value)
    assert model.requests == []


def test_a_model_that_cannot_be_read_is_not_estimated() -> None:
    """Where hardly a sample can vote no figures are given."""
    with pytest.raises(Infeasible, match=r"only \d+ of 100 samples could vote.*example truncated: '.*'; ") as refused:
        maker.estimate_sync(hanoi(), model="oracle:p=1,v=0.05", steps=100)
    assert "\n" not in str(refused.value)


def test_a_limit_leaves_what_was_seen_or_nothing() -> None:
    """A limit met after 30 steps gives an estimate that names it; before, an error that says how many are needed."""
    found = maker.estimate_sync(Known(2000), model=ScriptedModel(noisy), steps=1000, limits={"max_calls": 300})
    assert found.stopped == "max_calls"
    assert found.n == 128
    assert "stopped early by max_calls" in found.reason
    with pytest.raises(TaskError, match=r"0 steps were seen, 30 are needed.*max_calls"):
        maker.estimate_sync(Known(2000), model=ScriptedModel(noisy), limits={"max_calls": 50})


def test_a_model_that_is_lost_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that stops answering at once gives no estimate, and its failures are no wrong answers."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    dead = ScriptedModel(lambda r: Failure("transient", "connection refused"))
    with pytest.raises(ModelError, match=r"30 are needed.*connection refused"):
        maker.estimate_sync(Known(2000), model=dead)
    dying = ScriptedModel(lambda r: noisy(r) if len(dying.requests) < 400 else Failure("transient", "gone"))
    found = maker.estimate_sync(Known(2000), model=dying)
    assert found.stopped == "model_lost"
    assert found.p_low < 0.875 < found.p_high


def test_votes_that_do_not_converge_are_said() -> None:
    """Without a truth, a step that stays undecided ends the estimate with its number."""
    with pytest.raises(Infeasible, match="step 0 is undecided"):
        maker.estimate_sync(Adding(2000), model=ScriptedModel(lambda r: str(r.address.draw % 2)), steps=30)


def test_a_server_that_is_down_is_an_unusable_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: a model error, exit code 5, no figures."""
    monkeypatch.setattr("maker.models.openai.client.GRACE", 0.0)
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    with pytest.raises(ModelError) as refused:
        maker.estimate_sync(Known(2000), model="http://127.0.0.1:9/v1#none", steps=30)
    assert refused.value.exit_code == 5


# ---- over HTTP


def test_a_server_is_asked_as_often_as_it_is_billed_for() -> None:
    """Over HTTP the estimate reads the server's token counts, and every request is one of its draws."""

    def answer(received: Received) -> str:
        state = int(received.prompt.split(" ")[0])
        return str(state + (received.number % 10 != 0))

    async def ask() -> tuple[maker.Estimate, int]:
        async with FaultServer(answer) as server:
            model = maker.load_model(server.spec(), prices={"input": 1.0, "output": 2.0})
            found = await maker.estimate(Known(500), model=model, steps=60, limits={"concurrency": 4})
            await model.aclose()  # type: ignore[attr-defined]
            return found, len(server.requests)

    found, requests = asyncio.run(ask())
    assert found.draws == requests
    assert 0.7 < found.p < 1
    assert found.cost is not None
    assert found.cost.value > 0
    assert found.simulated is False


def test_an_estimate_is_pickled_whole() -> None:
    """A pickled estimate equals itself."""
    found = maker.estimate_sync("hanoi", model="oracle:p=0.9")
    assert pickle.loads(pickle.dumps(found)) == found


def test_an_estimate_is_short_in_a_notebook() -> None:
    """The repr is one line, the table has the figures, and what comes from the task is escaped."""
    found = maker.estimate_sync(Known(300), model=ScriptedModel(noisy), steps=100)
    assert repr(found).startswith(f"<Estimate {found.verdict}: 300 steps, p = 0.") and len(repr(found)) < 150
    evil = replace(found, task="<b>", reason="<script>")._repr_html_()
    assert "&lt;b&gt;" in evil and "&lt;script&gt;" in evil and "<b>" not in evil and "<script" not in evil
    assert "<th>p</th>" in evil and f"<th>k</th><td>{'' if found.k is None else found.k}</td>" in evil


def test_a_pool_is_told_model_by_model() -> None:
    """Each by as many draws as one model alone would get, and each has the first draw of as many steps as any other."""
    good, bad = "oracle:p=0.99,v=0.99", "oracle:p=0.7,v=0.8"
    found = maker.estimate_sync("hanoi", model=[good, bad], steps=300, repeats=2)
    first, second = found.models.values()
    assert (first.asked, second.asked) == (300, 300)
    assert first.p_low > 0.95
    assert second.p_high < 0.78
    assert (first.v_low > 0.95, second.v_high < 0.9) == (True, True)
    assert second.pairs > 100  # two draws of each: its own rho is known
    assert found.p == pytest.approx((first.p + second.p) / 2, abs=0.05)
    (pair,) = found.together
    assert 0 <= pair.both <= pair.one_wrong <= 15 < pair.other_wrong
    said = found.as_json()
    assert list(said["models"]) == list(found.models)
    assert said["together"][0]["n"] == pair.n
    assert found.weights is not None
    assert (found.weights.votes[0] > found.weights.votes[1], found.weights.why) == (True, "")
    assert said["weights"]["votes"] == found.weights.votes
    assert not {"models", "weights"} & set(maker.estimate_sync("hanoi", model=good, steps=30).as_json())


@pytest.mark.parametrize("repeats", [1, 3])
def test_models_that_never_agree_are_no_impossible_pool(repeats: int) -> None:
    """One of three is always wrong: a third of all draws, and a ninth of all pairs."""
    models = [lambda _: "yes", lambda _: "yes", lambda _: "no"]
    asked = list(range(200))
    found = maker.estimate_map_sync(
        "Is {item} so?", asked, model=models, answers=["yes"] * len(asked), repeats=repeats, steps=200
    )
    assert found.p_low < 2 / 3 < found.p_high
    assert [round(of.p) for of in found.models.values()] == [1, 1, 0]
    assert [pair.both for pair in found.together] == [0, 0, 0]
    assert found.weights is not None
    assert "Leave the model out of the pool" in found.weights.why
