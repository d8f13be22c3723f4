"""The look ahead in an experiment: what it sees through, and what nobody can."""

from __future__ import annotations

from maker.experiments.difficulty import look_ahead as experiment


def test_dead_ends_are_planted_where_they_are_said_to_be():
    """No state of the path is unsound; a wrong move that is planted shows when it is said to, and not before."""
    task = experiment.watched(4)
    assert all(task.sound(task.state_at(step)) for step in range(task.steps + 1))
    found = experiment.distances(task)
    assert found
    for step, after in found.items():
        state = task.apply(task.state_at(step), experiment._rival(task, task.state_at(step), step))
        for further in range(1, after + 1):
            assert task.sound(state)
            state = task.apply(state, task.truth(state, step + further))
        assert not task.sound(state)


def test_only_a_look_at_wins_sees_through_a_favourite(outcomes):
    """Voting alone solves no run, whatever its margin; a look at wins solves some where the dead end is near."""
    solved = {(row["kind"], row["arm"]): 0 for row in outcomes["look-ahead"].rows}
    for row in outcomes["look-ahead"].rows:
        solved[row["kind"], row["arm"]] += row["solved_seen"]
        assert row["solved_n"] == row["solved_seen"] + row["wrong"] + row["undecided"] + row["out_of_budget"]
    arms = list(experiment.ARMS)
    assert [solved["near", arm] for arm in arms[:3]] == [0, 0, 0]
    assert solved["near", arms[3]] > 0
    assert solved["far", arms[3]] == 0
