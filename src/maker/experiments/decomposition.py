"""What does it cost to ask for several steps at once? `maker experiment decomposition`.

A reply of m steps is made of m calls without a vote between them: each reads the move and the stacks that
the one before wrote, right or wrong. The votes are on all m answers together, by the engine's rule and the
paper's flags. Counted are replies that are right, and calls for a step of the run, beside the formula.

Not covered: a model that writes m steps in one text; a long prompt that m steps share; how well a run ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from maker import theory
from maker.decision.address import Address, draw_seeds, seed_key
from maker.decision.flags import PAPER, judge
from maker.decision.race import Outcome, first_to_ahead
from maker.decision.sample import Request
from maker.decision.step import Rules, Step
from maker.experiments.kit.bench import TOKEN_CAP, Bench, Source, neural, oracle, said_of, sources
from maker.experiments.kit.figure import plain, points, style
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.task.canonical import canonical
from maker.task.prompt import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DISKS = 20
STEPS = 2**DISKS - 1
K = 3
SIZES = (1, 2, 4, 8, 16, 32)
LEAST = 0.1  # of replies right, by the formula: beyond that a subtask takes too many calls to be played
MOST = 2000  # votes, or flagged replies, of one subtask


@dataclass(slots=True)
class Chain:
    """One reply of m steps under way: where it is, and what it has written; `broken` is a red flag."""

    state: Any
    answers: list[Any] = field(default_factory=list)
    broken: bool = False
    calls: int = 0


@dataclass(slots=True)
class Subtask:
    """m steps from `start`, decided together; `right` are the right answers' keys.

    Of its first wave, whose size nothing has chosen yet: `asked` are the calls from right states, `valid` and
    `good` those of them that passed the flags and that were right.
    """

    start: int
    right: list[bytes]
    race: Any
    need: int = 0
    drawn: int = 0
    calls: int = 0
    first_right: bool = False
    asked: int = 0
    valid: int = 0
    good: int = 0
    ended: Outcome | None = None


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
        _draw_right(left, found)
        _draw_calls(right, found)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)

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
    starts = np.random.default_rng(bench.seed).choice(STEPS - m, n, replace=False).tolist()
    subtasks = [Subtask(start, _truths(task, start, m), first_to_ahead(K, MOST, MOST)) for start in starts]
    for subtask in subtasks:
        subtask.need = next(subtask.race)
    ready = subtasks
    while ready:
        chains = [[Chain(task.state_at(one.start)) for _ in range(one.need)] for one in ready]
        for link in range(m):
            _extend(bench, task, ready, chains, link, m)
        for subtask, made in zip(ready, chains, strict=True):
            _count(subtask, made)
        ready = [subtask for subtask in ready if subtask.ended is None]
    return subtasks


def counted(subtasks: Sequence[Subtask], m: int) -> Counted:
    """Grade the first reply and the winner of each subtask."""
    n = len(subtasks)
    calls = np.array([subtask.calls for subtask in subtasks]) / m
    valid = sum(subtask.valid for subtask in subtasks)
    return Counted(
        Share(sum(one.first_right for one in subtasks), n),
        Share(sum(one.ended is None or one.ended.winner != canonical(one.right) for one in subtasks), n),
        float(calls.mean()), float(1.96 * calls.std() / np.sqrt(n)),
        Share(valid, sum(subtask.asked for subtask in subtasks)),
        Share(sum(subtask.good for subtask in subtasks), valid),
    )  # fmt: skip


def _extend(
    bench: Bench, task: Any, ready: Sequence[Subtask], chains: Sequence[Sequence[Chain]], link: int, m: int
) -> None:  # fmt: skip
    """Let every chain that is not broken write its next step."""
    rules = Rules.of(task)
    going: list[tuple[Chain, int]] = []
    requests = []
    for subtask, made in zip(ready, chains, strict=True):
        index = subtask.start + link
        for number, chain in enumerate(made, subtask.drawn):
            if not chain.broken:
                seed = draw_seeds(seed_key(bench.seed, m, subtask.start), index, number)[0]
                address = Address("experiment", index, number)
                requests.append(Request(address, render(task, chain.state, index), seed, bench.source.temperature,
                                        TOKEN_CAP, state=chain.state))  # fmt: skip
                going.append((chain, index))
    for (chain, index), sample in zip(going, bench.samples(requests), strict=True):
        step = Step(index, chain.state, rules, TOKEN_CAP)
        chain.calls += 1
        answer = step.read(sample.text).answer
        if judge(sample, step, (), PAPER) is not None or (link < m - 1 and not _readable(answer)):
            chain.broken = True
            continue
        chain.answers.append(answer)
        chain.state = type(chain.state)(answer.next_state, answer.move)


def _readable(answer: Any) -> bool:
    """Say whether what a model wrote can be put before it again: no more disks than there are, and none unknown."""
    (moved, _, _), stacks = answer
    disks = [disk for peg in stacks for disk in peg]
    return len(disks) <= DISKS and all(1 <= disk <= DISKS for disk in (moved, *disks))


def _count(subtask: Subtask, made: Sequence[Chain]) -> None:
    """Count one wave of replies."""
    m = len(subtask.right)
    keys = [[canonical(answer) for answer in chain.answers] for chain in made]
    if subtask.drawn == 0:
        subtask.first_right = keys[0] == subtask.right
        for written in keys:
            good = next((i for i in range(m) if i >= len(written) or written[i] != subtask.right[i]), m)
            subtask.asked += min(good + 1, m)
            subtask.valid += min(good + 1, m, len(written))
            subtask.good += good
    subtask.drawn += len(made)
    subtask.calls += sum(chain.calls for chain in made)
    ballots = [None if chain.broken else canonical(written) for chain, written in zip(made, keys, strict=True)]
    try:
        subtask.need = subtask.race.send(ballots)
    except StopIteration as end:
        subtask.ended = end.value


def _row(source: Source, m: int, seen: Counted, one: Single) -> Row:
    row: Row = {"model": source.name, "simulated": source.simulated, "m": m, "k": K}
    row.update(seen.right.row("right"))
    row.update(seen.wrong.row("lost"))
    row.update({"right_formula": one.right(m), "calls_a_step": seen.calls, "calls_low": seen.calls - seen.half})
    row.update({"calls_high": seen.calls + seen.half, "calls_formula": one.calls(m)})
    return row


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


def _draw_right(axes: Axes, found: dict[Source, dict[int, Counted]]) -> None:
    for number, (source, sizes) in enumerate(found.items()):
        line = [single(sizes).right(m) for m in range(1, max(sizes) + 1)]
        axes.plot(range(1, max(sizes) + 1), line, color=style(number)["color"], alpha=0.7)
        points(axes, list(sizes), [seen.right for seen in sizes.values()], number, source.name)
    axes.set(xlabel="m, steps asked for at once", ylabel="share of replies right", yscale="log")
    plain(axes)
    axes.set_title("A whole reply is right\n(lines: (v p)$^m$, from single calls)")


def _draw_calls(axes: Axes, found: dict[Source, dict[int, Counted]]) -> None:
    for number, sizes in enumerate(found.values()):
        every, one = range(1, max(sizes) + 1), single(sizes)
        axes.plot(every, [one.calls(m) for m in every], color=style(number)["color"], alpha=0.7)
        means, halves = [seen.calls for seen in sizes.values()], [seen.half for seen in sizes.values()]
        axes.errorbar(list(sizes), means, yerr=halves, linestyle="none", capsize=2.5, **style(number))
    axes.set(xlabel="m, steps asked for at once", ylabel="model calls for one step of the run", yscale="log")
    plain(axes)
    axes.set_title(f"Cost at k = {K}\n(lines: the formula, from single calls)")


def _truths(task: Any, start: int, m: int) -> list[bytes]:
    """Return the keys of m right answers."""
    return [canonical(task.truth(task.state_at(index), index)) for index in range(start, start + m)]
