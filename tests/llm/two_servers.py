"""A map over two real llama.cpp servers, one of which is killed in mid-run: nothing may be lost.

    python tests/llm/two_servers.py [qwen-0.5b | qwen-1.5b | FILE.gguf]

Leaves with 1 unless every item is decided and both servers have answered. No part of the test suite.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from weights import PARTS, weights

import maker
from llama_server import serving
from maker.review.export import rows

ITEMS = range(16)
KILLED_AFTER = 4  # items, or soon after


async def tried(file: Path, folder: Path) -> maker.Verdicts:
    """Run the map, and kill the first server once some items are decided."""
    with ExitStack() as first, serving(file, 4, 512) as second:
        address = first.enter_context(serving(file, 4, 512))
        alive = True

        def told(progress: maker.Progress) -> None:
            nonlocal alive
            if alive and progress.steps >= KILLED_AFTER:
                alive = False
                first.close()
                print(f"{address} was killed after {progress.steps} items", flush=True)

        return await maker.map(
            "What is {item} + 3? The number alone.", ITEMS, model=f"{address}/v1,{second}/v1#m", answer=int, k=2,
            temperature=0.7, max_tokens=16, journal=folder / "map.db", progress=told,
        )  # fmt: skip


def main() -> None:
    """Run it and count."""
    name = sys.argv[1] if len(sys.argv) > 1 else "qwen-0.5b"
    file = weights(name) if name in PARTS else Path(name)
    with tempfile.TemporaryDirectory() as scratch:
        verdicts = asyncio.run(tried(file, Path(scratch)))
        decided, sources = len(verdicts), Counter(row["source"] for row in rows(Path(scratch) / "map.db", "samples"))
    print(f"{file.stem}: {decided} of {len(ITEMS)} items decided, samples by server {dict(sources)}, "
          f"{verdicts.result.seconds:.1f} s")  # fmt: skip
    sys.exit(not (decided == len(ITEMS) and len(sources) == 2))


if __name__ == "__main__":
    main()
