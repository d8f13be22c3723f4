"""The way of a request: through a proxy, over TLS with a certificate of one's own, over a unix socket, with a query."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest

import maker
from maker.errors import ModelError
from maker.models.openai import client as client_module
from maker.testing import FaultServer, error

CANARY = "sk-canary-77aa5f1e"
REPLY = json.dumps({
    "id": "chatcmpl-7aa5f1e0c0ffee42", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "OK"}}],
}).encode()  # fmt: skip


class Plain:
    """A server that answers every request well and keeps their heads; as a proxy it opens tunnels, too."""

    def __init__(self, refused: int = 0) -> None:
        self.heads: list[str] = []
        self.refused = refused  # the status of tunnels that are not opened

    async def serve(self, reader, writer):
        """Answer what comes by one connection."""
        while head := (await _head(reader)):
            self.heads.append(head)
            if head.startswith("CONNECT "):
                if self.refused:
                    writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.refused)
                    break
                await self._tunnel(head.split()[1], reader, writer)
                break
            await reader.readexactly(_length(head))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n%b" % (len(REPLY), REPLY))  # fmt: skip
        writer.close()

    async def _tunnel(self, target, reader, writer):
        host, _, port = target.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    @asynccontextmanager
    async def on(self, **where):
        """Listen on loopback and give the port."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, **where)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


async def _head(reader):
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


