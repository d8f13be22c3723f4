"""What makes the draws on a step less alike? `maker experiment decorrelation`.

The same steps of the Towers of Hanoi, each asked as often as the others: plainly, twice, so that chance is seen;
warmer, as the rung `refine` asks; in the task's other words (its views, in turn); and of a model that reads any
prompt, under a line of system text that changes from draw to draw, and after examples, in one order or in several. Of
each way: p, rho, the votes that its draws are
worth, the steps that the most frequent answer loses, and the tokens. What one way loses and the other does not is
counted step by step.

Not covered: several models in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from maker.decision.flags import PAPER, judge
from maker.engine.ladder.rungs import WARMER
from maker.experiments.kit.bench import DISKS, STEPS, Bench, Source, Way, neural, said_of, sources, spread
from maker.experiments.kit.figure import points, style
from maker.experiments.kit.study import Options, Row, Share, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from maker.decision.poll import Poll

DRAWS = 12  # on each step, in every way
RESAMPLED = 1000  # times, for the interval of rho
PERSONAS = (
    "You are a careful accountant.", "You are a chess player who checks each move twice.",
    "You are a teacher who follows rules to the letter.", "You are a robot that moves disks.",
)  # fmt: skip

EXAMPLES = (5, 1_010, 70_003, 500_000)  # steps that are shown with their right answers; rotated, four orders


@dataclass(slots=True)
class Found:
    """What one way of asking brought: of each step its votes and the wrong ones among them, and whether it is lost."""

    votes: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    lost: list[bool] = field(default_factory=list)
    replies: int = 0
    tokens: int = 0

    @property
    def p(self) -> Share:
        """The share of right votes."""
        return Share(sum(self.votes) - sum(self.wrong), sum(self.votes))

    @property
    def rho(self) -> tuple[float, float, float]:
        """The correlation of two votes' errors on a step, and its 95% interval over the steps."""
        kept = [(wrong, votes) for wrong, votes in zip(self.wrong, self.votes, strict=True) if votes > 1]
        if not kept:
            return 0.0, 0.0, 1.0
        pairs = np.array(kept, np.float64)
        found = [_rho(pairs)]
        generator = np.random.default_rng(0)
        found += [_rho(pairs[generator.integers(0, len(pairs), len(pairs))]) for _ in range(RESAMPLED)]
        low, high = np.quantile(found[1:], [0.025, 0.975])
        return found[0], float(low), float(high)

    @property
    def worth(self) -> float:
        """The independent votes that the draws on a step are worth."""
        each = sum(self.votes) / max(1, len(self.votes))
        return each / (1 + max(0.0, each - 1) * max(0.0, self.rho[0]))


def _rho(pairs: np.ndarray) -> float:
    """Return the correlation from (wrong, votes) of steps, by the first two moments."""
    wrong, votes = pairs.T
    mean = float((wrong / votes).mean())
    both = float((wrong * (wrong - 1) / (votes * (votes - 1))).mean())
    return (both - mean**2) / (mean * (1 - mean)) if 0 < mean < 1 else 0.0


def ways(source: Source) -> dict[str, list[Way]]:
    """Return the ways of asking a model, each as the parts that its draws are shared among."""
    heat = source.temperature
    found = {
        "plain": [Way(heat)],
        "plain, once more": [Way(heat, turn=1)],
        f"warmer by {WARMER:g}": [Way(heat + WARMER)],
    }
    if not source.simulated:  # that one knows the task's own words alone
        found["other words"] = [Way(heat, views=True)]
    if not source.simulated and not source.spec.startswith("neural"):  # the bundled model reads no system message
        found["personas"] = [Way(heat, system=line) for line in PERSONAS]
        found["examples"] = [Way(heat, turn=2, shown=EXAMPLES)]
        orders = [EXAMPLES[at:] + EXAMPLES[:at] for at in range(len(EXAMPLES))]
        found["examples, in several orders"] = [Way(heat, turn=3 + at, shown=one) for at, one in enumerate(orders)]
    return found


def run(options: Options) -> Study:
    """Ask the same steps in several ways."""
    n = options.size(1500, 120)
    (used,) = sources(options, neural(1.0, "early"))
    steps, _ = spread(STEPS, n, options.seed)
    found: dict[str, Found] = {}
    with Bench(used, options.seed) as bench:
        for name, parts in ways(used).items():
            found[name] = count(bench, steps, parts)
            options.say(f"{used.name}, {name}: loses {sum(found[name].lost)} of {n}")
    return Study(
        "decorrelation", "What makes the draws on a step less alike?", [_row(used, name, found) for name in found],
        _table(found), lambda figure: _draw(figure, used, found), _shows(used, found),
        "That what helps here helps another model: a view of the tower exchanges its pegs, and few tasks have anything "
        "like it. The bundled model reads neither a system message nor examples, so that personas and examples are for "
        "other models alone (`--model`). Votes are those under the paper's flags; the "
        "default ones, which know the rules, catch most of what is lost here.",
        f"{n:,} different steps of the {DISKS}-disk path, {DRAWS} draws on each in every way; intervals of rho by "
        f"{RESAMPLED:,} resamples of the steps",
        said_of([used]), options.seed,
    )  # fmt: skip


