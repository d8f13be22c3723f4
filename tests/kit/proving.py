"""What the scripts of the proof share: a real model asked once, what is kept of it, and the interval of a share.

A folder of results is `$MAKER_PROOF`, by default `~/.cache/maker-proof`; each result is a line of JSON, so that a
script may be stopped at any time and goes on where it was.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maker import theory

FOLDER = Path(os.environ.get("MAKER_PROOF", Path.home() / ".cache" / "maker-proof"))


def ask(model: str, prompt: Any, seed: int, temperature: float, most: int) -> dict[str, Any]:
    """Ask SERVER#MODEL once, a text or messages; return the reply, its tokens and seconds. most: tokens of it."""
    url, _, name = model.partition("#")
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    asked = {"model": name, "messages": turns, "temperature": temperature, "max_tokens": most, "seed": seed}
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=3600) as answer:
        said = json.load(answer)
    return {"reply": said["choices"][0]["message"]["content"], "tokens": said["usage"]["total_tokens"],
            "seconds": round(time.monotonic() - begun, 1)}  # fmt: skip


def kept(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the results in a file; none where there is none yet."""
    for line in file.read_text().splitlines() if file.exists() else ():
        yield json.loads(line)


def keep(file: Path, said: dict[str, Any]) -> None:
    """Add a result to a file."""
    with file.open("a") as out:
        out.write(json.dumps(said) + "\n")


def each(numbers: Iterable[int], known: Iterable[dict[str, Any]], one: Callable[[int], None], at_once: int) -> None:
    """Make the tries of some numbers that are not known yet, so many side by side. one: makes a try, and keeps it."""
    made = {said["try"] for said in known}
    left = [number for number in numbers if number not in made]
    if at_once == 1:  # in this thread, where Ctrl-C reaches it
        list(map(one, left))
        return
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, left))


def interval(right: int, n: int) -> tuple[float, float]:
    """Return the exact 95% interval of a share: so many right of n."""
    return theory.p_lower(n - right, n, 0.975), theory.p_upper(n - right, n, 0.975)
