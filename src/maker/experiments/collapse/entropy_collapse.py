"""Does a policy that lost its entropy lose what a vote adds? `maker experiment entropy-collapse`.

Small networks pay amounts with coins. They are taught, then trained by policy
gradient, plainly and in five ways that are meant to keep entropy. At nine points of each training, all probabilities
are computed exactly, and votes are played by the engine's rule, on questions learned from and on others.

No weights are shipped: at full size all three runs train and are looked at in about a minute of one core.

Not covered: language models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maker.experiments.collapse.coins import Questions, split
from maker.experiments.collapse.law import Law, Mean, correlation, effective_rank, law, mean, velocity
from maker.experiments.collapse.policy import NO_HISTORY, Policy
from maker.experiments.collapse.training import METHODS, Method, draw, taught, update
from maker.experiments.collapse.votes import KS, MOST, Seen, seen
from maker.experiments.kit.figure import legend, line, style
from maker.experiments.kit.study import Options, Row, Study, short
from maker.theory.votes.mixture import MOST_RHO, Steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "entropy-collapse"
QUESTION = "does a policy that lost its entropy lose what a vote adds, and do the ways to keep entropy give it back?"
PLAIN = METHODS[0].name
POINTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # of the updates, where the policy is looked at
RACES = 8  # of a question at each point
LEARNED, HELD = "learned", "held back"


@dataclass(slots=True, frozen=True)
class Look:
    """One look at one policy: how it was trained, in which run, after how many updates, and what a vote sees.

    heard: on questions it learns from; asked: on questions held back. rank: of its features there.
    """

    method: str
    run: int
    updates: int
    heard: Seen
    asked: Seen
    rank: float

    @property
    def entropy(self) -> float:
        """Of a token, on questions learned from, in nats: an answer has three."""
        return self.heard.entropy / 3

    def rows(self) -> list[Row]:
        """Return a row for each kind of question."""
        return [
            {
                "method": self.method, "run": self.run, "updates": self.updates, "questions": kind,
                "token_entropy": one.entropy / 3, "p": one.p, "rho": one.rho, "agree": one.agree,
                "lost": one.lost, "lost_by_p_and_rho": foretold(one),
                "p_below_half": one.halves, "best_k": one.best_k, "gain": one.gain, "cost": one.cost,
                "effective_rank": self.rank,
                **{f"right_{k}": one.right[k - 1] for k in KS}, **{f"open_{k}": one.open[k - 1] for k in KS},
                **{f"votes_{k}": one.votes[k - 1] for k in KS},
            }
            for kind, one in ((LEARNED, self.heard), (HELD, self.asked))
        ]  # fmt: skip


def run(options: Options) -> Study:
    """Train policies in all ways, from the same taught one in each run, and look at them along the way."""
    options.no_model(NAME)
    runs, updates, asked = options.size(3, 2), options.size(150, 40), options.size(100, 60)
    lessons = options.size(1200, 200)
    looks = []
    for number in range(runs):
        rng = np.random.default_rng((options.seed, number))
        learned, held = split(rng)
        policy = taught(rng, learned, lessons)
        for method in METHODS:
            looks += trained(
                policy,
                method,
                number,
                (learned, learned[np.arange(asked)], held[np.arange(asked)]),
                updates,
                options.seed,
            )
            options.say(f"run {number}, {method.name}: {_said(looks[-1])}")
    return Study(
        name=NAME,
        question=QUESTION.capitalize(),
        rows=[row for look in looks for row in look.rows()],
        table=table(looks, options.seed),
        draw=lambda figure: draw_figure(figure, looks),
        shows=shows(looks, options.seed),
        shows_not=(
            "Anything about a language model: these are networks of 12,000 weights on one task of their own, made anew "
            "at every run, and trained for seconds; no weights are kept. Few runs: an interval over them is little "
            "more than their range, and small differences are unseen. The constant of each way was chosen by the "
            "vote's share of right steps at its best k on questions held back, in one run of another seed, after 150 "
            "updates, KL-Cov after 300 (entropy bonus of .003, .01, .03, .1; Clip-higher .28, .5, 1; Clip-Cov .02, "
            ".05, .2; KL-Cov .3, 1, 3, 10; GPPO .1, .3, 1): where an end of the list was chosen, one beyond it may do "
            "better, and so may training of another length. Which right answer is given is the policy's affair: where "
            "right answers have one form, votes split less."
        ),
        n=(f"{runs} runs of {updates} updates for each way; at each of {len(POINTS)} points {asked} questions learned "
           f"from and {asked} held back, all probabilities exact, {RACES} races a question, at most {MOST} votes each"),
        simulated="all of it: networks trained here, votes by their exact probabilities",
        seed=options.seed,
        size=(13.0, 7.6),
    )  # fmt: skip


def trained(
    taught_: Policy, method: Method, number: int, asked: tuple[Questions, Questions, Questions], updates: int, seed: int
) -> list[Look]:
    """Train a copy of a taught policy, and return the looks at it. asked: to learn from, and two sets to look at."""
    policy = taught_.copy()
    rng = np.random.default_rng((seed, number, 1))  # the same for all methods
    looks, done = [], 0
    for point in POINTS:
        for _ in range(done, round(point * updates)):
            update(policy, method, draw(policy, asked[0], rng), rng)
        done = round(point * updates)
        eye = np.random.default_rng((seed, number, 2))
        heard, held = (seen(policy.table(some), some.right, RACES, eye) for some in asked[1:])
        said = policy.say(asked[2], np.full(len(asked[2]), NO_HISTORY), eye)
        looks.append(Look(method.name, number, done, heard, held, effective_rank(policy.features(asked[2], said))))
    return looks


def _said(look: Look) -> str:
    return f"H {look.entropy:.3f}, p {look.heard.p:.3f}, held back p {look.asked.p:.3f}, lost {look.asked.lost:.3f}"


def foretold(one: Seen) -> float:
    """Return the share of lost steps that p and rho alone foretell: one rival a step, and p_s a Beta."""
    return Steps(min(max(one.p, 1e-6), 1 - 1e-6), min(one.rho, MOST_RHO)).lost()


def of(looks: Sequence[Look], method: str, at: int, value: Callable[[Look], float]) -> list[float]:
    """Return a value of each run of a method at a point: 0 the first, -1 the last."""
    mine = [look for look in looks if look.method == method]
    runs = sorted({look.run for look in mine})
    return [value([look for look in mine if look.run == number][at]) for number in runs]


def fitted(looks: Sequence[Look], method: str) -> list[Law]:
    """Return the law of entropy as it fits each run of a method."""
    mine = [look for look in looks if look.method == method]
    runs = [[look for look in mine if look.run == number] for number in sorted({look.run for look in mine})]
    return [law(np.array([look.entropy for look in one]), np.array([look.heard.p for look in one])) for one in runs]


def table(looks: Sequence[Look], seed: int) -> list[list[str]]:
    """Return a line for each point of plain training, and for the last one of each other way."""
    made = [["trained", "updates", "token entropy", "p, learned", "p", "rho", "answer entropy", "lost", "best k",
             "right at it", "the vote adds", "votes for 90%", "R = b - a e^H: a, b, R^2"]]  # fmt: skip
    updates = sorted({look.updates for look in looks})
    for method in dict.fromkeys(look.method for look in looks):
        for at in range(len(updates)) if method == PLAIN else (-1,):
            values = {
                name: of(looks, method, at, value)
                for name, value in {
                    "H": lambda look: look.entropy, "heard": lambda look: look.heard.p,
                    "p": lambda look: look.asked.p, "rho": lambda look: look.asked.rho,
                    "answers": lambda look: look.asked.entropy, "lost": lambda look: look.asked.lost,
                    "right": lambda look: max(look.asked.right), "gain": lambda look: look.asked.gain,
                }.items()
            }  # fmt: skip
            best = of(looks, method, at, lambda look: look.asked.best_k)
            cost = [look.asked.cost for look in looks if (look.method, look.updates) == (method, updates[at])]
            reached = [one for one in cost if one is not None]
            last = at in (-1, len(updates) - 1)
            texts = [mean(each, seed).text() for each in values.values()]
            made.append([
                method, str(updates[at]), *texts[:6], f"{min(best):g} to {max(best):g}", *texts[6:],
                f"{np.mean(reached):.1f} in {len(reached)} of {len(cost)} runs" if reached else "not by any k",
                _law_said(fitted(looks, method), seed) if last else "",
            ])  # fmt: skip
    return made


def _law_said(fits: Sequence[Law], seed: int) -> str:
    return ", ".join(mean([getattr(fit, part) for fit in fits], seed).text() for part in Law._fields)


def shows(looks: Sequence[Look], seed: int) -> str:
    """Say what the looks show: the law, the entropy kept, what the vote adds, and the effective rank."""
    others = [method for method in dict.fromkeys(look.method for look in looks) if method != PLAIN]
    said = [_answer(looks, others, seed), _fall(looks, seed), _bridge(looks, seed)]
    said += [_against(looks, method, seed) for method in others]
    return " ".join([*said, _ranks(looks, seed)])


def _answer(looks: Sequence[Look], others: Sequence[str], seed: int) -> str:
    """Answer the question in a sentence, by intervals that are clear of 0."""
    before, after = (of(looks, PLAIN, at, _adds) for at in (0, -1))
    lost = mean([b - a for a, b in zip(before, after, strict=True)], seed)
    kept = [
        f"{method} {np.mean(of(looks, method, -1, _adds)):.3f}"
        for method in others
        if beyond_plain(looks, method, _adds, seed).low > 0
    ]
    return (
        f"{'Yes' if lost.high < 0 else 'Not shown'}: the vote adds {np.mean(before):.3f} to the share of right steps "
        f"before plain training and {np.mean(after):.3f} after it; more than that is kept by "
        f"{', '.join(kept) or 'no other way, as far as is shown'}."
    )


def _adds(look: Look) -> float:
    return look.asked.gain


def beyond_plain(looks: Sequence[Look], method: str, value: Callable[[Look], float], seed: int) -> Mean:
    """Return by how much a value is above that of plain training at the end, run by run."""
    pairs = zip(of(looks, method, -1, value), of(looks, PLAIN, -1, value), strict=True)
    return mean([mine - plain for mine, plain in pairs], seed)


def _fall(looks: Sequence[Look], seed: int) -> str:
    first, last = (mean(of(looks, PLAIN, at, lambda look: look.entropy), seed) for at in (0, -1))
    fits = [
        f"{method} {mean([fit.explained for fit in fitted(looks, method)], seed).text()}"
        for method in dict.fromkeys(look.method for look in looks)
    ]
    return (f"Trained plainly, the entropy of a token falls from {short(first.value)} to {last.text()} nats. The law "
            f"R = b - a e^H explains of the variance of the reward: {', '.join(fits)}.")  # fmt: skip


def _bridge(looks: Sequence[Look], seed: int) -> str:
    """Say what plain training does to a single reply and to the vote, on questions held back."""
    measures: dict[str, Callable[[Look], float]] = {
        "a single reply is right": lambda look: look.asked.p,
        "the vote at its best k": lambda look: max(look.asked.right),
        "what the vote adds": _adds,
        "the share of lost steps": lambda look: look.asked.lost,
        "rho": lambda look: look.asked.rho,
    }
    said = []
    for name, value in measures.items():
        before, after = of(looks, PLAIN, 0, value), of(looks, PLAIN, -1, value)
        change = mean([b - a for a, b in zip(before, after, strict=True)], seed)
        said.append(f"{name}: {np.mean(before):.3f} before, {np.mean(after):.3f} after ({_moved(change)})")
    by = np.mean(of(looks, PLAIN, -1, lambda look: foretold(look.asked)))
    return (f"On questions held back, plain training: {'; '.join(said)}. From p and rho alone, with one rival a step, "
            f"the theory foretells a share of {by:.3f} lost at its end.")  # fmt: skip


def _moved(change: Mean) -> str:
    """Say which way a difference goes, if it is clear of 0."""
    way = "up" if change.low > 0 else "down" if change.high < 0 else "not shown to differ"
    return f"{way}, {change.value:+.3f}, {change.low:+.3f} to {change.high:+.3f}"


def _against(looks: Sequence[Look], method: str, seed: int) -> str:
    """Compare a way with plain training at the end, run by run."""
    values: dict[str, Callable[[Look], float]] = {
        "entropy": lambda look: look.entropy, "a single reply": lambda look: look.asked.p,
        "the vote": lambda look: max(look.asked.right), "what the vote adds": _adds,
    }  # fmt: skip
    said = [f"{name} {_moved(beyond_plain(looks, method, value, seed))}" for name, value in values.items()]
    return f"{method} against plain, at the end: {'; '.join(said)}."


def _ranks(looks: Sequence[Look], seed: int) -> str:
    """Say how effective rank, its velocity and its acceleration go with token entropy along the runs."""
    found: dict[str, list[float]] = {"effective rank": [], "its velocity": [], "its acceleration": []}
    for key in dict.fromkeys((look.method, look.run) for look in looks):
        mine = [look for look in looks if (look.method, look.run) == key]
        entropy, speed = [look.entropy for look in mine], velocity([look.rank for look in mine])
        found["effective rank"].append(correlation([look.rank for look in mine], entropy))
        found["its velocity"].append(correlation(speed, entropy[1:]))
        found["its acceleration"].append(correlation(np.diff(speed).tolist(), entropy[2:]))
    each = "; ".join(f"{name} {mean(values, seed).text()}" for name, values in found.items())
    return f"Correlation with token entropy along a run, over all ways and runs: {each}."


def draw_figure(figure: Figure, looks: Sequence[Look]) -> None:
    """Draw entropy, the law, lost steps, what the vote adds, right steps by k, and effective rank."""
    panels = figure.subplots(2, 3)
    methods = list(dict.fromkeys(look.method for look in looks))
    updates = sorted({look.updates for look in looks})
    points = range(len(updates))
    values: list[tuple[Callable[[Look], float], Callable[[Look], float], str, str, str]] = [
        (lambda look: look.updates, lambda look: look.entropy, "updates", "token entropy, nats", "entropy falls"),
        (lambda look: float(np.exp(look.entropy)), lambda look: look.heard.p, "e^H", "reward, questions learned from",
         "the law is a straight line here"),
        (lambda look: look.entropy, lambda look: look.asked.lost, "token entropy, nats", "lost steps, held back",
         "a wrong answer leads"),
        (lambda look: look.entropy, lambda look: look.asked.gain, "token entropy, nats", "right by vote less p",
         "what the vote adds at its best k"),
        (lambda look: look.entropy, lambda look: look.rank, "token entropy, nats", "effective rank of features",
         "features"),
    ]  # fmt: skip
    for axes, (x, y, below, beside, title) in zip(panels.flat, values, strict=False):
        for number, method in enumerate(methods):
            where = [float(np.mean(of(looks, method, at, x))) for at in points]
            what = [float(np.mean(of(looks, method, at, y))) for at in points]
            axes.plot(where, what, label=method, **style(number))
        axes.set(xlabel=below, ylabel=beside, title=title)
    last = panels.flat[-1]
    for number, method in enumerate(methods):
        ends = (0, -1) if method == PLAIN else (-1,)
        for at in ends:
            every = [look.asked.right for look in looks if (look.method, look.updates) == (method, updates[at])]
            line(last, list(KS), np.mean(every, 0).tolist(), number, linestyle="-" if at else ":")
    last.set(xlabel="k", ylabel="right steps, held back", title="after training; dotted: before")
    legend(figure, panels[0][0], len(methods))
