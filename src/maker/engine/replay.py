"""Plain waves of a journal, replayed many at a time: nearly all of a long run, without a poll for each.

A wave that is plain by its bytes (`journal/bulk/plain.py`) decides its step as it would in a poll, if it has k draws,
its step is the next one of its segment, and nothing else was ever said of that: the one answer has k votes, and leads
by k. All else is asked of the task as in any replay. The text is parsed; the answer must be legal; the state that it
leads to must have the digest that the journal has, and step, answer and digest the step hash; where the task knows the
truth, the answer is compared with it. So nothing is trusted here that a poll would not trust.

Where every segment knows its entry, those of a block are taken one after another, as if each had a journal of its own;
should several joins fail in one block, the run names the first segment, not the first in time.

Whatever is not exactly so (a parser that raises, another hash, a wrong answer, a step that was tried before) is left to
the general way, which finds it once more and says what it is.

Not covered: all other records (`course.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from maker.decision.ending import Stop
from maker.decision.method import Method
from maker.decision.step import MAX_CHARS_PER_TOKEN
from maker.decision.wave import step_hash
from maker.engine.front import Lane, Score
from maker.journal.bulk.group import Block
from maker.journal.bulk.plain import FEW, Plain, Row, runs_in
from maker.task.canonical import DIGEST_SIZE, canonical, digest

if TYPE_CHECKING:
    from maker.engine.course import Course


def take_plain(course: Course, records: list[bytes]) -> Iterator[int]:
    """Take the plain ones of waves side by side; yield the places of all others, each to be taken before going on.

    Raises what a replay of these waves raises.
    """
    if len(records) < FEW:
        yield from range(len(records))
        return
    waves: Plain | None = None
    others: list[int] = []  # plain waves that are taken one by one
    for found in runs_in(Block.of(records), 0, len(records), set(), course.front.apart):
        if isinstance(found, int):
            yield found
            continue
        waves, at, count = found.waves, 0, len(found)
        while at < count:
            taken = _take(course, found.first + at, found.rows, at)
            if not taken:
                others.append(found.numbers[at])
                yield waves.places[found.numbers[at]]
            at += taken or 1
    if waves is not None:
        tokens_in, tokens_out = (waves.tokens.sum(0) - waves.tokens[others].sum(0)).tolist()
        draws = int(waves.draws.sum() - waves.draws[others].sum())
        course.usage.replay_plain(draws, tokens_in, tokens_out)


def _take(course: Course, step: int, rows: Sequence[Row], at: int) -> int:
    """Decide steps of one lane by the rows from a place on, the first of which is of a step; return how many it took.

    rows: of consecutive steps.
    """
    method, receipts = course.method, course.receipts
    if method is None or method.table is not None or method.weights or receipts.known or receipts.ahead:
        return 0
    lane = course.front.lane_of(step)
    if lane is None or lane.poll is not None or lane.look is not None or lane.branch:
        return 0
    stop = lane.segment.stop  # where it is not known, the task is asked after each step
    theirs = rows[at : at + (1 if stop is None else stop - step)]
    count, state = _walk(course, method, lane, theirs)
    if not count:
        return 0
    course.opened += count
    course.sampled += count
    hashes = b"".join(verdict[:DIGEST_SIZE] for _, _, verdict in theirs[:count])
    try:
        course.front.catch_up(lane, Score(waves=Counter({1: count})), hashes, state, theirs[count - 1][2][DIGEST_SIZE:])
    except Stop as end:  # it ended the run when it was live, and does so again
        course.stop = course.stop or end
    return count


def _walk(course: Course, method: Method, lane: Lane, rows: Sequence[Row]) -> tuple[int, Any]:
    """Return how many steps of a lane are as their rows say, and the state after them."""
    task, index, state = course.task, lane.index, lane.state
    parse, legal, apply, truth = task.parse, task.legal, task.apply, getattr(task, "truth", None)
    k, longest = method.k, MAX_CHARS_PER_TOKEN * method.token_cap
    tried, abandoned = course.escalations, course.abandoned
    changed = bool(tried or abandoned)
    for text, draws, verdict in rows:
        if draws != k or (changed and (tried.tried(index) or abandoned.covers(index, 0))):
            break
        try:
            said = text.decode("utf-8", "surrogatepass")
            if len(said) > longest:
                break
            answer = parse(said)
            key = canonical(answer)
            if not legal(state, answer):
                break
            after = apply(state, answer)
            digested = digest(canonical(after))
            if step_hash(index, key, digested) + digested != verdict:
                break
            if truth is not None:
                right = truth(state, index)
                if not (answer == right or key == canonical(right)):
                    break
        except Exception:  # noqa: BLE001 -- the general way meets it again, and says what it is
            break
        index += 1
        state = after
    return index - lane.index, state
