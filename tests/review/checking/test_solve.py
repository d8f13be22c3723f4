"""The re-check of a solve's journal: it holds for what the engine wrote, and fails for what it did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import maker
from maker.decision.wave import FLAGGED, Wave, encode_text
from maker.engine.solve.roles import DECOMPOSITION_JUDGE, SOLVER
from maker.engine.solve.tree import address
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.checking.solve import recheck
from maker.review.checking.verify import verify
from solve_model import NoisySolver

PROBLEM = "4608 * 42098765"


def solved(path: Path, problem: str = PROBLEM) -> maker.RunResult:
    """Write the journal of a noisy solve."""
    return maker.solve_sync(problem, model=NoisySolver(0.15, 0.05), journal=path, seed=4)


def test_a_solve_holds_and_is_read_back_whole(tmp_path):
    """The re-check finds the tree, answer, hashes and counts that the engine returned."""
    path = tmp_path / "s.db"
    result = solved(path)
    found = recheck(Story(path))
    assert found.audit.problem is None and found.audit.solved and found.audit.exit_code == 0
    assert (found.tree.as_json(), found.audit.answer) == (result.state, result.answer)
    said = found.audit.as_json()
    assert (said["chain"], said["state_digest"]) == (result.chain, result.state_digest)
    assert (said["steps"], said["samples"], said["flagged"]) == (result.steps, result.samples, result.flagged)
    assert sum(found.samples.values()) == result.samples
    assert sum(counts["flagged"] for counts in found.roles.values()) == result.flagged
    assert sum(counts["decisions"] for counts in found.roles.values()) == result.steps
    assert all(counts["decisions"] for counts in found.roles.values()), "every role decided something"


def test_an_unfinished_solve_holds_as_far_as_it_goes(tmp_path):
    """A stopped solve is whole so far: nothing failed, not complete, exit code 3."""
    path = tmp_path / "s.db"
    result = maker.solve_sync(PROBLEM, model=NoisySolver(0.1), journal=path, limits={"max_calls": 30})
    audit = recheck(Story(path)).audit
    assert (audit.problem, audit.complete, audit.solved, audit.exit_code) == (None, False, False, 3)
    assert audit.as_json()["chain"] == result.chain


def test_an_older_copy_is_found(tmp_path):
    """A head that the journal once had is found in it; one that it never had is a finding."""
    path = tmp_path / "s.db"
    maker.solve_sync(PROBLEM, model=NoisySolver(0.1), journal=path, limits={"max_calls": 30})
    head = recheck(Story(path)).audit.summary.head
    maker.solve_sync(PROBLEM, model=NoisySolver(0.1), journal=path)
    audit = recheck(Story(path), head).audit
    assert audit.problem is None and "expected hash" in audit.checked
    problem = recheck(Story(path), "00" * 16).audit.problem
    assert problem is not None and "never had the hash" in problem


def waves(path: Path) -> list[Wave]:
    """Return the waves of a journal in order."""
    return [item for item in map(decode, read_records(path)) if isinstance(item, Wave)]


def forged(path: Path, change: Callable[[list[Wave]], None]) -> str | None:
    """Return what a re-check finds in a copy of a journal whose waves were changed."""
    other, items = path.with_name("forged.db"), waves(path)
    change(items)
    with Journal(other) as book:
        list(book.replay())
        for record in read_records(path):
            if not isinstance(decode(record), Wave):
                book.append(record)
        for wave in items:
            book.append(encode_wave(wave))
    return recheck(Story(other)).audit.problem


def decided(items: list[Wave], role: int | None = None) -> Wave:
    """Return the first wave with a verdict, of a role if one is given."""
    return next(wave for wave in items if wave.verdict is not None and role in (None, wave.step & 3))


def another_winner(items: list[Wave]) -> None:
    """Let a verdict name a candidate that lost."""
    torn = {wave.step for wave in items if 1 in wave.draws[0::4]}
    wave = next(wave for wave in items if wave.verdict is not None and wave.step in torn)
    assert wave.verdict is not None
    wave.verdict = (1 - wave.verdict[0], *wave.verdict[1:])


def another_hash(items: list[Wave]) -> None:
    """Let a verdict claim another hash."""
    wave = decided(items)
    assert wave.verdict is not None
    wave.verdict = (wave.verdict[0], bytes(16), wave.verdict[2])


def another_text(items: list[Wave]) -> None:
    """Change what a winning answer says."""
    decided(items, SOLVER).texts[0] = encode_text('{"answer": "0"}', full=True)


def early_verdict(items: list[Wave]) -> None:
    """Let the last ballot of a decision be flagged."""
    wave = decided(items)
    wave.draws[-4] = FLAGGED
    wave.extras[len(wave) - 1] = {"flag": "malformed"}


def draws_after(items: list[Wave]) -> None:
    """Add draws to a decided wave."""
    wave = decided(items)
    wave.draws += wave.draws[-4:]


def out_of_order(items: list[Wave]) -> None:
    """Put the last decision first."""
    items.insert(0, items.pop())


def judge_too_early(items: list[Wave]) -> None:
    """Take away the proposals that no candidate could win any more."""
    judged = decided(items, DECOMPOSITION_JUDGE)
    proposals = next(wave for wave in items if wave.step == judged.step - 1)
    del proposals.draws[4:], proposals.texts[1:]


def judge_of_nothing(items: list[Wave]) -> None:
    """Take away the proposals altogether."""
    judged = decided(items, DECOMPOSITION_JUDGE)
    items[:] = [wave for wave in items if wave.step != judged.step - 1]


def impossible_choice(items: list[Wave]) -> None:
    """Let a judge choose a candidate that there is not."""
    decided(items, DECOMPOSITION_JUDGE).texts[0] = encode_text('{"choice": 99}', full=True)


def borrowed_text(items: list[Wave]) -> None:
    """Let a later vote for a step's first candidate point at the text of its second."""
    texts: dict[int, int] = {}  # of the second candidate, by step
    for wave in items:
        for at, candidate in enumerate(wave.draws[0::4]):
            if candidate == 1:
                texts.setdefault(wave.step, wave.draws[4 * at + 1])
            elif candidate == 0 and wave.step in texts:
                wave.draws[4 * at + 1] = texts[wave.step]
                return


