"""A slice of the attacks: the same scripts, with seeds that are kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("script", [("fuzz_journals.py", "--files", "100"), ("race.py", "--rounds", "25")], ids=str)
def test_a_slice_of_the_attacks_finds_nothing(script: tuple[str, ...]) -> None:
    """No forged journal hangs a command, ends in a traceback or passes for another; no name lets a second writer in."""
    attack = [sys.executable, str(Path(__file__).with_name(script[0])), *script[1:]]
    done = subprocess.run(attack, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
