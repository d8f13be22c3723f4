"""What does it cost to ask for several steps at once? `maker experiment decomposition`.

A reply of m steps is made of m calls without a vote between them: each reads the move and the stacks that
the one before wrote, right or wrong. The votes are on all m answers together, by the engine's rule and the
paper's flags. Counted are replies that are right, and calls for a step of the run, beside the formula.

Not covered: a model that writes m steps in one text; a long prompt that m steps share; how well a run ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from maker import theory
from maker.decision.address import Address, draw_seeds, seed_key
from maker.decision.flags import PAPER, judge
from maker.decision.poll import Poll
from maker.decision.sample import Request, Sample
from maker.decision.step import Rules, Step
from maker.experiments.kit.bench import DISKS, STEPS, TOKEN_CAP, Bench, Source, neural, oracle, said_of, sources
from maker.experiments.kit.figure import legend, line, plain, points, style
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.task.canonical import canonical
from maker.task.coarse import coarse
from maker.task.prompt import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure


K = 3
SIZES = (1, 2, 4, 8, 16, 32)
LEAST = 0.1  # of replies right, by the formula: beyond that a subtask takes too many calls to be played
MOST = 2000  # votes, or flagged replies, of one subtask


@dataclass(slots=True)
class Chain:
    """One reply of m steps under way: where it is, and what it has written; `broken` is a red flag."""

    start: int
    draw: int
    state: Any
    answers: list[Any] = field(default_factory=list)
    broken: bool = False

    @property
    def calls(self) -> int:
        """How often the model was called for it."""
        return len(self.answers) + self.broken

    def good(self, right: Sequence[Any]) -> int:
        """Return how many of its answers are right before the first that is wrong or missing."""
        return next((at for at, answer in enumerate(right) if self.answers[at : at + 1] != [answer]), len(right))


@dataclass(slots=True)
class Subtask:
    """m steps decided together: the vote on whole replies, the right answers, and the replies."""

    poll: Poll
    right: tuple[Any, ...]
    chains: list[Chain] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Counted:
    """What one source did at one m."""

    right: Share  # of all first replies
    wrong: Share  # of the subtasks: decided wrongly, or not at all
    calls: float  # for one step of the run, the mean over the subtasks
    half: float  # of the 95% interval of that mean
    v: Share  # of the calls from right states
    p: Share  # of the valid ones of these


@dataclass(slots=True, frozen=True)
class Single:
    """p and v of a single call, from all that a source did at every m."""

    p: float
    v: float

    def right(self, m: int) -> float:
        """Return P(a reply of m steps is right)."""
        return float((self.p * self.v) ** m)

    def calls(self, m: int) -> float:
        """Return the expected calls for a step of the run; a reply ends at its first red flag."""
        v = self.v
        length = (1 - v**m) / (1 - v) if v < 1 else m
        return theory.expected_cost(self.p, K, m, length, v=v**m, m=m) / m


def single(sizes: Mapping[int, Counted]) -> Single:
    """Pool what was seen at every m."""
    good = sum(seen.p.seen for seen in sizes.values())
    valid = sum(seen.p.n for seen in sizes.values())
    return Single(good / valid if valid else 0.0, valid / sum(seen.v.n for seen in sizes.values()))


def run(options: Options) -> Study:
    """Vote on subtasks of m steps, for growing m."""
    n = options.size(400, 50)
    used = sources(options, neural(1.8), neural(2.2), oracle("p=0.95,v=0.98"))
    found: dict[Source, dict[int, Counted]] = {}
    for source in used:
        found[source] = {}
        with Bench(source, options.seed) as bench:
            for m in SIZES[:4] if options.quick else SIZES:
                first = found[source].get(1)
                if first is not None and first.right.rate**m < LEAST:
                    break
                found[source][m] = counted(play(bench, m, n), m)
                options.say(f"{source.name}, m = {m}: {found[source][m].calls:.2f} calls a step")
    rows = [_row(source, m, seen, single(sizes)) for source, sizes in found.items() for m, seen in sizes.items()]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for number, (source, sizes) in enumerate(found.items()):
            every, one = range(1, max(sizes) + 1), single(sizes)
            line(left, every, [one.right(m) for m in every], number, alpha=0.7)
            points(left, list(sizes), [seen.right for seen in sizes.values()], number, source.name)
            line(right, every, [one.calls(m) for m in every], number, alpha=0.7)
            means, halves = [seen.calls for seen in sizes.values()], [seen.half for seen in sizes.values()]
            right.errorbar(list(sizes), means, yerr=halves, linestyle="none", capsize=2.5, **style(number))
        left.set(ylabel="share of replies right", title="A whole reply is right\n(lines: (v p)$^m$, from single calls)")
        right.set(ylabel="model calls for one step of the run")
        right.set_title(f"Cost at k = {K}\n(lines: the formula, from single calls)")
        for axes in (left, right):
            axes.set(xlabel="m, steps asked for at once", yscale="log")
            plain(axes)
        legend(figure, left, 3)

    return Study(
        "decomposition", "What does it cost to ask for several steps at once?", rows, _table(found), draw,
        _shows(found),
        "What a prompt shared by m steps would save: here each step is a call of its own, so cost is calls. k is the "
        f"same at all m ({K}); a run of equal safety could take a little less at large m. A general model that plans "
        f"ahead may be better at m steps in one text than m times alone, or worse.",
        f"{n:,} subtasks for each model and m, at random places of the {DISKS}-disk path, k = {K}, the paper's flags",
        said_of(used), options.seed, (9.6, 4.6),
    )  # fmt: skip


def play(bench: Bench, m: int, n: int) -> list[Subtask]:
    """Decide n subtasks of m steps each by votes on whole replies."""
    task = bench.task(DISKS)
    whole: Any = coarse(task, m)
    method = replace(bench.method(K, ()), max_votes=MOST, max_flags=MOST)  # each call is flagged by itself
    subtasks: dict[int, Subtask] = {}
    for start in np.random.default_rng(bench.seed).choice(STEPS - m, n, replace=False).tolist():
        state = task.state_at(start), start
        poll = Poll.of(method, Rules.of(whole), start, state, "")
        subtasks[start] = Subtask(poll, whole.truth(state, start))

    async def draw(requests: Sequence[Request]) -> list[Sample]:
        """Bring the samples of one wave."""
        chains = [Chain(request.address.step, request.address.draw, request.state[0]) for request in requests]
        for chain in chains:
            subtasks[chain.start].chains.append(chain)
        for _ in range(m):
            await _extend(bench, task, [chain for chain in chains if not chain.broken], m)
        return [Sample(None if chain.broken else whole.render(chain.answers)) for chain in chains]

    bench.decide([subtask.poll for subtask in subtasks.values()], draw)
    return list(subtasks.values())


def counted(subtasks: Sequence[Subtask], m: int) -> Counted:
    """Grade the first reply and the winner of each subtask, and the calls of its first wave."""
    n = len(subtasks)
    calls = np.array([sum(chain.calls for chain in one.chains) for one in subtasks]) / m
    # the size of the first wave, k, is the only one that no reply has chosen
    first = [(chain, chain.good(one.right)) for one in subtasks for chain in one.chains[:K]]
    valid = sum(min(good + 1, len(chain.answers)) for chain, good in first)
    return Counted(
        Share(sum(one.chains[0].good(one.right) == m for one in subtasks), n),
        Share(sum(one.poll.key != canonical(one.right) for one in subtasks), n),
        float(calls.mean()), float(1.96 * calls.std() / np.sqrt(n)),
        Share(valid, sum(min(good + 1, m) for _, good in first)),
        Share(sum(good for _, good in first), valid),
    )  # fmt: skip


async def _extend(bench: Bench, task: Any, chains: Sequence[Chain], m: int) -> None:
    """Let every chain write its next step."""
    steps = [Step(chain.start + len(chain.answers), chain.state, Rules.of(task), TOKEN_CAP) for chain in chains]
    requests = [
        Request(Address("experiment", step.index, chain.draw), render(task, step.state, step.index),
                draw_seeds(seed_key(bench.seed, m, chain.start), step.index, chain.draw)[0],
                bench.source.temperature, TOKEN_CAP, state=step.state)
        for chain, step in zip(chains, steps, strict=True)
    ]  # fmt: skip
    for chain, step, sample in zip(chains, steps, await bench.samples(requests), strict=True):
        answer = step.read(sample.text).answer
        last = len(chain.answers) == m - 1
        if judge(sample, step, (), PAPER) is not None or not (last or _readable(answer)):
            chain.broken = True
            continue
        chain.answers.append(answer)
        chain.state = type(chain.state)(answer.next_state, answer.move)


def _readable(answer: Any) -> bool:
    """Say whether what a model wrote can be put before it again: no more disks than there are, and none unknown."""
    (moved, _, _), stacks = answer
    disks = [disk for peg in stacks for disk in peg]
    return len(disks) <= DISKS and all(1 <= disk <= DISKS for disk in (moved, *disks))


def _row(source: Source, m: int, seen: Counted, one: Single) -> Row:
    return source.row(
        m=m, k=K, **seen.right.row("right"), **seen.wrong.row("lost"), right_formula=one.right(m),
        calls_a_step=seen.calls, calls_low=seen.calls - seen.half, calls_high=seen.calls + seen.half,
        calls_formula=one.calls(m),
    )  # fmt: skip


def _table(found: dict[Source, dict[int, Counted]]) -> list[list[str]]:
    table = [["model", "m", "replies right", "formula", "calls a step", "formula", "subtasks lost"]]
    for source, sizes in found.items():
        one = single(sizes)
        for m, seen in sizes.items():
            table.append([
                source.name, str(m), seen.right.text(), short(one.right(m)),
                f"{seen.calls:.2f} ± {seen.half:.2f}", f"{one.calls(m):.2f}", seen.wrong.text(),
            ])  # fmt: skip
    return table


def _shows(found: dict[Source, dict[int, Counted]]) -> str:
    said = []
    for source, sizes in found.items():
        m, one = max(sizes), single(sizes)
        seen = sizes[m]
        said.append(
            f"{source.name}: a step takes {sizes[1].calls:.2f} calls at m = 1 and {seen.calls:.2f} at m = {m} (formula "
            f"{one.calls(m):.2f})"
        )
    return (
        "A reply of m steps is right about as often as m steps in a row are, so the useful share of replies falls "
        f"exponentially and the cost of a step grows exponentially: {'; '.join(said)}. The formula knows p and v of "
        "single calls from right states, and leaves out two things that put points above it: one vote for a scattered "
        "wrong reply is enough to be runner-up and costs the leader one more; and replies that err at the same place "
        "and go on alike vote together, as the simulated model's do."
    )
