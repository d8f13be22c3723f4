"""A model asked in batches: all draws of a wave are one file that the server works off in its own time, for less.

Promises: every draw that a batch may have is known by its tag before the server is, so no draw goes out twice
while one may be under way; a batch whose id never came is looked for on the server's list before another is begun. What
came of a batch is read as an answer to a draw is, in the dialect that it was asked in; what is missing in it (expired,
cancelled, a torn file, an error of one line) is a failure of that draw, which took nothing. Who stops waiting leaves
the batch to the server (`left`).

What a server does not take is found out before a batch goes out, by one short request by the ordinary way. Looking at
a batch is repeated for as long as the server cannot be reached; a server that does not know it, or refuses the
key, ends the run, and the batch goes on.

Not covered: how many draws a wave has, and drawing again what failed (`sending/dispatcher.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Book, Desk, Failure, Prices, Reply, Request, Sample, desk
from maker.errors import MakerError, ModelError
from maker.log import log
from maker.models.openai.batch.lines import Line, Lines, files, name_of, request_line
from maker.models.openai.batch.server import Server, Told
from maker.models.openai.client import OpenAI
from maker.models.openai.health import PROBE_PROMPT
from maker.models.openai.http.wire import Wire
from maker.models.openai.refusal import Trouble
from maker.models.openai.request import Dialect
from maker.theory.needs import BATCH_SHARE

FIRST_LOOK, LONGEST_LOOK, LONGER = 2.0, 60.0, 1.5  # seconds between looks at a batch, and how they grow
FETCHES = 3  # of a file that is torn
_ENDED = ("completed", "expired", "cancelled", "failed")
_MOST_ASKED = 10  # short requests that find out what a server takes
_FULL = ("token_limit_exceeded", "rate_limit_exceeded", "batch_limit_exceeded")  # of a batch: not now
_FULL_WAIT = 60.0  # seconds
T = TypeVar("T", str, bytes, Told, str | None)


@dataclass(slots=True, frozen=True)
class _Wave:
    """Who pays for the draws of one call, and keeps its batches."""

    desk: Desk
    book: Book


class Batched:
    """A model over HTTP whose draws go out in batches. plain: the same, asked call by call.

    It draws for a run alone, which keeps what the server has (`Desk.batches`). Raises ModelError for a model that is
    reached through a client of somebody else's.
    """

    lockstep = False
    whole = True

    def __init__(self, plain: OpenAI) -> None:
        if not isinstance(plain.wire, Wire):
            raise ModelError(f"{plain.name} is asked through a client of yours, which sends no files: give its address")
        self.name, self.native_tools, self.room = plain.name, plain.native_tools, plain.room
        self.aclose = plain.aclose
        self.prices = _cheaper(plain.prices)
        self._plain, self._wire, self._server = plain, plain.wire, Server(plain.wire)
        self._dialects: dict[str, Dialect] = {}  # in which batches were asked, by tag
        self._said: dict[str, str] = {}  # how batches stand that are not read, by what they are called

    def __repr__(self) -> str:
        return f"Batched({self.name!r})"

    def pace(self) -> str:
        """Say which batches are waited for."""
        return "; ".join(f"batch {name}: {said}" for name, said in self._said.items())

    def left(self) -> str:
        """Say which batches go on when nobody waits for them any more."""
        if not self._said:
            return ""
        return f"Batch {', '.join(self._said)} goes on at the server; the same call with batch=True reads it."

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Return one sample or failure for each request, in order, once the batches that have them have ended.

        Raises ModelError where a batch cannot be read for good, Stop where the run ends meanwhile. Cancelled, it leaves
        batches to the server.
        """
        told = desk.get()
        book = None if told is None else told.batches
        if told is None or book is None:
            raise ModelError(f"{self.name} is asked in batches, which a run has to keep: give it to maker.map")
        wave = _Wave(told, book)
        known, fresh = await self._under_way(wave, requests)
        replies = await self._begin(wave, fresh, known)
        for tag, asked in known.items():
            replies |= await self._read(wave, tag, asked)
        return [replies[request.address] for request in requests]

    # -- going out -------------------------------------------------------------------------------------

    async def _under_way(
        self, wave: _Wave, requests: Sequence[Request]
    ) -> tuple[dict[str, list[Request]], list[Request]]:
        """Return which requests the server has already, by the tag of their batch, and those that it has not."""
        known: dict[str, list[Request]] = {}
        fresh: list[Request] = []
        for request in requests:
            tag = wave.book.tag_of(request.address)
            (fresh if tag is None else known.setdefault(tag, [])).append(request)
        for tag in list(known):
            identity = wave.book.ids[tag] or await self._found(wave, tag)
            if identity is None:  # it never went out
                fresh += known.pop(tag)
            else:
                await self._known_as(wave, tag, identity)
        if known:
            self._plain.recalled()
        return known, fresh

    async def _begin(
        self, wave: _Wave, fresh: Sequence[Request], known: dict[str, list[Request]]
    ) -> dict[Address, Reply]:
        """Send requests as new batches, and add these to the known ones; return what is known to have failed."""
        failed: dict[Address, Reply] = {}
        if fresh and (ill := await self._disagreed(wave, fresh)) is not None:
            return {request.address: ill for request in fresh}
        dialect, route = self._plain.negotiator.dialect, self._wire.target.route
        lines = [request_line(one.address, route, self._plain.encoded(one, dialect)) for one in fresh]
        for part in files(lines) if lines else ():
            asked = [fresh[at] for at in part]
            tag = await wave.book.begin([request.address for request in asked])
            self._dialects[tag] = dialect
            ill = await self._send(wave, tag, b"".join(lines[at] for at in part))
            if ill is None:
                known[tag] = asked
            else:
                failed |= {request.address: ill for request in asked}
        return failed

    async def _disagreed(self, wave: _Wave, fresh: Sequence[Request]) -> Failure | None:
        """Find out what the server takes of settings that it was not asked with so far; return what ails it."""
        self._plain.recalled()
        for request in fresh:
            if self._plain.negotiator.knows(request):
                continue
            address = replace(request.address, run=f"{request.address.run}/probe")
            short = replace(request, prompt=PROBE_PROMPT, address=address)
            for _ in range(_MOST_ASKED):
                reply = await wave.desk.pay(short, self._ask_plainly)
                if isinstance(reply, Sample) or reply.kind != "again":
                    break
            if isinstance(reply, Failure):
                return replace(reply, kind="transient") if reply.kind == "again" else reply
        return None

    async def _ask_plainly(self, short: Request) -> Reply:
        (reply,) = await self._plain.draw([short])
        return reply

    async def _send(self, wave: _Wave, tag: str, file: bytes) -> Failure | None:
        """Begin a batch, and note its id; return what it is when the server has none now."""
        put = await self._server.put(file)
        if isinstance(put, Trouble):
            return self._refused(put)
        begun = await self._server.begin(put, tag)
        identity = begun if isinstance(begun, str) else None
        if isinstance(begun, Trouble):
            if not _lost(begun):
                return self._refused(begun)
            identity = await self._found(wave, tag)
            if identity is None:
                return replace(begun.failure, kind="transient", tokens_in=0, tokens_out=0)
        assert identity is not None, "a batch that was begun has an id"
        log.info("batch.sent", batch=identity, bytes=len(file))
        await self._known_as(wave, tag, identity)
        return None

    async def _known_as(self, wave: _Wave, tag: str, identity: str) -> None:
        """Keep the id of a batch that is under way."""
        self._said[identity] = "not looked at so far"
        if wave.book.ids[tag] != identity:
            await wave.book.named(tag, identity)

    async def _found(self, wave: _Wave, tag: str) -> str | None:
        """Return the id of a batch that the server may have, None where it has none."""
        return await self._patiently(wave, lambda: self._server.find(tag), f"whether it has the batch {tag}")

    def _refused(self, trouble: Trouble) -> Failure:
        """Return the failure of all draws of a batch that a server did not take."""
        failure = trouble.failure
        if trouble.status in (404, 405):
            return Failure("fatal", f"{failure.detail}. It has no batches as OpenAI has them: ask without batch=True")
        kind = "transient" if failure.kind == "transient" else "fatal"
        detail = f"{failure.detail}. {trouble.remedy}" if trouble.remedy and kind == "fatal" else failure.detail
        return replace(failure, kind=kind, detail=detail, tokens_in=0, tokens_out=0)

    # -- coming back -----------------------------------------------------------------------------------

    async def _read(self, wave: _Wave, tag: str, asked: Sequence[Request]) -> dict[Address, Reply]:
        """Wait for the end of a batch, and return what it has for each request."""
        identity = wave.book.ids[tag]
        try:
            ended = await self._ended(wave, identity)
            lines = await self._lines(wave, identity, ended, {name_of(request.address) for request in asked})
            replies = {one.address: await self._reply(tag, one, lines.came.get(name_of(one.address)), ended)
                       for one in asked}  # fmt: skip
        except BaseException as error:
            log.warning("batch.left", batch=identity, draws=len(asked))
            if not isinstance(error, Exception) or isinstance(error, (MakerError, Stop)):
                raise
            detail = f"batch {identity} cannot be read ({type(error).__name__}: {error}). It goes on at the server"
            raise ModelError(f"{detail}; the same call reads it.") from error  # else its draws would count as failed
        samples = sum(isinstance(reply, Sample) for reply in replies.values())
        log.info("batch.read", batch=identity, status=ended["status"], asked=len(asked), samples=samples,
                 torn=lines.torn, strange=lines.strange, doubled=lines.doubled)  # fmt: skip
        del self._said[identity]
        self._dialects.pop(tag, None)
        return replies

    async def _ended(self, wave: _Wave, identity: str) -> Told:
        """Look at a batch until it has ended."""
        wait = FIRST_LOOK
        while True:
            told = await self._patiently(wave, lambda: self._server.look(identity), f"how batch {identity} stands")
            if told.get("status") in _ENDED:
                return told
            self._said[identity] = _standing(told)
            await wave.desk.wait(anyio.sleep(wait))
            wait = min(wait * LONGER, LONGEST_LOOK)

    async def _lines(self, wave: _Wave, identity: str, ended: Told, wanted: set[str]) -> Lines:
        """Fetch the files of a batch that has ended; one that is torn, or too short, once more."""
        counts = ended.get("request_counts")
        due = counts.get("completed") if isinstance(counts, dict) else None
        for fetch in range(FETCHES):
            lines = Lines()
            for name in ("output_file_id", "error_file_id"):
                if isinstance(ended.get(name), str):
                    lines.add(await self._file(wave, identity, ended[name]), wanted)
            short = type(due) is int and len(lines.came) + lines.strange + lines.doubled < due
            if not (lines.torn or short):
                break
            log.debug("batch.torn", batch=identity, fetch=fetch, torn=lines.torn)
        return lines

    async def _file(self, wave: _Wave, identity: str, file: str) -> bytes:
        async def fetched() -> bytes | Trouble:
            found = await self._server.file(file)
            gone = isinstance(found, Trouble) and found.status == 404  # kept no longer: its draws are made again
            return b"" if gone else found

        return await self._patiently(wave, fetched, f"what came of batch {identity}")

    async def _reply(self, tag: str, request: Request, line: Line | None, ended: Told) -> Reply:
        """Return what a line is to the request that it answers; what was not delivered took nothing."""
        if line is None or not line.status:
            return self._missing(ended, line.fault if line is not None else "")
        dialect = self._dialects.get(tag, self._plain.negotiator.dialect)
        reply = await self._plain.read(request, dialect, line.status, line.body)
        if isinstance(reply, Failure) and line.status != 200:
            return replace(reply, tokens_in=0, tokens_out=0, gone=False)
        return reply

    def _missing(self, ended: Told, fault: str) -> Failure:
        """Return the failure of a draw that a batch has no reply to; a batch that failed as a whole will again."""
        errors = ended.get("errors")
        listed = errors.get("data") if isinstance(errors, dict) else None
        told = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        said = self._server.words([*filter(None, [fault]), *told])
        detail = f"a batch is {ended['status']}, without this draw" + (f": {said}" if said else "")
        full = any(one.get("code") in _FULL for one in told)
        if ended["status"] == "failed" and not full:
            return Failure("fatal", detail)
        return Failure("transient", detail, _FULL_WAIT if full else None)

    async def _patiently(self, wave: _Wave, ask: Callable[[], Awaitable[T | Trouble]], what: str) -> T:
        """Ask for something, again and again while that can help. Raises ModelError where it cannot."""
        wait = FIRST_LOOK
        while isinstance(told := await ask(), Trouble):
            if told.failure.kind != "transient":
                remedy = f" {told.remedy}." if told.remedy and told.status in (401, 403) else ""
                raise ModelError(f"{what}: {told.failure.detail}.{remedy} The batch goes on; once this is mended, the "
                                 'same call reads it. accept_change=["batch"] gives it up.')  # fmt: skip
            log.debug("batch.retry", detail=told.failure.detail, wait=wait)
            await wave.desk.wait(anyio.sleep(max(wait, told.failure.wait)))
            wait = min(wait * LONGER, LONGEST_LOOK)
        return told


def _cheaper(prices: Prices | None) -> Prices | None:
    """Return prices of draws in batches."""
    if prices is None:
        return None
    cached = None if prices.cached is None else BATCH_SHARE * prices.cached
    return Prices(input=BATCH_SHARE * prices.input, output=BATCH_SHARE * prices.output, cached=cached)


def _lost(begun: Trouble) -> bool:
    """Say whether a batch may have been begun all the same: not where the server refused it in words."""
    return not 300 <= begun.status < 500 or begun.status in (408, 409, 425)


def _standing(told: Told) -> str:
    """Return how a batch stands, for a person."""
    counts = told.get("request_counts")
    given = counts if isinstance(counts, dict) else {}
    done = [count for name in ("completed", "failed", "total") if type(count := given.get(name)) is int]
    status = str(told.get("status"))[:20]
    return f"{status}, {done[0] + done[1]:,} of {done[2]:,} done" if len(done) == 3 else status
