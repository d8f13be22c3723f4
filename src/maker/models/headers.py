"""Headers that hold a key.

Not covered: other headers whose name speaks of a secret (`openai/http/reach.py`).
"""

from __future__ import annotations

_KEYS = ("authorization", "api-key", "x-api-key")


def holds_key(header: str) -> bool:
    """Say whether what a header of this name holds is the key itself."""
    return header.lower() in _KEYS
