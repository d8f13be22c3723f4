"""The whole way through a real server: llama.cpp serves the bundled model's export, the engine runs Hanoi on it."""

from __future__ import annotations

import signal
import subprocess
import sys

import anyio
import pytest

import maker
from maker.testing import FaultServer, Reply, check_journal

pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")


@pytest.mark.timeout(110)
@pytest.mark.parametrize("disks", [6, pytest.param(10, marks=pytest.mark.slow)])
def test_hanoi_through_a_real_llama_server(llama, tmp_path, disks):
    """The bundled model behind a real llama.cpp server solves Hanoi; the journal verifies."""
    path = tmp_path / "llama.db"
    task = maker.load_task("hanoi", disks=disks, style="compact")
    result = maker.run_sync(task, model=f"{llama}/v1#neural", k=2, temperature=1.0, token_cap=100, journal=path,
                            limits={"concurrency": 8})  # fmt: skip
    assert result.solved and result.wrong == 0, result.detail
    assert result.usage.in_flight == 0
    assert check_journal(path).solved


# Ends by SIGKILL when so many replies have come: the last one is not in the journal, others are on their way.
CHILD = """
import os, signal, sys
import maker
address, journal, disks, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model = maker.load_model(f"{address}/v1#neural")
draw, came = model.draw, 0

async def deadly(requests):
    global came
    replies = await draw(requests)
    came += 1
    if came == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return replies

model.draw = deadly
maker.run_sync(maker.load_task("hanoi", disks=disks, style="compact"), model=model, k=2,
               temperature=1.0, token_cap=100, journal=journal, limits={"concurrency": 8})
"""


@pytest.mark.timeout(110)
@pytest.mark.parametrize("disks", [5, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_killed_in_the_middle_of_a_run_on_llama(llama, tmp_path, disks):
    """Killed by SIGKILL again and again, it ends in the same state; lost are the samples in flight, and booked."""
    path, steps, kills = tmp_path / "killed.db", 2**disks - 1, 3
    for _ in range(kills):
        fatal = 2 * steps // (kills + 1)
        child = subprocess.run([sys.executable, "-c", CHILD, llama, str(path), str(disks), str(fatal)], check=False)
        assert child.returncode == -signal.SIGKILL
    task = maker.load_task("hanoi", disks=disks, style="compact")
    settings = {"model": f"{llama}/v1#neural", "k": 2, "temperature": 1.0, "token_cap": 100,
                "limits": {"concurrency": 8}}  # fmt: skip
    result = maker.run_sync(task, journal=path, **settings)
    whole = maker.run_sync(task, **settings)
    assert result.solved and whole.solved, result.detail
    assert result.wrong == 0
    assert (result.state_digest, result.chain, result.state) == (whole.state_digest, whole.chain, whole.state)
    assert 0 < result.replayed < steps
    usage = result.usage
    print(f"{disks} disks, {steps} steps, {kills} kills: {result.samples} samples, {usage.cancelled} lost and booked "
          f"as {usage.assumed} tokens, {usage.failed} failed")  # fmt: skip
    assert usage.cancelled <= kills * 8
    assert usage.in_flight == 0
    assert usage.dispatched == result.samples + usage.failed + usage.cancelled
    assert check_journal(path).solved


def test_a_misbehaving_server_is_survived(tmp_path):
    """Refusals to serve, broken replies and a rambling one change nothing about the verdict."""
    script = [Reply(status=503), Reply(text="5"), Reply(status=429, headers={"retry-after": "0"}), Reply(text="5")]

    async def ask() -> maker.Verdict[int]:
        async with FaultServer(script) as server:
            return await maker.vote("2 + 3?", model=f"{server.url}#any", answer=int, k=2)

    assert anyio.run(ask).answer == 5
