"""One structlog logger for the effects, on top of the standard `logging` logger "maker".

Silent below WARNING until the user configures `logging`; keys never enter it, model text never does.
It is made at its first use, because structlog is a third of the time that `import maker` would take. One listener may
hear all events, at whatever level, before they become text (`listen`).

| event          | level   | when, and its fields                                                                   |
|----------------|---------|----------------------------------------------------------------------------------------|
| run.open       | info    | a journal is replayed: run, replayed (steps), records                                  |
| run.calibration | warning | k = "auto" or "table", before anything is paid for: draws                             |
| run.epoch      | warning | settings were changed on purpose: run, number, changed                                 |
| run.escalation | warning | a step that did not decide is asked otherwise: step, rung, reason, change              |
| map.apart      | warning | all answers to the first items differ in one field alone: field, items, advice         |
| crew.apart     | info    | a step is left to the run's own process, where a worker stopped: step, why             |
| crew.lost      | warning | a worker is gone, what it had is decided by others: process (its name), detail         |
| crew.none      | warning | workers were asked for, and none can help: why                                         |
| run.steering   | info    | somebody steers a run under way: set, extend, pause, ... as ordered                    |
| run.unsteered  | info    | no socket can be had beside the journal, the run goes on without: journal, detail      |
| run.close      | info    | a run has ended: run, solved, stopped (by a limit, or by the error that it raised)     |
| solve.open     | info    | as run.open, of a problem in words: run, replayed                                      |
| solve.limit    | debug   | a decision met a limit: step                                                           |
| solve.close    | info    | as run.close: run, stopped                                                             |
| step.wave      | debug   | a wave was counted: run, step, samples, flags, won, seconds                            |
| model.retry    | warning | draws failed and will be sent again: failures, detail (of the first), wait (seconds)   |
| model.hedge    | info    | a call takes far longer than its like and is made once more: step, draws               |
| model.changed  | warning | the server's model or fingerprint changed, as accepted: what, before, now              |
| model.reply    | debug   | one exchange has ended: run, step, draw, outcome ("sample", or the failure's kind);    |
|                |         | model, server, api, choices, temperature, max_tokens, seed, seconds, status,           |
|                |         | tokens_in, tokens_out; of a sample finish (reasons), named (the model), id             |
| model.refused  | debug   | a request was refused and waits: model, status, limit (of requests out at once)        |
| model.closed   | debug   | most of a round was refused, everybody waits: seconds, limit                           |
| model.slower   | debug   | the limit of requests out at once went down: limit, ceiling                            |
| model.concurrency | debug | how many requests at once the endpoint bears: found, seconds (of a reply)             |
| model.keeper   | debug   | the one who keeps the gate for all workers could not be asked: detail                  |
| model.without  | debug   | a server does not take all fields, it is asked with less from now on: model, takes     |
| server.lost    | warning | one of several servers failed, the others go on: server, detail                        |
| server.back    | warning | it answers again: server                                                               |
| model.gone     | warning | nobody gets through to the server, the run waits: detail, every, patience (seconds)    |
| model.back     | warning | it answers again: seconds (that it was gone)                                           |
| model.takes    | warning | what a server was found to take, once it has answered: said                            |
| model.probe    | debug   | a short request was sent to see whether the endpoint is well: step, well               |
| batch.sent     | info    | a batch is with the server: batch (its id), bytes (of its file)                        |
| batch.read     | info    | it was read: batch, status, asked, samples, torn, strange and doubled (lines)          |
| batch.left     | warning | nobody waits for it any more, it goes on at the server: batch, draws                   |
| batch.dropped  | warning | as accepted, it is left for good, its draws count as paid: batch (or its tag), draws   |
| batch.retry    | debug   | the server told nothing of a batch, it is asked again: detail, wait (seconds)          |
| batch.torn     | debug   | a file of a batch is torn or too short, and is fetched again: batch, fetch, torn       |
| serve.bug      | error   | the proxy met an error of its own while it answered a request: error                   |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import structlog

_standard = logging.getLogger("maker")
_standard.addHandler(logging.NullHandler())

Listener = Callable[[str, MutableMapping[str, Any]], None]  # the event, and its fields with the event among them

_listener: Listener | None = None


def debugging() -> bool:
    """Say whether debug events are wanted: asked first where there is one for every call."""
    return _listener is not None or _standard.isEnabledFor(logging.DEBUG)


def listen(listener: Listener | None) -> None:
    """Have a listener hear every event from now on, in the context in which it happens; None: nobody any more."""
    global _listener  # noqa: PLW0603 -- the process has one log
    _listener = listener


def _heard(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _listener is not None:
        _listener(fields["event"], fields)
    return fields


@cache
def _logger() -> Any:
    import structlog  # noqa: PLC0415 -- see above

    return structlog.wrap_logger(
        logging.getLogger("maker"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            _heard,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
    ).bind()  # bound once: the lazy proxy would bind anew at every call


class _Log:
    """Hands every call to the logger, which is made by the first."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_logger(), name)


log = cast("structlog.stdlib.BoundLogger", _Log())
