"""The page of runs: what journals say, as events, and the orders that its buttons give.

Promises: only names of loopback are answered, and only to who has the token of the printed address; nothing but files
of maker's own runs in the page (its policy allows no other script, style or address), and all that journals hold is
sent as JSON, which the page shows as text. Only journals that were named, or lie in the folder that was named, are
read; no task code runs.

Not covered: reading (`reading.py`), and what an order does (`engine/steering/`).
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from maker.engine.steering.address import socket_of, tell
from maker.errors import MakerError, TaskError
from maker.journal.story import Story
from maker.review.checking.solve import recheck
from maker.serving.guard import Guard
from maker.serving.refused import Refused
from maker.serving.watching.reading import Reading
from maker.serving.watching.runs import is_journal, runs_in

MOST_READINGS = 3  # journals that are followed at once
EVERY = 0.5  # seconds between looks for news
LASTING = 5.0  # seconds of one stream of events: the page asks for the next, so that stopping waits for nobody
FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip


class Page:
    """The page of one journal, or of a folder of them. token: what a request has to bring."""

    def __init__(self, place: Path, token: str) -> None:
        self._place, self._token = place, token.encode()
        self._guard = Guard("127.0.0.1")
        self._readings: OrderedDict[Path, Reading] = OrderedDict()
        self.app = Starlette(
            routes=[
                *(Route(path, self._file) for path in FILES),
                Route("/runs", self._route(self._runs)), Route("/events", self._route(self._events)),
                Route("/step", self._route(self._step)), Route("/tree", self._route(self._tree)),
                Route("/order", self._route(self._order), methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )  # fmt: skip

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for reading in self._readings.values():
                reading.close()

    async def _file(self, request: Request) -> Response:
        """Send a file of the page itself, which holds nothing of any run."""
        try:
            self._guard.admit(request.headers)
        except Refused as refused:
            return _json({"error": str(refused)}, refused.status)
        name, kind = FILES[request.url.path]
        content = (resources.files("maker.serving.watching") / name).read_bytes()
        return Response(content, media_type=kind, headers=HEADERS)

    def _route(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that lets in who has the token, and turns errors into answers."""

        async def handled(request: Request) -> Response:
            given = request.headers.get("x-token") or request.query_params.get("token", "")
            try:
                self._guard.admit(request.headers)
                if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
                    raise Refused(401, "open the address that `maker view` printed: it has the token")
                return await handle(request)
            except Refused as refused:
                return _json({"error": str(refused)}, refused.status)
            except MakerError as error:
                return _json({"error": str(error)}, 400)

        return handled

    async def _runs(self, _: Request) -> Response:
        return _json({"runs": await to_thread.run_sync(runs_in, self._place)})

    async def _events(self, request: Request) -> Response:
        """Send how a run stands now, and again whenever that has changed."""
        path = self._path(request.query_params.get("run", ""))
        return StreamingResponse(
            self._stream(path), media_type="text/event-stream", headers=HEADERS | {"X-Accel-Buffering": "no"}
        )

    async def _stream(self, path: Path) -> AsyncIterator[bytes]:
        sent, until = b"", time.monotonic() + LASTING
        yield b"retry: 250\n\n"
        while True:
            said = self._reading(path).shown() | {"live": await _asked(path)}
            news = json.dumps(said, default=str).encode()
            if news != sent:
                yield b"data: " + news + b"\n\n"
                sent = news
            if time.monotonic() >= until:
                return
            await asyncio.sleep(EVERY)

    async def _step(self, request: Request) -> Response:
        number = request.query_params.get("step", "")
        if not number.isascii() or not number.isdigit():
            raise TaskError("step: give its number")
        found = self._reading(self._path(request.query_params.get("run", ""))).step(int(number[:20]))
        if found is None:
            raise Refused(404, "this step is not among those shown any more")
        return _json(found)

    async def _tree(self, request: Request) -> Response:
        path = self._path(request.query_params.get("run", ""))
        return _json({"tree": await to_thread.run_sync(_tree_of, path)})

    async def _order(self, request: Request) -> Response:
        """Hand an order of the page's on to the run."""
        try:
            told = json.loads(await self._guard.body(request))
            path, order = self._path(str(told["run"])), str(told["order"])
        except (ValueError, KeyError, TypeError):
            raise Refused(400, "an order is an object with run and order") from None
        if order not in ("pause", "resume", "stop"):
            raise Refused(400, "the page gives the orders pause, resume and stop; `maker ctl` the others")
        return _json(await to_thread.run_sync(tell, path, {"order": order}))

    def _path(self, name: str) -> Path:
        """Return the file of a run by its name in the list. Raises Refused for any other."""
        path = self._place / name if self._place.is_dir() else self._place
        if path.name != name or not is_journal(path):
            raise Refused(404, "there is no such run here")
        return path

    def _reading(self, path: Path) -> Reading:
        """Return who follows a journal, begun if nobody does; who was not asked for longest follows no longer."""
        if path not in self._readings:
            self._readings[path] = Reading(path)
        self._readings.move_to_end(path)
        while len(self._readings) > MOST_READINGS:
            self._readings.popitem(last=False)[1].close()
        return self._readings[path]


def _tree_of(path: Path) -> dict[str, Any]:
    return recheck(Story(path)).tree.as_json()


async def _asked(path: Path) -> dict[str, Any] | None:
    """Return what a run that is under way says of itself; None where none can be asked."""
    if not socket_of(path).exists():
        return None
    try:
        return await to_thread.run_sync(tell, path, {"order": "status"})
    except MakerError:
        return None


def _json(said: Any, status: int = 200) -> Response:
    return Response(json.dumps(said, default=str).encode(), status, HEADERS, "application/json")
