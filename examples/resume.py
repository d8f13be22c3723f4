"""Resume after a crash: a run is killed in the middle, and the same call goes on where its journal ends.

Takes the journal's file as its argument.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

import maker


def solve(journal: str | None, progress: Callable[[maker.Progress], None] | None = None) -> maker.RunResult:
    """Run 16,383 steps, or what is left of them."""
    return maker.run_sync(
        maker.load_task("hanoi", disks=14), model="oracle:p=0.99,v=0.98", k=3, journal=journal, progress=progress
    )


def die_in_the_middle(progress: maker.Progress) -> None:
    """Die as hard as when the plug is pulled: no farewell, no cleaning up."""
    if progress.steps > 100:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    journal = sys.argv[1] if len(sys.argv) > 1 else "resume.db"

    victim = multiprocessing.Process(target=solve, args=(journal, die_in_the_middle))
    victim.start()
    victim.join()
    print(f"the first process ended with signal {-victim.exitcode}")

    result = solve(journal)
    print(f"replayed {result.replayed} steps from the journal, decided the other {result.steps - result.replayed}")
    print(f"solved: {result.solved}, wrong: {result.wrong} (simulated model)")

    whole = solve(None)  # never interrupted
    print(f"the same decisions as without a crash: {result.chain == whole.chain}")
