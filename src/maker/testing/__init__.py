"""For tests, ours and yours: a scripted model, and conformance checks of tasks, models and journals.

`FaultServer` (with `Reply` and `error`) is an OpenAI-compatible server on loopback that misbehaves as told and
keeps a ledger of its own.
"""

from maker.testing.checks import check_journal, check_model, check_task
from maker.testing.faults import FaultServer
from maker.testing.replies import Reply, error
from maker.testing.scripted import Scripted, ScriptedModel, calling

__all__ = ["FaultServer", "Reply", "Scripted", "ScriptedModel", "calling", "check_journal", "check_model",
           "check_task", "error"]  # fmt: skip
