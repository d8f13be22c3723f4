"""Red flags: what a forgiving reader would take, and what errors that come together cost."""

from __future__ import annotations

import pytest

from maker.experiments import red_flags
from maker.experiments.kit.bench import Bench, oracle
from maker.task.canonical import canonical

DISKS = 20


GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"


@pytest.mark.parametrize(
    ("text", "stacks"),
    [
        (GOOD, [[3, 2], [], [1]]),
        (GOOD.replace("=", ":"), [[3, 2], [], [1]]),  # another sign
        (GOOD[:-2], [[3, 2], [], [1]]),  # not closed
        ("I think " + GOOD + " or so", [[3, 2], [], [1]]),
        ("move = [1, 0, 2]\nnext_state = [[3, 2], []", [[3, 2], [], []]),  # a stack is missing
        ("move = [1, 0, 2, 1]\nnext_state = [[3, 2], [], [1], [1]]", [[3, 2], [], [1]]),  # too much of all
    ],
)
def test_the_repairing_reader_takes_what_it_can_find(text, stacks):
    """Broken replies still get a vote when repaired, the one a forgiving reader would give."""
    assert red_flags.repaired(text) == canonical([[1, 0, 2], stacks])


@pytest.mark.parametrize("text", [None, "", "move = [1, 0, 2]", "move = [1, 0]\nnext_state = [[3], [], []]"])
def test_the_repairing_reader_needs_something(text):
    """Without a move or without any stack even the repairing reader finds no vote."""
    assert red_flags.repaired(text) is None


def test_repairing_lets_confused_replies_vote():
    """Rambling replies with the rival's answer vote when repaired and are stopped by the paper's flags."""
    with Bench(oracle("p=1,confusion=0.2")) as bench:
        seen = red_flags.counted(bench, bench.draws(DISKS, list(range(1, 301)), red_flags.EACH))
    assert seen.ways["repaired"].error.low < 0.2 < seen.ways["repaired"].error.high
    assert seen.ways["paper's flags"].error.seen == 0 and seen.ways["paper's flags"].v.rate < 0.9
    wrong = sum(share.seen for share in seen.lengths.values())
    assert wrong == 300 - sum(share.n for share in seen.lengths.values() if not share.seen)


def test_collisions_of_clustered_errors_exceed_independence():
    """With planted rho the first two votes are both wrong about 1 + rho p / (1 - p) times as often as by chance."""
    with Bench(oracle("p=0.9,rho=0.5")) as bench:
        way = red_flags.counted(bench, bench.draws(DISKS, list(range(1, 1201)), 2)).ways["default flags"]
    ratio = way.both.rate / way.error.rate**2
    assert 3.5 < ratio < 7.5  # 1 + 0.5 * 9 = 5.5
    assert way.same_wrong == way.both.seen  # one rival a step
