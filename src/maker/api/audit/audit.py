"""maker.audit: a random sample of a run's decisions put to a judge, and what follows for all of them.

The sample grows from look to look (`theory/acceptance.py`) until the bound that was asked for is shown or refuted; with
no bound there is one look, at its end. The same call goes on where an earlier one was stopped, with the same sample.

Not covered: the states that wrong decisions led to; each decision is judged in the state in which it was taken.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

from maker.api.answers import reader_of
from maker.api.audit.decisions import STRATA, Cell, Decision, Decisions
from maker.api.audit.judges import Check, Checker, Judge, Opinion, Questions, Voters
from maker.api.audit.known import Known
from maker.api.audit.maps import of_items, task_of_map
from maker.api.audit.result import CONFIDENCE, Acceptance, Corrected, Disputed, Part
from maker.api.audit.sheet import Sheet
from maker.api.map import Asker
from maker.api.opened import Asking, check_names
from maker.api.run import run
from maker.api.sync import twin
from maker.api.vote import check_k
from maker.decision.sample import AnyModel, Model, Traits
from maker.engine.result import Progress, RunResult
from maker.errors import JournalError, TaskError
from maker.journal.story import Story
from maker.journal.views.items import is_map
from maker.sending.budget.limits import make_limits
from maker.task.load import journaled_task
from maker.task.task import Task
from maker.theory.acceptance import Look, Stratum, allotted, bounds, enough, looks

SAMPLE = 300  # where neither a sample nor a bound is asked for


async def audit(
    journal: str | Path,
    *,
    by: AnyModel | Check | str,
    task: Task | None = None,
    sample: int | None = None,
    bound: float | None = None,
    k: int = 3,
    to: str | Path | None = None,
    known: str | Path | None = None,
    items: Sequence[Any] | None = None,
    prompt: Asker[Any] = "{item}",
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    key: Callable[[Any], Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    **asking: Unpack[Asking],
) -> Acceptance:
    """Have a random sample of the decisions of a run judged, and bound how many of all are wrong.

    by: the judge. A function (state, step, answer) -> bool is a checker; "truth" is the task's own; "csv" is a person,
    who fills the column `right` of a file; any other name, or an object with `draw`, is a model, which is asked the
    same questions with margin k: then all that is said is of *disagreement*. task: needed when the journal's is not
    built in. sample: decisions to judge, at least one of each kind in each stratum (300; with a bound: enough to show
    it where few are wrong). bound: a share of wrong decisions; the audit ends once it is shown or refuted. to: the
    file of a model or a person (JOURNAL.audit, JOURNAL.audit.csv). known: for a model: the filled file of an audit by
    csv, with the same seed and a smaller sample; a bound is then about errors, see `Corrected`. asking: of a model, as
    in `run`; its seed also draws the sample. limits: of the judge's journal, earlier calls included. progress,
    interrupted: of a model, as in `run`.

    Returns an Acceptance; what ended it early is in its `stopped`. Raises TaskError for what does not fit and where a
    checker raises, JournalError for a journal that cannot be followed, ModelError. On failure or cancellation a model's
    answers stay in `to`; the same call goes on.
    """
    check_k("audit", k)
    check_names(audit, asking)
    story = Story(journal)
    if not story.latest:
        raise JournalError(f"{journal}: holds no run yet.")
    if task is None and (items is not None or is_map(story.latest)):
        task = task_of_map(story, items, prompt, reader_of("audit", parse, answer, key))
    task = task or journaled_task(story.latest, "audit: the task of the journal, {!r},")
    decisions = Decisions(story, task, asking.get("seed", 0))
    sample = _sample(decisions, sample, bound, journal)
    ask = partial(_ask, k=k, progress=progress, interrupted=interrupted, asking=asking,
                  begun=time.monotonic())  # fmt: skip
    kept = kept_at(by, journal, to)
    judge = _judge(by, task, story, kept, items, ask)
    header = story.latest
    found = Acceptance(
        str(header["run"]), bool(header.get("simulated")), str(judge), judge.words, sum(decisions.sizes), sample, bound,
        kept=kept,
    )  # fmt: skip
    drawn = decisions.drawn(sample)
    told = None if known is None else _told(Path(known), judge, task, story, drawn)
    for look in looks(sample, CONFIDENCE, once=bound is None):
        if (told is None or look.sample >= told.sample) and await _looked(found, decisions, drawn, judge, look, told):
            break
    return found


audit_sync = twin(audit)


def _sample(decisions: Decisions, sample: int | None, bound: float | None, journal: str | Path) -> int:
    """Return how many decisions to judge at most. Raises TaskError for what does not fit, and for what is too few."""
    there = sum(decisions.sizes)
    if not there:
        raise TaskError(f"{journal}: holds no decided step yet")
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int) or sample < 1):
        raise TaskError(f"sample = {sample!r}: give a whole number, 1 or more")
    if bound is None:
        return min(sample or SAMPLE, there)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 <= bound < 1:
        raise TaskError(f"bound = {bound!r}: give a share of the decisions, such as 0.001")
    needed = enough(decisions.sizes, bound * there, CONFIDENCE)
    if sample is None:
        return needed
    last = looks(min(sample, there), CONFIDENCE, once=False)[-1]
    if bounds(_strata(decisions, last.sample, Counter(), Counter()), last.alpha)[1] > bound * there:
        raise TaskError(
            f"a share of {bound:g} cannot be shown by {sample:,} of {there:,} decisions, even if none of them is "
            f"wrong: give a sample of {needed:,}, or a larger bound"
        )
    return min(sample, there)


def kept_at(by: AnyModel | Check | str, journal: str | Path, to: str | Path | None) -> Path | None:
    """Return the file of a judge, None for a checker's. Raises TaskError for one that cannot be."""
    if by == "truth" or (callable(by) and not hasattr(by, "draw")):
        if to is not None:
            raise TaskError("to: a checker keeps nothing; it is asked anew each time")
        return None
    kept = Path(to or f"{journal}.audit{'.csv' if by == 'csv' else ''}")
    if kept.exists() and kept.samefile(journal):
        raise TaskError(f"{kept}: is the journal itself. Give another file.")
    return kept


