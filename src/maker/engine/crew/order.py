"""An order: what a worker must know to make a run's task, model and method again; and the worker that it makes.

An order and the jobs that follow are JSON, so neither side runs what the other sends. A worker checks that the header
which it makes again is the run's before it decides anything.

Not covered: how the messages travel (`processes.py`), and what becomes of the answers (`lead.py`).
"""

from __future__ import annotations

import json
from typing import Any

from maker.decision.config import Config, validated
from maker.decision.flags import BUILT_IN, DEFAULT
from maker.decision.method import Method
from maker.decision.sample import Traits
from maker.engine.course import Course
from maker.engine.crew.stretch import run_stretch
from maker.errors import MakerError
from maker.journal.header import changed_fields, make_header
from maker.models import load_model
from maker.task.load import load_task, origin
from maker.task.plan import plan_of
from maker.theory.votes.tables import Table


def order_of(course: Course) -> bytes | None:
    """Return what a worker must know; None where it could not make task and model again, or must not."""
    task, model, method = course.task, course.dispatcher.model, course.method
    traits = course.dispatcher.traits
    changed = course.config.paraphrase or course.escalations or course.escalations.look or course.abandoned
    if changed or method is None or course.plan.enter is None or not set(method.flags) <= set(DEFAULT):
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
        told = json.dumps(order)
        return told.encode() if json.loads(told) == order else None
    except (MakerError, TypeError, ValueError):  # no attributes, or such as cannot be compared or told
        return None


class Worker:
    """What an order makes: a task, its plan and a model, which decide stretches with nobody else to ask.

    Raises MakerError for an order that does not make the run it is of.
    """

    def __init__(self, told: bytes) -> None:
        order = json.loads(told)
        self.task, self.model = load_task(order["task"], **order["parameters"]), load_model(order["model"])
        if (bind := Traits.of(self.model).bind) is not None:
            bind(self.task)
        header = {name: order["header"][name] for name in Config.model_fields if name in order["header"]}
        config = validated(Config, {**header, "flags": tuple(header["flags"])})
        if changed := changed_fields(order["header"], make_header(self.task, self.model, config)):
            raise MakerError(f"made again, {', '.join(changed)} are not those of the run")
        votes, flagged = order["most"]
        self.method = Method.of(
            config, order["k"], tuple(BUILT_IN[name] for name in config.flags), (votes, flagged),
            run=order["header"]["run"], epoch=order["epoch"], schema=getattr(self.task, "schema", None),
            table=order["table"] and Table.of(order["table"], order["k"]),
        )  # fmt: skip
        self.plan = plan_of(self.task, config.segments)

    async def decide(self, first: int, steps: int) -> bytes:
        """Return so many steps from the first on, as far as they are plain: a stretch in bytes."""
        state: Any = self.plan.state_at(first)
        return (await run_stretch(self.task, self.model, self.method, first, state, steps)).encode()
