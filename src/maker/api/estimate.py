"""What a full run would need, and whether voting can do it, before paying for it.

`estimate` draws on random steps of a task (`engine/probe.py`), sums up what was seen (`theory/evidence.py`), and plans
(`theory/planner.py`). Every figure has its interval and its n; what the sample cannot show is said in `reason`.

Not covered: going on. An estimate that a limit stopped says what it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Unpack

from maker.api.answers import reader_of
from maker.api.drawing.looks import MOST, SHARE, Goal, Looks, draw, probing
from maker.api.map import Asker, Item, Items, Rewording, truth_of
from maker.api.opened import Asking, task_for
from maker.api.sync import twin
from maker.decision.ending import Stop
from maker.decision.pool import in_force
from maker.decision.sample import AnyModel
from maker.decision.telling.rows import html_of
from maker.engine.calibrate import graded
from maker.engine.probe import Pace, Probe
from maker.errors import Infeasible, ModelError, TaskError
from maker.task.task import Task, task_name
from maker.theory.evidence import Evidence
from maker.theory.findings import Entropy, FlagEffect, Lengths, entropy, flag_effects, lengths
from maker.theory.needs import Needs, plain
from maker.theory.planner import ENOUGH, Amount, Projection, unseen
from maker.theory.settling import Settling
from maker.theory.together import Together, as_json, by_model, together
from maker.theory.uneven.drift import stretch
from maker.theory.uneven.kinds import Kind, dropped, judged, kinds, short
from maker.theory.uneven.parts import planned
from maker.theory.votes.weights import Weighing, weighing
from maker.theory.worst import WorstCase

_AMOUNTS = {"success", *Needs.__slots__}  # fields of an Estimate that have a value and two ends


@dataclass(frozen=True)
class Estimate:
    """What was seen, what it means for a run, and what stays open.

    p, v: P(right | valid) and P(valid), one draw a step, exact 95% intervals;
    p_plan: the one-sided lower bound that k is planned for; rho: correlation of errors
    within steps, 95% by likelihood. n: steps with a valid first draw, of which `wrong` were wrong; collisions of
    `pairs`: both of two draws wrong. k, samples, feasible, proven, reason: see `Projection`. success: its value, low
    and high; no bare number, for its value alone promises nothing.
    worst_case: what holds whatever the shape of difficulty, see `WorstCase`.
    tokens: of the whole run, in and out; cost: US dollars (None without prices); seconds: at this
    estimate's pace and concurrency. tokens_in, tokens_out: of one reply. lost: steps shown to be lost.
    settling: the draws that would settle what is open; None where nothing is, or no draws would.
    drift: first and last step of the stretch where errors gather beyond chance, None where they may be spread evenly.
    kinds: see `theory/uneven/kinds.py`; flags, lengths, entropy: see `theory/findings.py`. against: "truth" or
    "agreement". draws: all replies judged. stopped: the limit that ended it early. models, together: of a pool's;
    weights: what its votes could weigh, None where there is no pool.
    """

    task: str
    model: str
    simulated: bool
    steps: int
    target: float
    against: str
    n: int
    wrong: int
    draws: int
    p: float
    p_low: float
    p_high: float
    p_plan: float
    v: float
    v_low: float
    v_high: float
    rho: float
    rho_low: float
    rho_high: float
    pairs: int
    collisions: int
    lost: list[int]
    k: int | None
    by: str
    samples: Amount | None
    success: Amount
    worst_case: WorstCase
    tokens_in: Amount | None
    tokens_out: Amount | None
    tokens: Amount | None
    cost: Amount | None
    seconds: Amount | None
    feasible: bool
    proven: bool
    reason: str
    settling: Settling | None
    drift: tuple[int, int] | None
    kinds: dict[str, Kind]
    flags: dict[str, FlagEffect]
    lengths: Lengths
    entropy: Entropy | None
    stopped: str | None
    models: dict[str, Evidence]
    together: list[Together]
    weights: Weighing | None

    @property
    def verdict(self) -> str:
        """What is known of the whole run: "feasible" (shown), "feasible unless errors cluster" (open), "infeasible"."""
        return {0: "feasible", 3: "feasible unless errors cluster", 2: "infeasible"}[self.exit_code]

    @property
    def exit_code(self) -> int:
        """What the command line leaves with: 0 when it is shown that voting can do it, 3 when open, 2 when not."""
        if not self.feasible:
            return 2
        return 0 if self.proven else 3

    def __repr__(self) -> str:
        cost = f", about ${self.cost.value:,.2g}" if self.cost else ""
        needs = f", k = {self.k}, about {self.samples.value:,.0f} samples{cost}" if self.samples else ""
        return f"<Estimate {self.verdict}: {self.steps:,} steps, p = {self.p:.3f}, v = {self.v:.3f}{needs}>"

    def _repr_html_(self) -> str:
        amounts = {name: getattr(self, name) for name in ("samples", "tokens", "cost", "seconds")}
        rows = [("k", self.k), *((name, f"{getattr(self, name):.4f}") for name in ("p", "v", "rho"))]
        rows += [(name, f"{of.value:,.6g} ({of.low:,.6g} to {of.high:,.6g})") for name, of in amounts.items() if of]
        return html_of(f"{self.verdict}, {self.steps:,} steps of {self.task}", [*rows, ("why", self.reason)])

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker estimate --json` prints: amounts as value, ..._low and ..._high."""
        said: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _AMOUNTS:
                for end in ("value", "low", "high"):
                    name = field.name if end == "value" else f"{field.name}_{end}"
                    said[name] = None if value is None else plain(getattr(value, end))
            else:
                said[field.name] = value
        said |= as_json(said.pop("models"), said.pop("together"))
        if (weights := said.pop("weights")) is not None:
            said["weights"] = asdict(weights)
        said["kinds"] = {name: kind.as_json() for name, kind in self.kinds.items()}
        said["flags"] = {
            name: {"count": effect.count, "share": effect.share, "pays": effect.pays, **effect.dropped.as_json()}
            for name, effect in self.flags.items()
        }
        said["lengths"] = [{"from": low, "to": high, **rate.as_json()} for low, high, rate in self.lengths.bins]
        said["token_cap"] = self.lengths.cap
        said["entropy"] = self.entropy and {**asdict(self.entropy), "answers": self.entropy.answers}
        said["settling"] = self.settling and asdict(self.settling)
        said |= {"worst_case": asdict(self.worst_case), "verdict": self.verdict, "exit_code": self.exit_code}
        return said