def _judge(
    by: AnyModel | Check | str, task: Task, story: Story, kept: Path | None, items: Sequence[Any] | None, ask: Any
) -> Judge:
    """Return the judge that is meant. kept: its file. items: those of a map."""
    if by == "truth":
        return Checker.of_truth(task)
    if kept is None:
        check = cast("Check", by)
        named = f"the checker {getattr(check, '__name__', check)}"
        return Checker(check if items is None else of_items(check, items), named)
    if by == "csv":
        return Sheet(kept, task, story.head.hex())
    model = cast("Model | str", by)
    name = model if isinstance(model, str) else Traits.of(model).name
    return Voters(task, story.head.hex(), kept, partial(ask, kept=kept, by=model), f"the model {name}")


def _told(path: Path, judge: Judge, task: Task, story: Story, drawn: Sequence[Decision]) -> Known:
    """Return what a person said. Raises TaskError where the judge is no model, and for what cannot be used."""
    if not isinstance(judge, Voters):
        raise TaskError("known: says how often a model errs; a checker and a person are taken at their word")
    if not path.exists():
        raise TaskError(f"{path}: is not there. known: the file that an audit by csv wrote, filled")
    return Known(path, Sheet(path, task, story.head.hex()), drawn)


async def _ask(
    questions: Questions, *, kept: Path, by: AnyModel, k: int, progress: Callable[[Progress], None] | None,
    interrupted: Callable[[], bool] | None, asking: Asking, begun: float,
) -> RunResult:  # fmt: skip
    """Put questions to a model, in its journal. begun: when the audit was, from where its seconds are counted."""
    limits = make_limits(asking.get("limits"))
    if limits.max_seconds is not None:
        left = limits.max_seconds - (time.monotonic() - begun)
        limits = limits.model_copy(update={"max_seconds": max(left, 0.001)})
    settings: Asking = {**asking, "limits": limits}
    return await run(
        questions, model=by, k=k, journal=kept, segments=questions.steps, progress=progress, interrupted=interrupted,
        **settings,
    )  # fmt: skip


async def _looked(
    found: Acceptance, decisions: Decisions, drawn: Sequence[Decision], judge: Judge, look: Look, told: Known | None
) -> bool:  # fmt: skip
    """Have the sample of a look judged, and enter what follows; say whether that is the end."""
    count = sum(decision.least <= look.sample for decision in drawn)
    judgement = await judge.judge(drawn, count)
    found.asked, found.stopped, found.detail = judgement.result, judgement.stopped, judgement.detail
    found.simulated |= judgement.result is not None and judgement.result.simulated
    pairs = list(zip(drawn, judgement.opinions, strict=False))
    found.parts = _parts(decisions, pairs)
    found.disputed = [
        Disputed(of.step, STRATA[of.stratum], of.kind, of.votes, of.against, of.text,
                 None if opinion.right is None else opinion.said)
        for of, opinion in pairs if opinion is not None and not opinion.right
    ]  # fmt: skip
    if judgement.stopped is not None:
        return True
    shares = decisions.shares(look.sample)
    wrong: Counter[int] = Counter()
    sure: Counter[int] = Counter()
    for of, opinion in pairs:
        assert opinion is not None, "whoever is not stopped judges all"
        wrong[of.stratum] += not opinion.right
        sure[of.stratum] += opinion.right is False and of.number < shares[of.stratum, of.kind][0]
    found.sample = look.sample
    found.low, found.high = bounds(_strata(decisions, look.sample, wrong, sure), look.alpha)
    found.low = max(found.low, found.wrong)
    found.expected = sum(part.size * part.wrong / part.judged for part in found.parts if part.judged)
    counted: Acceptance | Corrected = found
    if told is not None:
        judged = [opinion for opinion in judgement.opinions if opinion is not None]
        counted = found.corrected = told.correct(judged, look, partial(_strata, decisions), wrong, sure)
    if found.bound is None:
        return True
    most = found.bound * found.decided
    found.shown, found.refuted = (counted.high or 0) <= most, (counted.low or 0) > most
    return found.shown or found.refuted


def _strata(decisions: Decisions, sample: int, wrong: Counter[int], sure: Counter[int]) -> list[Stratum]:
    """Return what is known of each stratum by a sample."""
    asked, drawn = allotted(decisions.sizes, sample), Counter[int]()
    for (stratum, _), (_, count) in decisions.shares(sample).items():
        drawn[stratum] += count
    return [Stratum(size, asked[at], drawn[at], wrong[at], sure[at]) for at, size in enumerate(decisions.sizes)]


def _parts(decisions: Decisions, pairs: Sequence[tuple[Decision, Opinion | None]]) -> list[Part]:
    """Return what was judged, by stratum and kind."""
    judged: Counter[Cell] = Counter()
    wrong: Counter[Cell] = Counter()
    undecided: Counter[Cell] = Counter()
    for of, opinion in pairs:
        if opinion is not None:
            judged[of.stratum, of.kind] += 1
            wrong[of.stratum, of.kind] += opinion.right is False
            undecided[of.stratum, of.kind] += opinion.right is None
    return [
        Part(STRATA[cell[0]], cell[1], size, judged[cell], wrong[cell], undecided[cell])
        for cell, size in decisions.cells.items()
    ]