def count(bench: Bench, steps: Sequence[int], parts: Sequence[Way]) -> Found:
    """Ask the steps in all parts of a way, and count votes under the paper's flags."""
    found = Found()
    for polls in zip(*(bench.ask(DISKS, steps, DRAWS // len(parts), part) for part in parts), strict=True):
        _count(found, polls, bench.right(polls[0]))
    return found


def _count(found: Found, polls: Sequence[Poll], right: bytes) -> None:
    """Count what the parts of a way brought on one step."""
    votes: dict[bytes, int] = {}
    for poll in polls:
        for sample in poll.samples:
            found.replies += 1
            found.tokens += (sample.tokens_in or 0) + (sample.tokens_out or 0)
            key = poll.step.read(sample.text).key
            if key is not None and judge(sample, poll.step, (), PAPER) is None:
                votes[key] = votes.get(key, 0) + 1
    total = sum(votes.values())
    others = max((n for key, n in votes.items() if key != right), default=0)
    found.votes.append(total)
    found.wrong.append(total - votes.get(right, 0))
    found.lost.append(votes.get(right, 0) <= others)  # a tie is lost too


def _apart(found: dict[str, Found], name: str) -> tuple[int, int]:
    """Return how many steps plain draws lose and this way does not, and the reverse."""
    pairs = list(zip(found["plain"].lost, found[name].lost, strict=True))
    return sum(plain and not here for plain, here in pairs), sum(here and not plain for plain, here in pairs)


def _row(used: Source, name: str, found: dict[str, Found]) -> Row:
    seen = found[name]
    rho, low, high = seen.rho
    saved, lost = _apart(found, name)
    return used.row(
        way=name, **seen.p.row("p"), rho=rho, rho_low=low, rho_high=high, worth=seen.worth,
        **Share(sum(seen.lost), len(seen.lost)).row("lost"), saved=saved, newly_lost=lost,
        tokens=seen.tokens / max(1, seen.replies),
    )  # fmt: skip


def _table(found: dict[str, Found]) -> list[list[str]]:
    table = [["draws", "p of a vote", "rho", f"{DRAWS} draws are worth", "steps lost", "saved", "newly lost",
              "tokens a draw"]]  # fmt: skip
    for name, seen in found.items():
        rho, low, high = seen.rho
        saved, lost = _apart(found, name)
        table.append([
            name, seen.p.text(), f"{rho:.3f} ({low:.3f} to {high:.3f})", f"{seen.worth:.1f} votes",
            Share(sum(seen.lost), len(seen.lost)).text(), str(saved), str(lost),
            f"{seen.tokens / max(1, seen.replies):.0f}",
        ])  # fmt: skip
    return table


def _shows(used: Source, found: dict[str, Found]) -> str:
    plain = found["plain"]
    said = []
    for name, seen in found.items():
        if name != "plain":
            saved, lost = _apart(found, name)
            said.append(
                f"{name}: rho {seen.rho[0]:.3f}, {sum(seen.lost)} steps lost ({saved} saved, {lost} newly lost), "
                f"{seen.tokens / max(1, plain.tokens):.2f} times the tokens"
            )
    best = min(found, key=lambda name: sum(found[name].lost))
    return (
        f"{used.name}: {DRAWS} plain draws on a step have rho = {plain.rho[0]:.3f}, are worth {plain.worth:.1f} votes, "
        f"and lose {sum(plain.lost)} of {len(plain.lost):,} steps. On the same steps and with as many draws, "
        f"{'; '.join(said)}. Fewest steps are lost with: {best}."
    )


def _draw(figure: Figure, used: Source, found: dict[str, Found]) -> None:
    left, right = figure.subplots(1, 2)
    names = list(found)
    for number, (name, seen) in enumerate(found.items()):
        rho, low, high = seen.rho
        side = [[max(0.0, rho - low)], [max(0.0, high - rho)]]
        left.errorbar([number], [rho], side, linestyle="none", capsize=2.5, **style(number))
        points(right, [number], [Share(sum(seen.lost), len(seen.lost))], number, name)
    for axes in (left, right):
        axes.set_xticks(range(len(names)), names, rotation=15)
        axes.set_xlabel(f"how {DRAWS} draws on a step are asked")
        axes.set_ylim(bottom=0)
        axes.set_xlim(-0.5, len(names) - 0.5)
    left.set(ylabel="rho, correlation of two votes' errors", title=used.name)
    right.set(ylabel="share of steps lost", title="same steps, same number of draws")
