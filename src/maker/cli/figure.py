"""The figure of a comparison: p of each arm, and what the whole run takes with it, both with 95% intervals.

Needs matplotlib (extra `plots`). Not covered: what is said in words (`commands/compare.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maker.api.compare import Compared, Comparison
from maker.errors import TaskError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREY = "#0072B2", "#777777"
_LONGEST = 40  # characters of a name


def save(found: Comparison, path: Path) -> None:
    """Draw a comparison as a PNG file. Raises TaskError where it cannot be written."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- an extra, and slow to load
    from matplotlib.ticker import LogLocator  # noqa: PLC0415

    arms = [arm for arm in found.arms if arm.estimate is not None]
    figure = Figure(figsize=(9, 1.4 + 0.45 * len(arms)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for place, arm in enumerate(reversed(arms)):
        _draw(left, right, place, arm)
    left.set_yticks(range(len(arms)), [_label(arm) for arm in reversed(arms)], parse_math=False)
    left.set_ylim(-0.6, max(len(arms), 1) - 0.4)
    left.set_xlabel("p: right, of replies that may vote")
    right.set_xlabel("tokens of the whole run")
    right.set_xscale("log")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.xaxis.set_major_formatter("{x:,.0f}")
    right.xaxis.set_minor_formatter("")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, format="png", dpi=125)
    except OSError as error:
        raise TaskError(f"--figure {path}: {error.strerror or error}. Give another file") from None


def _draw(left: Axes, right: Axes, place: int, arm: Compared) -> None:
    """Draw one arm: its p, and its tokens where a run is planned; grey where it was dropped or voting cannot do it."""
    seen = arm.estimate
    assert seen is not None
    look: dict[str, Any] = {"fmt": "o", "capsize": 3, "color": _BLUE if seen.feasible and not arm.dropped else _GREY}
    left.errorbar([seen.p], [place], xerr=[[seen.p - seen.p_low], [max(0.0, seen.p_high - seen.p)]], **look)
    if seen.tokens is not None:
        ends = [[seen.tokens.value - seen.tokens.low], [seen.tokens.high - seen.tokens.value]]
        right.errorbar([seen.tokens.value], [place], xerr=ends, **look)


def _label(arm: Compared) -> str:
    name = arm.name if len(arm.name) <= _LONGEST else f"...{arm.name[-_LONGEST:]}"
    return f"{name} (dropped)" if arm.dropped else name
