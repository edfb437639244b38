"""What a database's name says about where it lives, read as SQLite reads it: https://sqlite.org/uri.html."""

from __future__ import annotations

_HEX = b"0123456789abcdefABCDEF"
_MODES = (b"ro", b"rw", b"rwc", b"memory")
_CACHES = (b"shared", b"private")


def names_shared_memory(name: bytes) -> bool:
    """Whether a name, opened with SQLITE_OPEN_URI, is a database in memory that other connections see as well.

    False for what SQLite will refuse.
    """
    parsed = _parse(name)
    if parsed is None:
        return False
    path, options = parsed
    mode = cache = vfs = b""
    for key, value in options:  # the last one counts
        if key == b"mode":
            mode = value
            if value not in _MODES:
                return False
        elif key == b"cache":
            cache = value
            if value not in _CACHES:
                return False
        elif key == b"vfs":
            vfs = value
    if path == b":memory:" or mode == b"memory":
        return cache == b"shared" and path != b""
    return vfs == b"memdb" and ((cache == b"shared" and path != b"") or (len(path) > 1 and path[:1] in (b"/", b"\\")))


def _parse(name: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
    """The decoded path and query parameters, None if it is no URI or not a valid one."""
    if not name.startswith(b"file:"):
        return None
    rest = name[5:].split(b"\0")[0].partition(b"#")[0]
    if rest.startswith(b"//"):
        authority, slash, path = rest[2:].partition(b"/")
        if authority not in (b"", b"localhost"):
            return None
        rest = slash + path
    path, _, query = rest.partition(b"?")
    options = []
    for option in query.split(b"&"):
        key, _, value = option.partition(b"=")
        if decoded := _decode(key):  # an empty name is skipped with its value
            options.append((decoded, _decode(value)))
    return _decode(path), options


def _decode(text: bytes) -> bytes:
    # %00 ends the piece that it is in.
    first, *escaped = text.split(b"%")
    for piece in escaped:
        digits = piece[:2]
        valid = len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX
        first += bytes([int(digits, 16)]) + piece[2:] if valid else b"%" + piece
    return first.split(b"\0")[0]
