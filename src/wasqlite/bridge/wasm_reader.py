"""Takes the binary form of a wasm module apart, from its beginning."""

from __future__ import annotations


class Reader:
    """Reads a section, or a whole binary, item by item."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def unsigned(self) -> int:
        """A LEB128 number; a signed one is as long."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def skip(self, size: int) -> None:
        self.position += size

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        return self.data[start : self.position]

    def name(self) -> str:
        return self.take(self.unsigned()).decode("utf-8", "replace")

    def limits(self) -> None:
        """Step over the limits of a table or memory."""
        flags = self.byte()
        self.unsigned()
        if flags & 1:
            self.unsigned()
