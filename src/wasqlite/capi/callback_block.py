"""Where in the callback block things are: docs/abi.md. Numbers of 8-byte words, and byte offsets."""

from __future__ import annotations

KEY, RESULT, VALUE, INSTANCE, COUNT, LANE, ARGUMENTS = range(7)
TYPES, BYTES, SIZE = 8048, 9048, 13144
