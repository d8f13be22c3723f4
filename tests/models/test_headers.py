"""Headers that hold a key."""

from __future__ import annotations

import pytest

from maker.models.headers import holds_key


@pytest.mark.parametrize(("header", "holds"), [("Authorization", True), ("API-Key", True), ("x-api-key", True),
                                               ("X-Title", False), ("x-api-keys", False)])  # fmt: skip
def test_a_header_of_a_key_is_known_whatever_its_case(header, holds):
    """By its whole name, in any case."""
    assert holds_key(header) is holds
