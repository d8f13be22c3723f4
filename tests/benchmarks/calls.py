"""Calls a second through the engine over HTTP, journal on, against a bare aiohttp loop; in one run.

    python tests/benchmarks/calls.py [--calls 30000] [--repeats 5] [--concurrency 128]

The server is a process of its own that answers at once; it shares the machine with the client, as both loops do.
CPU is what the client's process used, the journal's thread included: on a busy machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from echo import Echo
from maker.models.process import collect_seldom
from maker.task.plan import Plan

PROMPT = "Say OK."


class Instant(asyncio.Protocol):
    """Answers every request at once with a completion of its own id."""

    count = 0

    def connection_made(self, transport: Any) -> None:
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end].lower()
            at = head.index(b"content-length:") + 15
            length = int(head[at:].split(b"\r\n", 1)[0])
            if len(self.waiting) < end + 4 + length:
                return
            self.waiting = self.waiting[end + 4 + length :]
            Instant.count += 1
            body = (
                b'{"id":"i%d","object":"chat.completion","model":"instant","choices":[{"index":0,"message":{"role":'
                b'"assistant","content":"OK"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1}}'
                % Instant.count
            )
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )


def serve(pipe: Any) -> None:
    """Serve on a free port, told through the pipe."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class Sayings(Echo):
    """Many independent steps of one call each."""

    name = "sayings"

    def __init__(self, steps: int) -> None:
        super().__init__(steps, PROMPT)

    def plan(self, segments: int) -> Plan:
        return Plan.chain(self.steps, lambda step: step, segments)


async def bare(url: str, calls: int, concurrency: int) -> None:
    """Make the calls in a loop that does nothing but post and parse."""
    body = orjson.dumps({"model": "instant", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0.1,
                         "max_tokens": 1024, "seed": 1, "logprobs": True})  # fmt: skip
    left = calls

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.post(
                    f"{url}/chat/completions", data=body, headers={"Content-Type": "application/json"}
                ) as reply:
                    assert orjson.loads(await reply.read())["choices"][0]["message"]["content"] == "OK"

        await asyncio.gather(*[worker() for _ in range(concurrency)])


async def engine(url: str, calls: int, concurrency: int, folder: Path, k: int = 3) -> None:
    """Make the calls in a run of steps of k calls each, everything durable."""
    journal = folder / f"{time.monotonic_ns()}.db"
    result = await maker.run(
        Sayings(calls // k), model=f"{url}#instant", k=k, segments=concurrency, journal=journal,
        limits={"concurrency": concurrency},
    )  # fmt: skip
    assert result.solved and result.usage.dispatched == calls // k * k, result.detail


def timed(go: Coroutine[Any, Any, None], calls: int) -> tuple[float, float]:
    """Return calls a second, and microseconds of CPU a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(go)
    return calls / (time.perf_counter() - wall), (time.process_time() - cpu) / calls * 1e6


def said(values: Sequence[float], form: str) -> str:
    """Return a median and its range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Measure in turn, and print medians."""
    collect_seldom()  # as the command line does, for all loops alike
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=128)
    told = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "engine, k = 3": [], "engine, k = 1": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(told.repeats + 1):
            loops = (bare(url, told.calls, told.concurrency),
                     engine(url, told.calls, told.concurrency, Path(folder), 3),
                     engine(url, told.calls, told.concurrency, Path(folder), 1))  # fmt: skip
            for name, go in zip(found, loops, strict=True):
                measured = timed(go, told.calls)
                if turn:  # the first one warms up
                    found[name].append(measured)
    print(f"{told.calls:,} calls, {told.concurrency} at once, {told.repeats} repeats: median (min to max)")
    for name, rows in found.items():
        rates, cpus = zip(*rows, strict=True)
        shares = [cpu / mine for (_, cpu), mine in zip(found["bare"], cpus, strict=True)]
        speeds = [mine / rate for (rate, _), mine in zip(found["bare"], rates, strict=True)]
        print(f"{name:14} {said(rates, ',.0f')} calls/s, {said(speeds, '.2f')} of bare by the clock; "
              f"{said(cpus, '.0f')} us of CPU a call, {said(shares, '.2f')} of bare by CPU")  # fmt: skip
    server.terminate()


if __name__ == "__main__":
    main()
