"""What do flags catch, and does repairing replies help? `maker experiment red-flags`.

Replies to steps of the 20-disk tower are read in four ways: repaired (whatever move and stacks can be
found in the text), strictly parsed, with the paper's flags and with the default flags. For each way: the
share that votes (v), the share of votes that is wrong, and how often the first two votes of a step are
both wrong, beside what independence gives. And error against the length of a reply.

The repairing parser lives here only; the engine never repairs. Not covered: what voting makes of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from maker import theory
from maker.decision.flags import DEFAULT, PAPER, Flag, judge
from maker.decision.poll import Poll
from maker.decision.sample import Sample
from maker.experiments.kit.bench import Bench, Source, neural, oracle, said_of, sources, spread
from maker.experiments.kit.figure import points, style
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.task.canonical import canonical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DISKS = 20
STEPS = 2**DISKS - 1
FEWEST = 20  # replies of a length that is drawn
EACH = 4  # replies to a step: two votes nearly always
TARGET = 0.95
_NUMBERS = re.compile(r"\d+")
_LIST = re.compile(r"\[([\d\s,]*)")


@dataclass(slots=True)
class Way:
    """What one way of reading made of a source's replies, a step at a time."""

    steps: int = 0
    valid: int = 0  # of the first replies
    voting: int = 0  # steps with a vote
    wrong: int = 0  # first votes
    pairs: int = 0  # steps with two votes
    both_wrong: int = 0
    same_wrong: int = 0

    def count(self, keys: list[bytes | None], right: bytes) -> None:
        """Count the replies of one step: their vote keys, None for one that does not vote."""
        votes = [key for key in keys if key is not None]
        self.steps += 1
        self.valid += keys[0] is not None
        self.voting += bool(votes)
        self.wrong += bool(votes) and votes[0] != right
        if len(votes) >= 2:
            self.pairs += 1
            self.both_wrong += right not in votes[:2]
            self.same_wrong += votes[0] != right and votes[0] == votes[1]

    @property
    def v(self) -> Share:
        """The share of replies that vote."""
        return Share(self.valid, self.steps)

    @property
    def error(self) -> Share:
        """The share of votes that is wrong."""
        return Share(self.wrong, self.voting)

    @property
    def both(self) -> Share:
        """The share of steps whose first two votes are both wrong."""
        return Share(self.both_wrong, self.pairs)


@dataclass(slots=True)
class Counted:
    """Of one source: what each way of reading made of it, and wrong replies by length in tokens."""

    ways: dict[str, Way] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    not_right: Counter[int] = field(default_factory=Counter)


def run(options: Options) -> Study:
    """Draw replies and read them in every way."""
    n = options.size(6000, 800)
    used = sources(
        options, neural(2.2), neural(2.6), neural(1.0, "early"), oracle("p=0.97,v=0.9,rho=0.05,confusion=0.05")
    )
    found: dict[Source, Counted] = {}
    for source in used:
        with Bench(source, options.seed) as bench:
            steps, _ = spread(STEPS, n, options.seed)
            found[source] = counted(bench, bench.draws(DISKS, steps, EACH))
        options.say(f"{source.name}: {n * EACH:,} replies read")
    rows = [_row(source, name, way) for source, seen in found.items() for name, way in seen.ways.items()]
    rows += [_length_row(source, seen, length) for source, seen in found.items() for length in sorted(seen.lengths)]

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 2 * len(found))
        for number, (source, seen) in enumerate(found.items()):
            axes = figure.add_subplot(grid[0, 2 * number : 2 * number + 2])
            _draw_lengths(axes, source, seen, number)
        errors = figure.add_subplot(grid[1, : len(found)])
        _draw_errors(errors, found)
        _draw_pairs(figure.add_subplot(grid[1, len(found) :]), found)
        figure.legend(*errors.get_legend_handles_labels(), loc="outside lower center", ncols=2)

    return Study(
        "red-flags", "What do flags catch, and does repairing replies help?", rows, _table(found), draw, _shows(found),
        "Whether length warns of errors in a model that reasons in words: the bundled model writes the answer alone, "
        "and on these towers every right answer has nearly the same number of tokens, so a length that differs is "
        "itself the error. The default flags know the task's rules; a task without `legal` and `agrees` has only the "
        "paper's.",
        f"{EACH} replies to each of {n:,} steps of the {DISKS}-disk path for each model", said_of(used), options.seed,
        (9.6, 8.4),
    )  # fmt: skip


