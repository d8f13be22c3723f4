"""Other processes that decide steps: all cores of this machine for one long run.

For models whose replies are functions of the request alone and that can be made again from their name (they say
so: `replicable`), and for plans that know the state before any step. Each process has task and model of its own, checks
that its header is the run's, and sends back stretches; this process journals them, advances by them, and
alone says what is decided. Verdicts, chain, samples and account are those of a run without a crew.

A crew only ever saves time. A stretch that ends early or leaves the path that the plan knows, or a process that is
lost, ends its work, and the run goes on alone. A process ends when its input ends: it cannot outlive its parent.
Messages are JSON and bytes, so neither side runs what the other sends.

Not covered: runs with limits on the whole, changed steps, or red flags of the caller's own: they have no crew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from typing import IO, Any

from anyio import to_thread

from maker.decision.config import Config, validated
from maker.decision.ending import Stop, copied_too_often
from maker.decision.flags import BUILT_IN, DEFAULT
from maker.decision.method import Method
from maker.decision.sample import Traits
from maker.engine.course import Course
from maker.engine.crew.stretch import Stretch, run_stretch
from maker.engine.front import Lane
from maker.errors import MakerError, ungrouped
from maker.journal.header import changed_fields, make_header
from maker.log import log
from maker.models import load_model
from maker.models.process import collect_seldom, fresh_interpreter
from maker.task.canonical import canonical, digest
from maker.task.load import load_task, origin
from maker.task.plan import plan_of
from maker.theory.votes.tables import Table

FEWEST_STEPS = 20_000  # still to do; for less, starting processes takes longer than they save
JOB_STEPS = 1_000  # of one job at most, some 40 ms: so far is an interrupt or a crash behind
MOST_PROCESSES = 8  # one process journals for all

_SIZE = struct.Struct("<Q")


class _Lost(Exception):
    """A process has ended, or says what makes no sense."""


async def lead(course: Course, interrupted: Callable[[], bool] | None, report: Callable[[], None]) -> None:
    """Let a crew decide steps as far as it goes plainly; nothing where none can help.

    report: called after each job. Raises Stop as a run does; then and on cancellation the processes have ended.
    """
    order = _order(course)
    if order is None:
        return
    lanes = course.front.open_lanes()
    count = min(_cores(), MOST_PROCESSES, len(lanes))
    if count < 2 or sum(map(_left, lanes)) < FEWEST_STEPS:
        return
    known = deque(lane for lane in lanes if is_known(course, lane))
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(_employ(order, known, course, interrupted, report))


def _order(course: Course) -> dict[str, Any] | None:
    """Return what a process must know to make task, model and method again; None where it could not, or must not."""
    task, model, method = course.task, course.dispatcher.model, course.method
    traits = course.dispatcher.traits
    changed = course.config.paraphrase or course.escalations or course.escalations.look or course.abandoned
    if (
        _capped(course)
        or changed
        or method is None
        or course.plan.enter is None
        or not set(method.flags) <= set(DEFAULT)
    ):
        return None
    source, name, parameters = origin(task), traits.name, getattr(task, "parameters", {})
    if source is None or not traits.lockstep or not traits.replicable:
        return None
    try:
        again = load_task(source, **parameters)
        if type(load_model(name)) is not type(model) or vars(again) != vars(task):
            return None
        order = {
            "task": source, "parameters": parameters, "model": name, "header": course.header,
            "k": method.k, "most": [method.max_votes, method.max_flags], "epoch": course.epoch,
            "table": method.table and method.table.as_note(),
        }  # fmt: skip
        return order if json.loads(json.dumps(order)) == order else None
    except (MakerError, TypeError, ValueError):  # no attributes, or such as cannot be compared or told
        return None


def _capped(course: Course) -> bool:
    """Say whether there is a limit on the whole run, which the processes do not keep."""
    limits, shared = course.dispatcher.limits, course.dispatcher.budget.shared
    caps = (limits.max_steps, limits.max_calls, limits.max_tokens, limits.max_cost, limits.max_seconds)
    return any(caps) or shared is not None


async def _employ(
    order: dict[str, Any], lanes: deque[Lane], course: Course, interrupted: Callable[[], bool] | None,
    report: Callable[[], None],
) -> None:  # fmt: skip
    """Start one process and give it jobs until there are none."""
    try:
        # Unbuffered: what a process that was killed has not read must not fail once more when its pipe is closed.
        started = fresh_interpreter("maker.engine.crew.processes", buffered=False)
    except OSError as error:  # no interpreter to be found, or no room for another process
        log.warning("crew.lost", process=None, detail=repr(error))
        lanes.clear()
        return
    with started as process:
        try:
            await to_thread.run_sync(_ask, process, order, 1)
            while not _capped(course) and (job := _job(lanes)):
                await course.dispatcher.budget.until_resumed()
                told = [(lane.index, steps) for lane, steps in job]
                answers = await to_thread.run_sync(_ask, process, told, len(told))
                for (lane, steps), stretch in zip(job, map(_stretch, answers), strict=True):
                    if not catch_up(course, lane, stretch) or stretch.steps < steps:
                        lanes.clear()  # the next step is not a plain one
                        return
                    if not course.front.finished(lane):
                        lanes.appendleft(lane)
                report()
                if (copied := copied_too_often(course.usage, course.sampled)) is not None:
                    raise copied
                if interrupted is not None and interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
        except _Lost as error:
            log.warning("crew.lost", process=process.pid, detail=str(error))
            lanes.clear()
        finally:
            process.kill()


def _job(lanes: deque[Lane]) -> list[tuple[Lane, int]]:
    """Take lanes, and so many steps of each, as one message is worth."""
    job, free = [], JOB_STEPS
    while lanes and free > 0:
        lane = lanes.popleft()
        steps = min(_left(lane), JOB_STEPS)
        job.append((lane, steps))
        free -= steps
    return job


def _left(lane: Lane) -> int:
    """Return how many steps a lane has still to go."""
    assert lane.segment.stop is not None, "segments without an end are not handed out"
    return lane.segment.stop - lane.index


def _ask(process: subprocess.Popen[bytes], told: object, count: int) -> list[bytes]:
    """Tell a process something and wait for so many answers. Raises _Lost when it has ended."""
    assert process.stdin is not None, "a process is started with pipes"
    assert process.stdout is not None, "a process is started with pipes"
    try:
        _write(process.stdin, json.dumps(told).encode())
        return [_read(process.stdout) for _ in range(count)]
    except (OSError, EOFError) as error:
        raise _Lost(f"it has ended: {error!r}") from error


def _stretch(answer: bytes) -> Stretch:
    """Return the stretch that a process has sent. Raises _Lost for anything else."""
    try:
        return Stretch.decode(answer)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise _Lost(f"its answer makes no sense: {error!r}") from error


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_known(course: Course, lane: Lane) -> bool:
    """Say whether a lane stands where the plan says that it does, so that another process can go on from there."""
    return lane.poll is None and canonical(course.plan.state_at(lane.index)) == canonical(lane.state)


def catch_up(course: Course, lane: Lane, stretch: Stretch) -> bool:
    """Journal what another process has decided, and advance the lane by it. Raises Stop as `Front.advance` does.

    False, and nothing has changed, if that leads to another state than the plan knows at that step.
    """
    if not stretch.steps:
        return True
    state = course.plan.state_at(lane.index + stretch.steps)
    if digest(canonical(state)) != stretch.state_digest:
        return False
    for record in stretch.records:
        course.journal.append(record)
    course.usage.add(stretch.usage)
    course.opened += stretch.steps
    course.sampled += stretch.steps
    course.front.catch_up(lane, stretch.score, stretch.hashes, state, stretch.state_digest)
    course.journal.commit_if_due()
    return True


# -- in the other process ------------------------------------------------------------------------------------


def main() -> None:
    """Read an order, then jobs; answer each with its stretches, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    collect_seldom()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write to the pipe
    with contextlib.suppress(BrokenPipeError, EOFError):  # the parent is gone
        asyncio.run(serve(source, target))


