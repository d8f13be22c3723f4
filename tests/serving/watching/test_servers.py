"""Servers as a journal's receipts tell them: replies, latency, refusals, money."""

from __future__ import annotations

from maker.decision.address import Address
from maker.decision.sample import Sample
from maker.journal.notes import Receipt, Unshown
from maker.serving.watching.servers import MOST_SERVERS, Servers

AT = Address("run-1", 0, 0)


def came(name: str, latency: float | None) -> Receipt:
    """Return the receipt of a reply."""
    return Receipt(AT, (10, 2, 0, 0.5, 0), Sample("yes", latency=latency, source=name))


def test_replies_and_refusals_are_counted_by_server() -> None:
    """Latency is that of the newest replies, a refusal is named, and money and tokens add up."""
    servers = Servers()
    for seconds in range(1, 21):
        servers.take(came("http://a", float(seconds)))
    servers.take(Receipt(AT, (0, 0, 0, 0.0, 0), None, "429: slow down\x1b[2J", "http://a"))
    servers.take(Unshown(1, 0, 0, 0))
    (shown,) = servers.shown()
    assert (shown["replies"], shown["failed"], shown["slow"]) == (20, 1, 1)
    assert (shown["median"], shown["p95"]) == (10.5, 19.0)
    assert shown["fault"] == "429: slow down\\x1b[2J"
    assert (servers.tokens, servers.cost) == ([200, 40], 10.0)


def test_odd_latencies_and_names_do_no_harm() -> None:
    """What is no number of seconds is left out, and endless names are one."""
    servers = Servers()
    for odd in (None, float("nan"), float("inf"), -1.0):
        servers.take(came("http://a", odd))
    for number in range(MOST_SERVERS + 50):
        servers.take(came(f"http://{number}", 1.0))
    shown = servers.shown()
    assert shown[0]["median"] is None
    assert len(shown) == MOST_SERVERS + 1
    assert shown[-1]["name"] == "others"