def repaired(text: str | None) -> bytes | None:
    """Return the vote key of what a forgiving reader finds: the first three numbers, then up to three lists.

    Lists after `next_state` are read however they are closed; those that are missing are taken as empty, those
    beyond three are ignored.
    """
    head, _, tail = (text or "").partition("next_state")
    move = _NUMBERS.findall(head)[:3]
    lists = _LIST.findall(tail.replace("[[", "["))[:3]
    if len(move) < 3 or not lists:
        return None
    stacks = [[int(number) for number in _NUMBERS.findall(one)] for one in lists]
    return canonical([[int(number) for number in move], stacks + [[]] * (3 - len(stacks))])


def strict(poll: Poll, sample: Sample, flags: tuple[Flag, ...]) -> bytes | None:
    """Return the vote key of a reply that parses and that no flag stops, written as `repaired` writes it."""
    if judge(sample, poll.step, (), flags) is not None:
        return None
    move, stacks = poll.step.read(sample.text).answer
    return canonical([list(move), [list(peg) for peg in stacks]])


WAYS: dict[str, Callable[[Poll, Sample], bytes | None]] = {
    "repaired": lambda _poll, sample: repaired(sample.text),
    "strict parser": lambda poll, sample: strict(poll, sample, ()),
    "paper's flags": lambda poll, sample: strict(poll, sample, PAPER),
    "default flags": lambda poll, sample: strict(poll, sample, DEFAULT),
}


def counted(bench: Bench, polls: list[Poll]) -> Counted:
    """Read every reply in every way and grade it.

    Shares of replies are taken over the first reply of each step, shares of votes over the first vote, so that
    all trials are independent draws and the intervals exact.
    """
    seen = Counted({name: Way() for name in WAYS})
    for poll in polls:
        truth = bench.task(DISKS).truth(poll.step.state, poll.step.index)
        right = canonical([list(truth.move), [list(peg) for peg in truth.next_state]])
        for name, read in WAYS.items():
            keys = [read(poll, sample) for sample in poll.samples]
            seen.ways[name].count(keys, right)
        first = poll.samples[0]
        seen.lengths[first.tokens_out or 0] += 1
        seen.not_right[first.tokens_out or 0] += strict(poll, first, ()) != right
    return seen


def replies_needed(way: Way) -> tuple[int, float] | None:
    """Return k and the replies a step for a million steps at 95%, from the lower bound of p; None where no k helps."""
    low = theory.p_lower(way.wrong, way.voting) if way.voting else 0.0
    if low <= 0.5:
        return None
    k = theory.k_min(low, STEPS, TARGET)
    return k, theory.expected_cost(1 - way.error.rate, k, 1, v=way.v.rate)


def _row(source: Source, name: str, way: Way) -> Row:
    needed = replies_needed(way)
    row: Row = {"model": source.name, "simulated": source.simulated, "read": name, "tokens": None}
    row.update(way.v.row("v"))
    row.update(way.error.row("error"))
    row.update(way.both.row("both_wrong"))
    row.update({"independent": way.error.rate**2 if way.voting else None, "same_wrong": way.same_wrong})
    row.update({"k": needed[0] if needed else None, "replies_a_step": needed[1] if needed else None})
    return row


def _length_row(source: Source, seen: Counted, length: int) -> Row:
    row = dict.fromkeys(_row(source, "", Way()), None) | {"model": source.name, "simulated": source.simulated}
    share = Share(seen.not_right[length], seen.lengths[length])
    return row | {"read": "by length", "tokens": length} | share.row("error")


