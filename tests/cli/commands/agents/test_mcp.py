"""`maker mcp` over stdio, as clients start it: with the SDK's client, and with what no client should send."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("mcp")

from mcp import Client
from mcp.client.stdio import StdioServerParameters

import adding
from maker.testing import FaultServer, Reply
from maker.testing.replies import Received

Call = Callable[..., tuple[int, str, str]]

HOSTILE = '''"""A task file that says that it was run."""
from pathlib import Path
Path(__file__).with_name("executed").touch()
'''


def words(root: Path, model: str = "oracle") -> list[str]:
    """Return the words that start the server."""
    return ["-m", "maker", "mcp", "--model", model, "--root", str(root)]


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool; return what it gave."""
    found = await client.call_tool(tool, arguments)
    assert not found.is_error, found.content
    return found.structured_content


def test_a_run_outlives_its_client(tmp_path: Path):
    """It goes on when client and server are gone; the next client stops it, resumes it, and has its answer."""
    shutil.copy(adding.__file__, tmp_path / "adding.py")
    slow = [True]

    def counts(received: Received) -> Any:
        number = int(re.findall("[0-9]+", received.prompt)[0])
        return Reply(str(number + 1), delay=0.5 if slow[0] else 0.0)

    async def clients(model: str) -> None:
        server = StdioServerParameters(command=sys.executable, args=words(tmp_path, model))
        async with Client(server) as client:
            task = {"task": "adding.py:Adding", "parameters": {"steps": 40}}
            run = (await call(client, "start_run", **task, k=2, max_calls=100))["id"]
        async with Client(server) as client:
            assert (await call(client, "list_runs"))["runs"][0]["state"] == "running"
            while not (seen := await call(client, "run_status", run=run)).get("in_flight"):  # as it says itself
                assert seen["state"] == "running"
            await call(client, "stop_run", run=run)
            assert (await call(client, "result", run=run, wait=60))["stopped"] == "interrupted"
            slow[0] = False
            await call(client, "resume_run", run=run)
            found = await call(client, "result", run=run, wait=60)
            assert (found["solved"], found["answer"], found["replayed"] > 0) == (True, "40", True)

    with FaultServer(counts) as upstream:
        asyncio.run(clients(upstream.spec("m")))


def malformed() -> Iterator[str]:
    """Yield two hundred lines that no client should send: torn, of wrong types, of unknown names, out of the root."""
    chance = random.Random(7)
    asked = '{"jsonrpc": "2.0", "id": %d, "method": "%s", "params": %s}'
    called = '{"name": "%s", "arguments": %s}'
    odd = ["null", "[]", "7", '"x"', "{}", '{"a": {"b": []}}', "1e999", '"\\ud800"', "[" * 500 + "]" * 500]
    tools = ["vote", "estimate", "start_run", "run_status", "stop_run", "resume_run", "result", "list_run", "__init__"]
    paths = [
        "../hostile.py:T",
        "/etc/passwd",
        "hostile.py",
        "hostile.py:T:T",
        "--help",
        "-c",
        "x;touch executed",
        "a\\u0000",
    ]
    ids = ["..", "../../etc/passwd", "$(touch executed)", "0" * 11, "0" * 12, "%s%n", "x" * 5_000]
    lines = [chance.randbytes(40).decode("latin-1").replace("\n", " ").replace("\r", " ") for _ in range(40)]
    lines += odd + [asked % (n, "tools/call", one) for n, one in enumerate(odd, 100)]
    lines += [
        asked % (n, chance.choice(["", "tools/none", "a" * 3_000, "resources/subscribe"]), "{}") for n in range(20)
    ]
    lines += [asked % (n, "tools/call", called % (tool, one)) for n, tool in enumerate(tools, 200) for one in odd[:6]]
    for n, path in enumerate(paths, 300):
        lines += [asked % (n, "tools/call", called % (tool, json.dumps({"task": "@"}).replace("@", path)))
                  for tool in ("start_run", "estimate")]  # fmt: skip
        extra = json.dumps({"task": "hanoi", "parameters": {"journal=@": 1}}).replace("@", path)
        lines.append(asked % (n, "tools/call", called % ("start_run", extra)))
    for n, run in enumerate(ids, 400):
        lines += [asked % (n, "tools/call", called % (tool, json.dumps({"run": run}))) for tool in tools[3:7]]
        lines.append(asked % (n, "resources/read", json.dumps({"uri": f"run://{run}/report"})))
    whole = [line for line in lines if len(line) > 30]
    yield from lines[:200]
    yield from (line[: chance.randrange(1, len(line))] for line in whole[: max(0, 200 - len(lines))])