async def _copy(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


def _length(head):
    lengths = (line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length"))
    return int(next(lengths, 0))


async def asked(url, **settings):
    """Vote once and close the model."""
    model = maker.openai_model(url, "m", **settings)
    try:
        return (await maker.vote("what?", model=model, k=1)).answer
    finally:
        await model.aclose()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    made, key = str(folder / "ca.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    return made, key


@pytest.fixture
def tls(certificate):
    """Return what a server needs to speak TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


def test_a_proxy_is_given_the_whole_address():
    """Over a proxy the request names host and query; the target need not be reachable from here."""

    async def main():
        proxy = Plain()
        async with proxy.on() as port:
            answer = await asked("http://h.invalid/v1", proxy=f"http://127.0.0.1:{port}", query={"v": "a b&c"})
        assert answer == "OK"
        assert proxy.heads[0].startswith("POST http://h.invalid/v1/chat/completions?v=a+b%26c HTTP/1.1")

    asyncio.run(main())


def test_a_proxys_own_password_goes_to_the_proxy_alone():
    """It is sent as Proxy-Authorization, and stands in no repr."""

    async def main():
        proxy = Plain()
        async with proxy.on() as port:
            url = f"http://me:{CANARY}@127.0.0.1:{port}"
            assert await asked("http://h.invalid/v1", proxy=url) == "OK"
        assert "Proxy-Authorization: Basic " in proxy.heads[0]
        assert CANARY not in repr(maker.openai_model("http://h/v1", "m", proxy=url)._wire._reach)

    asyncio.run(main())


def test_the_environments_proxy_is_used_when_asked_for(monkeypatch):
    """proxy="env" goes through HTTP_PROXY; unasked it is not used."""

    async def main():
        proxy, server = Plain(), Plain()
        async with proxy.on() as through, server.on() as port:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{through}")
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            assert await asked(f"http://127.0.0.1:{port}/v1") == "OK"
            assert (len(proxy.heads), len(server.heads)) == (0, 1)
            assert await asked("http://h.invalid/v1", proxy="env") == "OK"
            assert len(proxy.heads) == 1

    asyncio.run(main())


@pytest.mark.parametrize("way", ["straight", "through a proxy"])
def test_a_certificate_of_ones_own_is_trusted_when_named(certificate, tls, way):
    """With ca_file the server is reached, through a proxy by a tunnel that shows the proxy no request."""

    async def main():
        server, proxy = Plain(), Plain()
        async with server.on(ssl=tls) as port, proxy.on() as through:
            further = {"proxy": f"http://127.0.0.1:{through}"} if way == "through a proxy" else {}
            answer = await asked(f"https://127.0.0.1:{port}/v1", ca_file=certificate[0], api_key=CANARY, **further)
        assert answer == "OK"
        assert f"Bearer {CANARY}" in server.heads[0]
        assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"] * len(further)
        assert CANARY not in str(proxy.heads)

    asyncio.run(main())


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    """Without ca_file no request is sent, and one line says why."""

    async def main():
        server = Plain()
        async with server.on(ssl=tls) as port:
            with pytest.raises(ModelError, match="no certificate that can be trusted"):
                await asked(f"https://127.0.0.1:{port}/v1")
        assert server.heads == []

    asyncio.run(main())


def test_a_unix_socket_is_used_when_named(tmp_path):
    """The address then serves for the path and the Host header alone."""

    async def main():
        server = Plain()
        listening = await asyncio.start_unix_server(server.serve, tmp_path / "s")
        assert await asked("http://h.invalid/v1", uds=str(tmp_path / "s")) == "OK"
        listening.close()
        assert "Host: h.invalid\r\n" in server.heads[0]

    asyncio.run(main())


def test_the_list_of_models_is_asked_for_with_the_key_and_all_headers():
    """As every request is: a server may list its models to those it knows alone."""
    seen = []

    async def main():
        server = Plain()
        async with server.on() as port:
            model = maker.openai_model(f"http://127.0.0.1:{port}/v1", "m", api_key=CANARY, headers={"X-Team": "blue"})
            await maker.vote("what?", model=model, k=1)
            await model._wire.listed(5)
            await model.aclose()
        seen.extend(server.heads)

    asyncio.run(main())
    assert seen[1].startswith("GET /v1/models ")
    assert f"Authorization: Bearer {CANARY}\r\n" in seen[1]
    assert "X-Team: blue\r\n" in seen[1]


def test_a_proxy_that_is_not_there_is_told(monkeypatch):
    """It is unreachable as a server is, at the end of the time that a server has to show itself."""
    monkeypatch.setattr(client_module, "GRACE", 0.0)
    with pytest.raises(ModelError, match=r"he proxy for http://h\.invalid cannot be reached"):
        asyncio.run(asked("http://h.invalid/v1", proxy="http://127.0.0.1:9"))


@pytest.mark.parametrize("status", [407, 502])
def test_a_proxy_that_opens_no_tunnel_is_told(status, monkeypatch):
    """Its status is told; 407 is final at once, 502 when nothing else comes."""
    monkeypatch.setattr(client_module, "GRACE", 0.0)

    async def main():
        proxy = Plain(refused=status)
        async with proxy.on() as port:
            await asked("https://h.invalid/v1", proxy=f"http://me:{CANARY}@127.0.0.1:{port}")

    with pytest.raises(ModelError, match=rf"he proxy refuses the way to https://h\.invalid \({status}\)") as caught:
        asyncio.run(main())
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({"headers": {"X-Gateway-Token": CANARY}}, True), ({"headers": {"Cookie": f"sid={CANARY}"}}, True),
     ({"headers": {"Proxy-Authorization": f"Bearer {CANARY}"}}, True), ({"query": {"key": CANARY}}, True),
     ({"headers": {"X-Key": "short"}}, False), ({"headers": {"X-Team": "bluebluegreen"}}, False)],
)  # fmt: skip
def test_a_secret_beside_the_key_is_scrubbed_from_what_comes_back(settings, kept, tmp_path):
    """What a header or the query holds under a secret's name is in no message and no journal; other values are text."""
    (value,) = next(iter(settings.values())).values()
    secret = value.removeprefix("Bearer ")

    async def main(url):
        with pytest.raises(ModelError) as caught:
            await asked(url, **settings)
        model = maker.openai_model(url, "m", **settings)
        verdicts = await maker.map("what {item}?", [1], model=model, k=1, parse=str, journal=tmp_path / "run.db")
        await model.aclose()
        return str(caught.value), verdicts[0].answer, repr(model)

    with FaultServer([error(401, f"not with {secret}"), f"say {secret}"]) as server:
        told, answer, shown = asyncio.run(main(server.url))
    left = "".join(file.read_bytes().decode("latin-1") for file in tmp_path.iterdir())
    assert [secret in text for text in (told, answer, left)] == [not kept] * 3
    assert secret not in shown