def _table(found: dict[Source, Counted]) -> list[list[str]]:
    table = [["model", "read", "v", "wrong, of the votes", "first two both wrong", "if independent", "both the same",
              "k", "replies a step"]]  # fmt: skip
    for source, seen in found.items():
        for name, way in seen.ways.items():
            needed = replies_needed(way)
            table.append([
                source.name, name, f"{way.v.rate:.4f}", way.error.text(), way.both.text(),
                short(way.error.rate**2) if way.voting else "-", str(way.same_wrong),
                str(needed[0]) if needed else "none", f"{needed[1]:.2f}" if needed else "-",
            ])  # fmt: skip
    return table


def _ratio(way: Way) -> float | None:
    """Return how much more often the first two votes are both wrong than independence gives; None of no error."""
    return way.both.rate / way.error.rate**2 if way.wrong and way.pairs else None


def _shows(found: dict[Source, Counted]) -> str:
    said, fell = [], []
    for source, seen in found.items():
        loose, paper, full = (seen.ways[name] for name in ("repaired", "paper's flags", "default flags"))
        lower, higher = paper.error.high < loose.error.low, paper.error.low > loose.error.high
        ratios = [_ratio(way) for way in (loose, paper, full)]
        if ratios[0] is not None and ratios[1] is not None and ratios[1] < 0.8 * ratios[0]:
            fell.append(source.name)
        said.append(
            f"{source.name}: of the votes {short(loose.error.rate)} are wrong when repaired, {short(paper.error.rate)} "
            f"under the paper's flags ({'lower' if lower else 'higher' if higher else 'not distinguishable'}), "
            f"{short(full.error.rate)} under the default flags; the first two votes are both wrong, over what "
            f"independence gives: {', '.join('none wrong' if r is None else f'{r:.2g}' for r in ratios)}"
        )
    return (
        f"{'; '.join(said)}. The paper expects flags to cut correlated errors more than others; then the second of "
        f"these ratios would be well below the first, which it is for: {', '.join(fell) or 'none'}. k and replies a "
        "step are what a million steps at 95% would need, by the formula for independent errors, from the lower bound "
        "of p; where the first two votes are both wrong far more often than independence gives, that k is not enough. "
        "Where they are hardly ever the same wrong answer, the formula's worst case, one rival with all the errors, "
        "asks for too much."
    )


def _draw_lengths(axes: Axes, source: Source, seen: Counted, number: int) -> None:
    shown = [length for length, n in sorted(seen.lengths.items()) if n >= FEWEST]
    shares = [Share(seen.not_right[length], seen.lengths[length]) for length in shown]
    points(axes, shown, shares, number, source.name, markersize=3.5)
    axes.set_title(source.name.replace(", rho", ",\nrho").replace(" (sim", "\n(sim"), fontsize=8)
    axes.set(xlabel="tokens of the reply", ylim=(-0.03, 1.03))
    if shown and shown[-1] > 10 * shown[0]:
        axes.set_xscale("log")
    if number == 0:
        axes.set_ylabel("share of replies not right")
    else:
        axes.set_yticklabels([])


def _draw_errors(axes: Axes, found: dict[Source, Counted]) -> None:
    for number, (source, seen) in enumerate(found.items()):
        places = [i + 0.1 * (number - len(found) / 2) for i in range(len(WAYS))]
        points(axes, places, [seen.ways[name].error for name in WAYS], number, source.name)
    axes.set(yscale="log", ylabel="share of the votes that is wrong", title="Error by way of reading")
    axes.set_xticks(range(len(WAYS)), [name.replace(" ", "\n") for name in WAYS])


def _draw_pairs(axes: Axes, found: dict[Source, Counted]) -> None:
    for number, (source, seen) in enumerate(found.items()):
        places = [i + 0.1 * (number - len(found) / 2) for i in range(len(WAYS))]
        points(axes, places, [seen.ways[name].both for name in WAYS], number, source.name)
        alone = [seen.ways[name].error.rate ** 2 or float("nan") for name in WAYS]
        axes.plot(places, alone, linestyle="none", marker="_", markersize=14, markeredgewidth=2.5,
                  color=style(number)["color"], alpha=0.6)  # fmt: skip
    axes.set(yscale="log", ylabel="share of steps, first two votes wrong")
    axes.set_title("Collisions (dash: if errors were independent)")
    axes.set_xticks(range(len(WAYS)), [name.replace(" ", "\n") for name in WAYS])
