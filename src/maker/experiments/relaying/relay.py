"""What is left of a document that is edited there and back, again and again? `maker experiment relay`.

A ledger goes on many round trips: an edit of every record and its exact inverse, in fresh calls. After each trip it
must be the first one again; how much of it is left is RS@n after n edits. Arms: the whole ledger a call, that with red
flags, a record a call, that with a vote, and with small questions where an estimate does not trust an edit.

Without `--model` a simulated editor edits, as truly as a small real model was measured to (`editors.py`), beside what
is kept of language models in `data/relay.csv`. Of a language model, arms that ask the same get the same replies.

Not covered: edits without an inverse; a document in which records depend on each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maker import theory
from maker.experiments.avalanche.marks import Measure, bootstrapped
from maker.experiments.kit.figure import legend, line, style
from maker.experiments.kit.files import kept
from maker.experiments.kit.record import Record
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.experiments.relaying.documents import edits, ledger, read
from maker.experiments.relaying.editors import Editor, ModelEditor, SimulatedEditor, fidelity
from maker.experiments.relaying.trips import ARMS, CRITICAL, Arm, Run, accepted, job_of, relayed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "relay"
QUESTION = "What is left of a document that is edited there and back, again and again?"
AT = (2, 20, 100)  # edits after which RS is told
LEAST_RIGHT = 0.05  # of the edits of single records; below, nothing is measured
TRIALS, FEW_TRIALS = 10, 5  # of each edit of a record, by which an estimate trusts it or not; few: of a language model
VOTES, FEW_VOTES = 3, 2  # ahead
_SINGLE = "single edit: "  # begins what stands for the arm in a row of trials

Trials = dict[tuple[int, bool], Share]
Who = tuple[str, str]  # a model, and the form of its documents
Found = dict[Who, tuple[Trials, list[Run]]]


@dataclass(slots=True, frozen=True)
class Plan:
    """How much is asked: ledgers of so many records on so many trips in each arm, trials of each edit, votes ahead."""

    ledgers: int
    records: int
    trips: int
    trials: int
    k: int
    form: str = "JSON"

    @property
    def about(self) -> int:
        """Replies, with a third of them flagged or outvoted, and two edits of ten made by four questions each."""
        edits_made = 2 * self.trips * self.ledgers
        single = 2 * min(self.trips, len(edits(self.form).order)) * self.trials
        return single + round(edits_made * (2 + self.records * self.k * (1.3 + 0.2 * 4)))


def run(options: Options) -> Study:
    """Send ledgers on their trips, by the simulated editor beside what was kept, or by the model that was named."""
    if options.model is None:
        plan = Plan(options.size(16, 4), 12, options.size(50, 10), TRIALS, VOTES)
        editor = SimulatedEditor(options.seed)
        found = {(editor.name, plan.form): measured(options, editor.name, editor, plan)}
        return _study(options, found | _kept_of(kept(Path(__file__).parent, NAME)))
    plan = Plan(1, options.size(3, 2), options.size(10, 3), FEW_TRIALS, FEW_VOTES)
    record = Record.of(options, NAME, plan.about)
    with ModelEditor(options.model, options.temperature, options.seed, record) as model:
        return _study(options, {(model.name, plan.form): measured(options, model.name, model, plan, model.anew)})


def measured(
    options: Options, name: str, editor: Editor, plan: Plan, anew: Callable[[], None] = lambda: None
) -> tuple[Trials, list[Run]]:
    """Estimate, and send the ledgers on their trips, unless hardly a single edit is right.

    anew: called where draws may begin anew, before each run of an arm.
    """
    options.say(f"{name}: single edits")
    tried = trials(editor, plan.form, plan.trips, plan.trials, options.seed)
    small = {key for key, seen in tried.items() if not _trusted(seen)}
    runs: list[Run] = []
    for arm in ARMS if not _hopeless(tried) else ():
        options.say(f"{name}: {plan.form}, {arm.name}")
        for which in range(plan.ledgers):
            number = 1000 * options.seed + which
            one = Run(name, plan.form, arm.name, number, plan.records, plan.k if arm.votes else 1)
            anew()
            runs.append(relayed(one, arm, ledger(plan.records, number), plan.trips, editor, small))
    return tried, runs


def _study(options: Options, found: Found) -> Study:
    """Sum up."""
    simulated = SimulatedEditor.name in {model for model, _ in found}
    able = {who: of for who, of in found.items() if of[1]}
    return Study(
        name=NAME,
        question=QUESTION,
        rows=[row for who, (tried, runs) in found.items() for row in [*_trial_rows(who, tried), *map(_row, runs)]],
        table=table(found, options.seed),
        draw=(lambda figure: draw(figure, able)) if able else None,
        shows=" ".join(shows(who, *of, options.seed) for who, of in found.items()),
        shows_not=(
            "Documents of another kind, long ones above all; edits without an inverse. A record is scored by its equal "
            "fields, which takes a small slip in a number for a small loss. Of a language model: few runs; traces say "
            "what can happen, not how often."
            + (
                " The editor is simulated: records err by themselves, as often as single replies of a small model did, "
                "and what was measured of small edits stands for whole ones: real replies that leave out half a ledger "
                "are not among them."
                if simulated
                else ""
            )
        ),
        answer=answer(found),
        n="; ".join(_drawn(who, *of) for who, of in found.items()),
        simulated=(
            "all of it, of the simulated editor: replies as right as measured ones of a small model; language models "
            "gave their own replies" if simulated else "nothing"
        ),
        seed=options.seed,
        size=(13.0, 4.4 * max(1, len(able)) + 0.6),
    )  # fmt: skip


def _drawn(who: Who, tried: Trials, runs: Sequence[Run]) -> str:
    """Say how much was drawn."""
    votes = sum(seen.n for seen in tried.values())
    if not runs:
        return f"{who[0]}: {votes} trials of single edits"
    ledgers = {one.number for one in runs}
    return (f"{who[0]}: {len(ledgers)} ledgers of {runs[0].records} records on {len(runs[0].scores)} round trips in "
            f"each arm; {votes} trials of single edits")  # fmt: skip


def trials(editor: Editor, form: str, trips: int, many: int, seed: int) -> Trials:
    """Ask for each edit of a single record so often, of another ledger; return how many votes were right."""
    known = edits(form)
    found: Trials = {}
    for edit in known.order[:trips]:
        for back in (False, True):
            units = [[one if not back else known.right(one, edit, back=False)] for one in ledger(many, 10**6 + seed)]
            jobs = [job_of(unit, form, edit, back=back, whole=False) for unit in units]
            votes = [
                accepted(unit, read(reply.text, form), form, edit, back=back)
                for unit, reply in zip(units, editor(jobs), strict=True)
            ]
            right = sum(vote == json.dumps(job.right()).encode() for vote, job in zip(votes, jobs, strict=True))
            found[edit, back] = Share(right, sum(vote is not None for vote in votes))
    return found


def _all(tried: Trials) -> Share:
    """Return how many single edits were right."""
    return Share(sum(seen.seen for seen in tried.values()), sum(seen.n for seen in tried.values()))


def _trusted(seen: Share) -> bool:
    """Say whether the votes of an edit are shown to be right more often than not."""
    return seen.n > 0 and theory.p_lower(seen.n - seen.seen, seen.n) > 0.5


def _hopeless(tried: Trials) -> bool:
    """Say whether a model cannot do the task at all."""
    seen = _all(tried)
    return seen.seen < LEAST_RIGHT * max(1, seen.n)


def expected(form: str, k: int, trips: int, tried: Trials | None) -> list[float]:
    """Return the share of exact records that independent errors leave after each trip: p^n, or p_sub^n with a vote.

    tried: of a model; None takes the simulated editor's own chances. Flagged replies are drawn again.
    """
    known, left, made = edits(form), 1.0, []
    for trip in range(trips):
        edit = known.order[trip % len(known.order)]
        for back in (False, True):
            if tried is not None:
                p = tried[edit, back].rate if tried[edit, back].n else 1.0  # refused: the record stays as it is
            else:
                right, slipped, *_ = fidelity("record", form, known.name(edit, back=back)).chances
                p = right / (right + slipped)
            left *= p**k / (p**k + (1 - p) ** k)
        made.append(left)
    return made


def _of(runs: Sequence[Run], arm: Arm) -> list[Run]:
    return [one for one in runs if one.arm == arm.name]


def _left(runs: Sequence[Run], edits_made: int, seed: int) -> Measure:
    """Return RS@n: the mean over runs, with its interval where there are several."""
    scores = np.array([one.scores[edits_made // 2 - 1] for one in runs])
    if len(scores) == 1:
        return Measure(float(scores[0]), None, None)
    return bootstrapped(scores, lambda drawn: float(drawn.mean()), seed)


def _said(left: Measure) -> str:
    """Return RS@n for a table."""
    return f"{short(left.value or 0)} (one run)" if left.low is None else left.text()


def _critical(runs: Sequence[Run]) -> tuple[int, float]:
    """Return how many trips lost a tenth or more, and their share of all that was lost."""
    drops = [drop for one in runs for drop in one.drops if drop > 0]
    large = [drop for drop in drops if drop >= CRITICAL - 1e-9]
    return len(large), sum(large) / sum(drops) if drops else math.nan


def table(found: Found, seed: int) -> list[list[str]]:
    """Return a line for each model, form and arm."""
    made = [["model", "document", "arm", *(f"RS@{many}" for many in AT), "exact records in the end",
             "critical drops a run", "their share of the loss", "lost : changed records", "work refused",
             "calls a run", "tokens a run"]]  # fmt: skip
    for (model, form), (tried, runs) in found.items():
        if not runs:
            made.append([model, form, "single edits", _all(tried).text(), *["-"] * (len(made[0]) - 4)])
        for arm in ARMS if runs else ():
            mine = _of(runs, arm)
            many, share = _critical(mine)
            exact = sum(round(one.intact[-1] * one.records) for one in mine)
            last = 2 * len(mine[0].scores)
            made.append([
                model, form, arm.name + (f", k = {mine[0].k}" if arm.votes else ""),
                *(_said(_left(mine, at, seed)) if at <= last else "-" for at in AT),
                Share(exact, sum(one.records for one in mine)).text(), f"{many / len(mine):.2g}",
                "-" if math.isnan(share) else f"{share:.2f}",
                f"{sum(one.lost for one in mine)} : {sum(one.changed for one in mine)}",
                f"{sum(one.refused for one in mine) / sum(one.trips for one in mine):.2f}",
                *(f"{sum(getattr(one, name) for one in mine) / len(mine):.4g}" for name in ("calls", "tokens")),
            ])  # fmt: skip
    return made


def shows(who: Who, tried: Trials, runs: Sequence[Run], seed: int) -> str:
    """Say what is left in each arm."""
    model, form = who
    if not runs:
        p = _all(tried)
        why = f"p = {p.rate:.2g} of single edits" if p.n else "no single edit came back in the form asked for"
        return f"{model}: {form}: nothing to measure: {why}."
    last = 2 * len(runs[0].scores)
    left = [f"{arm.name[0]} {_said(_left(_of(runs, arm), last, seed))}" for arm in ARMS]
    finer = [edits(form).name(edit, back=back) for (edit, back), one in tried.items() if not _trusted(one)]
    return (f"{model}: {form}: RS@{last} is {', '.join(left)}. In E made by small questions: "
            f"{', '.join(finer) or 'none'}.")  # fmt: skip


def answer(found: Found) -> str:
    """Answer the question in one sentence, of the first model that could edit."""
    for (model, _), (_, runs) in found.items():
        if runs:
            last = 2 * len(runs[0].scores)
            left = {arm.name[0]: np.mean([one.scores[-1] for one in _of(runs, arm)]) for arm in ARMS}
            return (
                f"Of a ledger handed on whole {left['A']:.0%} is left after {last} edits, of one edited record by "
                f"record {left['C']:.0%}, and with a vote {left['D']:.1%}"
                f"{' (simulated)' if model == SimulatedEditor.name else f' ({model})'}."
            )
    return ""


def _row(one: Run) -> Row:
    """Return a run as a row."""
    return {
        "model": one.model, "form": one.form, "arm": one.arm, "run": one.number, "records": one.records, "k": one.k,
        "trips": one.trips, "refused": one.refused, "lost": one.lost, "changed": one.changed, "calls": one.calls,
        "tokens": one.tokens, "scores": " ".join(f"{score:.4g}" for score in one.scores),
        "intact": " ".join(f"{share:.4g}" for share in one.intact), "right": None, "votes": None,
    }  # fmt: skip


def _trial_rows(who: Who, tried: Trials) -> list[Row]:
    """Return the trials of single edits as rows, with the columns of a run."""
    empty = dict.fromkeys(_row(Run("", "", "", 0, 0, 1, [1.0], [1.0])))
    return [
        {**empty, "model": who[0], "form": who[1], "arm": _SINGLE + edits(who[1]).name(edit, back=back),
         "right": seen.seen, "votes": seen.n}
        for (edit, back), seen in tried.items()
    ]  # fmt: skip


def _kept_of(rows: Sequence[dict[str, str]]) -> Found:
    """Return what rows of a file hold, trials of several seeds together."""
    found: Found = {}
    for row in rows:
        tried, runs = found.setdefault((row["model"], row["form"]), ({}, []))
        if not row["scores"]:
            known = edits(row["form"])
            names = {_SINGLE + known.name(edit, back=back): (edit, back) for edit in known.order
                     for back in (False, True)}  # fmt: skip
            key = names[row["arm"]]
            before = tried.get(key, Share(0, 0))
            tried[key] = Share(before.seen + int(row["right"]), before.n + int(row["votes"]))
            continue
        counts = (int(row[name]) for name in ("trips", "refused", "lost", "changed", "calls", "tokens"))
        scores, intact = ([float(part) for part in row[name].split()] for name in ("scores", "intact"))
        runs.append(Run(row["model"], row["form"], row["arm"], int(row["run"]), int(row["records"]), int(row["k"]),
                        scores, intact, *counts))  # fmt: skip
    return found


def draw(figure: Figure, found: Found) -> None:
    """Draw, for each model, RS against edits, runs of two arms one by one, and exact records beside theory."""
    panels = figure.subplots(len(found), 3, squeeze=False)
    for row, ((model, form), (tried, runs)) in zip(panels, found.items(), strict=True):
        at = [2 * (trip + 1) for trip in range(len(runs[0].scores))]
        for number, arm in enumerate(ARMS):
            mine = _of(runs, arm)
            scores = np.array([one.scores for one in mine])
            line(row[0], at, scores.mean(0).tolist(), number, label=arm.name)
            _marked(row[0], at, mine, number)
            for one in mine if number in (0, 3) else ():
                row[1].plot(at, one.scores, color=style(number)["color"], alpha=0.35, linewidth=0.8)
            line(row[2], at, np.array([one.intact for one in mine]).mean(0).tolist(), number)
            if arm.name[0] in "CD":
                theirs = expected(form, mine[0].k, len(at), None if model == SimulatedEditor.name else tried)
                row[2].plot(at, theirs, linestyle="--", color="black", linewidth=1)
        row[0].set(title=f"{model}\n{form}: what is left, mean", ylabel="RS@n", xlabel="edits")
        row[1].set(title=f"runs of {ARMS[0].name[0]} and {ARMS[3].name[0]}, one by one", xlabel="edits")
        row[2].set(title="exact records; dashed: p^n of C, p_sub^n of D", xlabel="edits")
        for axes in row:
            axes.set(ylim=(-0.03, 1.05))
    legend(figure, panels[0][0], 3)


def _marked(axes: Axes, at: Sequence[int], runs: Sequence[Run], number: int) -> None:
    """Draw the intervals of the mean at a few places."""
    for edits_made in {at[-1] * part // 8 * 2 for part in (1, 2, 3, 4)} & set(at):
        left = _left(runs, edits_made, 0)
        if left.low is not None and left.high is not None:
            axes.vlines(edits_made + 0.4 * number, left.low, left.high, color=style(number)["color"])
