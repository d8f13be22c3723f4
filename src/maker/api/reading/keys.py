r"""Keys for `key=`: which answers are the same one, for the usual ways to write one.

`number`: by value ("1,234.0" is 1234). `text`: by its words in any case, however spaced. `code`: Python by its
syntax tree, whatever its layout and comments. `boxed`: by what the last \boxed{...} holds. `set`: a list in
any order. A key is asked of answers that were read: where it finds nothing of
its kind, it counts the answer as text, so that no answer is lost and none is taken for another.

Not covered: articles, synonyms, units, algebra: "the cat" and "cat" differ.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from maker.api.reading.value import plain
from maker.task.canonical import canonical

_BOX = r"\boxed{"


def number(answer: object) -> str:
    """Return a number's value as text, the same for 7, 7.0, "7.00" and "**7**"; else the text as `text` does."""
    written = plain(str(answer)).replace(",", "")
    try:
        value = Decimal(written)
    except InvalidOperation:
        return text(str(answer))
    if not value.is_finite():
        return text(str(answer))
    return "0" if not value else format(value.normalize(), "E")


def text(answer: str) -> str:
    """Return a text in one case, with one blank between words, in Unicode's composed form."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", answer).casefold()).split())


def code(answer: str) -> str:
    """Return the syntax tree of Python code, in a fence or bare; of what is no Python, the text as it is."""
    lines = answer.strip().splitlines()
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    try:
        return ast.dump(ast.parse("\n".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return answer.strip()


def boxed(answer: str) -> str:
    r"""Return what the last \boxed{...} holds, without blanks; of a text without one, the text as `text` does."""
    begin = answer.rfind(_BOX)
    depth = 1
    for end in range(begin + len(_BOX), len(answer)) if begin >= 0 else ():
        depth += {"{": 1, "}": -1}.get(answer[end], 0)
        if depth == 0:
            return "".join(answer[begin + len(_BOX) : end].split())
    return text(answer)


def set(answer: Iterable[Any]) -> list[str]:  # noqa: A001 -- the public name is maker.keys.set
    """Return the items' own forms in one order; a repeated item counts once, as in a set."""
    return sorted(dict.fromkeys(canonical(item).decode("ascii") for item in answer))