def unreadable_vote(items: list[Wave]) -> None:
    """Let a vote be a text that is no reply."""
    decided(items).texts[0] = encode_text("well", full=True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (another_winner, "does not follow from the votes"),
        (another_hash, "recorded hashes"),
        (another_text, "recorded hashes"),
        (early_verdict, "does not follow from the votes"),
        (draws_after, "after the vote was decided"),
        (out_of_order, "was not open"),
        (judge_too_early, "could still be decided"),
        (judge_of_nothing, "was not open"),
        (impossible_choice, "not possible here"),
        (borrowed_text, "a vote for candidate 0 says something else"),
        (unreadable_vote, "cannot be read"),
    ],
)
def test_what_the_engine_would_not_write_is_found(tmp_path, change, complaint):
    """Each kind of forgery, with a hash chain of its own, is named with the decision it is in."""
    path = tmp_path / "s.db"
    solved(path)
    problem = forged(path, change)
    assert problem is not None and complaint in problem


def test_an_unchanged_copy_holds(tmp_path):
    """The forger alone changes nothing that the re-check would find."""
    path = tmp_path / "s.db"
    solved(path)
    assert forged(path, lambda items: None) is None


def test_other_journals_have_no_tree(tmp_path):
    """The journal of a run is refused as such; parameters that are no solve's are refused as forged."""
    path = tmp_path / "r.db"
    maker.run_sync("hanoi", model="oracle:p=0.99", k=3, journal=path, limits={"max_steps": 3})
    with pytest.raises(TaskError, match="not of a solve"):
        recheck(Story(path))
    header = {"version": 1, "run": "r", "task": "solve", "roles": [], "steps": None, "model": "m", "k": 3,
              "segments": 1, "parameters": {"problem": 4}}  # fmt: skip
    with Journal(tmp_path / "f.db") as book:
        book.append(encode_note({"header": header}))
    with pytest.raises(JournalError, match="parameters"):
        recheck(Story(tmp_path / "f.db"))


def test_a_judge_that_was_never_asked_cannot_be_invented(tmp_path):
    """A judge's wave after proposals that decided by themselves is found."""
    path = tmp_path / "s.db"
    solved(path, "4 * 5")

    def invent(items: list[Wave]) -> None:
        judge = Wave(address(1, 0, DECOMPOSITION_JUDGE), 0, [0, 0, 1, 1], [encode_text('{"choice": 1}', full=True)])
        items.insert(1, judge)

    problem = forged(path, invent)
    assert problem is not None and "was not open" in problem


def test_verify_knows_a_solve(tmp_path: Path) -> None:
    """`maker.verify` re-checks the journal of a solve without being told what it is."""
    path = tmp_path / "solve.db"
    solved(path)
    assert verify(path).solved
