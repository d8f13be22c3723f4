"""`maker check` at a real llama.cpp server with a real instruct model: by chat, and by plain completions.

    python tests/llm/check.py [qwen-0.5b | qwen-1.5b | FILE.gguf]

Prints a line for each. Leaves with 1 where the server is not found usable, or where what llama.cpp is known to do is
not found: it enforces a schema in chats, and ignores one in plain completions. No part of the test suite.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

from weights import PARTS, weights

from llama_server import serving

SLOTS = 4
KNOWN = {"usable": True, "thought": 0, "stop": "obeyed", "logprobs": "given", "ids": "differ"}
WAYS = {"/v1#an-alias": {"schema": "enforced"}, "/v1/completions#m": {"schema": "not enforced"}}
MOST_CALLS, MOST_SECONDS = 30, 60.0


def look(spec: str) -> dict[str, Any]:
    """Run the command once, and return what it says to a program, with its exit code."""
    done = subprocess.run([sys.executable, "-m", "maker", "check", spec, "--json"], capture_output=True, check=False)
    return {**json.loads(done.stdout), "left": done.returncode}


def main() -> None:
    """Look at it in both ways."""
    name = sys.argv[1] if len(sys.argv) > 1 else "qwen-0.5b"
    file = weights(name) if name in PARTS else Path(name)
    failed = 0
    with serving(file, SLOTS, 1024) as address:
        for path, known in WAYS.items():
            found = look(address + path)
            other = {what: found[what] for what, told in (KNOWN | known).items() if found[what] not in (told, None)}
            well = not other and found["left"] == 0
            well = well and found["calls"] <= MOST_CALLS and found["seconds"] <= MOST_SECONDS
            failed += not well
            print(f"{file.stem}{path}: {'well' if well else f'FAILED: {other or found}'}, {found['calls']} calls, "
                  f"{found['seconds']:.1f} s, {found['distinct']} of {found['draws']} draws differ, seeds "
                  f"{found['seeds']}, {found['tokens_per_second']:.1f} tokens/s, {found['at_once']} at once: "
                  f"{found['gain'] or 0:.1f} times", flush=True)  # fmt: skip
    sys.exit(min(failed, 1))


if __name__ == "__main__":
    main()
