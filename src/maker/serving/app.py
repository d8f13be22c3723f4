"""The proxy's routes: a request is let in, read, answered, recorded and counted, in this order.

Promises: whatever comes in, what goes out is an answer or an error in the form of OpenAI's, never a traceback; a client
that leaves ends its vote. A stream whose vote lasts begins with comments that keep the connection open; an error
that comes after that is an event of the stream.

Not covered: what is listened on (`listening.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from maker.decision.sample import Traits
from maker.errors import MakerError
from maker.log import log
from maker.serving.asked import Question
from maker.serving.guard import Guard
from maker.serving.metrics import Metrics
from maker.serving.record import Record
from maker.serving.refused import Refused, refused
from maker.serving.replies import FORMS, failed_event
from maker.serving.voting import Answered, Heard, Voter

AT_ONCE = 2.0  # seconds in which a stream's vote may end before its head is sent: an error still has its status
KEEP_ALIVE = 10.0  # seconds between comments of a stream
_RESULTS = {True: "decided", False: "undecided", None: "once"}


class Proxy:
    """Answers requests. record: where all of them are kept, None for nowhere."""

    def __init__(self, voter: Voter, guard: Guard, record: Record | None = None) -> None:
        self._voter, self._guard, self._record = voter, guard, record
        self._metrics = Metrics()
        self.app = Starlette(
            routes=[
                *(Route(path, self._route(self._asked), methods=["POST"]) for path in FORMS),
                Route("/v1/models", self._route(self._models)),
                Route("/metrics", self._route(self._counted)),
                Route("/health", lambda _: _json({"status": "ok", "model": voter.name})),
            ],
            exception_handlers={HTTPException: _no_route},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            close = Traits.of(self._voter.model).close
            if close is not None:
                await close()
            if self._record is not None:
                self._record.close()

    def _route(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that lets requests in, turns errors into replies, and counts."""

        async def handled(request: Request) -> Response:
            began = time.monotonic()
            try:
                request.state.key = self._guard.admit(request.headers)
                reply = await handle(request)
            except Exception as error:  # noqa: BLE001 -- a client is told what happened, whatever it was
                why = _why(error)
                reply = _json(why.body, why.status, why.headers)
                if why.status in (408, 413):  # what is still on its way is not read
                    reply.headers["Connection"] = "close"
            path = request.url.path
            self._metrics.add("requests_total", route=path, status=reply.status_code)
            self._metrics.add("seconds_total", time.monotonic() - began, route=path)
            return reply

        return handled

    async def _models(self, _: Request) -> Response:
        listed = {"id": self._voter.name, "object": "model", "created": 0, "owned_by": "maker"}
        return _json({"object": "list", "data": [listed]})

    async def _counted(self, _: Request) -> Response:
        told = self._metrics.text(requests_under_way=self._guard.at_once, budget_cost_dollars=self._voter.budget.cost)
        return PlainTextResponse(told, media_type="text/plain; version=0.0.4")

    async def _asked(self, request: Request) -> Response:
        """Answer a question."""
        form = FORMS[request.url.path]
        with self._guard.place():
            question = form.read(await self._guard.body(request), request.headers)
        vote = asyncio.create_task(self._answered(question, request.url.path, request.state.key))
        try:
            await _while_there(request, vote, AT_ONCE if question.stream else None)
            if not question.stream:
                return _json(form.whole(await vote, self._voter.name, question))
            if vote.done():
                vote.result()
        except BaseException:
            vote.cancel()
            raise
        return StreamingResponse(
            self._stream(question, request.url.path, vote), media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip

    async def _stream(self, question: Question, path: str, vote: asyncio.Task[Answered]) -> AsyncIterator[bytes]:
        """Yield comments until the vote is over, and then what came of it."""
        try:
            while not vote.done():
                yield b": voting\n\n"
                await asyncio.wait([vote], timeout=KEEP_ALIVE)
            for event in FORMS[path].events(vote.result(), self._voter.name, question):
                yield event
        except Exception as error:  # noqa: BLE001 -- the status is out: the stream says it
            yield failed_event(_why(error).body)
        finally:
            vote.cancel()

    async def _answered(self, question: Question, path: str, key: int) -> Answered:
        """Answer a question in one of the places, and record and count it, however it ends."""
        heard, began = Heard(self._voter.model), time.time()
        told: dict[str, Any] = {"error": "the client left"}
        try:
            with self._guard.place():
                given = await self._voter.answer(question, heard, key)
            told = given.told | {"answer": given.text} | ({"calls": given.calls} if given.calls else {})
            self._metrics.add("votes_total", result=_RESULTS[given.decided])
            return given
        except Exception as error:
            why = _why(error)
            told = why.body
            if why.code == "undecided":
                self._metrics.add("votes_total", result=_RESULTS[False])
            raise
        finally:
            self._metrics.add("samples_total", len(heard.samples))
            self._metrics.add("flagged_total", told.get("flagged", 0))
            for way, tokens in zip(("in", "out"), heard.tokens, strict=True):
                self._metrics.add("tokens_total", tokens, direction=way)
            self._keep(question, path, began, heard, told)

    def _keep(self, question: Question, path: str, began: float, heard: Heard, told: dict[str, Any]) -> None:
        if self._record is None:
            return
        self._record.keep({
            "at": began, "seconds": round(time.time() - began, 3), "route": path, "prompt": question.prompt,
            "schema": question.schema, "tools": question.tools, **question.asking, "maker": question.voting,
            "said": told,
            "samples": [[s.text, s.tokens_in, s.tokens_out, s.finish_reason, s.response_id] for s in heard.samples],
        })  # fmt: skip


async def _while_there(request: Request, vote: asyncio.Task[Answered], seconds: float | None) -> None:
    """Wait for a vote so long. Raises Refused where the client leaves meanwhile: there is nobody to read it."""
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait([vote, leaving], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and not vote.done():
            raise Refused(400, "the client left", code="client_left")
    finally:
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving


async def _left(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _why(error: Exception) -> Refused:
    """Return an error as a reply; one that nobody has foreseen is logged by its name, and told without its words."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, MakerError):
        return refused(error)
    log.error("serve.bug", error=f"{type(error).__name__}: {error}")
    return Refused(
        500, f"an error of the proxy's own ({type(error).__name__}): please report it", code="internal_error"
    )


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the handler is registered for no other"
    why = Refused(error.status_code, f"{error.detail}. There are: {', '.join(FORMS)}, /v1/models", code="no_route")
    return _json(why.body, error.status_code, dict(error.headers or {}))


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), status, headers, media_type="application/json")
