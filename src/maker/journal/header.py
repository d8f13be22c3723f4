"""The first record of a journal: what run this is, and whether a resume is the same run.

All that can change a decision is in it; limits are not, so that a resume may raise them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterable
from operator import eq
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maker.decision.config import Config
from maker.decision.sample import Model, Traits
from maker.errors import JournalError, TaskError
from maker.task.canonical import canonical, digest, kept_name
from maker.task.functions import same_function
from maker.task.prompt import fingerprint, render
from maker.task.task import Task, guarded, task_name

HEADER_VERSION = 1
FIXED = frozenset({"version", "task", "parameters", "steps", "segments"})  # with others it is another run altogether
FUNCTIONS = frozenset({"key", "parse"})  # parameters of a map that say which function it was given
_KNOWN = (
    "version", "task", "parameters", "steps", "code", "prompt", "model", "simulated", *Config.model_fields,
    *sorted(FUNCTIONS), "fingerprint", "batch",  # no fields, but it may be accepted that they change: the last two are
    # of the server, and of batches that it has and nobody is to wait for
)  # fmt: skip
_KINDS: dict[str, Any] = {
    "version": int, "run": str, "task": str, "parameters": dict, "steps": int | None, "code": str, "prompt": str,
    "model": str, "simulated": bool,
}  # fmt: skip
_DEFAULTS = Config().model_dump(mode="json")


def make_header(task: Task, model: Model, config: Config) -> dict[str, Any]:
    """Return the header of a run of this task with this model and configuration."""
    state = guarded(task.initial_state, None, "initial_state")
    traits = Traits.of(model)
    header: dict[str, Any] = {
        "version": HEADER_VERSION,
        "task": task_name(task),
        "parameters": getattr(task, "parameters", {}),
        "steps": task.steps,
        "code": _code_of(task),
        "prompt": fingerprint(render(task, state, 0)),
        "model": traits.name,
        "simulated": traits.simulated,
        **config.told(),
    }
    header["run"] = "run-" + digest(canonical(header)).hex()[:16]
    return header


def sound_header(stored: object) -> dict[str, Any]:
    """Return a journaled header whose fields have the types and ranges that `make_header` gives them.

    Raises TypeError or ValueError for one that no run has written. Fields that are not known are left as they are.
    """
    if not isinstance(stored, dict):
        raise TypeError(f"{stored!r:.60} is no header")
    for name, kinds in _KINDS.items():
        value = stored.get(name)
        if name in stored and (not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool)):
            raise TypeError(f"{name} = {value!r:.60}")
    if not 0 <= (stored["steps"] or 0) < 2**64:
        raise ValueError(f"steps = {stored['steps']}")
    try:
        Config.model_validate_json(json.dumps({name: stored[name] for name in _DEFAULTS if name in stored}))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]} = {first['input']!r:.60}: {first['msg']}") from None
    return stored


def with_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a header with the settings that it does not name, each at its default."""
    return stored | {name: default for name, default in _DEFAULTS.items() if name not in stored}


def changed_fields(stored: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return the settings in which this run differs from the journal's; what a header lacks is at its default.

    Of a map that was given another function, that is named alone: "key" or "parse", not "parameters".
    """
    stored, ours = with_defaults(stored), with_defaults(ours)
    changed = [key for key in {**stored, **ours} if key != "run" and stored.get(key) != ours.get(key)]
    if changed.count("parameters") and stored.get("task") == ours.get("task") == "map":
        at = changed.index("parameters")
        changed[at : at + 1] = _changed_parameters(stored.get("parameters"), ours.get("parameters"))
    return changed


def _changed_parameters(stored: Any, ours: Any) -> list[str]:
    if not isinstance(stored, dict) or not isinstance(ours, dict):
        return ["parameters"]
    changed = {
        name for name in {**stored, **ours}
        if not (same_function if name in FUNCTIONS else eq)(stored.get(name), ours.get(name))
    }  # fmt: skip
    return sorted(changed) if changed <= FUNCTIONS else ["parameters"]


def with_more(stored: dict[str, Any], ours: dict[str, Any], task: Task) -> dict[str, Any]:
    """Return a journal's header as it is with more steps after its own, where this run is the same with just that.

    That is for the task to say, by its method `begins_with`; and each step is a segment, so that no other moves.
    Any other header is returned as it is.
    """
    begins_with = getattr(task, "begins_with", None)
    before, now = stored.get("steps") or 0, ours.get("steps") or 0
    apart = stored.get("segments") == before and ours.get("segments") == now
    if begins_with is None or not apart or before >= now or not begins_with(stored["parameters"], before):
        return stored
    parameters = {name: value for name, value in ours["parameters"].items() if name in task.of_all_steps}  # type: ignore[attr-defined]
    return stored | {"steps": now, "segments": now, "parameters": stored["parameters"] | parameters}


def check_accepted(accepted: Collection[str]) -> None:
    """Raise TaskError for a change to accept of what no run has: a name that is misspelt would accept nothing."""
    for name in accepted:
        if name not in _KNOWN:
            raise TaskError(f"accept_change: there is no {name!r}. Known are: {', '.join(_KNOWN)}.")


def check_header(stored: dict[str, Any], ours: dict[str, Any], path: Path | None, accepted: Collection[str]) -> None:
    """Raise JournalError, with a field-by-field difference, unless each change is accepted and possible at all."""
    refused = [key for key in changed_fields(stored, ours) if key not in accepted or key in FIXED]
    if refused:
        lines = differences(stored, ours, refused)
        fixed = any(key in FIXED for key in refused)
        remedy = "give another --journal" if fixed else "accept the change with --accept-change FIELD"
        raise JournalError(
            f"{path}: this journal belongs to a run with other settings ({lines}). "
            f"Resume with the journal's settings, or {remedy}."
        )


def differences(stored: dict[str, Any], ours: dict[str, Any], fields: Iterable[str]) -> str:
    """Return what a journal's header says of some fields and what this run's says, for a person."""
    stored, ours = with_defaults(stored), with_defaults(ours)
    return "; ".join(f"{key}: journal {_said(stored, key)!r}, now {_said(ours, key)!r}" for key in fields)


def _said(header: dict[str, Any], field: str) -> Any:
    return (header.get("parameters") or {}).get(field) if field in FUNCTIONS else header.get(field)


def _code_of(task: Task) -> str:
    """Return a digest of the file that defines the task; empty where there is no source to read.

    maker's own tasks keep one that they say themselves, so that a journal outlives edits of a file of maker's.
    """
    kept = kept_name(type(task), "__code_digest__")
    if kept is not None:
        return kept
    try:
        source = inspect.getsource(inspect.getmodule(type(task)) or type(task))
    except (OSError, TypeError):
        return ""
    return digest(source.encode("utf-8", "surrogatepass")).hex()
