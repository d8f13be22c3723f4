"""The switch: off, on, and refused in words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import maker
from maker.testing import ScriptedModel


def test_nothing_of_it_is_loaded_until_it_is_turned_on():
    """Importing maker and voting load no OpenTelemetry, and no event is made for a wave."""
    code = (
        "import maker, sys; from maker.testing import ScriptedModel; import maker.sending.settle as settle;"
        "settle.log = None; maker.vote_sync('?', model=ScriptedModel(['a', 'a']), k=2);"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_a_senseless_share_is_refused(every: Any):
    """Every how many steps is a whole number from 1."""
    with pytest.raises(maker.TaskError, match="every = "):
        maker.telemetry(every=every)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """Without the packages the message says what to install, and nothing listens."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "maker.api.telemetry.spans", raising=False)
    with pytest.raises(maker.TaskError, match=r"pip install 'maker\[otel\]'"):
        maker.telemetry()
    assert maker.vote_sync("?", model=ScriptedModel(["a", "a"]), k=2).answer == "a"
