"""One structlog logger for the effects, on top of the standard `logging` logger "maker".

Silent below WARNING until the user configures `logging`; keys never enter it, model text never does.
It is made at its first use, because structlog is a third of the time that `import maker` would take.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import structlog

_standard = logging.getLogger("maker")
_standard.addHandler(logging.NullHandler())


def debugging() -> bool:
    """Say whether debug events are wanted: asked first where there is one for every call."""
    return _standard.isEnabledFor(logging.DEBUG)


@cache
def _logger() -> Any:
    import structlog  # noqa: PLC0415 -- see above

    return structlog.wrap_logger(
        logging.getLogger("maker"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
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
