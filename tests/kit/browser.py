"""A headless Chromium that opens pages, spoken to over its DevTools protocol.

Promises: nothing but loopback and files is asked for by the browser itself, and it ends with the block that began it.
Not covered: other browsers; clicks but by script.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
)  # fmt: skip
_LOADING = 240.0  # seconds that a page may take


class Tab:
    """One page of the browser. errors: what it has complained of since it was opened."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.errors: list[str] = []

    async def hear(self) -> None:
        """Take what the browser says until it ends."""
        async for message in self._socket:
            told = message.json()
            said = told.get("params", {})
            match told.get("method"):
                case None:
                    self._waiting.pop(told["id"]).set_result(told.get("result") or {"failed": told.get("error")})
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Runtime.exceptionThrown":
                    self.errors.append(str(said["exceptionDetails"].get("exception", {}).get("description")))
                case "Log.entryAdded" if said["entry"]["level"] == "error":
                    self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
                case "Runtime.consoleAPICalled" if said["type"] in ("error", "assert"):
                    self.errors.append(" ".join(str(arg.get("value")) for arg in said["args"]))

    async def tell(self, method: str, **params: Any) -> Any:
        """Give one order and return what comes of it."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(self._waiting[number], _LOADING)

    async def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        for where in ("about:blank", address):  # an address that differs in its mark alone would not be loaded anew
            self._loaded.clear()
            self.errors.clear()
            await self.tell("Page.navigate", url=where)
            await asyncio.wait_for(self._loaded.wait(), _LOADING)

    async def look(self, width: int, *, dark: bool = False) -> None:
        """Give the page a width in pixels and a scheme of colours."""
        await self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.tell("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, script: str) -> Any:
        """Return the value of an expression, awaited where it is a promise; the page's policy does not stop it."""
        told = await self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"].get("exception", told)))
        return told["result"].get("value")

    async def picture(self, file: Path) -> None:
        """Write what is seen as a PNG."""
        told = await self.tell("Page.captureScreenshot", format="png")
        await anyio.Path(file).write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """Begin a browser with one empty page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE)
        try:
            assert process.stderr is not None, "it was begun with a pipe"
            port = await _port(process.stderr)
            reading = asyncio.create_task(process.stderr.read())  # or it would wait for a reader
            async with aiohttp.ClientSession() as session:
                listed = await (await session.get(f"http://127.0.0.1:{port}/json/list")).json()
                where = next(page["webSocketDebuggerUrl"] for page in listed if page["type"] == "page")
                async with session.ws_connect(where, max_msg_size=0) as socket:
                    tab = Tab(socket)
                    hearing = asyncio.create_task(tab.hear())
                    for part in ("Page", "Runtime", "Log"):
                        await tab.tell(f"{part}.enable")
                    yield tab
                    hearing.cancel()
            reading.cancel()
        finally:
            process.terminate()
            await process.wait()


async def _port(said: asyncio.StreamReader) -> str:
    """Wait until the browser says where it listens."""
    async with asyncio.timeout(_LOADING):
        async for line in said:
            if found := re.search(rb"ws://127\.0\.0\.1:(\d+)", line):
                return found[1].decode()
    raise RuntimeError("the browser ended before it listened")
