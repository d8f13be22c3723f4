"""Rows of training: the prompt ends in the middle, the answer begins there, and no room is read in vain."""

import numpy as np
import pytest

from maker.experiments.kit import hanoi_data as data
from maker.experiments.training.mining import ROOM, Source, rows_of, trimmed
from small_model import FIRST, SECOND


@pytest.mark.parametrize("vocabulary", [FIRST, SECOND])
def test_a_row_is_prompt_and_answer_around_the_middle(vocabulary):
    """Prompt and answer stand where their lengths say, trimmed or not; around them is token 0 alone."""
    batch = data.examples(np.random.default_rng(0), 30, vocabulary.disks)
    rows = rows_of(batch, vocabulary)
    short = trimmed(rows)
    assert short.shape[1] < rows.shape[1]
    for made in (rows, short):
        middle = made.shape[1] // 2 - 1
        for row, texts in zip(made, data.texts(batch), strict=True):
            begin, end = middle - row[-2], middle + row[-1]
            assert (vocabulary.decode(row[begin:middle]), vocabulary.decode(row[middle:end])) == texts
            assert row[end - 1] == vocabulary.end and not row[:begin].any() and not row[end:-2].any()


def test_towers_that_are_held_out_are_met_most_and_never_on_their_path():
    """Three in ten of the tallest group have 20 or 24 disks beside those drawn evenly; none lies on a path held out."""
    source = Source(SECOND, np.random.default_rng(0), 16, 24, 64, runs=False)
    seen = {20: 0, 24: 0}
    for row in np.concatenate([source._made(15) for _ in range(40)]):
        text = SECOND.decode(row[ROOM - row[-2] : ROOM])
        stacks = [
            [int(n) for n in part.split(",") if n.strip()] for part in text[text.index("[[") + 2 : -3].split("], [")
        ]
        disks = sum(map(len, stacks))
        if disks in seen:
            seen[disks] += 1
            pegs = [next(peg for peg, stack in enumerate(stacks) if disk in stack) for disk in range(1, disks + 1)]
            assert not data.on_path(np.array([pegs]))[0]
    assert min(seen.values()) > 600 * 0.15


def test_hard_rows_come_back_and_are_kept_for_a_later_start():
    """The hardest of a batch are drawn again as a quarter of later ones; a source that was cut off goes on alike."""
    source = Source(SECOND, np.random.default_rng(0), 3, 6, 16, runs=False)
    for _ in range(4):
        rows = source.draw()
        source.learn(rows, np.arange(len(rows)) * 1.0)
    assert all(len(part) for part in source.kept())
    again = Source(SECOND, np.random.default_rng(1), 3, 6, 16, runs=False)
    again.take_up(*source.kept())
    source.rng = np.random.default_rng(1)
    assert np.array_equal(source.draw(), again.draw())


def test_mining_keeps_the_states_that_score_badly():
    """Of the fresh states looked at, those with at least so much loss are stored and make half of a batch."""
    source = Source(SECOND, np.random.default_rng(0), 3, 6, 16, runs=False)
    found = source.mine(lambda rows: (rows[:, -2] % 2).astype(float), 512, 1.0)
    assert found == len(source.hard) > 0 and all(row[-2] % 2 for row in source.hard)
    assert (source.draw_mined()[8:, -2] % 2).all()
