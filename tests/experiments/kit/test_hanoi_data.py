"""What the bundled model was trained on, and never saw: exact, legal, off the paths of 20 and 24 disks."""

import itertools

import numpy as np
import pytest

from maker.experiments.kit import hanoi_data as data
from maker.models.neural.vocabulary import edition
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


@pytest.mark.parametrize("disks", data.HELD_OUT)
def test_no_training_example_lies_on_a_path_that_is_held_out(disks):
    """Examples of 20 and 24 disks never have path stacks, although unfiltered ones do."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert not data.on_path(data.examples(rng, 500, disks).pegs).any()
        assert not data.on_path(data.examples(rng, 500, disks, runs=True).pegs).any()
    raw, _ = data._under_way(rng, 3000, disks, np.ones(3000, bool))
    assert data.on_path(raw).any()
    both = data.Batch(raw, np.zeros((3000, 3), int), np.ones(3000, bool))
    assert len(data.off_path(both).pegs) == (~data.on_path(raw)).sum()


@pytest.mark.parametrize("disks", [3, 4, 9, 20])
def test_examples_are_legal_states_with_the_tasks_own_answer(disks):
    """Prompt and answer of every example are what the task prints and `truth` says; the previous move fits."""
    task = load_task("hanoi", disks=disks, style="compact")
    batch = data.examples(np.random.default_rng(3), 200, disks, runs=disks in (4, 20))
    state_type = type(task.initial_state())
    for (prompt, answer), pegs, previous, way in zip(data.texts(batch), *batch, strict=True):
        stacks = tuple(tuple(d for d in range(disks, 0, -1) if pegs[d - 1] == peg) for peg in range(3))
        state = state_type(stacks, tuple(previous.tolist()) if previous[0] else None)
        if state.previous:
            disk, source, target = state.previous
            assert stacks[target][-1] == disk
            assert not stacks[source] or stacks[source][-1] > disk
        if way == task.clockwise:
            assert (prompt, answer) == (task.prompt(state, 0), task.render(task.truth(state, 0)))


def test_measured_states_are_the_tasks_path():
    """`path_batch` gives the states, previous moves and answers of the task's own solution."""
    for disks in (5, 8):
        task = load_task("hanoi", disks=disks, style="compact")
        steps = np.arange(2**disks - 1)
        for step, (prompt, answer) in zip(steps.tolist(), data.texts(data.path_batch(steps, disks)), strict=True):
            state = task.state_at(step)
            assert (prompt, answer) == (task.prompt(state, step), task.render(task.truth(state, step)))


@pytest.mark.parametrize("name", ["neural-1", "neural-2"])
def test_tokens_are_those_of_the_texts_and_the_end(name):
    """Prompt and answer as tokens say what the texts say; the answer ends with the end token, and has no other."""
    vocabulary = edition(name)
    batch = data.examples(np.random.default_rng(1), 60, 9)
    for (prompt, answer), texts in zip(data.encoded(batch, vocabulary), data.texts(batch), strict=True):
        assert (vocabulary.decode(prompt), vocabulary.decode(answer)) == texts
        assert answer.index(vocabulary.end) == len(answer) - 1
