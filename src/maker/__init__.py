"""maker: very long tasks for language models, without a single error.

A decision travels: task -> plan -> step -> prompt -> samples -> red flags -> votes -> verdict ->
next state -> journal. The modules carry those names.
"""

from maker import theory
from maker.api.audit.audit import audit, audit_sync
from maker.api.audit.result import Acceptance
from maker.api.compare import Comparison, compare, compare_sync
from maker.api.estimate import Estimate, estimate, estimate_map, estimate_map_sync, estimate_sync
from maker.api.map import map, map_sync  # noqa: A004 -- the public name is maker.map
from maker.api.reading import keys
from maker.api.reading.unvoted import unvoted
from maker.api.reliable import reliable
from maker.api.run import run, run_sync
from maker.api.solve import solve, solve_sync
from maker.api.telemetry.telemetry import telemetry
from maker.api.verdicts import Verdicts
from maker.api.vote import vote, vote_sync
from maker.decision import flags
from maker.decision.address import Address
from maker.decision.config import Config
from maker.decision.flags import RedFlag
from maker.decision.race import Tally, Verdict
from maker.decision.sample import Failure, Model, Prices, Request, Sample
from maker.decision.step import Step
from maker.engine.crew import cluster
from maker.engine.ladder import rungs as ladder
from maker.engine.result import Progress, RunResult
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
from maker.models import load_model
from maker.models.providers import openai_model
from maker.review.checking.checker import Audit
from maker.review.checking.verify import verify
from maker.review.export import export
from maker.review.report.page import write_report
from maker.review.revote import Revote, revote
from maker.sending.budget.limits import Budget, Limits
from maker.task.coarse import coarse
from maker.task.lines import Ambiguous, Line, bare
from maker.task.load import load_task
from maker.task.plan import DEFAULT_SEGMENTS, Plan, Segment
from maker.task.prompt import View
from maker.task.task import Task
from maker.task.tools import ToolCall, Turn
from maker.task.window import windowed

__version__ = "0.2.0"

__all__ = [
    "DEFAULT_SEGMENTS", "Acceptance", "Address", "Ambiguous", "Audit", "Budget", "Comparison", "Config", "Estimate",
    "Failure", "Infeasible", "InternalError", "JournalError", "JournalFull", "Limits", "Line", "MakerError", "Model",
    "ModelError", "Plan", "Prices", "Progress", "RedFlag", "Request", "Revote", "RunResult", "Sample", "Segment",
    "Step", "Tally", "Task", "TaskError", "ToolCall", "Turn", "Undecided", "Verdict", "Verdicts", "View", "audit",
    "audit_sync", "bare", "cluster", "coarse", "compare", "compare_sync", "estimate", "estimate_map",
    "estimate_map_sync", "estimate_sync", "export", "flags", "keys", "ladder", "load_model", "load_task", "map",
    "map_sync", "openai_model", "reliable", "revote", "run", "run_sync", "solve", "solve_sync", "telemetry", "theory",
    "unvoted", "verify", "vote", "vote_sync", "windowed", "write_report",
]  # fmt: skip
