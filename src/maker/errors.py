"""Every exception maker raises on purpose, in one tree.

    MakerError
    |-- TaskError          yours: the task, its parameters or the configuration is wrong      exit 2
    |   `-- Infeasible     no k reaches the target: a step is right no more than half the time exit 2
    |-- ModelError         theirs: the model cannot be used at all                            exit 5
    |-- JournalError       the file: damaged, locked, foreign, or of another run              exit 6
    |   `-- JournalFull    the disk: it took no more; what was committed stands, resumable    exit 3
    |-- Undecided          a limit was met before one answer was k ahead; carries the tally   exit 4
    `-- InternalError      ours: an invariant of maker itself does not hold, please report    exit 70

A red flag is a value, never an exception; a limit that ends a run is `RunResult.stopped`.
Foreign exceptions are mapped where they enter: task code in `task/task.py`, SQLite in `journal/database.py`,
HTTP in `models/openai/http/wire.py`. Every message says what happened, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maker.decision.race import Tally


class MakerError(Exception):
    """The root of the tree; `exit_code` is what the command line leaves with.

    All of them cross from one process to another (copied by the standard protocol) with all that they carry.
    """

    exit_code = 70

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call the class with the message alone.
        return _made_again, (type(self), self.args), self.__dict__


class TaskError(MakerError):
    """The task, its parameters or the configuration is wrong: yours to mend."""

    exit_code = 2


class Infeasible(TaskError):
    """Voting cannot reach the target with this model: no k exists, or none that is affordable."""


class ModelError(MakerError):
    """The model cannot be used: unreachable from the start, refusing, or not what was asked for."""

    exit_code = 5


class JournalError(MakerError):
    """The journal is damaged, locked by another process, foreign, or belongs to another run."""

    exit_code = 6


class JournalFull(JournalError):
    """The disk took no more. Everything committed before stands; free some space and resume."""

    exit_code = 3


class Undecided(MakerError):
    """A step met its limit before one answer was k votes ahead.

    `tally` holds what was counted, `step` the step's index, `limit` the name of the limit met.
    Never turned into a best guess: raise the limit and resume, or change the step.
    """

    exit_code = 4

    def __init__(self, message: str, *, tally: Tally, step: int, limit: str) -> None:
        super().__init__(message)
        self.tally = tally
        self.step = step
        self.limit = limit


class InternalError(MakerError):
    """An invariant of maker itself does not hold. Nothing was committed after it was noticed."""


def _made_again(kind: type[MakerError], args: tuple[Any, ...]) -> MakerError:
    """Return an error as its copy begins: the message, without the call that made the first."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first plain exception of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise the first plain exception of a group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as errors:
        error = first_error(errors)
        raise error from error.__cause__
