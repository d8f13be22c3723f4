"""A server on loopback with chat completions and OpenAI's batches, which go wrong as a test tells.

Both ways give the same answer to the same body. What it began and what it delivered is kept, so that a test can say
what was paid for, and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from maker.testing.faults import InThread
from maker.testing.replies import Received, Reply, completion

Answer = Callable[[dict[str, Any]], str]


@dataclass
class Plan:
    """How one batch goes.

    looks: at which it is still at work. ended: its last status. output, errors: make of all the lines that are due
    what its files hold. lost: the reply to its creation never comes. refused: a status, of its creation; failed: the
    codes of its errors.
    """

    looks: int = 1
    ended: str = "completed"
    output: Callable[[list[bytes]], Iterable[bytes]] = list
    errors: Callable[[list[bytes]], Iterable[bytes]] = lambda lines: ()
    lost: bool = False
    refused: int = 0
    failed: tuple[str, ...] = ()


@dataclass
class Begun:
    """One batch that the server has: as it shows it, the lines it was given, and how often it was looked at."""

    shown: dict[str, Any]
    asked: list[dict[str, Any]]
    plan: Plan
    looks: int = 0
    cancelled: bool = False
    seen: list[str] = field(default_factory=list)


class BatchServer(InThread):
    """answer: body -> text. plans: of batches in their order, good ones after the last.

    faults: statuses of the next calls about batches and their files that are answered so, creations and uploads apart.
    `batches`: those it has begun; `plain`: bodies of calls for one completion; `fetched`: files.
    """

    def __init__(self, answer: Answer = lambda body: "yes", plans: Iterable[Plan] = ()) -> None:
        self.answer, self._plans = answer, iter(plans)
        self.faults: list[int] = []
        self.batches: dict[str, Begun] = {}
        self.plain: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.refuses: tuple[str, ...] = ()  # fields of a body
        self.refuses_in_batches: tuple[str, ...] = ()
        self.port = 0
        self._files: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL, once the server has started."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def spec(self) -> str:
        """The specification of a model on this server."""
        return f"{self.url}#m"

    @property
    def drawn(self) -> list[str]:
        """Every draw that a batch was given, in order."""
        return [line["custom_id"] for begun in self.batches.values() for line in begun.asked]

    async def __aenter__(self) -> BatchServer:
        app = web.Application(client_max_size=2**28)
        app.add_routes([
            web.post("/v1/chat/completions", self._complete), web.post("/v1/files", self._put),
            web.post("/v1/batches", self._begin), web.get("/v1/batches", self._list),
            web.get("/v1/batches/{id}", self._look), web.post("/v1/batches/{id}/cancel", self._cancel),
            web.get("/v1/files/{id}/content", self._content),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *reason: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def _completion(self, body: dict[str, Any], number: int) -> dict[str, Any]:
        received = Received(number, 0.0, "", body, {})
        return completion(received, Reply(self.answer(body)), f"chatcmpl-{body['seed']:x}c0ffee{number:08x}")

    async def _complete(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.plain.append(body)
        if (ill := self._ill(body, self.refuses)) is not None:
            return _json(ill, 400)
        return _json(self._completion(body, len(self.plain)))

    def _ill(self, body: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any] | None:
        named = [name for name in fields if name in body]
        return {"error": {"message": f"Unsupported parameter: '{named[0]}'", "param": named[0]}} if named else None

    async def _put(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self._files)}"
        self._files[name] = form["file"].file.read()
        return _json({"id": name, "object": "file", "purpose": "batch", "bytes": len(self._files[name])})

    async def _begin(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        plan = next(self._plans, Plan())
        if plan.refused:
            return _json({"error": {"message": "as told"}}, plan.refused)
        assert (body["completion_window"], body["endpoint"]) == ("24h", "/v1/chat/completions")
        asked = [orjson.loads(line) for line in self._files[body["input_file_id"]].splitlines()]
        name = f"batch_{len(self.batches)}"
        shown = {"id": name, "object": "batch", "status": "validating", "metadata": body["metadata"]}
        self.batches[name] = Begun(shown, asked, plan)
        if plan.lost:
            request.transport.abort()
        return _json(shown)

    async def _list(self, request: web.Request) -> web.Response:
        if self.faults:
            return _json({"error": {"message": "as told"}}, self.faults.pop(0))
        shown = [begun.shown for begun in reversed(self.batches.values())]
        after = [at for at, one in enumerate(shown) if one["id"] == request.query.get("after")]
        page = shown[after[0] + 1 :] if after else shown
        limit = min(int(request.query["limit"]), 2)  # pages are small
        return _json({"object": "list", "data": page[:limit], "has_more": len(page) > limit})

    async def _look(self, request: web.Request) -> web.Response:
        if self.faults:
            return _json({"error": {"message": "as told"}}, self.faults.pop(0))
        begun = self.batches.get(request.match_info["id"])
        if begun is None:
            return _json({"error": {"message": "No such batch"}}, 404)
        begun.looks += 1
        begun.shown["status"] = "in_progress"
        begun.shown["request_counts"] = {"total": len(begun.asked), "completed": 0, "failed": 0}
        if begun.looks > begun.plan.looks:
            self._end(begun)
        return _json(begun.shown)

    def _end(self, begun: Begun) -> None:
        plan, name = begun.plan, begun.shown["id"]
        begun.shown["status"] = plan.ended
        if plan.failed:
            errors = [{"code": code, "message": "as told", "line": None} for code in plan.failed]
            begun.shown["errors"] = {"object": "list", "data": errors}
            return
        lines = []
        for number, line in enumerate(begun.asked):
            ill = self._ill(line["body"], self.refuses + self.refuses_in_batches)
            body = ill or self._completion(line["body"], number)
            response = {"status_code": 400 if ill else 200, "request_id": "r", "body": body}
            lines.append(orjson.dumps({"id": "b", "custom_id": line["custom_id"], "response": response, "error": None}))
        for kind, made in (("output", plan.output(lines)), ("error", plan.errors(lines))):
            held = list(made)
            if held:
                self._files[f"{kind}-{name}"] = b"\n".join(held)
                begun.shown[f"{kind}_file_id"] = f"{kind}-{name}"

    async def _cancel(self, request: web.Request) -> web.Response:
        begun = self.batches[request.match_info["id"]]
        begun.cancelled = True
        return _json(begun.shown)

    async def _content(self, request: web.Request) -> web.Response:
        if self.faults:
            return _json({"error": {"message": "as told"}}, self.faults.pop(0))
        self.fetched.append(request.match_info["id"])
        return web.Response(body=self._files[request.match_info["id"]])


def _json(told: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(told), status=status, content_type="application/json")
