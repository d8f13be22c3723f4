r"""Strict reading of a reply's `name = value` lines, in time linear in the reply.

A `Line` knows a name and the form of its value. Every `name =` in the reply must be followed by such a
value that ends its line; several that differ are Ambiguous. So a retracted, broken-off, commented or
calculated value (`result = 6 * 7 = 42`) has no answer, and nothing is ever evaluated or repaired. `bare` reads a
reply that is nothing but a value, and `strict_json` one that is JSON, as strictly.

Not covered: values that nest or span lines. A form must be a regular expression without groups, whose
repetitions do not overlap (as the ones here), or reading is no longer linear.
"""

from __future__ import annotations

import json
import re
from typing import Any


class Ambiguous(ValueError):
    """Raised by a parser that finds several distinct answers in one reply."""


_END = r"(?=[ \t]*(?:[.;`*]+[ \t]*)?(?:[\r\n]|\Z))"  # a full stop or Markdown marks may stand behind a value


class Line:
    """One line `name = value` that a reply must hold.

    name: a word. form: a regular expression of the value: INTEGER, DIGIT, or one of your own, see the module for what
    it must not have.
    """

    INTEGER = r"-?[1-9][0-9]*|0"
    DIGIT = r"[0-9]"

    def __init__(self, name: str, form: str) -> None:
        self.name = name
        self._find = re.compile(rf"\b{re.escape(name)}[ \t]*=[ \t]*(?:({form}){_END})?").findall

    def read(self, text: str) -> str:
        """Return the value as text. Raises Ambiguous for several that differ, ValueError for none or a wrong form."""
        found: list[str] = self._find(text)
        if len(found) != 1:
            if not found:
                raise ValueError(f"no line `{self.name} = ...` in the reply")
            if len(set(found)) > 1 and "" not in found:
                raise Ambiguous(f"{len(found)} values of {self.name}, and not all the same")
        if "" in found:
            raise ValueError(f"`{self.name} =` is not followed by a value of the form asked for, alone on its line")
        return found[0]

    def number(self, text: str) -> int:
        """Return the value as an exact integer, for forms of integers. Raises as `read` does."""
        return int(self.read(text))


def bare(text: str, form: str = Line.INTEGER) -> str:
    """Return the value that is all of a reply; a code fence, Markdown marks or a full stop around it say nothing.

    form: as of a `Line`. Raises ValueError for anything beside the value, so that a calculation written out has none.
    """
    lines = text.strip().splitlines()
    if len(lines) == 3 and lines[0].startswith("```") and lines[2] == "```":
        del lines[2], lines[0]
    value = lines[0].strip("*` ").removesuffix(".").rstrip("*`") if len(lines) == 1 else ""
    if re.fullmatch(form, value) is None:
        raise ValueError("the reply is not a bare value of the form asked for")
    return value


def strict_json(text: str) -> Any:
    """Return what JSON holds. Raises ValueError for a key given twice, since either value could be meant."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)
