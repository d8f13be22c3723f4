"""The errors: one tree, each with the exit code that its page promises, and the first of a group."""

import copy
import pickle
import re

import pytest

from maker import errors
from maker.decision.race import Tally
from maker.errors import MakerError, Undecided, first_error


def leaves(error: type[BaseException]) -> list[type[BaseException]]:
    """Return a class and all below it."""
    return [error, *(below for child in error.__subclasses__() for below in leaves(child))]


def test_the_tree_is_the_one_that_is_drawn():
    """Every class of the tree is in the drawing with its exit code, and nothing else is."""
    drawn = dict(
        re.findall(r"^ .*?(\w+Error|\w+Full|Infeasible|Undecided)\b.*exit (\d+)$", errors.__doc__, re.MULTILINE)
    )
    ours = [error for error in leaves(MakerError)[1:] if error.__module__ == "maker.errors"]
    assert {error.__name__: str(error.exit_code) for error in ours} == drawn


@pytest.mark.parametrize("deep", [1, 3])
def test_the_first_plain_error_of_a_group_is_found_at_any_depth(deep):
    """A group in a group gives the exception that came first, never a group."""
    group = first = ValueError("first")
    for level in range(deep):
        group = ExceptionGroup(f"level {level}", [group, KeyError(level)])
    assert first_error(group) is first


@pytest.mark.parametrize("kind", leaves(MakerError), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_every_error_reaches_another_process_whole(kind, copied):
    """A pickled error has its class, message and all that was put on it; a pool that gets one is not killed."""
    carried = {"tally": Tally({b"a": 2, b"b": 1}, flagged=3, total=3), "step": 7, "limit": "max_votes"}
    error = kind("what happened", **carried) if kind is Undecided else kind("what happened")
    error.more = [1]
    found = copied(error)
    assert (type(found), str(found), found.exit_code) == (kind, "what happened", kind.exit_code)
    assert found.__dict__ == error.__dict__
