"""maker: very long tasks for language models, without a single error.

A decision travels: task -> plan -> step -> prompt -> samples -> red flags -> votes -> verdict ->
next state -> journal. The modules carry those names.
"""

from maker import flags, ladder, theory
from maker.ask import vote, vote_sync
from maker.audit import Audit, verify
from maker.coarse import coarse
from maker.config import Config, Limits
from maker.errors import (
    Infeasible,
    InternalError,
    JournalError,
    JournalFull,
    MakerError,
    ModelError,
    TaskError,
    Undecided,
)
from maker.estimate import Estimate, estimate, estimate_sync
from maker.export import export
from maker.flags import Ambiguous, RedFlag
from maker.lines import Line
from maker.load import load_model, load_task
from maker.map import map, map_sync  # noqa: A004 -- the public name is maker.map
from maker.plan import DEFAULT_SEGMENTS, Plan, Segment
from maker.prompt import View
from maker.reliable import reliable
from maker.report import write_report
from maker.result import Progress, RunResult
from maker.revote import Revote, revote
from maker.run import run, run_sync
from maker.sample import Failure, Model, Request, Sample
from maker.solve import solve, solve_sync
from maker.task import Address, Step, Task
from maker.usage import Prices
from maker.verdicts import Verdicts
from maker.vote import Tally, Verdict

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_SEGMENTS", "Address", "Ambiguous", "Audit", "Config", "Estimate", "Failure", "Infeasible",
    "InternalError", "JournalError", "JournalFull", "Limits", "Line", "MakerError", "Model", "ModelError", "Plan",
    "Prices", "Progress", "RedFlag", "Request", "Revote", "RunResult", "Sample", "Segment", "Step", "Tally", "Task",
    "TaskError", "Undecided", "Verdict", "Verdicts", "View", "coarse", "estimate", "estimate_sync", "export", "flags",
    "ladder", "load_model", "load_task", "map", "map_sync", "reliable", "revote", "run", "run_sync", "solve",
    "solve_sync", "theory", "verify", "vote", "vote_sync", "write_report",
]  # fmt: skip
