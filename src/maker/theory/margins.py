"""What a calibration saw -> a table of margins for a whole run.

The population is the cautious one that constant k is planned with too: p at its exact lower bound (95%), rho at its
best estimate, difficulty spread as a Beta (`votes/mixture.py`); and beside it the share of steps that looked like
coins, which no Beta need hold. Where kinds of step differ, the table is the widest that a kind or the others need.

Not covered: steps that nearly always give one wrong answer; what constant k refuses is refused before (`planner.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from maker import theory
from maker.errors import Infeasible
from maker.theory.draws import Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import ENOUGH
from maker.theory.votes.mixture import MOST_K, MOST_RHO, Steps
from maker.theory.votes.tables import Table, table_for, widest

_ALMOST = 1e-12


def coin_share(seen: Sequence[Seen], power: float) -> float:
    """Return the share of steps that are coins or worse: those that erred and, drawn again, were not cleared.

    power: P(such a step errs in its first draws). Steps that erred and were not drawn again count as those that were.
    """
    again = [step for step in seen if step.again]
    if not again or not power:
        return 0.0
    unclear = sum(not step.cleared for step in again) / len(again)
    return min(0.5, unclear * sum(step.erred for step in seen) / len(seen) / power)


def margins(whole: Evidence, apart: Sequence[Evidence], coins: float, steps: float, target: float) -> Table:
    """Return the table for a run of `steps` steps that is to be right with probability `target`.

    whole: of all steps; apart: of the worst kind and of the others, empty where kinds do not differ. coins: as
    `coin_share` says.
    Raises Infeasible where p may be 1/2 or less, or where steps differ so much that no margin would do.
    """
    delta = theory.error_budget(target, steps)
    tables = []
    for found in apart if apart and all(part.n >= ENOUGH for part in apart) else [whole]:
        p = min(found.p_plan, 1 - _ALMOST)
        if p <= 0.5:
            raise Infeasible(f"p may be {p:.3g}, and a table of margins is for two answers, the right one above 1/2. "
                             "k = auto can plan for a plurality; or take another model.")  # fmt: skip
        table = table_for(Steps(p, min(found.rho, MOST_RHO)), delta, coins)
        if table is None:
            raise Infeasible(
                f"at p = {p:.3g} and rho = {round(found.rho, 6):.2g} even {MOST_K:,} votes for one answer and none "
                f"against it are wrong oftener than {delta:.1g} times a step. Make the steps finer, or take another "
                "model."
            )
        tables.append(table)
    return reduce(widest, tables)
