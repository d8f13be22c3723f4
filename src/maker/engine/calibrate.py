"""k = "auto" and k = "table": a calibration before the first step, and the plan that stands on it.

Draws once on each of 300 random steps, again on up to 20 of those that erred, and lets `theory/planner.py` choose the
smallest k with which the whole run reaches its target, the worst kind of step, or stretch of the task, planned
by itself where it differs beyond chance (`theory/uneven/parts.py`). Where that leaves it open whether any k can (errors
seem to cluster, but too few were seen to be sure), it draws on 300 more steps, up to 1,200. For the worst case it
draws twice on each of 1,200 at once.

A table of margins (`theory/margins.py`) is planned from the same draws, where "auto" finds that some k would do. So are
the weights of a pool (`theory/votes/weights.py`), for which every model is drawn at each of the steps.

Samples are graded as `probe.py` says; without a truth it votes on the first 100 steps.

Not covered: what a few hundred steps cannot show. `maker estimate` says how much that is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from maker.decision.config import Config
from maker.decision.flags import Flag
from maker.decision.step import Rules
from maker.engine.probe import AGAIN, AGREEMENT_K, ROUNDS, Probe
from maker.errors import Infeasible, TaskError
from maker.journal.notes import UNKNOWN_STEPS, Calibration
from maker.log import log
from maker.sending.dispatcher import Dispatcher
from maker.task.task import Task, guarded
from maker.theory.evidence import Evidence
from maker.theory.margins import coin_share, margins
from maker.theory.planner import AGREED, ENOUGH, project
from maker.theory.together import by_model
from maker.theory.uneven.parts import Part, planned
from maker.theory.votes.mixture import Steps
from maker.theory.votes.weights import calibrated, margin_for

DRAWS = 300  # steps drawn on at first, and the draws that a calibration has at least
MOST_DRAWS = 1200  # steps, where it stays open whether any k can do
AGREEMENT_STEPS = 100  # steps voted on where there is no truth, 5 draws or more each
MOST_AGAIN = 20  # erring steps that are drawn again

CALIBRATION_EPOCH = 2**32  # its seeds never meet those of the run


def announced(task: Task, k: int | str = "auto", *, worst_case: bool = False) -> str:
    """Return what a calibration will draw, and what k relies on, on one line: said before it is paid for.

    k: "auto" or "table".
    """
    shape = "difficulty that is spread smoothly (Beta), not on the worst case: `maker estimate` says both."
    if worst_case:
        what, shape = f"{MOST_DRAWS:,} random steps are drawn on twice", "what holds whatever the shape of difficulty."
    elif hasattr(task, "truth"):
        what = f"{DRAWS} random steps are drawn on once (up to {MOST_DRAWS:,} while it stays open whether any k can do)"
    else:
        what = f"{AGREEMENT_STEPS} steps are voted on, {AGREEMENT_K} draws or more each"
    return (f"k = {k}: a calibration comes first: {what}, then up to {MOST_AGAIN} of those that erred "
            f"{AGAIN} to {AGAIN * ROUNDS} times more. A number for k does without. k relies on {shape}")  # fmt: skip


async def calibrate(
    task: Task, dispatcher: Dispatcher, config: Config, flags: tuple[Flag, ...], rules: Rules
) -> Calibration:
    """Draw on steps of the run and say what was seen.

    Raises Stop at a limit of the run, ModelError, TaskError; Infeasible where no draws would do. The draws are
    booked in the dispatcher's usage.
    """
    if config.worst_case and config.k == "table":
        raise TaskError("calibration: a table of margins relies on difficulty that is spread smoothly. For the worst "
                        "case give k auto.")  # fmt: skip
    if config.worst_case and not hasattr(task, "truth"):
        raise Infeasible(f"calibration: {AGREED}")
    if not dispatcher.traits.lockstep:  # it costs something
        log.warning("run.calibration", draws=announced(task, config.k, worst_case=config.worst_case))
    usage = dispatcher.usage
    before = usage.voted, Counter(usage.flags)
    probe = Probe(task, dispatcher, config, flags, rules, name="calibration", epoch=CALIBRATION_EPOCH)
    steps = guarded(lambda: task.steps, None, "steps") or UNKNOWN_STEPS
    count = DRAWS if probe.against == "truth" else AGREEMENT_STEPS
    if config.worst_case:
        count = MOST_DRAWS
    turns = max(1, len(dispatcher.traits.turns))
    each = 2 * turns if config.worst_case else turns if config.weights else 1
    await probe.first(count, each)
    await probe.again(MOST_AGAIN)
    while probe.against == "truth" and count < min(MOST_DRAWS, steps) and _open(probe.evidence, steps, config.target):
        count += DRAWS
        await probe.first(count, turns if config.weights else 1)
        await probe.again(MOST_AGAIN)
    wrong = sum(sum(step.voted([*step.draws, *step.again])) for step in probe.seen)
    return seen_by(probe, usage.voted - before[0], wrong, usage.flags - before[1])


def seen_by(probe: Probe, valid: int, wrong: int, flags: Mapping[str, int]) -> Calibration:
    """Return what a probe has seen, as a calibration that chose nothing yet.

    valid, wrong, flags: of the draws that no step of the run will count.
    """
    found = probe.evidence
    apart: dict[str, Any] = {"worst" if part.kind else "drift": part.as_note() for part in probe.parts}
    return Calibration(
        draws=valid + sum(flags.values()), valid=valid, flags=dict(flags), against=probe.against, wrong=wrong,
        tokens_in=sum(reply.tokens_in or 0 for reply in probe.replies),
        tokens_out=sum(reply.tokens_out or 0 for reply in probe.replies),
        steps=found.n, erred=found.wrong, evidence=found.as_note(),
        table={"coins": coin_share(probe.seen, found.power)} if probe.config.k == "table" else {},
        weights={"models": graded(probe)} if probe.config.weights else {},
        **apart,
        **{name: getattr(found, name) for name in ("p", "p_plan", "rho", "rho_low", "rho_high")} if found.n else {},
    )  # fmt: skip


def graded(probe: Probe) -> dict[str, list[int]]:
    """Return of each model of a pool the valid draws, one a step, and how many of them were wrong."""
    turns = [turn.name for turn in probe.dispatcher.traits.turns]
    return {name: [found.n, found.wrong] for name, found in by_model(probe.seen, turns, probe.looks).items()}


def chosen(found: Calibration, steps: int | None, config: Config, turns: Sequence[str] = ()) -> Calibration:
    """Return a calibration with what it chooses for the whole run: k, or the table of margins, and weights.

    turns: the models of a pool, for its weights. Raises Infeasible when the evidence forbids voting, or no table or
    weights can be had.
    """
    steps, target = steps or UNKNOWN_STEPS, config.target
    whole, parts = Evidence(**found.evidence), [Part.of(note) for note in (found.worst, found.drift) if note]
    try:
        plan = planned(whole, parts, steps, target, worst=config.worst_case)
        if plan.k is None:
            raise Infeasible(f"{plan.reason} --k N runs all the same.")
        if config.weights:
            models = found.weights["models"]
            weights = calibrated(models, turns) if config.weights == "calibrated" else config.weights
            return replace(found, k=margin_for(plan.k, models, turns, weights),
                           weights=found.weights | {"votes": list(weights)})  # fmt: skip
        if config.k != "table":
            return replace(found, k=plan.k)
        table = margins(whole, [side for part in parts for side in (part.found, part.others)],
                        found.table["coins"], steps, target)  # fmt: skip
    except Infeasible as error:
        raise Infeasible(f"calibration: {error}") from None
    return replace(found, k=table.k, table=found.table | table.as_note())


def _open(evidence: Evidence, steps: int, target: float) -> bool:
    """Say whether the evidence leaves open if any k can reach the target: likely not, but not forbidden."""
    if evidence.n < ENOUGH or evidence.p_plan <= 0.5 or project(evidence, steps, target).k is None:
        return False
    return Steps(evidence.p, evidence.rho).k_for(steps, target) is None
