"""What `maker serve` costs at k = 1: calls a second and latencies through it against direct ones, in one run.

    python tests/benchmarks/proxy.py [--calls 2000] [--concurrency 32]

The upstream answers at once and is a process of its own, as the proxy is; all share the machine. Then a thousand
requests are held at once, and the proxy's memory is read.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
from calls import PROMPT, serve

TOLD = {"model": "instant", "messages": [{"role": "user", "content": PROMPT}]}
MANY = 1_000


async def timed(url: str, calls: int, concurrency: int) -> tuple[float, list[float]]:
    """Make calls; return the calls a second, and the seconds of each."""
    left, took = calls, []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                began = time.perf_counter()
                async with session.post(f"{url}/chat/completions", json=TOLD) as reply:
                    found = await reply.json()
                assert found["choices"][0]["message"]["content"] == "OK", found
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(concurrency)])
        return calls / (time.perf_counter() - began), took


def megabytes(process: int) -> float:
    """Return the most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--concurrency", type=int, default=32)
    told = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    upstream = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    upstream.start()
    direct = f"http://127.0.0.1:{ours.recv()}/v1"
    command = [sys.executable, "-m", "maker", "serve", "--model", f"{direct}#instant", "--k", "1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline()
            through = next(word.rstrip(",") for word in line.split() if "://" in word)
            for name, url in (("direct", direct), ("proxy", through)):
                asyncio.run(timed(url, told.calls // 10, told.concurrency))  # warms up
                rate, took = asyncio.run(timed(url, told.calls, told.concurrency))
                cuts = statistics.quantiles(took, n=100)
                print(f"{name:7} {told.calls:,} calls, {told.concurrency} at once: {rate:,.0f} calls/s, "
                      f"p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms")  # fmt: skip
            before = megabytes(child.pid)
            rate, took = asyncio.run(timed(through, MANY, MANY))
            print(f"proxy   {MANY:,} at once: all answered, {rate:,.0f} calls/s, the last after {max(took):.1f} s; "
                  f"memory at most {megabytes(child.pid):.0f} MB, {before:.0f} MB before")  # fmt: skip
        finally:
            child.terminate()
    upstream.terminate()


if __name__ == "__main__":
    main()
