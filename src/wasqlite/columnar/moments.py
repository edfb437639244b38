"""Dates and times on their way into a table: as the text that the stdlib's adapters make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wasqlite.capi.batch import SEEN_TEXT
from wasqlite.capi.parameters import Encoded
from wasqlite.columnar.inputs import Mask, Unsuitable, add, either, part_of
from wasqlite.exceptions import DataError

UNITS = {"D": 10, "s": 19, "ms": 23, "us": 26, "ns": 29}
"""Units of datetime64, and how long the text is."""

_FIRST = np.datetime64("0001-01-01", "D")
_LAST = np.datetime64("9999-12-31", "D")


class Moments:
    """Values of datetime64, where NaT is NULL; ``zone`` is appended to each, such as ``+00:00``."""

    def __init__(self, data: NDArray[Any], mask: Mask = None, zone: str = "") -> None:
        missing = np.isnat(data)
        self._data = data
        self._mask = mask if not missing.any() else missing if mask is None else mask | missing
        self._zone = zone

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        mask = part_of(self._mask, start, stop)
        part = self._data[start:stop]
        if mask is not None:
            part = np.where(mask, np.datetime64(0, "D").astype(part.dtype), part)
        days = part.astype("datetime64[D]")
        outside = (days < _FIRST) | (days > _LAST)
        if outside.any():
            row = int(outside.argmax())
            raise Unsuitable(start + row, DataError(f"{part[row]} is not within the years 1 to 9999"))
        lengths, characters = _written(part, np.frombuffer(self._zone.encode(), np.uint8))
        if mask is not None:
            lengths[mask] = 0
        keep = np.arange(characters.shape[1]) < lengths[:, None]
        add(batch, SEEN_TEXT, mask, lengths.astype("<i8", copy=False), characters[keep].tobytes())

    def take(self, rows: NDArray[Any], mask: Mask) -> Moments:
        return Moments(self._data[rows], either(mask, self._mask, rows), self._zone)


def _written(part: NDArray[Any], zone: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The text of each value as a line of a matrix of characters, and how many of them count."""
    unit = np.datetime_data(part.dtype)[0]
    if unit == "ms":
        part, unit = part.astype("datetime64[us]"), "us"
    width, rows = UNITS[unit], len(part)
    characters = np.zeros((rows, width + len(zone)), np.uint8)
    texts: NDArray[Any] = np.datetime_as_string(part, unit=unit)  # type: ignore[call-overload]
    characters[:, :width] = texts.astype(f"S{width}").view(np.uint8).reshape(rows, width)
    lengths = np.full(rows, width, np.int64)
    if unit != "D":
        characters[:, 10] = ord(" ")
    # As datetime.isoformat(" "): no fraction if it is zero, else six digits. Nine only where six would lose something.
    if unit == "ns":
        lengths[part.astype(np.int64) % 1000 == 0] = UNITS["us"]
    if unit in ("us", "ns"):
        lengths[part.astype("datetime64[s]") == part] = UNITS["s"]
    if len(zone):
        for length in np.unique(lengths).tolist():
            characters[lengths == length, length : length + len(zone)] = zone
        lengths += len(zone)
    return lengths, characters
