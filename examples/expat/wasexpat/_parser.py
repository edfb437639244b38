"""Parser objects, and what makes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Never

from ._errors import fail
from ._events import HANDLERS, Style, unknown_encoding
from ._guest import KINDS, Guest, take

if TYPE_CHECKING:
    from wasqlite.bridge import Pointer

    from ._events import Make, Serve

CHUNK = 1 << 20
"""How many bytes Expat is given at once, as by pyexpat."""
FILE_CHUNK = 2048
_MOST = 0x7FFF_FFFF


class xmlparser:
    """What ``ParserCreate`` makes."""

    # What handlers are there is in _handlers, what serves them in the guest's table of this parser.
    __slots__ = (
        "__weakref__", "_buffer_size", "_buffered", "_c", "_expat", "_guest", "_handlers", "_inside",
        "_number", "_parent", "_prefixes", "_served", "_specified", "_style",
    )  # fmt: skip
    _buffer_size: int
    _buffered: bool
    _c: Pointer
    _expat: Pointer
    _guest: Guest
    _handlers: list[Any]
    _inside: int
    _number: int
    _parent: xmlparser | None
    _prefixes: bool
    _served: list[Serve | None]
    _specified: bool
    _style: Style

    def __new__(cls) -> xmlparser:
        raise TypeError("cannot create 'pyexpat.xmlparser' instances")

    def __init_subclass__(cls) -> None:
        raise TypeError("type 'pyexpat.xmlparser' is not an acceptable base type")

    def __del__(self) -> None:
        # A parser lives as long as those that were made from it, so that the first one goes last.
        if hasattr(self, "_parent"):
            self._served[self._number * KINDS : (self._number + 1) * KINDS] = [None] * KINDS
            if self._parent is not None:
                self._guest.dropped.append(self._c)
            else:
                self._guest.give_back()

    # -- parsing -----------------------------------------------------------------------------------------------

    def Parse(self, data: Any, isfinal: bool = False, /) -> int:
        """Parse a piece of a document; ``isfinal`` says that it is the last one."""
        if isinstance(data, str):
            data = data.encode()
            self._guest.lib.XML_SetEncoding(self._expat, "utf-8")
        try:
            view = memoryview(data).cast("B")
        except TypeError:
            raise TypeError(f"a bytes-like object is required, not '{type(data).__name__}'") from None
        self._guest.settle()
        at = 0
        while len(view) - at > CHUNK:
            if not self._feed(view[at : at + CHUNK], False):
                return self._fail()
            at += CHUNK
        return self._feed(view[at:], bool(isfinal)) or self._fail()

    def ParseFile(self, file: Any, /) -> int:
        """Parse what ``file.read`` returns, to its end."""
        try:
            read = file.read
        except AttributeError:
            raise TypeError("argument must have 'read' attribute") from None
        self._guest.settle()
        while True:
            data = read(FILE_CHUNK)
            if not isinstance(data, (bytes, bytearray)):
                raise TypeError(f"read() did not return a bytes object (type={type(data).__name__})")
            if len(data) > FILE_CHUNK:
                raise ValueError(f"read() returned too much data: {FILE_CHUNK} bytes requested, {len(data)} returned")
            status = self._feed(data, not data) or self._fail()
            if not data:
                return status

    def _feed(self, data: bytes | bytearray | memoryview, final: bool) -> int:
        """Give Expat one piece: its status."""
        lib = self._guest.lib
        if data:
            buffer = lib.XML_GetBuffer(self._expat, len(data))
            if not buffer:
                return 0
            buffer.write(data)
        self._inside += 1
        try:
            status: int = self._enter(lib.wx_parse, len(data), final)
            return status
        finally:
            self._inside -= 1

    def _enter(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that may lead to events."""
        guest = self._guest
        outer, guest.served = guest.served, self._served
        try:
            return call(self._c, *arguments)
        except BaseException:
            if guest.instance.dead is None and guest.lib.wx_silenced(self._c):
                self._handlers[:] = [None] * len(self._handlers)
            raise
        finally:
            guest.served = outer

    def _fail(self) -> Never:
        fail(self._guest, self.ErrorCode, self.ErrorLineNumber, self.ErrorColumnNumber)

    def ExternalEntityParserCreate(self, context: str | None, encoding: str | None = None, /) -> xmlparser:
        """A parser for the text of an external entity, with ``context`` as the ExternalEntityRefHandler got it."""
        _check_text("ExternalEntityParserCreate", "argument 1", context)
        if encoding is not None and not isinstance(encoding, str):
            raise TypeError(f"ExternalEntityParserCreate() argument 2 must be str, not {type(encoding).__name__}")
        guest = self._guest
        guest.settle()
        made = guest.lib.wx_create_external(self._c, context, encoding, len(self._served) // KINDS)
        parser = _wrap(guest, made, self._served, self.intern, self)
        for name in ("_buffer_size", "_buffered", "_specified", "_prefixes"):
            setattr(parser, name, getattr(self, name))
        parser._style.ordered = self._style.ordered
        for kind, (handler, make) in enumerate(zip(self._handlers, HANDLERS.values(), strict=True)):
            if handler is not None:
                parser._handlers[kind] = handler
                self._served[parser._number * KINDS + kind] = make(parser._style, handler)
        return parser

    # -- settings ----------------------------------------------------------------------------------------------

    def SetBase(self, base: str, /) -> None:
        """Tell what relative system identifiers are relative to."""
        if not isinstance(base, str):
            raise TypeError(f"SetBase() argument must be str, not {type(base).__name__}")
        _check_text("SetBase", "argument", base)
        if not self._guest.lib.XML_SetBase(self._expat, base):
            raise MemoryError

    def GetBase(self) -> str | None:
        """What ``SetBase`` was told."""
        base = self._guest.lib.XML_GetBase(self._expat)
        return base.string().decode() if base else None

    def GetInputContext(self) -> bytes | None:
        """The input from the event's first byte on, as it was given; None if no handler is running."""
        if not self._inside:
            return None
        guest = self._guest
        with guest.instance.new("int *") as offset, guest.instance.new("int *") as size:
            buffer = guest.lib.XML_GetInputContext(self._expat, offset, size)
            return (buffer + offset[0]).bytes(size[0] - offset[0]) if buffer else None

    def SetParamEntityParsing(self, flag: int, /) -> int:
        """Whether parameter entities are parsed, one of ``XML_PARAM_ENTITY_PARSING_...``: 0 if it is too late."""
        return self._guest.lib.XML_SetParamEntityParsing(self._expat, flag)

    def UseForeignDTD(self, flag: bool = True, /) -> None:
        """Have the ExternalEntityRefHandler asked for a DTD where the document names none."""
        code = self._guest.lib.XML_UseForeignDTD(self._expat, bool(flag))
        if code:
            fail(self._guest, code, self.ErrorLineNumber, self.ErrorColumnNumber)

    def GetReparseDeferralEnabled(self) -> bool:
        """False: it came with Expat 2.6."""
        return False

    def SetReparseDeferralEnabled(self, enabled: bool, /) -> None:
        """Without effect, as with any Expat before 2.6."""

    # -- collected text ----------------------------------------------------------------------------------------

    @property
    def buffer_text(self) -> bool:
        """Whether character data is collected, so that the handler is called less often."""
        return self._buffered

    @buffer_text.setter
    def buffer_text(self, value: object) -> None:
        wanted = bool(value)
        if wanted != self._buffered:
            if self._buffered:
                self._enter(self._guest.lib.wx_flush)
            self._buffer(self._buffer_size if wanted else 0)
            self._buffered = wanted

    @property
    def buffer_size(self) -> int:
        """How many bytes are collected."""
        return self._buffer_size

    @buffer_size.setter
    def buffer_size(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError("buffer_size must be an integer")
        if value <= 0:
            raise ValueError("buffer_size must be greater than zero")
        if value > _MOST:
            raise ValueError(f"buffer_size must not be greater than {_MOST}")
        if value != self._buffer_size:
            if self._buffered:
                self._enter(self._guest.lib.wx_flush)
                self._buffer(value)
            self._buffer_size = value

    def _buffer(self, size: int) -> None:
        if not self._guest.lib.wx_buffer(self._c, size):
            raise MemoryError

    @property
    def buffer_used(self) -> int:
        """How many bytes have been collected."""
        return self._guest.lib.wx_buffered(self._c)

    @property
    def intern(self) -> dict[Any, Any] | None:
        """The names that were met; None if they are not kept."""
        return self._style.intern

    # -- how events are told of ----------------------------------------------------------------------------------

    @property
    def ordered_attributes(self) -> bool:
        """Whether attributes are a list of names and values."""
        return self._style.ordered

    @ordered_attributes.setter
    def ordered_attributes(self, value: object) -> None:
        self._style.ordered = bool(value)

    @property
    def specified_attributes(self) -> bool:
        """Whether only those attributes are told of that are in the document."""
        return self._specified

    @specified_attributes.setter
    def specified_attributes(self, value: object) -> None:
        self._specified = bool(value)
        self._guest.lib.wx_specified_only(self._c, self._specified)

    @property
    def namespace_prefixes(self) -> bool:
        """Whether names have their prefix, as a third part."""
        return self._prefixes

    @namespace_prefixes.setter
    def namespace_prefixes(self, value: object) -> None:
        self._prefixes = bool(value)
        self._guest.lib.XML_SetReturnNSTriplet(self._expat, self._prefixes)

    # -- where the parser is -------------------------------------------------------------------------------------

    @property
    def ErrorCode(self) -> int:
        """The last error."""
        return self._guest.lib.XML_GetErrorCode(self._expat)

    @property
    def CurrentLineNumber(self) -> int:
        """The line of the event, from 1."""
        return self._guest.lib.XML_GetCurrentLineNumber(self._expat)

    @property
    def CurrentColumnNumber(self) -> int:
        """The column of the event, from 0."""
        return self._guest.lib.XML_GetCurrentColumnNumber(self._expat)

    @property
    def CurrentByteIndex(self) -> int:
        """The place of the event in the input."""
        return self._guest.lib.XML_GetCurrentByteIndex(self._expat)

    ErrorLineNumber = CurrentLineNumber
    ErrorColumnNumber = CurrentColumnNumber
    ErrorByteIndex = CurrentByteIndex


def _handler_property(kind: int, make: Make) -> property:
    def get(self: xmlparser) -> Any:
        return self._handlers[kind]

    def put(self: xmlparser, handler: Any) -> None:
        # In this order: text that was collected is still the old one's.
        self._enter(self._guest.lib.wx_handle, kind, handler is not None)
        self._handlers[kind] = handler
        slot = self._number * KINDS + kind
        self._served[slot] = None if handler is None else make(self._style, handler)

    def delete(self: xmlparser) -> Never:
        raise RuntimeError("Cannot delete attribute")

    return property(get, put, delete)


for _kind, (_name, _make) in enumerate(HANDLERS.items()):
    setattr(xmlparser, _name, _handler_property(_kind, _make))


def _check_text(function: str, which: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{function}() {which} must be str or None, not {type(value).__name__}")
    if value is not None and "\0" in value:
        raise ValueError("embedded null character")


def _wrap(
    guest: Guest, made: Pointer, served: list[Serve | None], intern: dict[Any, Any] | None, parent: xmlparser | None
) -> xmlparser:
    if not made:
        raise MemoryError
    parser: xmlparser = object.__new__(xmlparser)
    parser._guest, parser._c = guest, made
    parser._number, parser._served = len(served) // KINDS, served
    served += [None] * KINDS
    parser._style = Style(guest, intern)
    parser._expat = guest.lib.wx_expat(made)
    parser._handlers = [None] * len(HANDLERS)
    served[parser._number * KINDS + len(HANDLERS)] = unknown_encoding(guest)
    parser._inside = 0
    parser._buffered = parser._specified = parser._prefixes = False
    parser._buffer_size = 8192
    parser._parent = parent  # the last: from here on its end is that of the sandbox, or of a part of it
    return parser


_NOT_GIVEN: Any = object()


def ParserCreate(
    encoding: str | None = None, namespace_separator: str | None = None, intern: dict[Any, Any] | None = _NOT_GIVEN
) -> xmlparser:
    """A new parser. It has a sandbox of its own."""
    _check_text("ParserCreate", "argument 'encoding'", encoding)
    _check_text("ParserCreate", "argument 'namespace_separator'", namespace_separator)
    if namespace_separator is not None and len(namespace_separator) > 1:
        raise ValueError("namespace_separator must be at most one character, omitted, or None")
    if intern is _NOT_GIVEN:
        intern = {}
    elif intern is not None and not isinstance(intern, dict):
        raise TypeError("intern must be a dictionary")
    guest = take()
    salt = int.from_bytes(os.urandom(4))
    try:
        return _wrap(guest, guest.lib.wx_create(encoding, namespace_separator, 0, salt), [], intern, None)
    except BaseException:
        guest.give_back()
        raise
