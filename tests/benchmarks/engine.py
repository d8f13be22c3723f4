"""Throughput, memory and bytes of the million-step run, against plain loops, in one run of one script.

Run: python tests/benchmarks/engine.py [--disks 20] [--repeats 3]

Four programs carry out the same Hanoi with the same simulated model (p = .99, k = 4), without journal and
legality except the first two:
- engine: `maker.run` as shipped: journal with synchronous=FULL, every flag, legality, replayable; on several cores
  it starts a process for each (`maker.engine.crew`);
- alone: the same, kept to one process;
- library: a loop over the public `maker.vote`, as agent code would write it: prompt, vote, apply;
- by hand: the leanest one-at-a-time voter that can be put together from the package's parts: for every
  draw the prompt, one request, the red flags except legality and consistency, the canonical vote key.
Each measurement is a child process of its own, all under the command line's collector setting; ratios are taken
round by round and their median is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MODEL, K = "oracle:p=0.99", 4


def engine(disks: int) -> dict[str, float]:
    """Run the shipped engine; memory is sampled after step 10,000 and at the end."""
    import maker

    memory: list[float] = []

    def look(progress: maker.Progress) -> None:
        if progress.steps >= 10_000 and not memory:
            memory.append(_resident())

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        path = Path(folder) / "run.db"
        task = maker.load_task("hanoi", disks=disks)
        begun = time.perf_counter()
        result = maker.run_sync(task, model=MODEL, k=K, journal=path, progress=look)
        seconds = time.perf_counter() - begun
        size = path.stat().st_size
    assert result.solved and result.wrong == 0, result.detail
    return {
        "steps": result.steps, "seconds": seconds, "rate": result.steps / seconds,
        "samples": result.samples / result.steps, "bytes": size / result.steps,
        "growth_mb": _resident() - memory[0] if memory else 0.0, "peak_mb": _peak(),
    }  # fmt: skip


def alone(disks: int) -> dict[str, float]:
    """Run the engine in one process."""
    from maker.engine.crew import processes as crew

    crew.MOST_PROCESSES = 1
    return engine(disks)


def plain(disks: int) -> dict[str, float]:
    """Run the loop one would write by hand, on as many steps as keep it short."""
    import maker
    from maker.decision.address import draw_seeds, seed_key
    from maker.decision.flags import DEFAULT, illegal, inconsistent, judge
    from maker.decision.step import Rules

    task = maker.load_task("hanoi", disks=disks)
    rules = Rules(task.parse)
    flags = tuple(flag for flag in DEFAULT if flag not in (illegal, inconsistent))
    model = maker.load_model(MODEL)
    model.bind(task)
    key = seed_key(0)
    steps = min(task.steps, 2**17 - 1)
    begun = time.perf_counter()

    async def loop() -> int:
        state, samples = task.initial_state(), 0
        for step in range(steps):
            tally = maker.Tally()
            earlier: list[maker.Sample] = []
            while tally.margin < K:
                draw = len(earlier)
                seed = draw_seeds(key, step, draw // 8)[draw % 8]
                request = maker.Request(maker.Address("plain", step, draw), task.prompt(state, step), seed, state=state)
                (sample,) = await model.draw([request])
                judged = maker.Step(step, state, rules)
                if judge(sample, judged, earlier, flags) is None:
                    reading = judged.read(sample.text)
                    tally.add(reading.key)
                    tally.answers[reading.key] = reading.answer
                earlier.append(sample)
            samples += len(earlier)
            state = task.apply(state, tally.answers[tally.leader])
        return samples

    samples = asyncio.run(loop())
    seconds = time.perf_counter() - begun
    return {"steps": steps, "seconds": seconds, "rate": steps / seconds, "samples": samples / steps}


def library(disks: int) -> dict[str, float]:
    """Run a loop over `maker.vote`, on as many steps as keep it short."""
    import maker

    task = maker.load_task("hanoi", disks=disks)
    oracle = maker.load_model(MODEL)
    oracle.bind(task)
    steps = min(task.steps, 2**15 - 1)

    class Asked:
        """Tells the simulated model which state the question is about; a real one reads the prompt."""

        lockstep = True
        state = task.initial_state()

        async def draw(self, requests: Sequence[maker.Request]) -> Sequence[maker.Sample]:
            for request in requests:
                request.state = self.state
            return await oracle.draw(requests)

    model = Asked()

    async def loop() -> int:
        samples = 0
        for step in range(steps):
            prompt = task.prompt(model.state, step)
            verdict = await maker.vote(prompt, model=model, parse=task.parse, k=K, seed=step)
            model.state = task.apply(model.state, verdict.answer)
            samples += verdict.samples
        return samples

    begun = time.perf_counter()
    samples = asyncio.run(loop())
    seconds = time.perf_counter() - begun
    return {"steps": steps, "seconds": seconds, "rate": steps / seconds, "samples": samples / steps}


def _resident() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(which: str, disks: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", which, "--disks", str(disks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure rounds of all four and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=["engine", "alone", "library", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        from maker.models.process import collect_seldom

        collect_seldom()  # as the command line does
        programs = {"engine": engine, "alone": alone, "library": library, "plain": plain}
        print(json.dumps(programs[options.child](options.disks)))
        return
    which = ("engine", "alone", "library", "plain")
    runs = [[_child(program, options.disks) for program in which] for _ in range(options.repeats)]
    ours = [run[0] for run in runs]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.disks} disks, "
          f"{ours[0]['steps']:.0f} steps, {options.repeats} rounds (model simulated)")  # fmt: skip
    for name, unit in (
        ("rate", "steps/s"), ("samples", "samples a step"), ("bytes", "bytes a step"),
        ("growth_mb", "MB growth after step 10,000"), ("peak_mb", "MB peak"),
    ):  # fmt: skip
        _line("engine", [run[name] for run in ours], unit)
    for at, name in ((1, "alone"), (2, "library"), (3, "by hand")):
        _line(name, [run[at]["rate"] for run in runs], "steps/s")
        _line("", [run[0]["rate"] / run[at]["rate"] for run in runs], f"times faster is the engine than {name}")
        if at > 1:
            _line("", [run[1]["rate"] / run[at]["rate"] for run in runs], f"times faster is it alone than {name}")


def _line(name: str, values: list[float], unit: str) -> None:
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"{name:8} {middle:12,.2f}  {unit}   (min {low:,.2f}, max {high:,.2f})")


if __name__ == "__main__":
    main()
