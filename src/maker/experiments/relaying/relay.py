"""What is left of a document that is edited there and back, again and again? `maker experiment relay`.

A ledger goes on many round trips: an edit of every record and its exact inverse, in fresh calls. After each trip it
must be the first one again; how much of it is left is RS@n after n edits. Arms: the whole ledger a call, that with red
flags, a record a call, that with a vote, and with small questions where an estimate does not trust an edit.

Without `--model` a simulated editor edits, as truly as a small real model was measured to (`editors.py`).

Not covered: edits without an inverse; a document in which records depend on each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from maker import theory
from maker.experiments.avalanche.marks import Measure, bootstrapped
from maker.experiments.kit.figure import legend, line, style
from maker.experiments.kit.study import Options, Row, Share, Study
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
TRIALS = 10  # of each edit of a record, by which an estimate trusts it or not

Trials = dict[tuple[int, bool], Share]


def run(options: Options) -> Study:
    """Send ledgers on their trips, by the simulated editor or the model that was named."""
    if options.model is None:
        return _study(options, SimulatedEditor(options.seed), ["JSON"], options.size(16, 4), 12, options.size(50, 10),
                      TRIALS)  # fmt: skip
    with ModelEditor(options.model, options.temperature, options.seed) as model:
        return _study(options, model, ["JSON", "CSV"][: options.size(2, 1)], options.size(3, 1),
                      options.size(6, 3), options.size(10, 2), options.size(TRIALS, 5))  # fmt: skip


def _study(options: Options, editor: Any, forms: list[str], number: int, records: int, trips: int, many: int) -> Study:
    """Estimate, send the ledgers on their trips, and sum up."""
    runs: list[Run] = []
    tried = {form: trials(editor, form, trips, many, options.seed) for form in forms}
    for form in forms:
        small = {key for key, seen in tried[form].items() if not _trusted(seen)}
        if _hopeless(tried[form]):
            continue
        for arm in ARMS:
            options.say(f"{editor.name}: {form}, {arm.name}")
            runs += [
                relayed(form, arm, which, ledger(records, 1000 * options.seed + which), trips, editor, small)
                for which in range(number)
            ]  # fmt: skip
    simulated = isinstance(editor, SimulatedEditor)
    return Study(
        name=NAME,
        question=QUESTION,
        rows=[_row(one) for one in runs] or [{"form": form, **_all(of).row("right")} for form, of in tried.items()],
        table=table(runs, tried, options.seed),
        draw=lambda figure: draw(figure, runs, tried if not simulated else None),
        shows=f"{editor.name}: {shows(runs, tried, options.seed)}",
        shows_not=(
            "Documents of another kind, long ones above all; edits without an inverse. A record is scored by its equal "
            "fields, which takes a small slip in a number for a small loss. "
            + (
                "The editor is simulated: records err by themselves, as often as single replies of a small model did, "
                "and what was measured of small edits stands for whole ones: real replies that leave out half a ledger "
                "are not among them."
                if simulated
                else "Few runs: traces say what can happen, not how often."
            )
        ),
        answer=answer(runs, simulated=simulated),
        n=f"{number} ledgers of {records} records on {trips} round trips in each arm; {many} trials of each edit",
        simulated="all of it: replies as right as measured ones of a small model" if simulated else "nothing",
        seed=options.seed,
        size=(13.0, 4.4 * len(forms) + 0.6),
    )


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
    return Share(sum(seen.seen for seen in tried.values()), sum(seen.n for seen in tried.values()))


def _trusted(seen: Share) -> bool:
    """Say whether the votes of an edit are shown to be right more often than not."""
    return seen.n > 0 and theory.p_lower(seen.n - seen.seen, seen.n) > 0.5


def _hopeless(tried: Trials) -> bool:
    """Say whether a model cannot do the task at all."""
    seen = _all(tried)
    return seen.seen < LEAST_RIGHT * max(1, seen.n)


def expected(form: str, arm: Arm, trips: int, tried: Trials | None) -> list[float]:
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
            left *= p**arm.k / (p**arm.k + (1 - p) ** arm.k)
        made.append(left)
    return made


def _of(runs: Sequence[Run], form: str, arm: Arm) -> list[Run]:
    return [one for one in runs if (one.form, one.arm) == (form, arm.name)]


def _forms(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(one.form for one in runs))


def _kept(runs: Sequence[Run], edits_made: int, seed: int) -> Measure:
    """Return RS@n: the mean over runs, with its interval."""
    scores = np.array([one.scores[edits_made // 2 - 1] for one in runs])
    return bootstrapped(scores, lambda drawn: float(drawn.mean()), seed)


def _critical(runs: Sequence[Run]) -> tuple[int, float]:
    """Return how many trips lost a tenth or more, and their share of all that was lost."""
    drops = [drop for one in runs for drop in one.drops if drop > 0]
    large = [drop for drop in drops if drop >= CRITICAL - 1e-9]
    return len(large), sum(large) / sum(drops) if drops else math.nan


def table(runs: Sequence[Run], tried: dict[str, Trials], seed: int) -> list[list[str]]:
    """Return a line for each form and arm."""
    at = [edits_made for edits_made in AT if runs and edits_made <= 2 * len(runs[0].scores)]
    made = [["document", "arm", *(f"RS@{many}" for many in at), "exact records in the end", "critical drops a run",
             "their share of the loss", "lost : changed records", "work refused", "calls a run",
             "tokens a run"]]  # fmt: skip
    for form in _forms(runs):
        for arm in ARMS:
            mine = _of(runs, form, arm)
            many, share = _critical(mine)
            exact = sum(round(one.intact[-1] * one.records) for one in mine)
            made.append([
                form, arm.name, *(_kept(mine, edits_made, seed).text() for edits_made in at),
                Share(exact, sum(one.records for one in mine)).text(), f"{many / len(mine):.2g}",
                "-" if math.isnan(share) else f"{share:.2f}",
                f"{sum(one.lost for one in mine)} : {sum(one.changed for one in mine)}",
                f"{sum(one.refused for one in mine) / sum(one.trips for one in mine):.2f}",
                *(f"{sum(getattr(one, name) for one in mine) / len(mine):.4g}" for name in ("calls", "tokens")),
            ])  # fmt: skip
    for form in tried.keys() - set(_forms(runs)):
        made.append([form, "single edits", _all(tried[form]).text(), *["-"] * (len(made[0]) - 3)])
    return made


def shows(runs: Sequence[Run], tried: dict[str, Trials], seed: int) -> str:
    """Say what is left in each arm."""
    said = []
    for form, seen in tried.items():
        if _hopeless(seen):
            p = _all(seen)
            why = f"p = {p.rate:.2g} of single edits" if p.n else "no single edit came back in the form asked for"
            said.append(f"{form}: nothing to measure: {why}.")
            continue
        last = 2 * len(runs[0].scores)
        left = [f"{arm.name[0]} {_kept(_of(runs, form, arm), last, seed).text()}" for arm in ARMS]
        finer = [edits(form).name(edit, back=back) for (edit, back), one in seen.items() if not _trusted(one)]
        said.append(
            f"{form}: RS@{last} is {', '.join(left)}. In E made by small questions: {', '.join(finer) or 'none'}."
        )
    return " ".join(said)


def answer(runs: Sequence[Run], *, simulated: bool) -> str:
    """Answer the question in one sentence, of the first form."""
    if not runs:
        return ""
    last = len(runs[0].scores)
    left = {arm.name[0]: np.mean([one.scores[-1] for one in _of(runs, runs[0].form, arm)]) for arm in ARMS}
    return (
        f"Of a ledger handed on whole {left['A']:.0%} is left after {2 * last} edits, of one edited record by record "
        f"{left['C']:.0%}, and with a vote {left['D']:.1%}{' (simulated)' if simulated else ''}."
    )


def _row(one: Run) -> Row:
    return {
        "form": one.form, "arm": one.arm, "run": one.number, "records": one.records, "trips": one.trips,
        "refused": one.refused, "lost": one.lost, "changed": one.changed, "calls": one.calls, "tokens": one.tokens,
        "scores": " ".join(f"{score:.4g}" for score in one.scores),
        "intact": " ".join(f"{share:.4g}" for share in one.intact),
    }  # fmt: skip


def draw(figure: Figure, runs: Sequence[Run], tried: dict[str, Trials] | None) -> None:
    """Draw, for each form, RS against edits, runs of two arms one by one, and exact records beside theory."""
    forms = _forms(runs)
    if not forms:
        return
    panels = figure.subplots(len(forms), 3, squeeze=False)
    for row, form in zip(panels, forms, strict=True):
        at = [2 * (trip + 1) for trip in range(len(runs[0].scores))]
        for number, arm in enumerate(ARMS):
            mine = _of(runs, form, arm)
            scores = np.array([one.scores for one in mine])
            line(row[0], at, scores.mean(0).tolist(), number, label=arm.name)
            _marked(row[0], at, mine, number)
            for one in mine if number in (0, 3) else ():
                row[1].plot(at, one.scores, color=style(number)["color"], alpha=0.35, linewidth=0.8)
            line(row[2], at, np.array([one.intact for one in mine]).mean(0).tolist(), number)
            if arm.name[0] in "CD":
                theirs = expected(form, arm, len(at), None if tried is None else tried[form])
                row[2].plot(at, theirs, linestyle="--", color="black", linewidth=1)
        row[0].set(title=f"{form}: what is left, mean", ylabel="RS@n", xlabel="edits")
        row[1].set(title=f"runs of {ARMS[0].name[0]} and {ARMS[3].name[0]}, one by one", xlabel="edits")
        row[2].set(title="exact records; dashed: p^n of C, p_sub^n of D", xlabel="edits")
        for axes in row:
            axes.set(ylim=(-0.03, 1.05))
    legend(figure, panels[0][0], 3)


def _marked(axes: Axes, at: Sequence[int], runs: Sequence[Run], number: int) -> None:
    """Draw the intervals of the mean at a few places."""
    for edits_made in {at[-1] * part // 8 * 2 for part in (1, 2, 3, 4)} & set(at):
        kept = _kept(runs, edits_made, 0)
        if kept.low is not None and kept.high is not None:
            axes.vlines(edits_made + 0.4 * number, kept.low, kept.high, color=style(number)["color"])
