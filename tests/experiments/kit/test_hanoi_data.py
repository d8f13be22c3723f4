"""What the bundled model was trained on, and never saw: exact, legal, off the path of 20 disks."""

import itertools

import numpy as np
import pytest

from maker.experiments.kit import hanoi_data as data
from maker.models.neural import vocabulary
from maker.task.load import load_task


def on_path_20(stacks):
    """Say whether a state is on the 20-disk solution path; its stacks decide, whatever the previous move."""
    peg = {disk: place for place, stack in enumerate(stacks) for disk in stack}
    return len(peg) == 20 and bool(data.on_path(np.array([[peg[disk] for disk in range(1, 21)]]))[0])


def test_the_path_filter_is_exact():
    """Of all 3^6 towers exactly the 2^6 of the solution path are on it; at 20 disks every path state is."""
    every = np.array(list(itertools.product(range(3), repeat=6)))
    path = {tuple(row) for row in data.path_pegs(np.arange(64), 6).tolist()}
    assert {tuple(row) for row in every[data.on_path(every)].tolist()} == path
    task = load_task("hanoi", disks=20, style="compact")
    steps = [0, 1, 2, 2**19 - 1, 2**19, 2**20 - 1, *np.random.default_rng(0).integers(0, 2**20, 200).tolist()]
    assert all(on_path_20(task.state_at(step).stacks) for step in steps)
    assert not on_path_20(((), tuple(range(20, 0, -1)), ()))
    assert not on_path_20(load_task("hanoi", disks=19).state_at(5).stacks)


def test_no_training_example_lies_on_the_20_disk_path():
    """Examples of 20 disks never have path stacks, although unfiltered ones do."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert not data.on_path(data.examples(rng, 500, 20).pegs).any()
        assert not data.on_path(data.examples(rng, 500, 20, runs=True).pegs).any()
    raw, _ = data._under_way(rng, 3000, 20, np.ones(3000, bool))
    assert data.on_path(raw).any()
    both = data.Batch(raw, np.zeros((3000, 3), int), np.ones(3000, bool))
    assert len(data.off_path(both).pegs) == (~data.on_path(raw)).sum()


@pytest.mark.parametrize("disks", [3, 4, 9, 20])
def test_examples_are_legal_states_with_the_tasks_own_answer(disks):
    """Prompt and answer of every example are what the task prints and `truth` says; the previous move fits."""
    task = load_task("hanoi", disks=disks, style="compact")
    batch = data.examples(np.random.default_rng(3), 200, disks, runs=disks in (4, 20))
    tokens, lengths = data.encode_batch(batch)
    state_type = type(task.initial_state())
    for row, n, pegs, previous, way in zip(tokens, lengths, *batch, strict=True):
        stacks = tuple(tuple(d for d in range(disks, 0, -1) if pegs[d - 1] == peg) for peg in range(3))
        state = state_type(stacks, tuple(previous.tolist()) if previous[0] else None)
        if state.previous:
            disk, source, target = state.previous
            assert stacks[target][-1] == disk
            assert not stacks[source] or stacks[source][-1] > disk
        if way == task.clockwise:
            assert vocabulary.decode(row[:n]) == task.prompt(state, 0)
            assert vocabulary.decode(row[n:]) == task.render(task.truth(state, 0))


def test_measured_states_are_the_tasks_path():
    """`path_batch` gives the states, previous moves and answers of the task's own solution."""
    for disks in (5, 8):
        task = load_task("hanoi", disks=disks, style="compact")
        steps = np.arange(2**disks - 1)
        tokens, lengths = data.encode_batch(data.path_batch(steps, disks))
        for step, row, n in zip(steps.tolist(), tokens, lengths, strict=True):
            state = task.state_at(step)
            assert vocabulary.decode(row[:n]) == task.prompt(state, step)
            assert vocabulary.decode(row[n:]) == task.render(task.truth(state, step))