async def serve(source: IO[bytes], target: IO[bytes]) -> None:
    """Do as `main` does, on two streams. Raises EOFError at the end, MakerError for an order that is not as it was."""
    order = json.loads(_read(source))
    task, model = load_task(order["task"], **order["parameters"]), load_model(order["model"])
    if (bind := Traits.of(model).bind) is not None:
        bind(task)
    told = {name: order["header"][name] for name in Config.model_fields if name in order["header"]}
    config = validated(Config, {**told, "flags": tuple(told["flags"])})
    if changed := changed_fields(order["header"], make_header(task, model, config)):
        raise MakerError(f"made again, {', '.join(changed)} are not those of the run")
    flags = tuple(BUILT_IN[name] for name in config.flags)
    votes, flagged = order["most"]
    method = Method.of(config, order["k"], flags, (votes, flagged), run=order["header"]["run"], epoch=order["epoch"],
                       schema=getattr(task, "schema", None),
                       table=order["table"] and Table.of(order["table"], order["k"]))  # fmt: skip
    plan = plan_of(task, config.segments)
    _write(target, b"")
    while True:
        for first, steps in json.loads(_read(source)):
            state = plan.state_at(first)
            stretch = await run_stretch(task, model, method, first, state, steps)
            _write(target, stretch.encode())


def _read(source: IO[bytes]) -> bytes:
    """Return the next message. Raises EOFError at the end."""
    (length,) = _SIZE.unpack(_exactly(source, _SIZE.size))
    return _exactly(source, length)


def _exactly(source: IO[bytes], length: int) -> bytes:
    parts = []
    while length:
        part = source.read(length)  # of a pipe: what is there
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(target: IO[bytes], content: bytes) -> None:
    left = memoryview(_SIZE.pack(len(content)) + content)
    while left:
        left = left[target.write(left) :]
    target.flush()
