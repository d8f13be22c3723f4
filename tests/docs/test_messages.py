"""docs/kit/messages.py: every error that the source makes is on the page, under its kind."""

from __future__ import annotations

import ast
import re

import pytest

import maker
from messages import KINDS, SOURCE, messages, page, quoted, unknown, written

TEXT = page()
MOST_UNKNOWN = 13  # errors that are handed a text which was put together elsewhere


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'a'", "a"),
        ("f'{a.b}: no {c!r}'", "{a.b}: no {c}"),
        ("f'a ' + b", "a {...}"),
        ("'a' if x else 'b'", "a / b"),
        ("elsewhere", ""),
    ],
)
def test_a_message_is_read_as_it_is_written(source: str, text: str):
    """Words stand as they are; what varies stands in braces."""
    assert written(ast.parse(source, mode="eval").body) == text


def test_every_error_of_the_source_is_on_the_page():
    """As many errors are found as the source makes, and each has its line or is one of the few without words."""
    made = "|".join(KINDS)
    calls = sum(
        len(re.findall(rf"(?<!class )\b(?:{made})\((?=\s*[^\s)])", file.read_text()))
        for file in SOURCE.rglob("*.py") if file.name != "errors.py"
    )  # fmt: skip
    found = list(messages())
    assert abs(calls - len(found)) <= calls // 50, (calls, len(found))  # some stand in a docstring
    assert [
        message
        for message in found
        if message.text and quoted(message.text) not in TEXT and message.error != "MakerError"
    ] == []  # which stays inside
    assert unknown() <= MOST_UNKNOWN


def test_every_kind_has_its_section():
    """Each error that users can meet has a heading with its exit code."""
    for kind in (value for value in vars(maker).values() if isinstance(value, type)):
        if issubclass(kind, maker.MakerError) and kind is not maker.MakerError:
            section = TEXT.split(f"\n## {kind.__name__}\n")[1].split("\n## ")[0]
            assert f"Exit code {kind.exit_code}." in section


def test_every_message_of_bad_input_says_what_to_do():
    """A message of the page has more than one word; one that quotes a command keeps its marks."""
    assert quoted("see `maker show`") == "`` see `maker show` ``"
    assert [line for line in TEXT.splitlines() if line.startswith("- ") and len(line.split()) < 3] == []
