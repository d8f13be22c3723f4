"""The figures of a report, as SVG that takes its colours and fonts from the page around it.

Matplotlib draws; then every style becomes a plain attribute and every colour a variable of the page's style
sheet, so that one figure serves the light and the dark page, and the page may forbid all inline styles. Lines
are theory, points and bars are what the journal holds, with 95% intervals where a count is a sample.

Needs matplotlib (extra `plots`). Not covered: tables and text (`page.py`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from maker.review.report.data import ENTROPY_BINS, ENTROPY_WIDTH, Contents
from maker.review.report.theory import LARGEST_K, own_p, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator


WIDTH, HEIGHT = 5.4, 3.0  # inches
SHOWN_KINDS = 12
# Drawn in colours that nothing else has, which then become the page's own.
INK, MUTED, GRID, SEEN, THEORY, MOST = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", SEEN: "--seen", THEORY: "--theory", MOST: "--most"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "maker", "text.parse_math": False, "font.size": 9, "axes.labelsize": 9,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.7,
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "legend.fontsize": 8.5, "lines.linewidth": 1.6, "lines.markersize": 4.5, "ytick.minor.size": 0,
}  # fmt: skip
_KEPT = {"fill", "stroke", "opacity", "text-anchor", "font-size", "fill-opacity", "stroke-opacity", "stroke-width",
         "stroke-dasharray", "stroke-linecap", "stroke-linejoin"}  # fmt: skip


@dataclass(slots=True, frozen=True)
class Drawn:
    """A figure: its title, what it shows, and the SVG; `svg` is "" where there is nothing to draw."""

    title: str
    caption: str
    svg: str


def draw(found: Contents) -> list[Drawn]:
    """Return the figures of a report."""
    steps = found.summary.steps
    decided, flagged = steps > 0, found.flagged > 0
    unanimous = f"{found.unanimous:,} of {steps:,} steps were unanimous (H = 0) and are not drawn." if steps else ""
    theory = " Line: theory at the run's own p and v, independent samples." if _fitted_p(found) is not None else ""
    stretch = found.along.width
    along = "of each step" if stretch == 1 else f"in stretches of {stretch:,} steps"
    plans: list[tuple[str, str, Callable[[Axes, Contents], None], bool]] = [
        (
            "Undecided steps after each round",
            f"A round draws what the leader lacks to decide.{theory}",
            _rounds,
            decided,
        ),
        ("Votes a step took", f"Steps far to the right were hard.{theory}", _votes, decided),
        ("Samples a step, along the run", f"Samples {along}, flagged ones included.", _along, decided),
        ("Red flags by kind", "Share of all samples of steps, with exact 95% intervals.", _flags, flagged),
        ("Red flags, along the run", f"Share of samples {along}; dotted: of all.", _flags_along, flagged and decided),
        ("Entropy of the votes", f"H = -sum f ln f. {unanimous}", _entropy, bool(found.entropies)),
    ]
    return [
        Drawn(title, caption, _figure(f"f{number}", title, plot, found) if any_ else "")
        for number, (title, caption, plot, any_) in enumerate(plans)
    ]


def _fitted_p(found: Contents) -> float | None:
    """Return the run's own p; None where theory has no line: a large k, a table of margins, votes that weigh more."""
    p, k, uneven = own_p(found), found.summary.k, found.summary.table or found.summary.weights
    return None if p is None or k is None or k > LARGEST_K or uneven else p.value


def _figure(prefix: str, title: str, plot: Callable[[Axes, Contents], None], found: Contents) -> str:
    import matplotlib as mpl  # noqa: PLC0415 -- an extra, and slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_STYLE), io.BytesIO() as file:
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        plot(figure.subplots(), found)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        return _inline(file.getvalue(), prefix, title)


def _inline(svg: bytes, prefix: str, title: str) -> str:
    """Return matplotlib's SVG as an element of a page: no styles, ids of its own, the page's colours."""
    root = ElementTree.fromstring(svg)  # noqa: S314 -- written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = dict(_attributes(element.attrib, prefix))
        element.tail = None
        if element.tag != "text":
            element.text = None
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(given: dict[str, str], prefix: str) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    for name, value in given.items():
        local = name.rpartition("}")[2]
        if local == "style":
            pairs = [part.partition(":")[::2] for part in value.split(";")]
            kept += [(key.strip(), _colour(said.strip())) for key, said in pairs if key.strip() in _KEPT]
        elif local == "id":
            kept.append(("id", f"{prefix}-{value}"))
        elif local == "href":
            kept.append(("href", f"#{prefix}-{value.removeprefix('#')}"))
        elif local == "clip-path":
            kept.append(("clip-path", value.replace("url(#", f"url(#{prefix}-")))
        elif local == "d":
            kept.append(("d", " ".join(value.split())))
        elif not (local == "transform" and value.startswith("rotate(-0 ")):
            kept.append((local, value))
    return kept


def _colour(value: str) -> str:
    return f"var({_VARIABLES[value]})" if value in _VARIABLES else value.removesuffix("px")


# -- the six figures ----------------------------------------------------------------------------------------


