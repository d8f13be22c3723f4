"""`maker mcp`: votes and runs as tools of an agent, over the Model Context Protocol."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from maker import __version__
from maker.cli.options import OPTIONS, Extra, Header, Prices, Query, Timeout, named_model, said
from maker.decision.sample import Traits
from maker.errors import TaskError
from maker.models import load_model
from maker.sending.budget.limits import make_limits, must_have_prices

LOOPBACK = "127.0.0.1"


def mcp(
    model: Annotated[str, typer.Option(help=OPTIONS["model"][2])],
    root: Annotated[Path, typer.Option(help="Folder of the runs, and of the task files that clients may run.")],
    k: Annotated[int, typer.Option(min=1, help="Votes that the winner of a vote must be ahead by.")] = 3,
    max_calls: Annotated[int, typer.Option(min=1, help="Calls a day, of all clients.")] = 10_000,
    max_cost: Annotated[float | None, typer.Option(min=0, help="US dollars a day; needs --prices.")] = None,
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="Serve HTTP on loopback instead of stdio; 0: a free port."
        ),
    ] = None,
    prices: Prices = None,
    timeout: Timeout = None,
    header: Header = None,
    extra: Extra = None,
    query: Query = None,
) -> None:
    """Offer votes and runs to an agent as tools. Needs `pip install 'maker[mcp]'`.

    Speaks over stdin and stdout, as clients start it. Runs go on when it ends.
    """
    try:
        from maker.serving.listening import listen  # noqa: PLC0415 -- an extra, for this command alone
        from maker.serving.toolserver.allowance import Allowance  # noqa: PLC0415
        from maker.serving.toolserver.runs import Runs  # noqa: PLC0415
        from maker.serving.toolserver.server import Desk, server_of  # noqa: PLC0415
    except ImportError as error:
        raise TaskError(f"mcp: {error.name} is not installed: pip install 'maker[mcp]'") from None
    if not root.is_dir():
        raise TaskError(f"--root {root}: there is no such folder. Make it first.")
    told = said(prices=prices, timeout=timeout, header=header, extra=extra, query=query)
    named = named_model(model, **told)
    asked = load_model(named) if isinstance(named, str) else named
    must_have_prices(make_limits({"max_calls": max_calls, "max_cost": max_cost}), Traits.of(asked).prices)
    place = root.resolve()
    words = [f"--model={model}"]
    for name, value in told.items():
        words += [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
    runs = Runs(place, words, Allowance(place / "spent", max_calls, max_cost))
    server = server_of(Desk(runs, asked, k), __version__)

    def began(address: str) -> None:
        print(f"tools at {address.removesuffix('v1')}mcp. Stop with Ctrl-C", flush=True)  # noqa: T201

    if http is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that waits for stdin would outlast an exception
        server.run("stdio")
    else:
        listen(server.streamable_http_app(host=LOOPBACK), LOOPBACK, http, began)
