r"""Text as a cell of a table that a spreadsheet or a terminal may open.

A text that begins as a formula does (= + - @ tab CR) gets a quote before it, unless it is a number, and control
characters are written as \x1b.

Not covered: text that no UTF-8 file can hold.
"""

from __future__ import annotations

import re

_FORMULA = re.compile("[=+\\-@\t\r]")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not tab and line feed


def harmless(text: str) -> str:
    """Return a text that a spreadsheet does not run and that does not drive a terminal."""
    if text.isalnum():  # most are digests and numbers
        return text
    formula = _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text)
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return "'" + shown if formula else shown