async def estimate(
    task: Task | str,
    *,
    model: AnyModel,
    steps: int | None = None,
    repeats: int = 2,
    target: float = 0.95,
    worst_case: bool = False,
    paraphrases: bool = False,
    paraphrase: bool = False,
    total_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    pace: Callable[[Pace], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    journal: str | Path | None = None,
    **asking: Unpack[Asking],
) -> Estimate:
    """Draw on random steps of a task and say what a run of all its steps would need.

    task, model, paraphrases, asking: as for `run`. steps: how many random steps to draw on, 30 or more; where it is not
    given, as many as make all draws a tenth of those that the planned run takes, 30 at least and 1,000 at most (without
    a truth: a tenth of its steps). repeats: draws on each, by each model of a pool (then 2 at least), none at another
    temperature for being the first. Up to 100 steps that erred get 20 to 100 draws more. target: wanted P(whole run
    right); worst_case: reached whatever the shape of difficulty: no k is planned where that is not promised.
    total_steps: plan for a run of so many steps instead of the task's own (needed where the task cannot say). progress:
    called with steps seen, of how many so far wanted; pace: with what a reply takes. interrupted: asked before each
    batch; True ends the drawing. journal: a new file, for a run with the same settings and k "auto", which goes on
    with it: it takes the k found here, and what was paid for at its steps counts there as its first votes.

    Returns an Estimate; that voting cannot do it is in its `feasible`. Raises TaskError for bad input, ModelError
    for a model that cannot be used or is lost, Infeasible where hardly a sample can vote. A limit met
    early ends the drawing (`stopped`); with fewer than 30 steps seen it is a TaskError.
    """
    return await _estimated(
        estimate, task_for(task, model) if isinstance(task, str) else task, model, asking, steps, repeats, target,
        total_steps, worst_case=worst_case, paraphrase=paraphrases or paraphrase, progress=progress, pace=pace,
        interrupted=interrupted, journal=journal,
    )  # fmt: skip


estimate_sync = twin(estimate)


async def estimate_map(
    prompt: Asker[Item],
    items: Sequence[Item],
    *,
    model: AnyModel,
    answers: Sequence[Any] | None = None,
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    key: Callable[[Any], Any] | None = None,
    paraphrases: Rewording[Item] = None,
    steps: int | None = None,
    repeats: int = 2,
    target: float = 0.95,
    worst_case: bool = False,
    total_steps: int | None = None,
    batch: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **asking: Unpack[Asking],
) -> Estimate:
    """Draw on random items of a `maker.map` and say what the whole map would need; a step of it is an item.

    For a `maker.vote`: `estimate_map(lambda item: item, [prompt], ...)`, a map of one item.

    prompt, items, parse, answer, key, paraphrases, asking: as for `map`. answers: the right answer of each item, as
    `map` would give it; equal ones are those that have one vote, so `key` counts here, too. Replies are graded by
    them and voted on without them. None: replies are graded by agreement, which takes what most replies to an item
    get wrong alike for right. With answers to some items only, give these items, and total_steps for all.
    steps: how many random items to draw on; a tenth of all where it is not given, 30 at least and 1,000 at most. Where
    there are fewer items, they are gone round again and again. repeats, target, worst_case, total_steps, progress:
    as for `estimate`. batch: the map will be asked in batches, which cost half, and how long those take nobody knows;
    the draws of the estimate itself are ordinary calls.

    Returns and raises as `estimate` does; an item that stays undecided is one that errs, and no failure.
    """
    reader = reader_of("estimate_map", parse, answer, key)
    task = Items.of(prompt, items, reader, paraphrases)
    if not len(items):
        raise TaskError("estimate_map: items is empty: there is nothing to draw on")
    if answers is not None:
        task.truth = truth_of(answers, len(items), reader)  # type: ignore[attr-defined]  # only where it is known
    if steps is None:
        steps = min(max(ENOUGH, len(items) // SHARE), MOST)
    return await _estimated(
        estimate_map, task, model, asking, steps, repeats, target, total_steps, worst_case=worst_case,
        progress=progress, paraphrase=paraphrases is not None, batch=batch,
    )  # fmt: skip


estimate_map_sync = twin(estimate_map)


async def _estimated(
    caller: Callable[..., Any], task: Task, model: AnyModel, asking: Asking, steps: int | None, repeats: int,
    target: float, total_steps: int | None, *, worst_case: bool, paraphrase: bool, batch: bool = False, **showing: Any,
) -> Estimate:  # fmt: skip
    """Draw on a task and sum up; the arguments are those of `estimate`, and so is what it raises."""
    check_counts("estimate", steps, repeats, total_steps)
    goal = Goal.of(task, total_steps, target, worst_case=worst_case, batch=batch)
    async with probing(caller, task, model, asking, goal, paraphrase=paraphrase, **showing) as (probe, _):
        return summed(probe, goal, await _draw(probe, goal, steps, repeats))


def check_counts(caller: str, steps: int | None, repeats: int, total_steps: int | None) -> None:
    """Raise TaskError for counts that no estimate can be made of."""
    for name, value, least in (("steps", steps, ENOUGH), ("repeats", repeats, 1), ("total_steps", total_steps, 1)):
        if value is None and name != "repeats":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            why = ": fewer say nothing about p" if name == "steps" else ""
            raise TaskError(f"{caller}: {name} = {value!r}: give a whole number, {least} or more{why}")


async def _draw(probe: Probe, goal: Goal, steps: int | None, repeats: int) -> str | None:
    """Draw; return the name of the limit that stopped it early. Raises where too little was seen for an estimate."""
    try:
        await draw([Looks(probe, goal, steps, repeats)])
    except Stop as stop:
        if stop.kind == "undecided":
            raise Infeasible(f"estimate: {stop}") from None
        if len(probe.seen) < ENOUGH:
            kind = ModelError if stop.kind == "model_lost" else TaskError
            raise kind(f"estimate: {too_few(probe)} {stop}") from None
        return stop.kind
    return None


def too_few(probe: Probe) -> str:
    """Say that an estimate was stopped too early, and what is known all the same."""
    found = probe.evidence
    known = f" So far {found.wrong} of {found.n} that could vote were wrong, one a step." if found.n else ""
    return f"{len(probe.seen)} steps were seen, {ENOUGH} are needed.{known}"


def summed(probe: Probe, goal: Goal, stopped: str | None) -> Estimate:
    """Make the Estimate of what a probe has seen. Raises Infeasible where hardly a sample can vote."""
    task, seen, found, traits = probe.task, probe.seen, probe.evidence, probe.dispatcher.traits
    by_kind = kinds(seen)
    plan = judged(_planned(probe, goal), by_kind)
    if probe.against == "agreement":
        plan = unseen(plan, worst=goal.worst_case)
    replies = probe.replies
    needs = Needs.of(
        plan, found, [reply.tokens_in for reply in replies], [reply.tokens_out for reply in replies],
        [reply.latency for reply in replies], probe.dispatcher.prices, probe.pace, parallel=hasattr(task, "plan"),
    )  # fmt: skip
    if goal.batch:
        needs = needs.in_batches()
    notes = [plan.reason]
    if probe.against == "agreement":
        notes.append("Graded by agreement with votes: what most samples of a step get wrong alike stays hidden.")
    if not goal.known:
        notes.append(f"How long the task is nobody says: planned for {goal.steps:,} steps (total_steps).")
    if not plan.feasible and hasattr(task, "designs"):
        notes.append(f"The task has these designs of its steps: {', '.join(task.designs)}. Compare them.")
    if stopped:
        notes.append(f"The drawing was stopped early by {stopped}.")
    turns = [turn.name for turn in traits.turns]
    by = weighing(plan.k, graded(probe), turns, in_force(probe.config.weights)) if turns else None
    if by and by.k and probe.config.weights:
        notes.append(f"k counts equal votes; a run whose votes weigh {', '.join(map(str, by.votes))} takes {by.k}.")
    names = [field.name for field in fields(Estimate)]
    told = {name: getattr(part, name) for part in (found, plan, needs) for name in names if hasattr(part, name)}
    told["success"] = Amount(plan.success, plan.success_low, plan.success_high)
    told |= {"lost": [lost.step for lost in found.lost_steps], "reason": " ".join(notes)}
    return Estimate(
        task=task_name(task), model=traits.name, simulated=traits.simulated, against=probe.against, draws=len(replies),
        settling=_settling(probe, plan, needs), drift=stretch(seen), kinds=by_kind, flags=flag_effects(seen),
        lengths=lengths(seen), entropy=entropy(seen), stopped=stopped, models=by_model(seen, turns, probe.looks),
        together=together(seen, turns), weights=by, **told,
    )  # fmt: skip


def _settling(probe: Probe, plan: Projection, needs: Needs) -> Settling | None:
    """Return which further draws would show that voting can do it, where neither that nor the contrary is shown."""
    if plan.proven or not plan.feasible or plan.by != "majority" or probe.against == "agreement":
        return None
    told, written, prices = needs.tokens_in, needs.tokens_out, probe.dispatcher.prices
    each = (told.value * prices.input + written.value * prices.output) / 1e6 if prices and told and written else None
    return Settling.of(probe.evidence, plan.steps, plan.target, plan.k or 1, each=each, pace=probe.pace)


def _planned(probe: Probe, goal: Goal) -> Projection:
    """Plan the run. Raises Infeasible where hardly a sample can vote, with some of those that a flag threw away."""
    try:
        return planned(probe.evidence, probe.parts, goal.steps, goal.target, own=goal.own, worst=goal.worst_case)
    except Infeasible as error:
        thrown = "; ".join(f"{draw.flag}: {short(draw.text)!r}" for draw in dropped(probe.seen))
        raise Infeasible(f"{error} Replies without a vote, for example {thrown}." if thrown else str(error)) from None
