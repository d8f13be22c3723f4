"""What the journal of a solve proves, from the file alone.

`recheck` grows the tree again from the recorded samples, counting ballots one at a time with code
that the engine does not share: each voted draw says what its candidate says, each verdict is k ahead
and no draw follows it, a judge was asked only where no proposal could win any more, every decision
was open when it was made, and the recorded hashes are those of the tree.

Not covered: what `checker.py` does not cover either, and whether any answer is true.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from maker.decision.wave import FLAGGED, Wave
from maker.engine.solve.roles import ROLES, legal, read
from maker.engine.solve.tree import Decision, Tree
from maker.errors import JournalError, TaskError
from maker.journal.chain import Fold
from maker.journal.story import Story, Summary
from maker.review.checking.checker import Audit, expected
from maker.review.checking.recount import Failed, Race, findings
from maker.review.checking.settings import Settings
from maker.task.canonical import canonical


def is_solve(story: Story) -> bool:
    """Say whether a journal is that of a solve."""
    return story.latest.get("task") == "solve" and "roles" in story.latest


@dataclass(slots=True)
class Recheck:
    """A solve read back: the audit, the tree as far as the checks held, samples by problem and by role."""

    audit: Audit
    tree: Tree
    samples: Counter[int]
    roles: dict[str, Counter[str]]


def recheck(story: Story, expect: str | None = None) -> Recheck:
    """Re-check the journal of a solve from the file alone.

    expect: a `head` that this journal once had, as in `verify`.
    Raises JournalError for a file that cannot be read, TaskError for a journal that is no solve's. What
    does not hold is in the audit's `problem`.
    """
    summary = story.summary()
    if not is_solve(story):
        raise TaskError(
            f"{story.path}: the journal of task {story.latest.get('task')!r}, not of a solve: it has no tree"
        )
    reader, settings = _Reader(summary), Settings()
    problem = None
    try:
        for _, item in story.events():
            if isinstance(item, Wave):
                with findings(item.step):
                    reader.take(item)
            else:
                settings.take(item)
        expected(story, expect)
    except Failed as failed:
        problem = str(failed)
    tree = reader.tree
    summary.fold = Fold()  # steps of a solve are sparse: they are folded by rank
    for rank, (_, hashed) in enumerate(sorted(tree.hashes.items())):
        summary.fold.add(rank, hashed, b"")
    summary.fold.state_digest = tree.state_digest
    complete = tree.answer is not None
    checked = ["record chain", "ballots say what their candidates say", "verdicts follow from ballots",
               "decisions were open", "states and hashes", *(["expected hash"] if expect else [])]  # fmt: skip
    audit = Audit(summary, problem is None and complete, complete, None, tree.answer, checked, problem)
    return Recheck(audit, tree, reader.samples, reader.roles)


class _Reader:
    """Takes waves in order; each decision is counted, checked and applied."""

    def __init__(self, summary: Summary) -> None:
        match summary.header.get("parameters"):
            case {"problem": str(problem), "depth": int(depth)}:
                self.tree = Tree(problem, depth)
            case other:
                raise JournalError(f"the header's parameters are not those of a solve: {other!r}")
        self.samples: Counter[int] = Counter()
        self.roles: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
        self._k, self._weights = summary.k or 1, summary.weights
        self._races: dict[int, Race] = {}

    def take(self, wave: Wave) -> None:
        """Check one wave."""
        if wave.step not in self.tree.open:
            self._dispute(wave.step)
        decision = self.tree.open[wave.step]
        race = self._races.setdefault(wave.step, Race(str(decision), self._k, weights=self._weights))
        self.samples[decision.number] += len(wave)
        counts = self.roles[ROLES[decision.role]]
        for candidate, text in race.ballots(wave):
            counts["flagged" if candidate == FLAGGED else "valid"] += 1
            if candidate != FLAGGED:
                self._vote(decision, race, candidate, race.texts[text])
        if wave.verdict is not None:
            self._verdict(decision, race, wave.verdict)
            counts["decisions"] += 1

    def _vote(self, decision: Decision, race: Race, candidate: int, text: bytes | None) -> None:
        """Check one ballot: what its text says is what its candidate said first, and nothing else's."""
        try:
            said = read(decision.role, (text or b"").decode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise Failed(f"{decision}: a counted vote cannot be read: {error}") from None
        if candidate == len(race.first):
            if not legal(decision.state, said):
                raise Failed(f"{decision}: a reply that is not possible here was counted: {said}")
            race.first[candidate] = said
        same = [canonical(said) == canonical(known) for known in race.first.values()]
        if same.count(True) != 1 or not same[candidate]:
            raise Failed(f"{decision}: a vote for candidate {candidate} says something else")

    def _dispute(self, step: int) -> None:
        """Open a judge's decision. Raises where its proposals were not open, or could still be decided."""
        proposals = self.tree.open.get(step - 1)
        race = self._races.get(step - 1)
        if proposals is None or not proposals.proposes or race is None:
            raise Failed(f"step {step} was not open when it was decided")
        if race.votes.total() + race.wanting() <= 2 * self._k - 1:
            votes = list(race.votes.values())
            raise Failed(f"{proposals}: a judge was asked while the proposals {votes} could still be decided")
        self.tree.dispute(step - 1, list(race.first.values()))

    def _verdict(self, decision: Decision, race: Race, verdict: tuple[int, bytes, bytes]) -> None:
        winner, hashed, state_digest = verdict
        if not race.won_by(winner):
            raise Failed(f"{decision}: the verdict does not follow from the votes {list(race.votes.values())}")
        _, after = self.tree.decide(decision.step, race.first[winner])
        if (self.tree.hashes[decision.step], after) != (hashed, state_digest):
            raise Failed(f"{decision}: the recorded hashes are not those of the answer and its problem")
