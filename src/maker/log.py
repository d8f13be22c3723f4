"""One structlog logger for the effects, on top of the standard `logging` logger "maker".

Silent below WARNING until the user configures `logging`; keys never enter it, model text never does.
"""

from __future__ import annotations

import logging

import structlog

logging.getLogger("maker").addHandler(logging.NullHandler())

log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("maker"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
)
