"""Where a draw stands: its address, and the seed that follows from it."""

import hashlib
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.address import SEED_BLOCK, Address, draw_seeds, seed_key

exactly = settings(derandomize=True, max_examples=100, deadline=None)
_u64 = st.integers(0, 2**64 - 1)


# -- seeds -----------------------------------------------------------------------------------------


@exactly
@given(_u64, st.integers(0, 2**32), st.integers(0, 2**32), _u64, st.integers(0, 2**40))
def test_seeds_are_a_keyed_hash_of_their_address(seed, epoch, branch, step, block):
    """Seeds are eight little-endian words of BLAKE2b over (step, block), keyed by (seed, epoch, branch): no stream."""
    key = hashlib.blake2b(struct.pack("<QQQ", seed, epoch, branch), digest_size=32).digest()
    raw = hashlib.blake2b(struct.pack("<QQ", step, block), key=key).digest()
    words = tuple(int.from_bytes(raw[i : i + 8], "little") for i in range(0, 64, 8))
    assert draw_seeds(seed_key(seed, epoch, branch), step, block) == words
    assert len(words) == SEED_BLOCK
    assert seed_key(seed, epoch, branch, b"a") not in (key, seed_key(seed, epoch, branch, b"b"))


def test_no_two_draws_share_a_seed():
    """Runs, epochs, branches, steps and draws all have seeds of their own."""
    keys = [seed_key(seed, epoch, branch) for seed in range(3) for epoch in range(3) for branch in range(3)]
    seeds = [seed for key in keys for step in range(20) for block in range(3) for seed in draw_seeds(key, step, block)]
    assert len(set(keys)) == 27
    assert len(set(seeds)) == len(seeds) == 27 * 20 * 3 * 8
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_seeds_do_not_change_between_versions():
    """The seed of a known address is this number for ever: a resumed run must not redraw."""
    assert draw_seeds(seed_key(0), 0, 0)[0] == int.from_bytes(
        hashlib.blake2b(bytes(16), key=hashlib.blake2b(bytes(24), digest_size=32).digest()).digest()[:8], "little"
    )
    assert seed_key(0) == seed_key(0, 0, 0) == seed_key(0, epoch=0, branch=0)


def test_addresses_compare_by_content():
    """Two addresses are equal, and have equal hashes, when run, step and draw are."""
    assert Address("r", 1, 2) == Address("r", 1, 2)
    assert len({Address("r", 1, 2), Address("r", 1, 2), Address("r", 2, 1), Address("s", 1, 2)}) == 3
