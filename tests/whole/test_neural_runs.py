"""The bundled model under the engine: real neural errors, voted away, and honest failure where voting cannot help."""

from __future__ import annotations

import subprocess
import sys

import pytest

import maker
from maker.testing import check_journal

HOT = 2.2  # about one answer in ten is wrong


def run(disks: int, model: str = "neural:workers=1", **settings):
    """Run compact Hanoi on the bundled model."""
    task = maker.load_task("hanoi", disks=disks, style="compact")
    return maker.run_sync(task, model=model, **settings)


def test_it_solves_with_real_errors_and_the_journal_verifies(tmp_path):
    """At a temperature where it errs, flags are raised and counted, and the run is solved without an error."""
    path = tmp_path / "neural.db"
    result = run(9, k=4, temperature=HOT, journal=path)
    assert result.solved and result.wrong == 0 and not result.simulated
    assert result.flagged > 0 and sum(result.flags.values()) == result.flagged
    assert check_journal(path).solved


def test_one_sample_a_step_loses_where_a_vote_wins():
    """Without the flags that catch its slips, k = 1 goes astray on the very steps that k = 4 decides rightly."""
    settings = {"temperature": HOT, "flags": "paper", "first_temperature": HOT, "seed": 1}
    once, voted = run(8, k=1, **settings), run(8, k=4, **settings)
    assert voted.solved and voted.wrong == 0
    losing = sum(v.samples - v.flagged - max(v.votes.values()) for v in voted.verdicts())
    assert losing > 0
    assert not once.solved or (once.wrong or 0) > 0


def test_a_broken_model_fails_honestly():
    """With noised weights, or stopped too early in training, the run ends with a name and never as solved."""
    for model in ("neural:workers=1,noise=0.3", "neural:workers=1,weights=early"):
        result = run(10, model=model, k=3, temperature=1.0, limits={"max_flags": 30})
        assert not result.solved and result.stopped == "undecided" and result.exit_code == 4
        assert "Raise max_flags" in result.detail


def test_a_run_is_the_same_in_one_segment_and_in_many():
    """The strictly sequential chain reaches the same decisions as segments side by side."""
    chains = {run(6, k=2, temperature=1.0, segments=n).chain for n in (1, 63)}
    assert len(chains) == 1


def test_what_it_cannot_read_is_refused_before_sampling():
    """A full-style prompt and a tower of 21 disks end with a clear ModelError and no sample."""
    with pytest.raises(maker.ModelError, match="compact"):
        maker.run_sync(maker.load_task("hanoi", style="full"), model="neural:workers=1", k=2)
    with pytest.raises(maker.ModelError, match="20 disks"):
        run(21, k=2)


def test_import_and_run_load_no_training_library(tmp_path):
    """Running the bundled model loads neither jax nor torch, and opens no network connection."""
    code = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
import maker
task = maker.load_task("hanoi", disks=3, style="compact")
assert maker.run_sync(task, model="neural:workers=0", k=1, temperature=0.0).solved
print([name for name in ("jax", "torch", "optax", "aiohttp") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"
