"""For tests, ours and yours: a scripted model, and conformance checks of tasks, models and journals.

`FaultServer` (with `Reply` and `error`) is an OpenAI-compatible server on loopback that misbehaves as told and
keeps a ledger of its own; it is loaded when first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from maker.testing.checks import check_journal, check_model, check_task
from maker.testing.scripted import Scripted, ScriptedModel

__all__ = ["FaultServer", "Reply", "Scripted", "ScriptedModel", "check_journal", "check_model", "check_task", "error"]

_FAULTS = {"FaultServer": "maker.testing.faults", "Reply": "maker.testing.replies", "error": "maker.testing.replies"}


def __getattr__(name: str) -> Any:
    """Load the fault server, and aiohttp with it, only for those who use it."""
    if name in _FAULTS:
        return getattr(importlib.import_module(_FAULTS[name]), name)
    raise AttributeError(f"module 'maker.testing' has no attribute {name!r}")
