"""maker: very long tasks for language models, without a single error.

A decision travels: task -> plan -> step -> prompt -> samples -> red flags -> votes -> verdict ->
next state -> journal. The modules carry those names.
"""

from maker import theory
from maker.ask import vote, vote_sync
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
from maker.flags import Ambiguous, RedFlag
from maker.load import load_model, load_task
from maker.plan import Plan, Segment
from maker.prompt import View
from maker.result import Progress, RunResult
from maker.run import run, run_sync
from maker.sample import Failure, Model, Request, Sample
from maker.task import Address, Step, Task
from maker.vote import Tally, Verdict

__version__ = "0.1.0"

__all__ = [
    "Address", "Ambiguous", "Config", "Failure", "Infeasible", "InternalError", "JournalError", "JournalFull",
    "Limits", "MakerError", "Model", "ModelError", "Plan", "Progress", "RedFlag", "Request", "RunResult", "Sample",
    "Segment", "Step", "Tally", "Task", "TaskError", "Undecided", "Verdict", "View", "load_model", "load_task", "run",
    "run_sync", "theory", "vote", "vote_sync",
]  # fmt: skip
