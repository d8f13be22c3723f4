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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from maker import theory
from maker.decision.flags import DEFAULT, PAPER, Flag, judge
from maker.decision.poll import Poll
from maker.decision.sample import Sample
from maker.experiments.kit.bench import DISKS, STEPS, Bench, Source, neural, oracle, said_of, sources, spread
from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.task.canonical import canonical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FEWEST = 20  # replies of a length that is drawn
EACH = 4  # replies to a step: two votes nearly always
TARGET = 0.95
_NUMBERS = re.compile(r"\d+")
_LIST = re.compile(r"\[([\d\s,]*)")


@dataclass(slots=True, frozen=True)
class Way:
    """What one way of reading made of a source's replies, a step at a time."""

    v: Share  # of the first replies: those that vote
    error: Share  # of the first votes: the wrong ones
    both: Share  # of the steps with two votes: both wrong
    same_wrong: int  # of these: both the same

    @classmethod
    def of(cls, keys: Sequence[Sequence[bytes | None]], rights: Sequence[bytes]) -> Self:
        """Count the replies of each step: their vote keys, None for one that does not vote."""
        votes = [[key for key in replies if key is not None] for replies in keys]
        firsts = [own[0] != right for own, right in zip(votes, rights, strict=True) if own]
        pairs = [own[:2] for own, right in zip(votes, rights, strict=True) if len(own) >= 2 and right not in own[:2]]
        return cls(
            Share(sum(replies[0] is not None for replies in keys), len(keys)),
            Share(sum(firsts), len(firsts)),
            Share(len(pairs), sum(len(own) >= 2 for own in votes)),
            sum(first == second for first, second in pairs),
        )


@dataclass(slots=True, frozen=True)
class Counted:
    """Of one source: what each way of reading made of it, and the replies not right by length in tokens."""

    ways: dict[str, Way]
    lengths: dict[int, Share]


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
    rows += [_length_row(source, *length) for source, seen in found.items() for length in seen.lengths.items()]

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 2 * len(found))
        for number, (source, seen) in enumerate(found.items()):
            axes = figure.add_subplot(grid[0, 2 * number : 2 * number + 2])
            _draw_lengths(axes, source, seen, number)
        errors = figure.add_subplot(grid[1, : len(found)])
        _draw_ways(errors, found, pairs=False)
        errors.set(ylabel="share of the votes that is wrong", title="Error by way of reading")
        both = figure.add_subplot(grid[1, len(found) :])
        _draw_ways(both, found, pairs=True)
        both.set(ylabel="share of steps, first two votes wrong", title="Collisions (dash: if errors were independent)")
        legend(figure, errors, 2)

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
    truths = [bench.task(DISKS).truth(poll.step.state, poll.step.index) for poll in polls]
    rights = [canonical([list(truth.move), [list(peg) for peg in truth.next_state]]) for truth in truths]
    keys = {name: [[read(poll, sample) for sample in poll.samples] for poll in polls] for name, read in WAYS.items()}
    lengths = [poll.samples[0].tokens_out or 0 for poll in polls]
    wrong = Counter(
        length for length, key, right in zip(lengths, keys["strict parser"], rights, strict=True) if key[0] != right
    )
    return Counted(
        {name: Way.of(found, rights) for name, found in keys.items()},
        {length: Share(wrong[length], n) for length, n in sorted(Counter(lengths).items())},
    )


def replies_needed(way: Way) -> tuple[int, float] | None:
    """Return k and the replies a step for a million steps at 95%, from the lower bound of p; None where no k helps."""
    low = theory.p_lower(way.error.seen, way.error.n) if way.error.n else 0.0
    if low <= 0.5:
        return None
    k = theory.k_min(low, STEPS, TARGET)
    return k, theory.expected_cost(1 - way.error.rate, k, 1, v=way.v.rate)


def _row(source: Source, name: str, way: Way) -> Row:
    needed = replies_needed(way)
    return source.row(
        read=name, tokens=None, **way.v.row("v"), **way.error.row("error"), **way.both.row("both_wrong"),
        independent=way.error.rate**2 if way.error.n else None, same_wrong=way.same_wrong,
        k=needed[0] if needed else None, replies_a_step=needed[1] if needed else None,
    )  # fmt: skip


def _length_row(source: Source, length: int, share: Share) -> Row:
    empty = dict.fromkeys(_row(source, "", Way.of([], [])))
    return empty | source.row(read="by length", tokens=length, **share.row("error"))


def _table(found: dict[Source, Counted]) -> list[list[str]]:
    table = [["model", "read", "v", "wrong, of the votes", "first two both wrong", "if independent", "both the same",
              "k", "replies a step"]]  # fmt: skip
    for source, seen in found.items():
        for name, way in seen.ways.items():
            needed = replies_needed(way)
            table.append([
                source.name, name, f"{way.v.rate:.4f}", way.error.text(), way.both.text(),
                short(way.error.rate**2) if way.error.n else "-", str(way.same_wrong),
                str(needed[0]) if needed else "none", f"{needed[1]:.2f}" if needed else "-",
            ])  # fmt: skip
    return table


def _shows(found: dict[Source, Counted]) -> str:
    said, fell = [], []
    for source, seen in found.items():
        loose, paper, full = (seen.ways[name] for name in ("repaired", "paper's flags", "default flags"))
        lower, higher = paper.error.high < loose.error.low, paper.error.low > loose.error.high
        # How much more often the first two votes are both wrong than independence gives; None of no error.
        ratios = [way.both.rate / way.error.rate**2 if way.error.seen and way.both.n else None
                  for way in (loose, paper, full)]  # fmt: skip
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
    often = {length: share for length, share in seen.lengths.items() if share.n >= FEWEST}
    shown = list(often)
    points(axes, shown, list(often.values()), number, source.name, markersize=3.5)
    axes.set_title(source.name.replace(", rho", ",\nrho").replace(" (sim", "\n(sim"), fontsize=8)
    axes.set(xlabel="tokens of the reply", ylim=(-0.03, 1.03))
    if shown and shown[-1] > 10 * shown[0]:
        axes.set_xscale("log")
    if number == 0:
        axes.set_ylabel("share of replies not right")
    else:
        axes.set_yticklabels([])


def _draw_ways(axes: Axes, found: dict[Source, Counted], *, pairs: bool) -> None:
    """Draw the error by way of reading, or with `pairs` how often two votes are both wrong."""
    for number, (source, seen) in enumerate(found.items()):
        places = [i + 0.1 * (number - len(found) / 2) for i in range(len(WAYS))]
        shares = [way.both if pairs else way.error for way in seen.ways.values()]
        points(axes, places, shares, number, source.name)
        if pairs:
            alone = [way.error.rate**2 or float("nan") for way in seen.ways.values()]
            dash = {"linestyle": "none", "marker": "_", "markersize": 14, "markeredgewidth": 2.5}
            line(axes, places, alone, number, **dash, alpha=0.6)
    axes.set(yscale="log")
    axes.set_xticks(range(len(WAYS)), [name.replace(" ", "\n") for name in WAYS])