def _rounds(axes: Axes, found: Contents) -> None:
    """Draw how many steps were undecided after each round of sampling, on a log scale."""
    steps, waves = found.summary.steps, found.summary.waves
    rounds = max(waves)
    left = [steps - sum(waves[w] for w in range(1, r + 1)) for r in range(rounds)]
    ends = [(steps, steps), *(_ends(count, steps) for count in left[1:])]
    reach = [(count - low, high - count) for count, (low, high) in zip(left, ends, strict=True)]
    axes.errorbar(range(rounds), left, yerr=list(zip(*reach, strict=True)), fmt="o", color=SEEN, ecolor=SEEN,
                  elinewidth=1, capsize=2.5, label="this run", zorder=3)  # fmt: skip
    p = _fitted_p(found)
    if p is not None:
        from maker.theory.votes import walks  # noqa: PLC0415 -- numpy is slow to load

        v = 1 - found.flagged / found.samples
        expected = walks.after_waves(p, v, found.summary.k or 1, rounds) * steps
        axes.plot(range(rounds + 1), expected, "-", color=THEORY, label="theory")
    _log_counts(axes, steps * 2, "steps undecided")
    _whole_ticks(axes, "rounds of sampling")
    axes.legend()


def _ends(count: int, n: int) -> tuple[float, float]:
    """Return the ends of the exact 95% interval of a count among n."""
    estimate = share(count, n)
    assert estimate is not None, "there are steps"
    return estimate.ends[0] * n, estimate.ends[1] * n


def _votes(axes: Axes, found: Contents) -> None:
    """Draw how many steps took how many votes, on a log scale."""
    votes = sorted(found.votes.items())
    k, most = found.summary.k or 1, votes[-1][0]
    axes.bar([n for n, _ in votes], [steps for _, steps in votes], width=0.8, color=SEEN, label="this run")
    p = _fitted_p(found)
    if p is not None:
        from maker.theory.votes import walks  # noqa: PLC0415 -- numpy is slow to load

        chances = walks.ending_at(p, k, most)
        at = [n for n in range(k, most + 1) if chances[n]]
        axes.plot(at, [chances[n] * found.summary.steps for n in at], "-o", color=THEORY, markersize=3, label="theory")
    _log_counts(axes, found.summary.steps * 2, "steps")
    axes.set_xlim(k - 1, max(most, k + 4) + 1)
    _whole_ticks(axes, "valid votes of a step")
    axes.legend()


def _along(axes: Axes, found: Contents) -> None:
    """Draw mean and most samples of a step along the run."""
    points = found.along.points()
    at = [point.step for point in points]
    if found.along.width == 1:
        axes.plot(at, [point.most for point in points], ".", color=SEEN)
    else:
        axes.plot(at, [point.most for point in points], ".", color=MOST, markersize=3, label="hardest step")
        axes.plot(at, [point.mean for point in points], "-", color=SEEN, linewidth=1.2, label="mean")
        axes.legend(ncols=2, loc="upper right")
    axes.set_ylim(0, 1.25 * max(point.most for point in points))
    _whole_ticks(axes, "step")
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.set_ylabel("samples of a step")


def _flags_along(axes: Axes, found: Contents) -> None:
    """Draw the share of flagged samples along the run."""
    points = found.along.points()
    shares = [100 * point.flagged for point in points]
    axes.plot([point.step for point in points], shares, ".", color=SEEN, markersize=3)
    axes.axhline(100 * found.flagged / found.samples, color=MUTED, linewidth=1, linestyle=":")
    axes.set_ylim(0, 110 * max(point.flagged for point in points))
    _whole_ticks(axes, "step")
    axes.set_ylabel("% of samples flagged")


def _flags(axes: Axes, found: Contents) -> None:
    """Draw the share of samples that each kind of flag took."""
    kinds = found.flags.most_common(SHOWN_KINDS)[::-1]
    for at, (_kind, count) in enumerate(kinds):
        value = 100 * count / found.samples
        low, high = (100 * end / found.samples for end in _ends(count, found.samples))
        axes.barh(at, value, height=0.55, color=SEEN)
        axes.errorbar(value, at, xerr=[[value - low], [high - value]], color=INK, elinewidth=1, capsize=2.5)
        axes.annotate(f"{count:,}", (high, at), (5, 0), textcoords="offset points", va="center")
    # The labels are the journal's words: plain ASCII here, in full in the page.
    names = [ascii(kind[:24])[1:-1] for kind, _ in kinds]
    axes.set_yticks(range(len(kinds)), names)
    axes.set_ylim(-0.6, max(len(kinds), 3) - 0.4)
    axes.margins(x=0.14)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("% of samples")


def _entropy(axes: Axes, found: Contents) -> None:
    """Draw how the entropy of the votes is spread over the steps that were not unanimous."""
    bins = [(number + 0.5) * ENTROPY_WIDTH for number in range(ENTROPY_BINS)]
    axes.bar(bins, [found.entropies[number] for number in range(ENTROPY_BINS)], width=0.9 * ENTROPY_WIDTH, color=SEEN)
    _log_counts(axes, 8 * max(found.entropies.values()), "steps")
    axes.set_xlim(0, max(0.8, (max(found.entropies) + 1) * ENTROPY_WIDTH))
    axes.axvline(0.6931, color=MUTED, linewidth=1, linestyle=":")
    axes.annotate("ln 2: two answers tied", (0.6931, 1), (-4, -4), xycoords=("data", "axes fraction"),
                  textcoords="offset points", ha="right", va="top", fontsize=8)  # fmt: skip
    above = " (last bar: all above)" if ENTROPY_BINS - 1 in found.entropies else ""
    axes.set_xlabel(f"H of a step's votes, nats{above}")


def _log_counts(axes: Axes, top: float, label: str) -> None:
    """Make y a log axis of counts, labelled plainly."""
    axes.set(yscale="log", ylim=(0.3, top), ylabel=label)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")


def _whole_ticks(axes: Axes, label: str) -> None:
    """Label an x axis of whole numbers, a handful of them."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 -- an extra, and slow to load

    return MaxNLocator(6, integer=True)
