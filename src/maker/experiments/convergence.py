"""How fast do steps get decided? `maker experiment convergence`.

Steps of the 20-disk tower are voted on by the engine, under the paper's flags. The share of steps still
undecided is counted after each round of sampling (a wave of k - margin replies) and after each valid
vote, beside what theory gives for one p and v that are the same at every step.

Not covered: what a run does with undecided steps; the vote ends at the engine's default limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maker.decision.flags import PAPER
from maker.decision.poll import Poll
from maker.decision.wave import FLAGGED
from maker.experiments.kit.bench import DISKS, STEPS, Bench, Source, neural, oracle, said_of, sources, spread
from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.theory.votes import walks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


K = 3
ROUNDS = 12
VOTES = 30


@dataclass(slots=True, frozen=True)
class Counted:
    """What the votes of one source showed: open steps by round and by vote, and what its samples say of p and v."""

    rounds: list[Share]
    votes: list[Share]
    p: Share
    v: Share
    wrong: Share
    open: int


def run(options: Options) -> Study:
    """Vote on steps and count when they are decided."""
    n = options.size(10_000, 1000)
    used = sources(
        options, neural(1.8), neural(2.2), neural(1.0, "early"), oracle("p=0.9,v=0.95"), oracle("p=0.9,v=0.95,rho=0.1")
    )
    found: dict[Source, Counted] = {}
    for source in used:
        with Bench(source, options.seed) as bench:
            steps, _ = spread(STEPS, n, options.seed)
            found[source] = counted(bench, bench.votes(DISKS, steps, K, PAPER))
        options.say(f"{source.name}: {found[source].open} of {n:,} steps stay undecided")
    rows = [row for source, seen in found.items() for row in _rows(source, seen)]

    return Study(
        "convergence", "How fast do steps get decided?", rows, _table(found),
        lambda figure: _draw(figure, found), _shows(found),
        f"How it would go with another k (here {K}) or with the default flags, under which hardly a wrong reply of the "
        "bundled model votes. v is over all replies, so a step that took many counts more. A tail that no vote has "
        "ended yet may be a step that no vote can end.",
        f"{n:,} different steps of the {DISKS}-disk path for each model, k = {K}, the paper's flags", said_of(used),
        options.seed, (9.6, 5.0),
    )  # fmt: skip


def counted(bench: Bench, polls: list[Poll]) -> Counted:
    """Count how many polls are open after each round and each vote, and grade the first valid vote of each."""
    n = len(polls)
    waves, votes = [0] * (ROUNDS + 1), [0] * (VOTES + 1)
    first_right = graded = valid = drawn = wrong = undecided = 0
    for poll in polls:
        truth = bench.right(poll)
        won = poll.key
        undecided += won is None
        wrong += won is not None and won != truth
        for counts, took in ((waves, poll.waves), (votes, poll.tally.total)):
            for at in range(len(counts)):
                counts[at] += won is None or at < took
        valid += poll.tally.total
        drawn += poll.drawn
        ballots = [poll.readings[number].key for number in poll.order if number != FLAGGED]
        graded += bool(ballots)
        first_right += bool(ballots) and ballots[0] == truth
    return Counted(
        [Share(count, n) for count in waves], [Share(count, n) for count in votes], Share(first_right, graded),
        Share(valid, drawn), Share(wrong, n - undecided), undecided,
    )  # fmt: skip


def _rows(source: Source, seen: Counted) -> list[Row]:
    votes = walks.after_votes(seen.p.rate, K, VOTES)
    return [
        source.row(k=K, p=seen.p.rate, v=seen.v.rate, after=kind, number=at, **share.row("undecided"), one_p=expected)
        for kind, shares, theory in (("round", seen.rounds, _rounds(seen)), ("vote", seen.votes, votes))
        for at, (share, expected) in enumerate(zip(shares, theory, strict=True))
    ]


def _rounds(seen: Counted) -> list[float]:
    return list(walks.after_waves(seen.p.rate, seen.v.rate, K, ROUNDS))


def _table(found: dict[Source, Counted]) -> list[list[str]]:
    table = [["model", "p (first vote)", "v", "open after 1 round", "3 rounds", "(one p)", "12 rounds", "wrong winner"]]
    for source, seen in found.items():
        table.append([
            source.name, seen.p.text(), short(seen.v.rate), seen.rounds[1].text(), seen.rounds[3].text(),
            short(_rounds(seen)[3]), seen.rounds[ROUNDS].text(), seen.wrong.text(),
        ])  # fmt: skip
    return table


def _shows(found: dict[Source, Counted]) -> str:
    said = []
    for source, seen in found.items():
        share, expected = seen.rounds[6], _rounds(seen)[6]
        word = "as" if share.low <= expected <= share.high else "more than" if share.low > expected else "fewer than"
        said.append(
            f"{source.name}: {short(share.rate)} open after 6 rounds, {word} one p for all steps gives "
            f"({short(expected)})"
        )
    faster = [source.name for source, seen in found.items() if seen.rounds[3].high < _rounds(seen)[3]]
    return (
        "On a log scale the share of undecided steps falls on a straight line when all steps are equally hard: each "
        "round decides the same share of what is left. A tail that flattens is a few hard steps, and they, not the "
        f"average, set how many votes a step must be allowed. {'; '.join(said)} (compared by 95% intervals). Fewer are "
        f"open after 3 rounds than the theory says for: {', '.join(faster) or 'none'}. It gives all wrong votes to one "
        "rival; wrong answers that differ from each other hold the winner up less."
    )


def _draw(figure: Figure, found: dict[Source, Counted]) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (source, seen) in enumerate(found.items()):
        line(left, range(ROUNDS + 1), _rounds(seen), number, alpha=0.7)
        line(right, range(VOTES + 1), list(walks.after_votes(seen.p.rate, K, VOTES)), number, alpha=0.7)
        points(left, range(ROUNDS + 1), _to_none(seen.rounds), number, source.name)
        points(right, range(1, VOTES, 2), _to_none(seen.votes[1:VOTES:2]), number, source.name, markersize=4)
    least = min(share.low for seen in found.values() for share in (*seen.rounds, *seen.votes) if share.seen)
    left.set(xlabel="rounds of sampling", ylabel=f"share of steps undecided, k = {K}", yscale="log")
    right.set(xlabel="valid votes of a step (odd numbers shown)", yscale="log")
    left.set_ylim(max(least / 3, 1e-6), 1.5)
    figure.suptitle(
        "Points: counted. Lines: theory with one p and v for all steps, as measured. Arrow: none left.", fontsize=10
    )
    legend(figure, left, 2)


def _to_none(shares: list[Share]) -> list[Share]:
    """Return shares up to the first of 0, with as many empty ones after it: none is left from there on."""
    first = next((at for at, share in enumerate(shares) if not share.seen), len(shares))
    return [share if at <= first else Share(0, 0) for at, share in enumerate(shares)]
