"""What was asked and what came of it, in the text form that Prometheus reads.

Not covered: quantiles; seconds are given as a sum and a count.
"""

from __future__ import annotations

from collections import Counter

_HELP = {
    "requests_total": "Requests by route and status.",
    "seconds_total": "Seconds that requests took, by route.",
    "votes_total": "Answers by how they came about: decided, undecided, once.",
    "samples_total": "Replies of the upstream, flagged ones included.",
    "flagged_total": "Replies that a red flag dropped.",
    "tokens_total": "Tokens of all replies, in and out.",
    "requests_under_way": "Requests that are being answered.",
    "budget_cost_dollars": "US dollars spent today, where prices are known.",
}


class Metrics:
    """Counts by name and labels."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, amount: float = 1, **labels: object) -> None:
        """Count something."""
        told = ",".join(f'{label}="{value}"' for label, value in labels.items())
        self._counts[name, told] += amount  # type: ignore[assignment]  # seconds are counted, too

    def text(self, **gauges: float | None) -> str:
        """Return all of it; gauges: what is so now, None where it is not known."""
        lines: list[str] = []
        rows = {name: [("", value)] for name, value in gauges.items() if value is not None}
        for (name, labels), count in sorted(self._counts.items()):
            rows.setdefault(name, []).append((f"{{{labels}}}" if labels else "", count))
        for name, values in rows.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP maker_{name} {_HELP[name]}", f"# TYPE maker_{name} {kind}"]
            lines += [f"maker_{name}{labels} {value:g}" for labels, value in values]
        return "\n".join(lines) + "\n"