def test_two_hundred_malformed_messages_do_nothing(tmp_path: Path):
    """No traceback, no hang, nothing executed and nothing written; then the server answers as before."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "hostile.py").write_text(HOSTILE)
    (root / "hostile.py").write_text(HOSTILE)
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    begin = {"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": hello}
    begun = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    last = {"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": {"name": "list_runs", "arguments": {}}}
    lines = list(malformed())
    assert len(lines) == 200
    with subprocess.Popen([sys.executable, *words(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd=tmp_path) as server:  # fmt: skip
        try:
            said = [json.dumps(begin), json.dumps(begun), *lines, json.dumps(last)]
            server.stdin.write(("\n".join(said) + "\n").encode("utf-8", "surrogatepass"))
            server.stdin.flush()
            answers = {}
            while "last" not in answers:
                answer = json.loads(server.stdout.readline())
                answers[answer.get("id")] = answer
            server.stdin.close()
            errors = server.stderr.read().decode()
            assert (server.wait(60), "Traceback" in errors) == (0, False), errors
        finally:
            server.kill()
    assert answers["last"]["result"]["structuredContent"] == {"runs": []}
    ran = [one for one in answers.values() if "result" in one and not one["result"].get("isError")]
    assert {one["id"] for one in ran} <= {"first", "last"} | set(range(20))
    assert {path.name for path in tmp_path.rglob("*")} == {"root", "hostile.py"}


def test_an_interrupt_ends_it_while_it_waits(tmp_path: Path):
    """Ctrl-C does not wait for the next message."""
    with subprocess.Popen([sys.executable, *words(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        server.stdin.flush()
        assert server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == -signal.SIGINT


def test_without_its_extra_it_says_what_to_install(maker: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The core is installed without the SDK."""
    monkeypatch.delitem(sys.modules, "maker.serving.toolserver.server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    code, _, err = maker("mcp", "--model", "oracle", "--root", tmp_path)
    assert code == 2 and "pip install 'maker[mcp]'" in err


def test_over_http_only_this_machine_asks(tmp_path: Path):
    """A client is answered; other hosts, other origins and bodies too large are refused; it ends in order."""
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()

    async def client(address: str) -> None:
        async with Client(address) as client:
            assert await call(client, "list_runs") == {"runs": []}

    def status(address: str, headers: dict[str, str], body: bytes = ping) -> int:
        kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        try:
            return urlopen(Request(address, body, kinds | headers), timeout=30).status
        except HTTPError as error:
            error.close()
            return error.code

    with subprocess.Popen([sys.executable, *words(tmp_path), "--http", "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as server:  # fmt: skip
        try:
            address = next(word.rstrip(".") for word in server.stdout.readline().split() if "://" in word)
            asyncio.run(client(address))
            assert status(address, {"Host": "evil.example"}) == 421
            assert status(address, {"Origin": "http://evil.example"}) == 403
            assert status(address, {"Content-length": "5000000"}) == 413
            assert 400 <= status(address, {}, b"{") < 500
            server.terminate()
            assert (server.wait(60), "Traceback" in server.stderr.read()) == (0, False)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("args", "said"),
    [(["--root", "/no/where"], "no such folder"), (["--root", "/tmp", "--max-cost", "1"], "prices"),
     (["--root", "/tmp", "--k", "0"], "--k"), (["--root", "/tmp", "--http", "-1"], "--http")],
)  # fmt: skip
def test_bad_input_is_told_in_a_line(maker: Call, args: list[str], said: str):
    """Before anything is served."""
    code, out, err = maker("mcp", "--model", "http://127.0.0.1:9/v1#m", *args)
    assert (code, out) == (2, "") and said in err and "Traceback" not in err
