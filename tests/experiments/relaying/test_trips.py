"""Trips: what each arm asks for, what its flags refuse, and what a vote keeps out."""

from __future__ import annotations

import pytest

from maker.experiments.relaying import trips as trips_of
from maker.experiments.relaying.documents import ledger, written
from maker.experiments.relaying.editors import Reply
from maker.experiments.relaying.trips import ARMS

A, B, C, D, E = ARMS


def relayed(form, arm, number, original, trips, editor, small):
    """Send a ledger on its trips, with votes of k = 3 where the arm has them."""
    run = trips_of.Run("some", form, arm.name, number, len(original), 3 if arm.votes else 1)
    return trips_of.relayed(run, arm, original, trips, editor, small)


def editor(spoil):
    """Return an editor that is right but for what `spoil(job, records, call)` makes of it; it keeps its jobs."""
    calls = []

    def bring(jobs):
        replies = []
        for job in jobs:
            calls.append(job)
            right = job.right()
            text = right if isinstance(right, str) else written(spoil(job, right, len(calls)), job.form)
            replies.append(Reply(text, 10))
        return replies

    bring.calls = calls
    return bring


@pytest.mark.parametrize(("arm", "calls"), [(A, 8), (B, 8), (C, 24), (D, 72), (E, 72)])
def test_a_right_editor_restores_the_ledger(arm, calls):
    """Four trips of three records: two calls a trip, of the whole or of each record, three votes at k = 3."""
    run = relayed("JSON", arm, 0, ledger(3, 0), 4, right := editor(lambda _job, records, _call: records), ())
    assert (run.scores, run.intact) == ([1.0] * 4, [1.0] * 4)
    assert (run.calls, len(right.calls), run.tokens) == (calls, calls, 10 * calls)
    assert (run.refused, run.lost, run.changed) == (0, 0, 0)
    assert run.trips == (4 if arm.whole else 12)


def test_a_record_left_out_is_lost_without_flags_and_refused_with_them():
    """A goes on with what came; B draws again, three times at most, and then leaves the trip undone."""
    for arm in (A, B):
        run = relayed("JSON", arm, 0, ledger(4, 0), 2, editor(lambda _job, records, _call: records[:3]), ())
        assert run.scores == ([0.75] * 2 if arm is A else [1.0] * 2)
        assert (run.lost, run.refused) == ((1, 0) if arm is A else (0, 2))
        assert run.drops[0] == pytest.approx(0.25 if arm is A else 0)
    assert run.calls == 6


def test_a_vote_keeps_a_single_slip_out():
    """Every fourth reply has a payee that is wrong: C is changed for good, D is not."""

    def spoil(_job, records, call):
        return [{**records[0], "payee": f"nobody {call}"}] if call % 4 == 0 and "payee" in records[0] else records

    alone = relayed("JSON", C, 0, ledger(3, 0), 2, editor(spoil), ())
    voted = relayed("JSON", D, 0, ledger(3, 0), 2, editor(spoil), ())
    assert alone.changed > 0 and alone.scores[-1] < 1
    assert (voted.changed, voted.scores[-1]) == (0, 1)


def test_edits_that_are_not_trusted_are_made_by_questions():
    """E asks for each field that is renamed; for the others as D does."""
    right = editor(lambda _job, records, _call: records)
    run = relayed("JSON", E, 0, ledger(1, 0), 2, right, {(0, False)})
    assert run.scores == [1.0, 1.0]
    assert [job.kind for job in right.calls[:12]] == ["rename"] * 12
    assert {job.unit for job in right.calls[12:]} == {"record"}


def test_csv_has_the_edits_that_it_can():
    """Five trips take four edits in turn, none of which nests."""
    right = editor(lambda _job, records, _call: records)
    assert relayed("CSV", A, 0, ledger(2, 0), 5, right, ()).scores == [1.0] * 5
    assert "nest" not in {job.kind for job in right.calls}
