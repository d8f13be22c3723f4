"""`maker ctl`: say how a run under way stands, pause it, let it go on, stop it, or have it keep other limits."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from maker.cli.options import JournalFile, Json, say
from maker.cli.screen import safe
from maker.decision.telling.rows import Rows
from maker.engine.steering.address import tell
from maker.errors import TaskError

ORDERS = "status, pause, resume, stop, set or extend"


def ctl(
    journal: JournalFile,
    order: Annotated[str, typer.Argument(metavar="ORDER", help=f"{ORDERS}.")] = "status",
    told: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[...]",
            help="For set: concurrency=N max-calls=N max-cost=DOLLARS max-tokens=N max-steps=N, or none for a limit "
            "that is to be lifted. For extend: how many more steps than max_steps.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Steer a run that is under way, through a socket beside its journal; every change is journaled.

    Limits change, decisions never. Leaves with 0 where the order was carried out, 2 where it was refused, 6 where no
    run listens.
    """
    said = tell(journal, read_order(order, told or []))
    if "error" in said:
        raise TaskError(f"ctl {order}: {said['error']}")
    say(said, _rows(said), str(journal), as_json=as_json)


def read_order(order: str, told: list[str]) -> dict[str, Any]:
    """Return what is sent for an order. Raises TaskError for one that cannot be read."""
    if order == "set":
        return {"order": order, "limits": dict(map(_limit, told))}
    if order == "extend":
        if len(told) != 1 or not (told[0].isascii() and told[0].isdigit()):
            raise TaskError("ctl extend: give how many more steps it may decide: maker ctl JOURNAL extend 100")
        return {"order": order, "steps": int(told[0])}
    if told:
        raise TaskError(f"ctl {order}: takes nothing more, not {told[0]!r}")
    return {"order": order}


def _limit(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; what the value may be is for the run to say."""
    name, found, value = text.removeprefix("--").partition("=")
    if not found or not name:
        raise TaskError(f"ctl set {text!r}: give NAME=VALUE, such as max-cost=5")
    if value in ("none", "auto"):
        return name.replace("-", "_"), None
    try:
        number = json.loads(value)
    except ValueError:
        number = value
    return name.replace("-", "_"), number


def _rows(said: dict[str, Any]) -> Rows:
    """Return how a run stands, a row each."""
    total = "" if said["total"] is None else f" of {said['total']:,}"
    left = ", ".join(f"{name} {value:,}" for name, value in said["limits"].items())
    cost = "not known" if said["cost"] is None else f"${said['cost']:,.4f}"
    rows = [
        ("state", said["state"] + (f": {safe(said['why'])}" if said["why"] else "")),
        ("steps", f"{said['steps']:,}{total} ({said['replayed']:,} from the journal)"),
        ("samples", f"{said['samples']:,}, {said['flagged']:,} flagged"),
        ("calls", f"{said['calls']:,}, {said['in_flight']:,} of them out"),
        ("tokens", f"{said['tokens']:,}"), ("cost", cost), ("time", f"{said['seconds']:,.1f} s"),
        ("limits", left or "none"),
    ]  # fmt: skip
    waits = safe("; ".join(part for part in (said["pace"], said["retrying"]) if part and part != said["why"]))
    return rows + ([("held back", waits)] if waits else [])
