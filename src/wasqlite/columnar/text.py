"""Text as Arrow has it: all bytes in one piece, and lengths or places that say where the values are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_invalid(payload: bytes, lengths: NDArray[np.int64]) -> int | None:
    """The first of the values that stand one after the other in ``payload`` that is not UTF-8."""
    if payload.isascii():
        return None
    starts = np.cumsum(lengths) - lengths
    try:
        payload.decode()
        # As a whole it is; now no value must begin in the middle of a character.
        if not ((np.frombuffer(payload, np.uint8)[starts[lengths > 0]] & 0xC0) == 0x80).any():
            return None
    except UnicodeDecodeError:
        pass
    for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        try:
            payload[start : start + length].decode()
        except UnicodeDecodeError:
            return row
    return None


def gathered(data: NDArray[np.uint8], starts: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes of values that lie anywhere in ``data``, one after the other."""
    total = int(lengths.sum())
    # For every byte of the result its place: the value's start, and how far it is from the value's first byte.
    places = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    places += np.arange(total)
    found: NDArray[np.uint8] = data[places]
    return found
