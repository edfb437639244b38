"""Where in the callback block things are: docs/abi.md. Numbers of 8-byte words, and byte offsets."""

from __future__ import annotations

KEY, RESULT, VALUE, INSTANCE, COUNT, LANE, LANE_INTEGER, LANE_REAL, ARGUMENTS = range(9)
TYPES, BYTES, SIZE = 8064, 9064, 13160
NO_INTEGER = 0x9E3779B97F4A7C15 - (1 << 64)
"""What stands in ``LANE_INTEGER`` before a lane is called."""
