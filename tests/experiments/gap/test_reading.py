"""Reading: moves in every form that a person would take for one, and nothing else."""

import pytest

from maker.experiments.gap.reading import moves_in


@pytest.mark.parametrize(
    ("name", "text", "moves"),
    [
        ("hanoi", "1. [1,0,2]\n[ 2, 0 , 1 ], so", [(1, 0, 2), (2, 0, 1)]),
        ("hanoi", "moves = [[1, 0, 2], [2, 0, 1]]", [(1, 0, 2), (2, 0, 1)]),
        ("hanoi", "[1, 0, 2] (disk 1 from peg 0 to peg 2)\nstacks = [[3, 2], [], [1]]", [(1, 0, 2)]),
        ("hanoi", "none", []),
        ("hanoi", "[1, 0] [1, 0, 2]", [None, (1, 0, 2)]),
        ("hanoi", "(1, 0, 2) and (2, 0, 1) (the end)", [(1, 0, 2), (2, 0, 1)]),
        ("hanoi", "1. Move disk 1 from peg 0 to peg 2.\n2. Move disk 2 from peg 0 to peg 1.", [(1, 0, 2), (2, 0, 1)]),
        ("hanoi", "1. 1 0 2\n2) 2, 0, 1\n", [(1, 0, 2), (2, 0, 1)]),
        ("hanoi", "[1, -1, 2]", [None]),
        ("blocks", "Block 4 goes from stack 0 to stack 1", [(4, 0, 1)]),
        ("checkers", '["R", 1, 2] [R, 1, 2]', [("R", 1, 2)] * 2),
        ("checkers", "R moves from place 1 to place 2", [("R", 1, 2)]),
        ("checkers", "[1, 0, 2]", [None]),
        ("river", '["A1","a1"] [a2]', [("a1", "A1"), ("a2",)]),
        ("river", "1. a1 and A1\n2. A1", [("a1", "A1"), ("A1",)]),
        ("river", "They go across.", []),
    ],
)
def test_a_move_is_read_as_a_person_would(name, text, moves):
    """Lists first; where there is none tuples, sentences, bare lines. A position is no move, a broken list is None."""
    assert moves_in(name, text) == moves


def test_a_long_text_is_read_in_no_time():
    """Half-open lists by the thousand do not matter."""
    assert moves_in("hanoi", "[[1, 0, 2], " * 20_000 + "[3, 0, 1]")[-1] == (3, 0, 1)
