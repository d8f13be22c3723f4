"""Samples a second of a run at a server that refuses or hangs, against a bare aiohttp loop; in one run.

    python tests/benchmarks/throttled.py [--seconds 4] [--repeats 3] [--quick] [--auto]

The bare loop has as many workers as the run may have draws out at once; a refused request of it waits as told, or
doubling from 0.1 s with jitter, and is sent again. The server is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
from calls import PROMPT, Sayings

import maker

AT_ONCE = 64
BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1024})


class Case(NamedTuple):
    """How a server behaves: the share of requests it refuses, or its slots; the share that hangs."""

    name: str
    delay: float = 0.05  # seconds a reply
    refused: float = 0.0
    wait: str = ""  # Retry-After
    slots: int = 0  # 0: as many as come
    hang: float = 0.0
    timeout: float = 120.0


CASES = (
    Case("1% refused, Retry-After 1", refused=0.01, wait="1"),
    Case("5% refused, Retry-After 1", refused=0.05, wait="1"),
    Case("30% refused, Retry-After 1", refused=0.3, wait="1"),
    Case("1% refused, no wait named", refused=0.01),
    Case("5% refused, no wait named", refused=0.05),
    Case("30% refused, no wait named", refused=0.3),
    Case("2% refused, replies of 1 s", delay=1.0, refused=0.02, wait="1"),
    Case("16 slots, the rest refused", slots=16, wait="1"),
    Case("16 slots, no wait named", slots=16),
    Case("5% hang, timeout 1 s", hang=0.05, timeout=1.0),
)


def serve(pipe: Any) -> None:
    """Serve on a free port, told through the pipe; the case is the number in the path."""
    from aiohttp import web

    choose, out, count = random.Random(7), [0], [0]

    async def handle(request: web.BaseRequest) -> web.Response:
        await request.read()
        case = CASES[int(request.path.split("/")[1])]
        if choose.random() < case.refused or (case.slots and out[0] >= case.slots):
            return web.Response(status=429, headers={"Retry-After": case.wait} if case.wait else {})
        out[0] += 1
        try:
            await asyncio.sleep(3600 if choose.random() < case.hang else case.delay)
        finally:
            out[0] -= 1
        count[0] += 1
        choices = [{"index": 0, "message": {"role": "assistant", "content": "OK"}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 7, "completion_tokens": 1}
        return web.json_response({"id": f"i{count[0]}", "model": "m", "choices": choices, "usage": usage})

    async def main() -> None:
        runner = web.ServerRunner(web.Server(handle, handler_cancellation=True, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def bare(url: str, case: Case, seconds: float) -> float:
    """Return samples a second of workers that back off each by itself."""
    done, end = 0, time.monotonic() + seconds
    timeout = aiohttp.ClientTimeout(total=case.timeout)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def worker() -> None:
            nonlocal done
            refusals = 0
            while time.monotonic() < end:
                wait = 0.1 * 2**refusals * (1 + random.random() / 4)
                try:
                    async with session.post(f"{url}/chat/completions", data=BODY) as reply:
                        whole = await reply.read()
                        if reply.status == 200:
                            orjson.loads(whole)
                            done, refusals = done + 1, 0
                            continue
                        named = float(reply.headers.get("Retry-After", 0))
                        wait = named * (1 + random.random() / 4) or wait
                except TimeoutError:
                    pass
                refusals += 1
                await asyncio.sleep(min(wait, max(end - time.monotonic(), 0)))

        began = time.monotonic()
        await asyncio.gather(*[worker() for _ in range(AT_ONCE)])
    return done / (time.monotonic() - began)


async def engine(url: str, case: Case, seconds: float, folder: Path, at_once: int | None) -> float:
    """Return samples a second of a run of steps of one call each, everything durable."""
    steps = 100_000
    model = maker.load_model(f"{url}#m", timeout=case.timeout, concurrency=at_once)
    result = await maker.run(
        Sayings(steps), model=model, k=1, segments=steps,
        journal=folder / f"{time.monotonic_ns()}.db", limits={"concurrency": at_once, "max_seconds": seconds},
    )  # fmt: skip
    assert result.stopped == "max_seconds", result.detail
    return result.samples / result.seconds


def main() -> None:
    """Measure in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    parser.add_argument("--auto", action="store_true", help="the run finds its concurrency by itself")
    told = parser.parse_args()
    at_once = None if told.auto else AT_ONCE
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    origin = f"http://127.0.0.1:{ours.recv()}"
    print(f"{AT_ONCE} at once, {told.seconds:g} s a cell: median samples/s (min to max), bare, maker, share")
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            url, found = f"{origin}/{number}/v1", []
            seconds = told.seconds * (2 if case.delay >= 1 else 1)
            for _ in range(1 if told.quick else told.repeats):
                rate = asyncio.run(bare(url, case, seconds))
                found.append((rate, asyncio.run(engine(url, case, seconds, Path(folder), at_once))))
            rows = [*zip(*found, strict=True), [mine / rate for rate, mine in found]]
            told_rows = [f"{statistics.median(row):7.{d}f} ({min(row):.{d}f} to {max(row):.{d}f})"
                         for row, d in zip(rows, (0, 0, 2), strict=True)]  # fmt: skip
            print(f"{case.name:28}", *told_rows, sep="  ", flush=True)
    server.terminate()


if __name__ == "__main__":
    main()
