"""Experiments so small that a test takes no time."""

from __future__ import annotations

from maker.experiments.kit.study import Options
from maker.experiments.registry import load


class Tiny(Options):
    """So few draws that a test takes no time."""

    def size(self, full: int, quick: int) -> int:
        """Return a handful, whatever is asked for; simulated races stay many enough to be mixed."""
        return 40 if quick <= 4000 else 2000


class Runs(Options):
    """So few whole runs that a test takes little time."""

    def size(self, full: int, quick: int) -> int:
        """Return two, whatever is asked for."""
        return 2


def tiny(name: str, seed: int = 0):
    """Run an experiment on a few simulated draws."""
    if name in (
        "ladder", "look-ahead", "self-conditioning", "entropy-collapse", "opposite-cures", "relay", "execution-gap",
    ):  # fmt: skip
        return load(name)(Runs(True, seed))
    own = (
        "scaling",
        "stopping-rules",
        "margins",
        "detectors",
        "token-budget",
    )  # those that ask no model, or a reader of theirs
    return load(name)(Tiny(True, seed, None if name in own else "oracle:p=0.9,v=0.9,rho=0.1"))
