"""Does the error of a single step grow with the size of the problem? `maker experiment error-rate`.

For towers of 3 to 20 disks: steps of the path drawn at random, one reply each, judged twice: as wrong
or not over all replies, and among the replies that the paper's two flags let vote. For the bundled
weights the first is also computed exactly, as a product of token probabilities.

Not covered: voting, and what the default flags catch beyond the paper's (the table says how many).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maker.decision.flags import DEFAULT, PAPER, judge
from maker.decision.poll import Poll
from maker.experiments.kit.bench import Bench, Source, neural, oracle, said_of, sources, spread
from maker.experiments.kit.exact import measured
from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.study import Options, Row, Share, Study, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Counted = dict[str, Share]
Found = dict[tuple[Source, int], Counted]
Exact = dict[tuple[Source, int], float]


def run(options: Options) -> Study:
    """Measure the error of one step on towers of several sizes."""
    sizes = [4, 8, 14, 20] if options.quick else [3, 4, 5, 6, 8, 10, 13, 16, 20]
    n = options.size(2000, 300)
    used = sources(options, neural(1.4), neural(1.8), neural(2.2), neural(1.0, "early"), oracle("p=0.99,v=0.98"))
    found: Found = {}
    for source in used:
        with Bench(source, options.seed) as bench:
            for disks in sizes:
                steps, each = spread(2**disks - 1, n, options.seed)
                found[source, disks] = counted(bench, bench.draws(disks, steps, each))
                options.say(
                    f"{source.name}, {disks} disks: wrong or flagged {found[source, disks]['not_right'].text()}"
                )
    exact_n = options.size(512, 64)
    exact = {of: float(1 - p.mean()) for of, p in measured(used, sizes, exact_n, options.seed).items()}
    rows: list[Row] = [_row(source, disks, seen, exact.get((source, disks))) for (source, disks), seen in found.items()]

    return Study(
        "error-rate", "Does the error of one step grow with the size of the problem?", rows,
        _table(used, [sizes[0], sizes[len(sizes) // 2], sizes[-1]], found, exact),
        lambda figure: _draw(figure, used, sizes, found, exact), _shows(used, sizes, found),
        "Towers of Hanoi alone, and the bundled model was trained on them: the error of a general model on another "
        "task may well grow with size, or not. On the smaller towers all steps are asked several times, and so few "
        "may not be typical. An average hides single steps that are nearly always wrong; see `correlation`.",
        f"{n:,} replies for each model and size, one a step where the tower has that many steps; the exact values over "
        f"up to {exact_n} other steps",
        said_of(used), options.seed, (9.6, 4.4),
    )  # fmt: skip


def counted(bench: Bench, polls: list[Poll]) -> Counted:
    """Grade all replies of the polls: how many are not right, how many of those that vote are wrong."""
    total = right = 0
    wrong: dict[str, list[bool]] = {"paper": [], "default": []}  # of the replies that vote
    for poll in polls:
        truth = bench.right(poll)
        for sample in poll.samples:
            reading = poll.step.read(sample.text)
            total += 1
            right += reading.key == truth
            for name, flags in (("paper", PAPER), ("default", DEFAULT)):
                if judge(sample, poll.step, (), flags) is None:
                    wrong[name].append(reading.key != truth)
    return {
        "not_right": Share(total - right, total),
        "flagged": Share(total - len(wrong["paper"]), total),
        "wrong": Share(sum(wrong["paper"]), len(wrong["paper"])),
        "wrong_default": Share(sum(wrong["default"]), len(wrong["default"])),
    }


def _row(source: Source, disks: int, seen: Counted, exact: float | None) -> Row:
    row = source.row(disks=disks, exact_not_right=exact)
    for name, share in seen.items():
        row.update(share.row(name))
    return row


def _table(used: list[Source], sizes: list[int], found: Found, exact: Exact) -> list[list[str]]:
    table = [["model", "disks", "not right, of all replies", "exact", "wrong, paper's flags", "wrong, default flags"]]
    for source in used:
        for disks in sizes:
            seen, known = found[source, disks], exact.get((source, disks))
            table.append([
                source.name, str(disks), seen["not_right"].text(), "-" if known is None else short(known),
                seen["wrong"].text(), seen["wrong_default"].text(),
            ])  # fmt: skip
    return table


def _shows(used: list[Source], sizes: list[int], found: Found) -> str:
    said = []
    for source in used:
        small, large = found[source, sizes[0]]["not_right"], found[source, sizes[-1]]["not_right"]
        word = "higher" if large.low > small.high else "lower" if large.high < small.low else "not distinguishable"
        said.append(
            f"{source.name}: {short(small.rate)} at {sizes[0]} disks, {short(large.rate)} at {sizes[-1]} ({word})"
        )
    votes = [seen["wrong_default"] for (source, _), seen in found.items() if not source.simulated]
    real = (
        " Under the default flags, which compare the claimed next state with what the move leads to, "
        f"{sum(share.seen for share in votes)} of the {sum(share.n for share in votes):,} votes of real models, at all "
        "sizes together, were wrong."
        if any(share.n for share in votes)
        else ""
    )
    return (
        f"The share of replies that are not right, smallest against largest tower ({'; '.join(said)}). A word in "
        "brackets compares the 95% intervals. An answer lists every disk, so a larger tower makes it longer, and each "
        f"number is one more chance of a slip.{real}"
    )


def _draw(figure: Figure, used: list[Source], sizes: list[int], found: Found, exact: Exact) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    for number, source in enumerate(used):
        shifted = [disks + 0.12 * (number - len(used) / 2) for disks in sizes]
        for axes, name in ((left, "not_right"), (right, "wrong")):
            points(axes, shifted, [found[source, disks][name] for disks in sizes], number, source.name)
        if (source, sizes[0]) in exact:
            line(left, sizes, [exact[source, disks] for disks in sizes], number, alpha=0.7)
    left.set(title="All replies: not right\n(lines: exact, from token probabilities)", ylabel="share of replies")
    right.set(title="Replies that vote under the paper's flags: wrong\n(arrow: none seen, upper end of the interval)")
    for axes in (left, right):
        axes.set(xlabel="disks (steps = $2^{disks} - 1$)", yscale="log")
        axes.set_xticks(range(4, 21, 4))
    legend(figure, left, 3)
