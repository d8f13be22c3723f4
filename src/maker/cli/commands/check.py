"""`maker check`: what a model is like, and whether it is fit to vote with, in less than a minute."""

from __future__ import annotations

from typing import Annotated

import typer

from maker.api.check import Findings, check_sync
from maker.api.check.findings import call
from maker.api.check.saving import checked_name, nearest, save, section_of
from maker.cli.options import Json, Quiet, say
from maker.cli.screen import progress_bar, safe
from maker.decision.telling.rows import Rows

_SCHEMA = {"not enforced": "taken, but not enforced", "told in words": "not taken: the wanted form is told in words"}
_STOP = {"ignored": "taken, but ignored", "cut here": "not taken: replies are cut when they are here"}
_IDS = {"differ": "all differ: copies would show", "repeat": "one id for different replies",
        "tell nothing": "none that tell replies apart: copies would not show"}  # fmt: skip
_SEEDS = {"obeyed": "obeyed: the same seed gave the same text, others gave others",
          "not obeyed": "not obeyed: the same seed gave other texts", "refused": "not taken"}  # fmt: skip


def check(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="As for --model: openai:NAME, http://HOST:PORT/v1#NAME.")
    ],
    name: Annotated[str | None, typer.Option("--save", help="Keep the model in maker.toml, under this name.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Look at a model: 30 short calls at most, in less than a minute.

    Leaves with 0 when it is fit to vote with, with 5 when it is not.
    """
    section = section_of(model) if name is not None and checked_name(name) else None
    with progress_bar("check", quiet=as_json) as bar:
        found = check_sync(model, progress=bar.steps)
    said, rows = found.as_json(), _rows(found)
    if section and name and found.usable:
        if found.refused:
            section["concurrency"] = max(1, found.at_once - found.refused)
        path = nearest()
        save(path, name, section)
        said |= {"saved": str(path), "code": call(name, found.settings)}
        rows = [*rows[:-1], ("saved", f"as {name} in {safe(str(path))}"), ("code", safe(str(said["code"])))]
    say(said, rows, "maker check", as_json=as_json, code=found.exit_code)


def _rows(found: Findings) -> Rows:
    """Return what was found on one screen, a row each; nothing is said of what did not show."""
    seen: list[tuple[str, str | None]] = [
        ("verdict", "usable" if found.usable else "NOT usable"), ("what to do", safe(found.remedy) or None),
        ("model", safe(found.model)), ("answers as", found.served_as and safe(found.served_as)),
    ]  # fmt: skip
    if found.thought is not None:
        seen += [
            ("takes", safe(found.taken)), ("thinks", _thinks(found.thought)),
            ("schema", found.schema and _SCHEMA.get(found.schema, found.schema)),
            ("stop", found.stop and _STOP.get(found.stop, found.stop)),
            ("logprobs", found.logprobs), ("ids", found.ids and _IDS[found.ids]),
            ("seeds", found.seeds and _SEEDS[found.seeds]),
            ("cache", "a repeated request brings the same reply again" if found.cached else None),
            ("draws", f"{found.distinct} of {found.draws} differ" if found.draws else None),
            ("speed", _speed(found)), ("at once", _at_once(found)),
            ("price", "known" if found.priced else "unknown: no cost is counted, and max_cost needs prices"),
        ]  # fmt: skip
    seen += [
        ("asked", f"{found.calls} calls, {found.tokens:,} tokens, {found.seconds:.1f} s"),
        ("left out", safe(found.ended) or None), ("code", safe(found.code) if found.usable else None),
    ]  # fmt: skip
    return [(what, told) for what, told in seen if told]


def _thinks(thought: int) -> str:
    if not thought:
        return "no"
    return "before it answers" + (f": up to {thought:,} tokens for a short question" if thought > 1 else "")


def _speed(found: Findings) -> str | None:
    if found.latency is None:
        return None
    tokens = found.tokens_per_second
    return f"{found.latency:.2f} s a reply" + (f", {tokens:,.1f} tokens/s" if tokens is not None else "")


def _at_once(found: Findings) -> str | None:
    """Return how it bears several requests."""
    if not found.at_once:
        return None
    told = "none failed" if not found.refused else f"{found.refused} failed or were refused"
    gain = f", {found.gain:.1f} times the replies a second of one alone" if found.gain is not None else ""
    return f"{found.at_once} asked: {told}{gain}"
