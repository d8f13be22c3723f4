"""The outcomes of all experiments, made once."""

from __future__ import annotations

import pytest

from maker.experiments.registry import NAMES
from tiny import tiny


@pytest.fixture(scope="session")
def outcomes():
    """Return every experiment's outcome, run once."""
    return {name: tiny(name) for name in NAMES}
