"""The chain: one hash over all decisions in step order, whatever the order they come in."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.wave import step_hash
from maker.errors import InternalError
from maker.journal.chain import Fold
from maker.task.canonical import DIGEST_SIZE

exactly = settings(derandomize=True, max_examples=100, deadline=None)


def _hash(step):
    return step_hash(step, b"key %d" % step, _state(step))


def _state(step):
    return hashlib.blake2b(b"state %d" % step, digest_size=DIGEST_SIZE).digest()


def _folded(order):
    fold = Fold()
    for step in order:
        fold.add(step, _hash(step), _state(step))
    return fold


@exactly
@given(st.permutations(range(14)))
def test_any_order_of_steps_gives_the_chain_of_the_order_of_steps(order):
    """The chain of any permutation is the hash of all step hashes laid end to end in step order."""
    fold = _folded(order)
    plain = hashlib.blake2b(b"".join(map(_hash, range(14))), digest_size=DIGEST_SIZE)
    assert (fold.steps, fold.chain, fold.state_digest) == (14, plain.hexdigest(), _state(13))


@exactly
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_segments_that_advance_at_their_own_pace_fold_alike(lengths, rng):
    """Segments decided concurrently, each in its own order, give the chain of the sequential run at every prefix."""
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    lanes = [iter(range(end - length, end)) for end, length in zip(ends, lengths, strict=True)]
    schedule = [lane for lane, length in enumerate(lengths) for _ in range(length)]
    rng.shuffle(schedule)
    fold, seen = Fold(), set()
    for lane in schedule:
        step = next(lanes[lane])
        seen.add(step)
        fold.add(step, _hash(step), _state(step))
        unbroken = next(n for n in range(ends[-1] + 1) if n not in seen)
        alike = _folded(range(unbroken))
        assert (fold.steps, fold.chain, fold.state_digest) == (unbroken, alike.chain, alike.state_digest)


@exactly
@given(st.permutations(range(8)), st.data())
def test_a_step_is_folded_once(order, data):
    """Any step that came before is refused, already folded or still waiting, and the fold goes on unharmed."""
    fold = Fold()
    taken = data.draw(st.integers(1, 8))
    for step in order[:taken]:
        fold.add(step, _hash(step), _state(step))
    again = data.draw(st.sampled_from(order[:taken]))
    with pytest.raises(InternalError, match=f"step {again} was decided twice"):
        fold.add(again, _hash(again), _state(again))
    for step in order[taken:]:
        fold.add(step, _hash(step), _state(step))
    assert fold.chain == _folded(range(8)).chain


@pytest.mark.parametrize("again", [4, 5, 6])
def test_steps_within_others_that_wait_are_refused(again):
    """Of several steps that came together none comes again, whichever of them it is."""
    fold = Fold()
    fold.add(4, b"".join(map(_hash, (4, 5, 6))), _state(6))
    with pytest.raises(InternalError, match=f"step {again} was decided twice"):
        fold.add(again, _hash(again), _state(again))


def test_an_empty_fold():
    """Before the first step there are no steps, no state, and the hash of nothing."""
    fold = Fold()
    assert (fold.steps, fold.state_digest) == (0, b"")
    assert fold.chain == hashlib.blake2b(digest_size=DIGEST_SIZE).hexdigest()
    assert len(fold.chain) == 32


def test_steps_after_a_gap_do_not_show():
    """A step decided early changes neither chain nor state until the steps before it are there."""
    fold = _folded([0, 1, 3, 5, 4])
    assert (fold.steps, fold.chain, fold.state_digest) == (2, _folded([0, 1]).chain, _state(1))


def test_reading_the_chain_does_not_change_it():
    """The chain may be asked for at any time, and again."""
    fold = _folded([0])
    assert fold.chain == fold.chain
    fold.add(1, _hash(1), _state(1))
    assert fold.chain == _folded([0, 1]).chain


@pytest.mark.parametrize(
    ("step", "key", "state"),
    [(1, b"key", b"s" * 16), (0, b"kez", b"s" * 16), (0, b"key", b"t" * 16), (0, b"", b"s" * 16)],
)
def test_the_step_hash_depends_on_each_of_its_parts(step, key, state):
    """Another index, another answer or another next state gives another hash, 16 bytes long."""
    plain = step_hash(0, b"key", b"s" * 16)
    assert len(plain) == DIGEST_SIZE
    assert step_hash(step, key, state) != plain


def test_any_changed_decision_changes_the_chain():
    """Changing the hash of any one of five steps, or swapping two, changes the chain."""
    hashes = [_hash(step) for step in range(5)]
    chains = set()
    for changed in range(6):
        fold = Fold()
        for step in range(5):
            fold.add(step, b"x" * DIGEST_SIZE if step == changed else hashes[step], b"")
        chains.add(fold.chain)
    swapped = Fold()
    for step, other in enumerate([1, 0, 2, 3, 4]):
        swapped.add(step, hashes[other], b"")
    assert len(chains | {swapped.chain}) == 7


def test_a_thousand_segments_in_reverse_keep_little():
    """Segments that end in reverse order wait as one run each and fold in one go; nothing is left behind."""
    fold = Fold()
    for segment in reversed(range(1000)):
        for step in range(segment * 3, segment * 3 + 3):
            fold.add(step, _hash(step), _state(step))
        if segment == 500:
            assert (fold.steps, len(fold._by_start), len(fold._by_end)) == (0, 500, 500)
    assert (fold.steps, fold._by_start, fold._by_end) == (3000, {}, {})
    assert fold.chain == _folded(range(3000)).chain
