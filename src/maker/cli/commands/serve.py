"""`maker serve`: an OpenAI-compatible proxy whose answers are voted on."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from maker.cli.options import OPTIONS, Extra, Header, Prices, Query, Timeout, named_model, said
from maker.cli.screen import safe
from maker.decision.pool import read_weights
from maker.errors import TaskError
from maker.models import load_model, pool_of


class Text(enum.StrEnum):
    """What is done with prose."""

    once = "once"
    strict = "strict"


class Undecided(enum.StrEnum):
    """What is done with a vote that does not decide."""

    refuse = "refuse"
    plurality = "plurality"


def serve(
    model: Annotated[list[str], typer.Option(help=OPTIONS["model"][2])],
    k: Annotated[int, typer.Option(min=1, help="Votes that the winner must be ahead by.")] = 3,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8010,
    text: Annotated[Text, typer.Option(help="Prose: answered once, or voted on by its exact text.")] = Text.once,
    undecided: Annotated[
        Undecided, typer.Option(help="A vote that does not decide: refused (422), or its leader, marked.")
    ] = Undecided.refuse,
    max_cost: Annotated[float | None, typer.Option(help="US dollars a day; needs --prices.")] = None,
    max_cost_per_key: Annotated[float | None, typer.Option(help="US dollars a day, of each --auth-key.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Calls a day.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens a day, read and written.")] = None,
    journal: Annotated[Path | None, typer.Option(help="File of all that is asked and answered.")] = None,
    auth_key: Annotated[
        list[str] | None,
        typer.Option(help="Key that clients must send; may be repeated.", envvar="MAKER_AUTH_KEY", show_envvar=True),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Of a pool: votes that a draw counts, by turn: 4,2,1.")] = None,
    prices: Prices = None,
    timeout: Timeout = None,
    header: Header = None,
    extra: Extra = None,
    query: Query = None,
) -> None:
    """Serve voted answers where OpenAI's clients look for them. Needs `pip install 'maker[serve]'`.

    Leaves with 0 when it was told to stop, with 2 when it cannot listen.
    """
    try:
        from maker.serving.app import Proxy  # noqa: PLC0415 -- an extra, for this command alone
        from maker.serving.guard import Guard  # noqa: PLC0415
        from maker.serving.listening import listen  # noqa: PLC0415
        from maker.serving.record import Record  # noqa: PLC0415
        from maker.serving.voting import Rules, Voter  # noqa: PLC0415
    except ImportError as error:
        raise TaskError(f"serve: {error.name} is not installed: pip install 'maker[serve]'") from None
    reaching = said(prices=prices, timeout=timeout, header=header, extra=extra, query=query)
    named = {spec: named_model(spec, **reaching) for spec in model}
    made = {spec: load_model(one) if isinstance(one, str) else one for spec, one in named.items()}
    if max_cost_per_key is not None and not auth_key:
        raise TaskError("serve: --max-cost-per-key: there is no --auth-key. Give one for each client, or --max-cost.")
    weighed = read_weights(weights) if weights else ()
    if isinstance(weighed, str):
        raise TaskError(
            f"serve: --weights {weighed}: a calibration is part of a run, and here is none. Give the numbers that "
            "`maker estimate` finds, with the k that it says."
        )
    rules = Rules(
        k,
        text is Text.strict,
        undecided is Undecided.plurality,
        max_cost,
        max_calls,
        max_tokens,
        max_cost_per_key,
        weighed,
    )
    voter = Voter(pool_of([made[spec] for spec in model]), rules)
    guard = Guard(host, auth_key or ())
    proxy = Proxy(voter, guard, Record(journal) if journal is not None else None)

    def began(address: str) -> None:
        print(f"serving {safe(voter.name)} at {address}, k = {k}. Stop with Ctrl-C", flush=True)  # noqa: T201

    listen(proxy.app, host, port, began)
