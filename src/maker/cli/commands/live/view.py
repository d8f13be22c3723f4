"""`maker view`: runs on a page of this machine's own, while they go on."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from maker.errors import JournalError, TaskError


def view(
    place: Annotated[Path, typer.Argument(metavar="JOURNAL|FOLDER", help="A journal, or a folder of them.")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any that is free.")] = 8020,
) -> None:
    """Show runs in a browser, on loopback alone, from their journals. Needs `pip install 'maker[serve]'`.

    The address that is printed has a token, without which nothing is shown. Leaves with 0 when it was told to stop.
    """
    try:
        from maker.serving.listening import listen  # noqa: PLC0415 -- an extra, for this command alone
        from maker.serving.watching.app import Page  # noqa: PLC0415
    except ImportError as error:
        raise TaskError(f"view: {error.name} is not installed: pip install 'maker[serve]'") from None
    if not place.exists():
        raise JournalError(f"{place}: no such journal or folder. Give what `maker run --journal` wrote.")
    token = secrets.token_urlsafe(18)

    def began(address: str) -> None:
        print(f"see {address.removesuffix('v1')}#token={token}  Stop with Ctrl-C", flush=True)  # noqa: T201

    listen(Page(place, token).app, "127.0.0.1", port, began)
