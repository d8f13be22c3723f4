"""How figures look: one style, colours that the colour-blind tell apart, readable at 800 pixels.

Colours are those of Okabe and Ito (2008); every series has a marker of its own too, so that a figure
reads in grey. Lines are theory, points with bars are measured or simulated.

`save` needs matplotlib (extra `plots`). Not covered: what a figure shows; each experiment draws its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maker.experiments.kit.study import Share, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DPI = 125
_STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 10.5, "legend.fontsize": 8.5, "axes.grid": True, "grid.alpha": 0.3,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.5, "lines.markersize": 5,
    "savefig.dpi": _DPI,
}  # fmt: skip


def save(study: Study, path: Path) -> Path:
    """Draw a study and save it as PNG; the same rows give the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 -- an extra
    from matplotlib.figure import Figure  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=study.size, layout="constrained")
        assert study.draw is not None  # who saves it has looked
        study.draw(figure)
        drawn = BytesIO()
        figure.savefig(drawn, format="png")
    # few colours are in use: a palette makes the file a third as large
    Image.open(drawn).convert("RGB").quantize(128).save(path, optimize=True)
    return path


def plain(axes: Axes) -> None:
    """Write the numbers of a short logarithmic y axis as they are said: 3, 4, 5."""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def style(number: int) -> dict[str, Any]:
    """Return colour and marker of a series by its number."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def line(axes: Axes, x: Sequence[float], y: Sequence[float], number: int, **more: Any) -> None:
    """Draw a line in the colour of a series."""
    axes.plot(x, y, **{"color": style(number)["color"], **more})


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Name the series of one of the axes below the figure."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def points(axes: Axes, x: Sequence[float], shares: Sequence[Share], number: int, label: str, **more: Any) -> None:
    """Draw shares as points with 95% intervals; a share of 0 is only the upper end of its interval, an arrow down."""
    where = [(at, share) for at, share in zip(x, shares, strict=True) if share.n]
    seen = [(at, share) for at, share in where if share.seen]
    none = [(at, share.high) for at, share in where if not share.seen]
    look = {"linestyle": "none", "capsize": 2.5, **style(number), **more}
    sides = zip(*((max(one.rate - one.low, 0.0), max(one.high - one.rate, 0.0)) for _, one in seen), strict=True)
    axes.errorbar([at for at, _ in seen], [one.rate for _, one in seen], list(sides) or None, label=label, **look)
    if none:
        axes.plot(*zip(*none, strict=True), linestyle="none", marker="$\\downarrow$", markersize=8, color=look["color"])
